"""Records of a switch that publishes to Kafka itself, mapped and published to `cdrs`: exactly once.

Each partition of the raw topic has a transactional id.  Who acquires a partition
    1. starts the producer of its id, which ends the transaction of whoever had it before
    2. reads on where the group's committed offset stands
and for each batch
    3. publishes what the mapping makes of it, and the offset after it, in one transaction.

After any failure it begins at 1 again.  What the mapping refuses is published in a frame and becomes a dead letter;
what it does not select is passed over.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalOperation, KafkaError

from rater.core import MappedBy, Source
from rater.engine.batch import Envelope, Record
from rater.files.mappings import Mapping, NotSelected
from rater.kafka.client import READ_WAIT_MS, RETRY_BACKOFF_MS, doubted
from rater.kafka.connect import WRITE, connection, started
from rater.kafka.group_reader import group_reader
from rater.kafka.messages import message_of
from rater.kafka.port import Doubt
from rater.kafka.publisher import partition_of
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import MESSAGE_BYTES_MAX, partitions_of
from rater.kafka.write_batches import batches_of
from rater.wire.codec import RECORD_BYTES_MAX
from rater.wire.errors import Exit, RaterError

TOPIC = "cdrs"
BATCH_RECORDS_MAX = 2_000
_BATCH_BYTES = 900_000
_TRANSACTION_TIMEOUT_MS = 30_000
_BACK_OFF_S, _STOP_WITHIN_S = 1.0, 5.0

log = structlog.get_logger(__name__)


class Bridge:
    """Run `run` until it is cancelled; several processes share the raw topic's partitions."""

    def __init__(self, settings: KafkaSettings, raw_topic: str, mapping: Mapping) -> None:
        """`raw_topic` is the name on the cluster: the deployment's prefix is not put before it."""
        self._settings, self._raw, self._mapping = settings, raw_topic, mapping
        self._tasks: dict[TopicPartition, asyncio.Task[None]] = {}
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        #: Outcomes of records, for people: published, refused, not selected.
        self.counts: Counter[str] = Counter()

    async def run(self) -> None:
        """Publish what comes; RaterError where a topic is not there, or raw records were deleted unread."""
        self._partitions = await partitions_of(self._settings, TOPIC, WRITE)
        consumer = group_reader(self._settings, self.group)
        consumer.subscribe([self._raw], listener=_Listener(self, consumer))
        await started(self._settings, consumer)
        try:
            while not self._failed.done():
                await asyncio.wait([self._failed], timeout=_BACK_OFF_S)
                self._refresh()
            self._failed.result()
        finally:
            await self.release(list(self._tasks))
            await consumer.stop()

    def acquire(self, consumer: AIOKafkaConsumer, places: Sequence[TopicPartition]) -> None:
        """The group gave these partitions."""
        for place in places:
            task = asyncio.create_task(self._carry_on(consumer, place), name=f"bridge {place.partition}")
            task.add_done_callback(self._look_at)
            self._tasks[place] = task

    async def release(self, places: Sequence[TopicPartition]) -> None:
        """The group takes these partitions away: what is not committed is given up."""
        ended = [task for place in places if (task := self._tasks.pop(place, None)) is not None]
        for task in ended:
            task.cancel()
        await asyncio.gather(*ended, return_exceptions=True)

    def _look_at(self, task: asyncio.Task[None]) -> None:
        """A task that ends by itself ends the bridge."""
        if not task.cancelled() and (wrong := task.exception()) is not None and not self._failed.done():
            self._failed.set_exception(wrong)

    async def _carry_on(self, consumer: AIOKafkaConsumer, place: TopicPartition) -> None:
        """Carry a partition's records over until cancelled; after a failure the partition is acquired again."""
        while True:
            try:
                async with doubted(self._settings, WRITE):
                    await self._own(consumer, place)
            except Doubt as doubt:
                log.warning(
                    "a partition of the raw topic is acquired again", partition=place.partition, reason=str(doubt)
                )
            await asyncio.sleep(_BACK_OFF_S)

    async def _own(self, consumer: AIOKafkaConsumer, place: TopicPartition) -> None:
        producer = await started(self._settings, self._producer(place), WRITE)  # 1
        try:
            await self._seek(consumer, place)  # 2
            while True:
                found = await consumer.getmany(place, timeout_ms=READ_WAIT_MS, max_records=BATCH_RECORDS_MAX)
                if records := found.get(place):
                    await self._carry(producer, place, records)  # 3
        finally:
            with contextlib.suppress(KafkaError, IllegalOperation, TimeoutError, AssertionError):
                await asyncio.wait_for(producer.abort_transaction(), _STOP_WITHIN_S)
            with contextlib.suppress(KafkaError, TimeoutError):
                await asyncio.wait_for(producer.stop(), _STOP_WITHIN_S)

    async def _seek(self, consumer: AIOKafkaConsumer, place: TopicPartition) -> None:
        first = (await consumer.beginning_offsets([place]))[place]
        known = await consumer.committed(place)
        if known is not None and known < first:
            raise RaterError(
                f"{self._raw}[{place.partition}]: records {known} to {first - 1} were deleted before they were read"
                f" (retention); to go on without them: kafka-consumer-groups.sh --group {self.group}"
                f" --topic {self._raw}:{place.partition} --reset-offsets --to-earliest --execute",
                Exit.FAILED,
            )
        consumer.seek(place, first if known is None else known)
        consumer.resume(place)

    async def _carry(
        self, producer: AIOKafkaProducer, place: TopicPartition, records: Sequence[ConsumerRecord]
    ) -> None:
        writes: dict[int, list[tuple[bytes, bytes | None]]] = {}
        counts: Counter[str] = Counter()
        for record in records:
            if (message := self._message(record, counts)) is not None:
                _, owner, value = message
                writes.setdefault(partition_of(owner, self._partitions), []).append((owner.encode(), value))
        await producer.begin_transaction()
        stored = [
            await producer.send_batch(batch, self._settings.topic(TOPIC), partition=partition)
            for partition, wanted in writes.items()
            for _, batch in batches_of(producer, {TOPIC: wanted})
        ]
        await asyncio.gather(*stored)  # a commit succeeds even if a batch failed
        await producer.send_offsets_to_transaction({place: records[-1].offset + 1}, self.group)
        await producer.commit_transaction()
        self.counts += counts

    def _message(self, record: ConsumerRecord, counts: Counter[str]) -> tuple[str, str, bytes] | None:
        """What is published of a raw record; None of one that is passed over."""
        raw = record.value or b""
        if not raw.strip():
            counts["empty"] += 1
            return None
        value = self._mapping.map_one(raw)
        if isinstance(value, NotSelected):
            counts[f"not selected: {value.reason}"] += 1
            return None
        by = MappedBy(self._mapping.name, self._mapping.version, self._mapping.place)
        envelope = Envelope("mapping", self._mapping.tenant, mapping=by)
        source = Source(self._raw, record.partition, record.offset)
        message, refused = message_of(Record("cdr", source, raw[:RECORD_BYTES_MAX], value, envelope))
        counts["refused" if refused else "published"] += 1
        return message

    def _refresh(self) -> None:
        for line in self._mapping.refresh():
            log.error("a table of the mapping stays as it was", reason=line)

    @property
    def group(self) -> str:
        """The consumer group; one for each raw topic."""
        return f"{self._settings.group}-bridge.{self._raw}"

    def _producer(self, place: TopicPartition) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            **connection(self._settings),
            transactional_id=f"{self._settings.group}-bridge.{self._raw}.{place.partition}",
            transaction_timeout_ms=_TRANSACTION_TIMEOUT_MS,
            retry_backoff_ms=RETRY_BACKOFF_MS,
            max_batch_size=_BATCH_BYTES,
            max_request_size=MESSAGE_BYTES_MAX,
            acks="all",
        )


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # the library ships no types
    def __init__(self, bridge: Bridge, consumer: AIOKafkaConsumer) -> None:
        self._bridge, self._consumer = bridge, consumer

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """See aiokafka."""
        await self._bridge.release(list(revoked))

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """See aiokafka: nothing is read before the producer of the partition has started."""
        self._consumer.pause(*assigned)
        self._bridge.acquire(self._consumer, list(assigned))
