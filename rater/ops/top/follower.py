"""Follows what `rater top` shows: the commits of each partition, the ends of its inputs, the balances."""

import time
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import msgspec
from aiokafka import TopicPartition

from rater.core import Balance
from rater.kafka.client import committed_reader, doubted, unread
from rater.kafka.connect import reachable
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import partitions_of
from rater.ops.top.picture import Picture, Progress, picture_of, row_of
from rater.wire.commits import Commit, part_of

#: Offsets of `commits` that are read for the start: each commit has two, its record and the marker.
_COMMITS_BACK = 1_000
_INPUTS = ("cdrs", "commands")
_WAIT_MS = 100
#: What a fetch may bring of one partition: much where everything is read, little where one record is looked at.
_FOLLOWED_BYTES, _LOOKED_AT_BYTES = 1 << 20, 1 << 14
_MILLIS = 1000

_commit = msgspec.json.Decoder(Commit).decode
_balance = msgspec.json.Decoder(Balance).decode


class Board:
    """An open view of a deployment."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._progress: dict[int, Progress] = {}
        self._balances: dict[str, Balance] = {}
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Connect, and find where everything begins."""
        count = await partitions_of(self._settings, "cdrs")
        async with AsyncExitStack() as opening:
            self._outputs, self._inputs = [
                await opening.enter_async_context(reachable(self._settings, committed_reader(self._settings, size)))
                for size in (_FOLLOWED_BYTES, _LOOKED_AT_BYTES)
            ]
            self._opened = opening.pop_all()
        inputs = self._places(_INPUTS, count)
        first = await self._inputs.beginning_offsets(inputs)
        for number in range(count):
            commands, cdrs = (first[self._place(topic, number)] for topic in ("commands", "cdrs"))
            self._progress[number] = Progress(commands, cdrs)
        followed = self._places(("commits", "balances"), count)
        self._outputs.assign(followed)
        first, ends = await self._outputs.beginning_offsets(followed), await self._outputs.end_offsets(followed)
        for place in followed:
            back = ends[place] - _COMMITS_BACK if place.topic == self._settings.topic("commits") else 0
            self._outputs.seek(place, max(first[place], back))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, wrong: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        await self._opened.aclose()

    async def look(self) -> Picture:
        """Everything as of now."""
        async with doubted(self._settings):
            await self._follow()
            places = self._places(_INPUTS, len(self._progress))
            ends = await self._inputs.end_offsets(places)
            published = await self._published(ends)
        now = time.time()
        return picture_of(
            [
                row_of(
                    number,
                    progress,
                    {topic: ends[self._place(topic, number)] for topic in _INPUTS},
                    published[number],
                    now,
                )
                for number, progress in self._progress.items()
            ],
            self._balances,
        )

    async def _follow(self) -> None:
        """Read commits and balances up to their ends as of now."""
        async for place, records in unread(self._outputs):
            for record in records:
                if place.topic == self._settings.topic("commits"):
                    if part_of(record.key) is not None:
                        continue
                    self._progress[place.partition].add(_commit(record.value), record.timestamp / _MILLIS)
                else:
                    balance = _balance(record.value)
                    self._balances[balance.tenant] = balance

    async def _published(self, ends: dict[TopicPartition, int]) -> dict[int, tuple[float | None, float | None]]:
        """When the last call record that was rated, and the first that waits, were published, in Unix seconds."""
        wanted = {
            self._place("cdrs", number): progress.cdrs_next
            for number, progress in self._progress.items()
            if ends[self._place("cdrs", number)] > 0
        }
        first = await self._inputs.beginning_offsets(list(wanted))
        found: dict[int, dict[int, float]] = {number: {} for number in self._progress}
        self._inputs.assign(list(wanted))
        until = {}
        for place, beyond in wanted.items():
            self._inputs.seek(place, max(first[place], beyond - 1))
            until[place] = min(beyond + 1, ends[place])
        while [place for place, offset in until.items() if await self._inputs.position(place) < offset]:
            for place, records in (await self._inputs.getmany(timeout_ms=_WAIT_MS)).items():
                found[place.partition] |= {record.offset: record.timestamp / _MILLIS for record in records[:2]}
        return {
            number: (found[number].get(progress.cdrs_next - 1), found[number].get(progress.cdrs_next))
            for number, progress in self._progress.items()
        }

    def _places(self, topics: tuple[str, ...], count: int) -> list[TopicPartition]:
        return [self._place(topic, number) for topic in topics for number in range(count)]

    def _place(self, topic: str, number: int) -> TopicPartition:
        return TopicPartition(self._settings.topic(topic), number)
