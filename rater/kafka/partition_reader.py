"""One topic's partition, read record by record."""

from collections.abc import AsyncIterator, Sequence

from rater.kafka.port import Consumed


class Tape:
    """The records of one topic and partition, one after the other."""

    def __init__(self, batches: AsyncIterator[Sequence[Consumed]]) -> None:
        self._batches = batches
        self._held: Sequence[Consumed] = ()
        self._next = 0

    async def peek(self) -> Consumed | None:
        """The next record, which stays; None at the end."""
        while self._next >= len(self._held):
            found = await anext(self._batches, None)
            if found is None:
                return None
            self._held, self._next = found, 0
        return self._held[self._next]

    async def next(self) -> Consumed | None:
        """The next record; None at the end."""
        record = await self.peek()
        self._next += record is not None
        return record

    async def until(self, offset: int) -> list[Consumed]:
        """The records before an offset."""
        taken = []
        while (record := await self.peek()) is not None and record.offset < offset:
            taken.append(record)
            self._next += 1
        return taken
