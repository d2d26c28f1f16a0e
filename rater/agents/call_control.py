"""Calls in progress on Kafka: `call-events` in, `call-commands` out, and the replica's suspensions in between.

At-least-once is enough: an order's id is made from tenant and usage id, and while a call goes on its order is
repeated.  Every process knows every running call; `owns` says for which partitions it gives the orders.
Refuses to know what carries a call, and when one must end.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from rater.agents.funding import Funding, Question, Reserved, fund
from rater.agents.replica import Replica
from rater.agents.running_calls import SILENCE_S, RunningCalls
from rater.contracts.call_control import CallCommand, CallEvent
from rater.core.mediation import Refusal
from rater.core.step import Rules
from rater.errors import RaterError
from rater.kafka.client import RETRY_BACKOFF_MS
from rater.kafka.connect import connection, started
from rater.kafka.partitioning import partition_of
from rater.kafka.port import Consumed
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import partitions_of
from rater.metrics.labels import CallEventResult
from rater.metrics.meter import Metrics

#: How often calls whose time is used up are looked for: an order is at most so late.
LOOK_S = 0.05
#: After Kafka refused an order, before it is sent again.
_BACK_OFF_S = 1.0

log = structlog.get_logger("rater.agents")
_decode = msgspec.json.Decoder(CallEvent).decode
_encode = msgspec.json.Encoder().encode


def _now() -> datetime:
    return datetime.now(UTC)


class CallControl:
    """Follows running calls and the replica's accounts; what must end is given to `order`."""

    def __init__(
        self,
        replica: Replica,
        rules: Rules,
        order: Callable[[Sequence[CallCommand]], None],
        metrics: Metrics,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self.running = RunningCalls(self._fund)
        self._replica, self._rules = replica, rules
        self._order, self._metrics, self._now = order, metrics, now
        replica.account_changed = self.account_changed

    def take(self, record: Consumed) -> None:
        """A record of `call-events`; what was published before the silence is history and costs nothing."""
        now = self._now()
        if record.published_ms and record.published_ms <= (now.timestamp() - SILENCE_S) * 1e3:
            return
        try:
            event = _decode(record.value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
            self._metrics.call_event(CallEventResult.UNREADABLE)
            log.warning(
                "a call event cannot be read",
                partition=record.partition,
                offset=record.offset,
                reason=str(wrong),
            )
            return
        self._metrics.call_event(CallEventResult.TAKEN)
        self._give(self.running.take(event, now))

    def account_changed(self, tenant: str) -> None:
        """The tenant's account is another one now: does its credit still carry calls?"""
        if tenant in self.running and (account := self._replica.account(tenant)) is not None:
            self._give(self.running.service_changed(tenant, account.service == "suspended", self._now()))

    async def run(self) -> None:
        """Look at the clock until cancelled."""
        while True:
            self._give(self.running.due(self._now()))
            self._metrics.running_calls(len(self.running))
            await asyncio.sleep(LOOK_S)

    def _fund(
        self, question: Question, started_at: datetime, at: datetime, reserved: Reserved
    ) -> Funding | Refusal:
        return fund(self._replica.of(question.tenant), self._rules, question, started_at, at, reserved)

    def _give(self, orders: Sequence[CallCommand]) -> None:
        if orders:
            self._order(orders)


class OrderSender:
    """Publishes orders in the order in which they were given, until Kafka has stored each."""

    def __init__(self, settings: KafkaSettings, metrics: Metrics, owns: Callable[[int], bool]) -> None:
        self._settings, self._metrics, self._owns = settings, metrics, owns
        self._partitions = 0
        self._waiting: asyncio.Queue[CallCommand] = asyncio.Queue()

    def send(self, orders: Sequence[CallCommand]) -> None:
        """Take note of orders; those of partitions that another process answers for are left to it."""
        for order in orders:
            if self._owns(partition_of(order.tenant, self._partitions)):
                self._waiting.put_nowait(order)

    async def start(self) -> None:
        """Learn the topic's partitions; RaterError when it is not there."""
        self._partitions = await partitions_of(self._settings, "call-commands")

    async def run(self) -> None:
        """Publish until cancelled; what Kafka does not take is sent again, in its order."""
        orders: list[CallCommand] = []
        while True:
            producer = AIOKafkaProducer(
                **connection(self._settings), enable_idempotence=True, retry_backoff_ms=RETRY_BACKOFF_MS
            )
            try:
                await started(self._settings, producer)
                while True:
                    await self._publish(producer, orders)
                    orders.append(await self._waiting.get())
            except (KafkaError, RaterError) as wrong:
                log.warning("orders to end calls wait", orders=len(orders), reason=str(wrong))
                await asyncio.sleep(_BACK_OFF_S)
            finally:
                await producer.stop()

    async def _publish(self, producer: AIOKafkaProducer, orders: list[CallCommand]) -> None:
        """Publish these and all that wait behind them."""
        while not self._waiting.empty():
            orders.append(self._waiting.get_nowait())
        topic = self._settings.topic("call-commands")
        stored = [
            await producer.send(
                topic, _encode(order), order.tenant.encode(), partition_of(order.tenant, self._partitions)
            )
            for order in orders
        ]
        await asyncio.gather(*stored)
        for order in orders:
            self._metrics.disconnect(order.reason)
            log.info(
                "a call must end",
                tenant=order.tenant,
                usage_id=order.usage_id,
                reason=order.reason.value,
                authorized_s=order.authorized_s,
            )
        orders.clear()
