"""Commits that are not computed again: of earlier rules (A51), or of inputs that are deleted by now.

Their outputs are followed by where their inputs stood: sequences without gap, no id twice, and, by who calls, the
sums.  The release that wrote those of earlier rules replays them.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec

from rater.core import Source
from rater.kafka.partition_reader import Tape
from rater.kafka.port import Consumed
from rater.wire.commits import Commit, Gap, part_of


class _Sourced(msgspec.Struct):
    """What every output says: its id and the input that it comes from."""

    id: str
    source: Source


_sourced = msgspec.json.Decoder(_Sourced).decode
_commit = msgspec.json.Decoder(Commit).decode


class FormerOutputs:
    """The outputs of commits that are not computed again, in the order of their topics."""

    def __init__(self, tapes: Mapping[str, Tape], topics: tuple[str, ...]) -> None:
        self._tapes, self._topics = tapes, topics
        self._ids: dict[str, set[str]] = defaultdict(set)

    async def of(
        self, commit: Commit, outputs: Mapping[str, int]
    ) -> AsyncIterator[tuple[str, Consumed, str | None]]:
        """The outputs up to the end of what a commit consumed, each with its topic and what is wrong with it.

        `outputs` are the positions that no output of the commit is beyond, as far as they are known.
        """
        ends = {"cdrs": commit.cdrs_next, "commands": commit.commands_next}
        for topic in self._topics:
            tape = self._tapes[topic]
            beyond = outputs.get(topic)
            while (record := await tape.peek()) is not None and (beyond is None or record.offset < beyond):
                found = _sourced(record.value or b"")
                if found.source.offset >= ends.get(found.source.topic, 0):
                    break
                await tape.next()
                yield topic, record, self._twice(topic, found.id)

    async def before(self, outputs: Mapping[str, int]) -> AsyncIterator[tuple[str, Consumed, str | None]]:
        """The outputs before positions, wherever their inputs stood: they were copied from other topics."""
        for topic in self._topics:
            tape = self._tapes[topic]
            while (record := await tape.peek()) is not None and record.offset < outputs.get(topic, 0):
                await tape.next()
                yield topic, record, self._twice(topic, _sourced(record.value or b"").id)

    def _twice(self, topic: str, id: str) -> str | None:
        """What is wrong with an output that stands there already."""
        twice = id in self._ids[topic]
        self._ids[topic].add(id)
        return f"id {id} stands twice" if twice else None


class Marks:
    """What commits say that is needed before they are compared: snapshots, and topics that were created again."""

    def __init__(self) -> None:
        #: The first commit of topics that were filled from others.
        self.moved: Commit | None = None
        self._renewed: dict[str, int] = {}
        self._snapshots: list[tuple[int, Mapping[str, int]]] = []

    async def read(self, batches: AsyncIterator[Sequence[Consumed]]) -> Commit | None:
        """Look through the commits; the last one."""
        last = None
        async for records in batches:
            for record in records:
                if part_of(record.key) is not None:
                    continue
                last = record.value or b""
                if b'"gaps"' in last or b'"outputs"' in last:
                    self._add(_commit(last))
        return None if last is None else _commit(last)

    def _add(self, commit: Commit) -> None:
        for gap in commit.gaps:
            if gap.topic_id is not None:
                self._renewed[gap.topic] = commit.sequence
        if commit.moved is not None:
            self.moved = commit
        if commit.outputs:
            self._snapshots.append((commit.sequence, commit.outputs))

    def is_former(self, topic: str, commit: Commit) -> bool:
        """Whether a commit read a topic that was created again since."""
        return commit.sequence < self._renewed.get(topic, 0)

    def outputs_before(self, commit: Commit) -> Mapping[str, int]:
        """Where outputs ended when the last snapshot at or before the commit was written; nothing if none was."""
        at = bisect_right(self._snapshots, commit.sequence, key=lambda snapshot: snapshot[0])
        return self._snapshots[at - 1][1] if at else {}

    def outputs_after(self, commit: Commit) -> Mapping[str, int]:
        """Where outputs ended when the next snapshot was written; nothing if none was."""
        at = bisect_right(self._snapshots, commit.sequence, key=lambda snapshot: snapshot[0])
        return self._snapshots[at][1] if at < len(self._snapshots) else {}

    def cut(self) -> Mapping[str, int]:
        """The topics that were copied without their first records, as if these were deleted here."""
        moved = self.moved.moved if self.moved is not None else None
        return {} if moved is None else dict.fromkeys(moved.cut, 1)

    def copied(self) -> Mapping[str, int]:
        """The positions before which outputs were copied from other topics."""
        return {} if self.moved is None else self.moved.outputs


def said_of(gap: Gap) -> str:
    """What an operator gave up, in words."""
    if gap.topic_id is not None:
        id, next = gap.topic_id, gap.goes_on_at
        what = f"{gap.topic} was created again (id {id}): read from {next}, not from {gap.next_was}"
    else:
        what = f"offsets {gap.next_was} to {gap.goes_on_at - 1} of {gap.topic} were deleted before they were rated"
    note = f": {gap.note}" if gap.note else ""
    return f"{what}; given up by {gap.by} at {gap.at.isoformat()}{note}"
