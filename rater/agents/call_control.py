"""Calls in progress on Kafka: `call-events` in, `call-commands` out, and the replica's suspensions in between.

At-least-once is enough: an order's id is made from tenant and usage id, and while a call goes on its order is
repeated.  Every process knows every running call; `owns` says of which tenants it gives the orders.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from uuid import uuid4

import msgspec
import structlog

from rater.agents.replica import Replica
from rater.core import (
    SILENCE_S,
    CallCommand,
    CallProgress,
    CallsOver,
    CallsOverBrake,
    Question,
    Quote,
    Refusal,
    Reserved,
    RingingCalls,
    Rules,
    RunningCalls,
    quote,
)
from rater.kafka.port import Consumed
from rater.kafka.publisher import NotStored
from rater.ops.metrics.labels import CallEventResult
from rater.ops.metrics.meter import Metrics
from rater.wire.codec import decode_call_event, encode_input

#: How often calls whose time is used up are looked for: an order is at most so late.
LOOK_S = 0.05
#: How often it is published how many calls were beyond brakes on calls at once.
OVER_EVERY_S = 5.0
#: After Kafka refused an order, before it is sent again.
_BACK_OFF_S = 1.0

log = structlog.get_logger("rater.agents")
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
        ended: Callable[[str, str], None] | None = None,
        ringing: RingingCalls | None = None,
    ) -> None:
        """`ended` is called with tenant and usage id of each call that ends; `ringing` learns of each event."""
        self._ended, self._ringing = ended, ringing
        self.running = RunningCalls(self._quote)
        self._replica, self._rules = replica, rules
        self._order, self._metrics, self._now = order, metrics, now
        replica.account_changed = self.account_changed

    def apply(self, record: Consumed) -> None:
        """A record of `call-events`; what was published before the silence is history and costs nothing."""
        now = self._now()
        if record.published_ms and record.published_ms <= (now.timestamp() - SILENCE_S) * 1e3:
            return
        event = decode_call_event(record.value or b"")
        if isinstance(event, Refusal):
            self._metrics.call_events(CallEventResult.UNREADABLE)
            log.warning(
                "a call event cannot be read",
                partition=record.partition,
                offset=record.offset,
                field=event.field,
                reason=event.message,
            )
            return
        if self._ended is not None and event.event is CallProgress.ENDED:
            self._ended(event.tenant, event.usage_id)
        self._metrics.call_events(CallEventResult.TAKEN)
        if self._ringing is not None:
            self._ringing.received(event, now)
        self._give(self.running.apply(event, now))

    def account_changed(self, tenant: str) -> None:
        """The tenant's account is another one now: does its credit still cover calls?"""
        if tenant in self.running and (account := self._replica.account(tenant)) is not None:
            self._give(self.running.service_changed(tenant, account.service, self._now()))

    async def run(self) -> None:
        """Look at the clock until cancelled."""
        while True:
            self._give(self.running.due(self._now()))
            self._metrics.running_calls(len(self.running))
            await asyncio.sleep(LOOK_S)

    def _quote(self, question: Question, started_at: datetime, at: datetime, reserved: Reserved) -> Quote | Refusal:
        return quote(self._replica.of(question.tenant), self._rules, question, started_at, at, reserved)

    def _give(self, orders: Sequence[CallCommand]) -> None:
        if orders:
            self._order(orders)


class OrderSender:
    """Publishes orders until Kafka has stored each; those of other processes' tenants are left to them."""

    def __init__(
        self,
        publish: Callable[[str, str, bytes], Awaitable[None]],
        owns: Callable[[str], bool],
        metrics: Metrics,
    ) -> None:
        self._publish, self._owns, self._metrics = publish, owns, metrics
        self._waiting: asyncio.Queue[CallCommand] = asyncio.Queue()

    def send(self, orders: Sequence[CallCommand]) -> None:
        """Note orders."""
        for order in orders:
            if self._owns(order.tenant):
                self._waiting.put_nowait(order)

    async def run(self) -> None:
        """Publish until cancelled, all that wait at once; what is not stored is sent again."""
        while True:
            orders = [await self._waiting.get()]
            while not self._waiting.empty():
                orders.append(self._waiting.get_nowait())
            outcomes = await asyncio.gather(*map(self._store, orders))
            if not all(outcomes):
                await asyncio.sleep(_BACK_OFF_S)

    async def _store(self, order: CallCommand) -> bool:
        facts = {"tenant": order.tenant, "usage_id": order.usage_id}
        try:
            await self._publish("call-commands", order.tenant, _encode(order))
        except NotStored as wrong:
            log.warning("an order to end a call waits", **facts, reason=str(wrong))
            self._waiting.put_nowait(order)
            return False
        self._metrics.disconnect(order.reason)
        log.info("a call must end", **facts, reason=order.reason.value, authorized_s=order.authorized_s)
        return True


class OverSender:
    """Publishes how many calls were asked for beyond brakes on calls at once, for the rating task (A50)."""

    def __init__(self, publish: Callable[[str, str, bytes], Awaitable[None]], over: CallsOver) -> None:
        self._publish, self._over = publish, over
        self._waiting: list[CallsOverBrake] = []

    async def run(self) -> None:
        """Publish until cancelled; what is not stored is sent again, with the same id."""
        while True:
            await asyncio.sleep(OVER_EVERY_S)
            await self.send(_now())

    async def send(self, at: datetime) -> None:
        """Publish what was counted since the last time, or what is not stored yet."""
        self._waiting = self._waiting or self._over.pop(at, new_over_id)
        outcomes = await asyncio.gather(*map(self._store, self._waiting))
        self._waiting = [one for one, stored in zip(self._waiting, outcomes, strict=True) if not stored]

    async def _store(self, command: CallsOverBrake) -> bool:
        try:
            await self._publish("commands", command.tenant, encode_input(command))
        except NotStored as wrong:
            log.warning("calls beyond a limit are not counted yet", tenant=command.tenant, reason=str(wrong))
            return False
        return True


def new_over_id() -> str:
    """An id that no other process gives."""
    return f"calls-over-{uuid4().hex}"
