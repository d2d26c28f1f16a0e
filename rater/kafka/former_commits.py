"""Commits of earlier rules, which this release cannot compute again (A51).

Their outputs are followed by where their inputs stood: sequences without gap, no id twice, and, by who calls, the
sums.  The release that wrote them replays them.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping

import msgspec

from rater.core import Source
from rater.kafka.partition_reader import Tape
from rater.kafka.port import Consumed
from rater.wire.commits import Commit


class _Sourced(msgspec.Struct):
    """What every output says: its id and the input that it comes from."""

    id: str
    source: Source


_sourced = msgspec.json.Decoder(_Sourced).decode


class FormerOutputs:
    """The outputs of commits that are not computed again, in the order of their topics."""

    def __init__(self, tapes: Mapping[str, Tape], topics: tuple[str, ...]) -> None:
        self._tapes, self._topics = tapes, topics
        self._ids: dict[str, set[str]] = defaultdict(set)

    async def of(self, commit: Commit) -> AsyncIterator[tuple[str, Consumed, str | None]]:
        """The outputs up to the end of what a commit took, each with its topic and what is wrong with it."""
        ends = {"cdrs": commit.cdrs_next, "commands": commit.commands_next}
        for topic in self._topics:
            tape = self._tapes[topic]
            while (record := await tape.peek()) is not None:
                found = _sourced(record.value or b"")
                if found.source.offset >= ends.get(found.source.topic, 0):
                    break
                await tape.take()
                twice = found.id in self._ids[topic]
                self._ids[topic].add(found.id)
                yield topic, record, f"id {found.id} stands twice" if twice else None
