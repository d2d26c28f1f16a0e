"""A replica in memory: every committed record of some topics from the beginning or an instant, then as they come.

It reads every partition, has no consumer group and acknowledges nothing: who starts again reads again, so nothing
depends on what another process has seen.  Order holds within a partition, not between topics or partitions.
Each record is handed to a function.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from rater.kafka.client import committed_reader, doubted
from rater.kafka.connect import started
from rater.kafka.port import Consumed, Doubt
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import partitions_of

#: Records that are handed on before other tasks of the loop have their turn.
TURN_RECORDS = 500
#: How long one look for new records waits; they come sooner when there are any.
_READ_WAIT_MS = 200
#: After a connection was lost for good, before the next one.
_BACK_OFF_S = 1.0

log = structlog.get_logger(__name__)


class Follower:
    """Run `run` as a task (or Faust service); `apply` is called with each record, in the loop, and must be quick.

    An exception of `apply` is a bug and ends `run`; a broker that does not answer is waited for.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        topics: Sequence[str],
        apply: Callable[[Consumed], None],
        since_s: float | None = None,
    ) -> None:
        """`since_s`: begin with what was published so many seconds ago, and not with the first record."""
        self._since_s = since_s
        self.topics = tuple(topics)
        self._settings = settings
        self._apply = apply
        self._names = {settings.topic(topic): topic for topic in topics}
        self._positions: dict[TopicPartition, int] = {}
        self._at_end = asyncio.Event()

    @property
    def caught_up(self) -> bool:
        """Whether everything that was there when it began has been read; stays so."""
        return self._at_end.is_set()

    async def wait_until_caught_up(self) -> None:
        """Return once `caught_up`."""
        await self._at_end.wait()

    async def run(self) -> None:
        """Follow until cancelled; RaterError when a topic is not there."""
        while True:
            try:
                await self._follow()
            except Doubt as doubt:
                log.warning(
                    "connection lost, reading goes on where it stood", topics=self.topics, reason=str(doubt)
                )
            await asyncio.sleep(_BACK_OFF_S)

    async def _follow(self) -> None:
        async with doubted():
            counts = {name: await partitions_of(self._settings, topic) for name, topic in self._names.items()}
            consumer = await started(self._settings, committed_reader(self._settings))
            try:
                places = [TopicPartition(name, number) for name, count in counts.items() for number in range(count)]
                consumer.assign(places)
                left = await self._seek(consumer, places)
                while True:
                    left = await self._still_behind(consumer, left)
                    await self._read(consumer)
            finally:
                await consumer.stop()

    async def _seek(self, consumer: AIOKafkaConsumer, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Go where it stood, or to the first record that is kept; the ends as of now, to be reached."""
        first = await consumer.beginning_offsets(places)
        ends: dict[TopicPartition, int] = await consumer.end_offsets(places)
        if self._since_s is not None and not self._positions:
            since_ms = int((time.time() - self._since_s) * 1e3)
            found = await consumer.offsets_for_times(dict.fromkeys(places, since_ms))
            self._positions = {place: there.offset if there else ends[place] for place, there in found.items()}
        for place in places:
            known = self._positions.get(place, 0)
            # A position beyond the end is one of a topic that was made anew.
            position = max(first[place], known if known <= ends[place] else 0)
            self._positions[place] = position
            consumer.seek(place, position)
        return ends

    async def _still_behind(
        self, consumer: AIOKafkaConsumer, left: dict[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """The ends that are not reached yet.  Positions count, not records: markers of transactions lie between."""
        if not left:
            return left
        behind = {place: end for place, end in left.items() if await consumer.position(place) < end}
        if not behind and not self.caught_up:
            log.info("caught up", topics=self.topics, partitions=len(self._positions))
            self._at_end.set()
        return behind

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        found = await consumer.getmany(timeout_ms=_READ_WAIT_MS, max_records=TURN_RECORDS)
        for place, records in found.items():
            topic = self._names[place.topic]
            for record in records:
                self._apply(
                    Consumed(
                        topic, record.partition, record.offset, record.key, record.value, record.timestamp or 0
                    )
                )
                self._positions[place] = record.offset + 1
        # With records at hand the library does not give way by itself.
        await asyncio.sleep(0)
