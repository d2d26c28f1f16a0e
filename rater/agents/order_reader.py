"""`call-commands` on Kafka, read in a group of its own: an order's offset is committed once the order is finished.

What was not finished is read again after a restart, here or in another process.  An order that was published longer
ago than a call may be silent is passed over: its call has ended, or the order was repeated since.
"""

import asyncio
import time
from collections.abc import Iterable
from functools import partial

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from rater.agents.switches.carriage import Carriage
from rater.core import SILENCE_S, CallCommand
from rater.kafka.client import READ_WAIT_MS, doubted
from rater.kafka.connect import started
from rater.kafka.group_reader import group_reader
from rater.kafka.port import Doubt
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import partitions_of
from rater.ops.metrics.meter import Metrics

TOPIC = "call-commands"
#: Orders under way at the same time; the rest stays in Kafka.
ORDERS_MAX = 10_000
_COMMITTED_EVERY_S = 1.0
_BACK_OFF_S = 1.0

log = structlog.get_logger("rater.agents")
_orders = msgspec.json.Decoder(CallCommand)


def order_in(raw: bytes | None) -> CallCommand | None:
    """The order to end a call that a record of the topic holds; None of what is none."""
    try:
        return _orders.decode(raw or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


class _Place:
    """One partition: what was read of it, and the ids of orders that are not finished, by offset."""

    def __init__(self) -> None:
        self.open: dict[int, str] = {}
        self.next_offset: int | None = None
        self.committed: int | None = None

    def finish(self, offset: int) -> None:
        """There is nothing more to do about the order there."""
        self.open.pop(offset, None)

    @property
    def position(self) -> int | None:
        """Up to here everything is finished."""
        return next(iter(self.open), self.next_offset)


class OrderReader:
    """Run `run` until cancelled; several processes share the partitions."""

    def __init__(self, settings: KafkaSettings, carriage: Carriage, metrics: Metrics) -> None:
        self._settings, self._carriage, self._metrics = settings, carriage, metrics
        self._places: dict[TopicPartition, _Place] = {}

    @property
    def group(self) -> str:
        """The consumer group."""
        return f"{self._settings.group}-agents.orders"

    async def run(self) -> None:
        """Read orders; RaterError: the topic is not there."""
        while True:
            try:
                async with doubted(self._settings):
                    await self._read()
            except Doubt as doubt:
                log.warning("connection lost, orders are read again", topic=TOPIC, reason=str(doubt))
            await asyncio.sleep(_BACK_OFF_S)

    async def release(self, consumer: AIOKafkaConsumer, places: Iterable[TopicPartition]) -> None:
        """The group takes these partitions away: another process carries what is not finished."""
        gone = [place for place in places if place in self._places]
        await self._commit(consumer)
        for place in gone:
            self._carriage.drop(list(self._places.pop(place).open.values()))

    async def _read(self) -> None:
        await partitions_of(self._settings, TOPIC)
        consumer = group_reader(self._settings, self.group)
        consumer.subscribe([self._settings.topic(TOPIC)], listener=_Listener(self, consumer))
        await started(self._settings, consumer)
        try:
            committed_at = time.monotonic()
            while True:
                room = ORDERS_MAX - self._carriage.waiting
                if room > 0:
                    found = await consumer.getmany(timeout_ms=READ_WAIT_MS, max_records=room)
                    for place, records in found.items():
                        for record in records:
                            self._carry(place, record)
                else:
                    await asyncio.sleep(READ_WAIT_MS / 1e3)
                if time.monotonic() - committed_at >= _COMMITTED_EVERY_S:
                    committed_at = time.monotonic()
                    await self._commit(consumer)
        finally:
            await self.release(consumer, list(self._places))
            await consumer.stop()

    def _carry(self, place: TopicPartition, record: ConsumerRecord) -> None:
        known = self._places.setdefault(place, _Place())
        known.next_offset = record.offset + 1
        if record.timestamp and record.timestamp <= (time.time() - SILENCE_S) * 1e3:
            return
        if (order := order_in(record.value)) is None:
            self._metrics.unreadable(TOPIC)
            log.warning("an order cannot be read", partition=record.partition, offset=record.offset)
            return
        known.open[record.offset] = order.id
        self._carriage.add(order, partial(known.finish, record.offset))

    async def _commit(self, consumer: AIOKafkaConsumer) -> None:
        """Commit what is finished; where that fails, some orders are read again."""
        positions = {
            place: known.position
            for place, known in self._places.items()
            if known.position is not None and known.position != known.committed
        }
        if not positions:
            return
        try:
            await consumer.commit(positions)
        except (KafkaError, IllegalStateError) as wrong:
            log.warning("offsets of orders cannot be committed", reason=str(wrong))
            return
        for place, position in positions.items():
            if place in self._places:
                self._places[place].committed = position


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # the library ships no types
    def __init__(self, reader: OrderReader, consumer: AIOKafkaConsumer) -> None:
        self._reader, self._consumer = reader, consumer

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """See aiokafka."""
        await self._reader.release(self._consumer, revoked)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """See aiokafka: reading goes on where the group's offset is."""
