"""Writes to many topics and partitions, in one transaction or, where nothing is lost by it, in none."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

from aiokafka import AIOKafkaProducer

from rater.kafka.client import RETRY_BACKOFF_MS, doubted
from rater.kafka.connect import WRITE, connection, reachable, started
from rater.kafka.port import Consumed
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import MESSAGE_BYTES_MAX

_BATCH_BYTES = 900_000
_TRANSACTION_TIMEOUT_MS = 60_000
#: What one transaction writes; fewer and larger ones are faster.
TRANSACTION_BYTES_MAX = 8 << 20
TRANSACTION_RECORDS_MAX = 20_000


class Written(NamedTuple):
    """A record to write; `stamp_ms` is kept where the topic has its writers' times."""

    key: bytes | None
    value: bytes | None
    stamp_ms: int | None = None


#: (topic's name on the cluster, partition) -> records in order.
Writes = Mapping[tuple[str, int], Sequence[Written]]


class SetWriter:
    """One transactional producer for all topics and partitions.  Raises Doubt, DeniedError."""

    def __init__(self, settings: KafkaSettings, transactional_id: str) -> None:
        self._settings, self._id = settings, transactional_id
        self._producer: Any = None

    async def __aenter__(self) -> Self:
        """Connect, and fence whoever wrote under the same id."""
        producer = AIOKafkaProducer(
            **connection(self._settings),
            transactional_id=self._id,
            transaction_timeout_ms=_TRANSACTION_TIMEOUT_MS,
            retry_backoff_ms=RETRY_BACKOFF_MS,
            max_batch_size=_BATCH_BYTES,
            max_request_size=MESSAGE_BYTES_MAX,
            acks="all",
        )
        async with doubted(self._settings, WRITE):
            self._producer = await started(self._settings, producer, WRITE)
            await producer.begin_transaction()  # the id is ours once a transaction can begin
            await producer.abort_transaction()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, wrong: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect; an open transaction is ended by the broker."""
        await self._producer.stop()

    async def commit(self, writes: Writes) -> None:
        """Write everything or nothing."""
        producer = self._producer
        async with doubted(self._settings, WRITE):
            await producer.begin_transaction()
            try:
                await _store(producer, writes)
            except BaseException:
                await asyncio.shield(producer.abort_transaction())
                raise
            await producer.commit_transaction()


async def append(settings: KafkaSettings, writes: Writes) -> None:
    """Write inputs outside of any transaction, in order; return when all are stored.

    A transaction's marker at the end of an input topic would look like a record that waits.
    """
    producer = AIOKafkaProducer(
        **connection(settings),
        enable_idempotence=True,
        retry_backoff_ms=RETRY_BACKOFF_MS,
        max_batch_size=_BATCH_BYTES,
        max_request_size=MESSAGE_BYTES_MAX,
    )
    async with doubted(settings, WRITE), reachable(settings, producer, WRITE):
        await _store(producer, writes)


async def _store(producer: Any, writes: Writes) -> None:
    """Send, and wait until all are stored."""
    stored = [
        await producer.send_batch(batch, topic, partition=partition)
        for (topic, partition), records in writes.items()
        for batch in _batches(producer, records)
    ]
    for future in stored:
        await future


def _batches(producer: Any, records: Sequence[Written]) -> Iterator[Any]:
    """A batch takes its first record whatever its size."""
    batch = producer.create_batch()
    for record in records:
        while batch.append(key=record.key, value=record.value, timestamp=record.stamp_ms) is None:
            yield batch
            batch = producer.create_batch()
    if batch.record_count():
        yield batch


def in_transactions(records: Sequence[Consumed]) -> Iterator[Sequence[Consumed]]:
    """As many records as one transaction writes, in order."""
    first = size = 0
    for place, record in enumerate(records):
        more = len(record.key or b"") + len(record.value or b"")
        full = size + more > TRANSACTION_BYTES_MAX or place - first >= TRANSACTION_RECORDS_MAX
        if full and place > first:
            yield records[first:place]
            first, size = place, 0
        size += more
    if records[first:]:
        yield records[first:]
