"""What the rating task needs of Kafka, and no more: so that a model of Kafka can stand in for it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

import msgspec

#: Topic -> the records to write there, as (key, value); without a value the key goes.
Writes = Mapping[str, Sequence[tuple[bytes, bytes | None]]]


class Consumed(msgspec.Struct, frozen=True, gc=False):
    """A record as it was read; `topic` is its name without the deployment's prefix.

    `published_ms` is the stamp of the topic, in Unix milliseconds: when the broker stored the record; 0: unknown.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    published_ms: int = 0


class KeptRange(msgspec.Struct, frozen=True):
    """What a topic's partition keeps: its first offset, the position after its last record; and the topic's id.

    The id is empty where the broker gives none.
    """

    first: int
    end: int
    id: str = ""


class Doubt(Exception):
    """A transaction failed or its outcome is unknown: drop everything that was staged, reacquire the partition."""


class Fenced(Doubt):
    """Another owner of the partition has started: whatever this one still writes is refused."""


class PartitionLog(Protocol):
    """One partition, its inputs and outputs, seen by the one task that is to own it.

    Every method may raise Doubt (or Fenced).  Positions are offsets of the next record.
    """

    partition: int

    async def fence(self) -> None:
        """Become the only one who can write: earlier owners' transactions are ended, their writes refused."""

    def read(self, topic: str, start: int | None) -> AsyncIterator[Sequence[Consumed]]:
        """The committed records of the partition from `start` (None: the first) until its end as of now."""

    async def end(self, topic: str) -> int:
        """The position after the last committed record."""

    async def kept(self, topics: Sequence[str]) -> Mapping[str, KeptRange]:
        """What is kept of the partition in these topics, by topic; of topics that are no inputs only the id."""

    def now_s(self) -> float:
        """Unix seconds."""

    async def seek(self, positions: Mapping[str, int | None]) -> Mapping[str, int]:
        """Read inputs from these positions on (None: the first that is kept); the positions that this means."""

    async def fetch(self, limit: int) -> Sequence[Consumed]:
        """Up to `limit` input records; waits a little, and may come back with none."""

    async def begin(self) -> None:
        """Start a transaction."""

    async def send(self, writes: Writes) -> Mapping[str, int]:
        """Write within the transaction, wait until all is stored; the position after each topic's last record."""

    async def commit_offsets(self, positions: Mapping[str, int]) -> None:
        """Commit the group's offsets of the inputs, for tools that show lag; no task ever reads them.

        In the open transaction, else in one of its own.  Does nothing if they were committed lately; it is called
        again when there is nothing else to do.
        """

    async def commit(self) -> None:
        """Make everything since `begin` visible at once."""

    async def back_off(self, doubts: int) -> None:
        """Wait a little after that many failures in a row, so that the group can settle who owns the partition."""

    async def close(self) -> None:
        """Abort an open transaction and close; never raises."""
