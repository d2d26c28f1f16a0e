"""The topics of a deployment, read into a replica: from the positions in its file, committed records only.

    1. ask which topics these are; what is of others is read anew
    2. read from the positions in the file on, or from the first record that is kept
    3. commit rows and positions together
    4. now and then: ask again which topics these are, and delete what they have deleted

It has no consumer group and acknowledges nothing; whoever is killed goes on from the file.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import ParamSpec, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from rater.kafka.client import committed_reader, consumed, doubted
from rater.kafka.connect import started
from rater.kafka.port import Doubt
from rater.kafka.settings import KafkaSettings
from rater.kafka.topic_ids import TopicIds
from rater.kafka.topics import partitions_of_all
from rater.ops.metrics.meter import Metrics
from rater.serve.replica.file import ReplicaFile
from rater.serve.replica.lag import Lag, Seen, lag_of
from rater.serve.replica.rows import KEPT, TOPICS, Changes, Place, Position, Reading

#: Records that are committed together while there are many.
_RECORDS_MAX = 10_000
#: How long one look for new records waits; they come sooner when there are any.
_READ_WAIT_MS = 100
#: A fetched partition's share of memory; a deployment has hundreds of partitions.
_PARTITION_BYTES = 1 << 20
#: How often the lag is measured, how often it is asked which topics these are, and what they keep.
_MEASURED_EVERY_S, _LOOK_S = 0.5, 5.0
#: After a connection was lost for good, before the next one.
_BACK_OFF_S = 1.0

log = structlog.get_logger("rater.serve")
_P = ParamSpec("_P")
_T = TypeVar("_T")


class Following:
    """Run `run` until cancelled; `behind` is how many records are not in the file yet, None: not known yet."""

    def __init__(self, settings: KafkaSettings, path: Path, metrics: Metrics) -> None:
        self.caught_up = False
        self.behind: int | None = None
        self._settings, self._path, self._metrics = settings, path, metrics
        self._names = {settings.topic(topic): topic for topic in TOPICS}
        self._thread = ThreadPoolExecutor(1, "replica")
        self._as_of: datetime | None = None
        self._moved = False

    def waiting_for(self) -> list[str]:
        """What is missing until the file has been as far as the topics once."""
        if self.caught_up:
            return []
        return (
            ["topics to be read (replica is not open yet)"]
            if self.behind is None
            else [f"topics to be read (replica is {self.behind} records behind)"]
        )

    async def run(self) -> None:
        """Follow until cancelled; RaterError: a topic is not there, the file cannot be used, a newer state."""
        file = await self._in_thread(ReplicaFile, self._path)
        if file.remade:
            log.warning("the replica is made anew", file=str(self._path), reason=file.remade)
        try:
            while True:
                try:
                    await self._follow(file)
                except Doubt as doubt:
                    log.warning("connection lost, the replica goes on where it stood", reason=str(doubt))
                await asyncio.sleep(_BACK_OFF_S)
        finally:
            # what is under way in the thread is committed, or undone, before the file is closed
            self._thread.submit(file.close)
            self._thread.shutdown(wait=True)

    async def _follow(self, file: ReplicaFile) -> None:
        topics = TopicIds(self._settings, TOPICS)
        async with doubted(self._settings):
            counts = await partitions_of_all(self._settings, TOPICS)
            ids = await topics.look()  # 1
            if why := await self._in_thread(file.fit, ids, datetime.now(UTC)):
                log.warning("the replica is read anew", file=str(self._path), reason=why)
            consumer = await started(self._settings, committed_reader(self._settings, _PARTITION_BYTES))
            try:
                consumer.assign(
                    [TopicPartition(name, n) for name, topic in self._names.items() for n in range(counts[topic])]
                )
                stream = await self._seek(consumer, file, ids)  # 2
                looked = time.monotonic()
                while True:
                    await self._step(file, stream)  # 3
                    if time.monotonic() - looked > _LOOK_S:
                        if await topics.look() != ids:
                            raise Doubt("a topic was deleted and created again")
                        await self._forget(file, stream)  # 4
                        looked = time.monotonic()
            finally:
                await consumer.stop()
                await topics.close()

    async def _seek(self, consumer: AIOKafkaConsumer, file: ReplicaFile, ids: dict[str, str]) -> "_Stream":
        """Go where the file stands, or to the first record that is kept."""
        places = list(consumer.assignment())
        first = await consumer.beginning_offsets(places)
        ends = await consumer.end_offsets(places)
        known = await self._in_thread(file.positions)
        if lost := [place for place in places if self._known(known, place).offset > ends[place]]:
            await self._in_thread(file.restart, ids)
            names = ", ".join(f"{self._names[place.topic]}[{place.partition}]" for place in sorted(lost))
            why = f"the broker lost records of {names}"
            log.warning("the replica is read anew", file=str(self._path), reason=why)
            known = {}
        for place in places:
            consumer.seek(place, max(first[place], self._known(known, place).offset))
        return _Stream(consumer, self._names, known, ends)

    def _known(self, known: dict[Place, Position], place: TopicPartition) -> Position:
        return known.get(Place(self._names[place.topic], place.partition), Position(0, 0))

    async def _step(self, file: ReplicaFile, stream: "_Stream") -> None:
        """Read, and commit what was read; then, from time to time, how far that is."""
        changes = await stream.read()
        if changes is not None:
            self._report(changes)
            await self._in_thread(file.apply, changes, None)
            stream.applied |= changes.positions
        if (lag := await stream.measure(self._as_of)) is not None:
            self._show(lag, reached=await stream.reached())
            if lag.as_of is not None and lag.as_of != self._as_of:
                self._as_of = lag.as_of
                await self._in_thread(file.note, lag.as_of)

    async def _forget(self, file: ReplicaFile, stream: "_Stream") -> None:
        gone = await self._in_thread(file.forget_before, await stream.firsts())
        if gone:
            log.info("records that their topics deleted were deleted from the replica", records=gone)

    def _show(self, lag: Lag, *, reached: bool) -> None:
        self.behind = lag.records
        self._metrics.replica_lag(lag.records, lag.seconds)
        if reached and not self.caught_up:
            self.caught_up = True
            log.info("the replica caught up", file=str(self._path))

    def _report(self, changes: Changes) -> None:
        for place, offset in changes.unreadable:
            self._metrics.unreadable(place.topic)
            log.error("a record cannot be read", topic=place.topic, partition=place.partition, offset=offset)
        for partition, meta in changes.metas.items():
            if meta.moved_to is not None and not self._moved:
                self._moved = True
                log.error(
                    "everything was moved to other topics; nothing new comes here: start with their prefix",
                    partition=partition,
                    prefix=meta.moved_to,
                )

    async def _in_thread(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """All that touches the file runs in one thread; a cancelled caller waits for it in `run`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: function(*args, **kwargs))


class _Stream:
    """One connection's records; `applied` is how far they are in the file."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        names: dict[str, str],
        applied: dict[Place, Position],
        ends: dict[TopicPartition, int],
    ) -> None:
        """`ends` are those as of now."""
        self.applied = applied
        self._consumer, self._names = consumer, names
        self._reading = Reading()
        self._measure_at = 0.0
        self._ends, self._began_ms = ends, _now_ms()

    async def read(self) -> Changes | None:
        """What the next records change; None if there are none."""
        found = await self._consumer.getmany(timeout_ms=_READ_WAIT_MS, max_records=_RECORDS_MAX)
        for place, records in found.items():
            topic = self._names[place.topic]
            self._reading.add(Place(topic, place.partition), consumed(topic, records))
        # With records at hand the library does not give way by itself.
        await asyncio.sleep(0)
        changes = self._reading.changes()
        return changes if changes.positions else None

    async def reached(self) -> bool:
        """Whether everything was read that was there when it began."""
        return not [True for place, end in self._ends.items() if await self._consumer.position(place) < end]

    async def measure(self, before: datetime | None) -> Lag | None:
        """How far the file is behind; None if that was measured just now."""
        if time.monotonic() < self._measure_at:
            return None
        self._measure_at = time.monotonic() + _MEASURED_EVERY_S
        seen = []
        for place, at_first in self._ends.items():
            position, applied = await self._consumer.position(place), self.applied.get(self._place(place))
            end = max(at_first, self._consumer.last_stable_offset(place) or 0)
            asked_ms = self._consumer.last_poll_timestamp(place) or self._began_ms
            seen.append(Seen(position, end, asked_ms, 0 if applied is None else applied.stamp_ms))
        lag = lag_of(seen, before, _now_ms())
        if held := self._reading.held:  # read, and part of a transaction whose end is still to be read
            return Lag(lag.records + held, lag.seconds, before)
        return lag

    async def firsts(self) -> dict[Place, int]:
        """The first offset that each partition keeps, of topics whose records are rows."""
        places = [place for place in self._ends if self._names[place.topic] in KEPT]
        found = await self._consumer.beginning_offsets(places)
        return {self._place(place): first for place, first in found.items()}

    def _place(self, place: TopicPartition) -> Place:
        return Place(self._names[place.topic], place.partition)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
