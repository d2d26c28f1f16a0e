"""The port of the rating task on aiokafka.

What aiokafka 0.14 asks for: every send is awaited before the commit (a commit succeeds even if a batch failed); a
restored position is compared with the end, not a record's offset (markers lie between); `stop` does not abort.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import (
    IllegalOperation,
    InvalidProducerEpoch,
    KafkaError,
    ProducerFenced,
)
from aiokafka.structs import OffsetAndMetadata

from rater.kafka.access_errors import denied, refusal
from rater.kafka.connect import READ, WRITE, UnreachableError, connection, started
from rater.kafka.port import Consumed, Doubt, Fenced, KeptRange, Writes
from rater.kafka.settings import KafkaSettings, WorkerSettings
from rater.kafka.topic_ids import topic_ids
from rater.kafka.topics import MESSAGE_BYTES_MAX
from rater.kafka.write_batches import batches_of

RETRY_BACKOFF_MS = 20
OFFSETS_COMMITTED_EVERY_S = 1.0
#: A broker answers a connection's requests in order: a question for offsets waits behind a fetch that waits.
FETCH_WAIT_MS = 50
_BATCH_BYTES = 900_000
_READ_RECORDS = 20_000
#: How long a reader waits for records at a time.
READ_WAIT_MS = 200
_ABORT_TIMEOUT_S = 3.0
_BACK_OFF_S = 0.05
_BACK_OFF_MAX_S = 2.0


class AiokafkaLog:
    """One partition; its inputs come from a consumer that the worker's partitions share."""

    def __init__(
        self, settings: KafkaSettings, worker: WorkerSettings, inputs: AIOKafkaConsumer, partition: int
    ) -> None:
        self.partition = partition
        self._settings = settings
        self._worker = worker
        self._inputs = inputs
        self._topics = {settings.topic(topic): topic for topic in ("commands", "cdrs")}
        self._input_partitions = [TopicPartition(topic, partition) for topic in self._topics]
        self._commands_end = 0
        #: Before this, by the monotonic clock, no batch begins.
        self._next_batch_at = 0.0
        self._producer: AIOKafkaProducer | None = None
        self._in_transaction = False
        #: The offsets that the group has, and when they were committed.
        self._offsets_committed: Mapping[str, int] = {}
        self._offsets_committed_at = 0.0

    async def fence(self) -> None:
        """See PartitionLog."""
        await self.close()
        producer = AIOKafkaProducer(
            **connection(self._settings),
            transactional_id=self._settings.transactional_id(self.partition),
            transaction_timeout_ms=self._worker.transaction_timeout_ms,
            retry_backoff_ms=RETRY_BACKOFF_MS,
            max_batch_size=_BATCH_BYTES,
            max_request_size=MESSAGE_BYTES_MAX,
            acks="all",
        )
        async with doubted(self._settings, WRITE):
            self._producer = await started(self._settings, producer)
            await producer.begin_transaction()  # the id is ours once a transaction can begin
            await producer.abort_transaction()

    async def read(self, topic: str, start: int | None) -> AsyncIterator[Sequence[Consumed]]:
        """See PartitionLog."""
        async with doubted(self._settings):
            async for records in read_partition(self._settings, topic, self.partition, start):
                yield records

    async def end(self, topic: str) -> int:
        """See PartitionLog."""
        async with doubted(self._settings):
            consumer = await started(self._settings, committed_reader(self._settings))
            try:
                partition = TopicPartition(self._settings.topic(topic), self.partition)
                return int((await consumer.end_offsets([partition]))[partition])
            finally:
                await consumer.stop()

    async def back_off(self, doubts: int) -> None:
        """See PartitionLog."""
        await asyncio.sleep(min(_BACK_OFF_S * 2**doubts, _BACK_OFF_MAX_S))

    def now_s(self) -> float:
        """See PartitionLog."""
        return time.time()

    async def kept(self, topics: Sequence[str]) -> Mapping[str, KeptRange]:
        """See PartitionLog."""
        async with doubted(self._settings):
            ids = await topic_ids(self._settings, topics)
            first = await self._inputs.beginning_offsets(self._input_partitions)
            ends = await self._inputs.end_offsets(self._input_partitions)
        offsets = {self._topics[place.topic]: (first[place], ends[place]) for place in self._input_partitions}
        return {topic: KeptRange(*offsets.get(topic, (0, 0)), ids[topic]) for topic in topics}

    async def seek(self, positions: Mapping[str, int | None]) -> Mapping[str, int]:
        """See PartitionLog; what is no longer assigned is left alone."""
        found: dict[str, int] = {}
        async with doubted(self._settings):
            first = await self._inputs.beginning_offsets(self._input_partitions)
            commands = self._input_partitions[0]
            self._commands_end = (await self._inputs.end_offsets([commands]))[commands]
            for partition in self._input_partitions:
                if partition not in self._inputs.assignment():
                    raise Doubt(f"{partition.topic}/{partition.partition} is not ours any more")
                topic = self._topics[partition.topic]
                known = positions[topic]
                found[topic] = first[partition] if known is None else known
                self._inputs.seek(partition, found[topic])
                self._inputs.resume(partition)
        return found

    async def fetch(self, limit: int) -> Sequence[Consumed]:
        """See PartitionLog.

        A small transaction costs more than its records.  So while records keep coming, batches begin an interval
        apart; after a pause the first record is fetched at once.
        """
        await asyncio.sleep(max(0.0, self._next_batch_at - time.monotonic()))
        # an offset that is not kept any more is a reason, too: acquiring the partition again reports it
        async with doubted(self._settings):
            wanted = self._input_partitions[:1] if await self._commands_wait() else self._input_partitions
            found = await self._inputs.getmany(*wanted, timeout_ms=self._worker.batch_wait_ms, max_records=limit)
        if found:
            self._next_batch_at = time.monotonic() + self._worker.batch_interval_ms / 1e3
        return [
            Consumed(self._topics[r.topic], r.partition, r.offset, r.key, r.value, r.timestamp)
            for records in found.values()
            for r in records
        ]

    async def _commands_wait(self) -> bool:
        """Whether commands were published that were not read yet: they go before call records."""
        commands = self._input_partitions[0]
        if commands not in self._inputs.assignment():
            return False
        end = max(self._commands_end, self._inputs.last_stable_offset(commands) or 0)
        return bool(await self._inputs.position(commands) < end)

    async def begin(self) -> None:
        """See PartitionLog."""
        async with doubted(self._settings, WRITE):
            await self._open_producer().begin_transaction()
        self._in_transaction = True

    async def send(self, writes: Writes) -> Mapping[str, int]:
        """See PartitionLog."""
        producer, name = self._open_producer(), self._settings.topic
        async with doubted(self._settings, WRITE):
            stored = [
                (
                    topic,
                    batch.record_count(),
                    await producer.send_batch(batch, name(topic), partition=self.partition),
                )
                for topic, batch in batches_of(producer, writes)
            ]
            await asyncio.gather(*[future for _, _, future in stored], return_exceptions=True)
            return {topic: (await future).offset + count for topic, count, future in stored}

    async def commit_offsets(self, positions: Mapping[str, int]) -> None:
        """See PartitionLog.

        Not by the group's consumer: a commit with the generation before makes it join again, and so all others.
        """
        now = time.monotonic()
        if positions == self._offsets_committed or now < self._offsets_committed_at + OFFSETS_COMMITTED_EVERY_S:
            return
        offsets = {
            TopicPartition(self._settings.topic(topic), self.partition): OffsetAndMetadata(position, "")
            for topic, position in positions.items()
        }
        own = not self._in_transaction
        if own:
            await self.begin()
        async with doubted(self._settings, WRITE):
            await self._open_producer().send_offsets_to_transaction(offsets, self._settings.group)
        if own:
            await self.commit()
        self._offsets_committed, self._offsets_committed_at = positions, now

    async def commit(self) -> None:
        """See PartitionLog."""
        async with doubted(self._settings, WRITE):
            await self._open_producer().commit_transaction()
        self._in_transaction = False

    async def close(self) -> None:
        """See PartitionLog."""
        producer, self._producer = self._producer, None
        self._in_transaction, self._offsets_committed, self._offsets_committed_at = False, {}, 0.0
        if producer is None:
            return
        with contextlib.suppress(KafkaError, IllegalOperation, TimeoutError, AssertionError):
            await asyncio.wait_for(producer.abort_transaction(), _ABORT_TIMEOUT_S)
        with contextlib.suppress(KafkaError, TimeoutError):
            await asyncio.wait_for(producer.stop(), _ABORT_TIMEOUT_S)

    def _open_producer(self) -> AIOKafkaProducer:
        if self._producer is None:
            raise Doubt("no producer: ownership was given up")
        return self._producer


@contextlib.asynccontextmanager
async def doubted(settings: KafkaSettings | None = None, right: str = READ) -> AsyncIterator[None]:
    """Whatever the client library raises inside becomes Doubt, except a missing right: a person must act."""
    try:
        yield
    except (ProducerFenced, InvalidProducerEpoch) as fenced:
        raise Fenced(str(fenced)) from fenced
    except (KafkaError, IllegalOperation, UnreachableError, TimeoutError) as wrong:
        if settings is not None and isinstance(wrong, KafkaError) and denied(wrong):
            raise refusal(settings, right, wrong) from wrong
        raise Doubt(f"{type(wrong).__name__}: {wrong}") from wrong


def committed_reader(settings: KafkaSettings, partition_bytes: int = 8 << 20) -> AIOKafkaConsumer:
    """A consumer of its own, without a group, that sees committed records only."""
    return AIOKafkaConsumer(
        **connection(settings),
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_bytes=64 << 20,
        max_partition_fetch_bytes=partition_bytes,
        retry_backoff_ms=RETRY_BACKOFF_MS,
        fetch_max_wait_ms=FETCH_WAIT_MS,
    )


async def unread(
    consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int] | None = None
) -> AsyncIterator[tuple[TopicPartition, list[ConsumerRecord]]]:
    """What lies between a consumer's positions and the ends (if not given: as of now), a partition at a time.

    Positions are compared and not offsets: transactions' markers lie between.
    """
    if ends is None:
        ends = await consumer.end_offsets(list(consumer.assignment()))
    while [True for place, end in ends.items() if await consumer.position(place) < end]:
        found = await consumer.getmany(timeout_ms=READ_WAIT_MS, max_records=_READ_RECORDS)
        for place, records in found.items():
            yield place, records


def consumed(topic: str, records: Iterable[ConsumerRecord]) -> list[Consumed]:
    """Records as the port knows them; `topic` is the name without the deployment's prefix."""
    return [Consumed(topic, r.partition, r.offset, r.key, r.value, r.timestamp) for r in records]


async def record_at(settings: KafkaSettings, topic: str, partition: int, offset: int) -> Consumed | None:
    """The committed record that stands at an offset; None if there is none, or it is not kept any more."""
    # a reader that is left early is closed here: its consumer would outlive the loop
    async with contextlib.aclosing(read_partition(settings, topic, partition, offset)) as read:
        async for records in read:
            return records[0] if records[0].offset == offset else None
    return None


async def read_partition(
    settings: KafkaSettings, topic: str, partition: int, start: int | None, end: int | None = None
) -> AsyncGenerator[Sequence[Consumed], None]:
    """Committed records of a partition from `start` (None, or gone: the first) to `end` (None: as of now)."""
    consumer = await started(settings, committed_reader(settings))
    try:
        async with doubted(settings):
            source = TopicPartition(settings.topic(topic), partition)
            consumer.assign([source])
            first = (await consumer.beginning_offsets([source]))[source]
            consumer.seek(source, max(first, start or 0))
            async for _, records in unread(consumer, None if end is None else {source: end}):
                yield consumed(topic, records)
    finally:
        await consumer.stop()
