"""What compacted topics say of one partition as of one commit, though later ones may stand there by now."""

from collections.abc import AsyncIterator, Callable, Sequence

import msgspec

from rater.core import Source
from rater.kafka.changelog import META_KEY, Meta, read_meta
from rater.kafka.port import Consumed
from rater.wire.commits import Commit


class _Sourced(msgspec.Struct):
    """What every output says: the input that it comes from."""

    source: Source


_sourced = msgspec.json.Decoder(_Sourced).decode
Read = Callable[[str], AsyncIterator[Sequence[Consumed]]]


def is_later(value: bytes, last: Commit) -> bool:
    """Whether an output comes from an input that the commit and those before it did not consume.

    A record without its source was written by somebody else: no commit will name it.
    """
    try:
        source = _sourced(value).source
    except msgspec.DecodeError:
        return False
    ends = {"cdrs": last.cdrs_next, "commands": last.commands_next, "commits": last.sequence + 1}
    return source.offset >= ends.get(source.topic, 0)


class Latest:
    """The latest record of each key; `later` are keys that a later commit has written."""

    def __init__(self) -> None:
        self.found: dict[bytes, bytes] = {}
        self.later: set[bytes] = set()
        #: Records before this position come from other topics' inputs: none is later.
        self.copied = 0

    async def read(self, read: Read, topic: str, last: Commit) -> None:
        """Read a topic of outputs as of a commit."""
        async for records in read(topic):
            for record in records:
                key, value = record.key or b"", record.value
                if value is None:  # it does not say which commit wrote it
                    self.found.pop(key, None)
                    self.later.add(key)
                elif record.offset >= self.copied and is_later(value, last):
                    self.later.add(key)
                else:
                    self.found[key] = value


class StateAsOf(Latest):
    """The entities of the changelog, and its meta record."""

    def __init__(self) -> None:
        super().__init__()
        self.meta: Meta | None = None

    async def read(self, read: Read, topic: str, last: Commit) -> None:
        """Read it as of a commit: a transaction's records end with its meta record."""
        open: list[tuple[bytes, bytes | None]] = []
        async for records in read(topic):
            for record in records:
                if record.key != META_KEY:
                    open.append((record.key or b"", record.value))
                    continue
                meta = read_meta(record.value or b"")
                if meta.commits <= last.sequence:
                    self.meta = meta
                    self._merge(open)
                else:
                    self.later |= {key for key, _ in open}
                open = []
        self._merge(open)

    def _merge(self, changes: list[tuple[bytes, bytes | None]]) -> None:
        for key, value in changes:
            if value is None:
                self.found.pop(key, None)
            else:
                self.found[key] = value
