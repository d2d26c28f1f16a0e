"""Orders on their way to switches: given again until the switch confirms, or the call's end is known.

A call is ended by one switch, and never by two.  What was confirmed is given again only where the order comes
again later, which means that events of the call still come.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

import structlog

from rater.agents.switches.belonging import NoSwitch, Switches
from rater.agents.switches.carrier import Carrier, Disobeyed, Impossible
from rater.agents.switches.completeness import Completeness, SeenRecord
from rater.agents.switches.kinds import carrier_of
from rater.agents.switches.settings import SwitchEntry
from rater.core import CallCommand, CallRecord, order_id
from rater.ops.metrics.labels import NO_SWITCH, OrderResult
from rater.ops.metrics.meter import Metrics

#: How often orders are looked at whose wait is over; a new order is given at once.
LOOK_S = 0.1
#: An order that comes again so long after it was confirmed is given again: events in flight are older.
AGAIN_AFTER_S = 10.0
#: Orders under way to one switch at the same time.
AT_ONCE_MAX = 20
#: Finished orders and ended calls that are remembered.
FINISHED_KEPT_MAX, ENDED_KEPT_MAX = 20_000, 100_000

log = structlog.get_logger("rater.agents")


class _Finished(NamedTuple):
    switch: str
    result: OrderResult
    at_s: float


class _Order:
    """An order under way, by the clock of this process in seconds."""

    __slots__ = ("entry", "finished", "not_before_s", "order", "since_s", "trying", "wait_s")

    def __init__(self, order: CallCommand, entry: SwitchEntry, now_s: float) -> None:
        self.order, self.entry = order, entry
        self.since_s = self.not_before_s = now_s
        self.wait_s = entry.retry_wait_initial_s
        self.finished: list[Callable[[], None]] = []
        self.trying: asyncio.Task[None] | None = None


class Carriage:
    """Open within `async with`: `add` orders, `ended` calls; `run` beside, or `look` by hand.

    RaterError: the secret of a switch is not there.
    """

    def __init__(
        self,
        entries: Sequence[SwitchEntry],
        metrics: Metrics,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._switches, self._metrics = Switches(entries), metrics
        self._clock, self._jitter = clock, jitter
        self._carriers: dict[str, Carrier] = {entry.name: carrier_of(entry, now) for entry in entries}
        self._orders: dict[str, _Order] = {}
        #: By the id of the order.
        self._finished: dict[str, _Finished] = {}
        self._ended: dict[str, None] = {}
        self._new = asyncio.Event()
        self._open = AsyncExitStack()
        self._completeness = Completeness(self._carriers, metrics, clock)
        metrics.begin_switches(self._carriers)

    @property
    def waiting(self) -> int:
        """Orders that no switch has confirmed yet."""
        return len(self._orders)

    async def __aenter__(self) -> Self:
        for carrier in self._carriers.values():
            await self._open.enter_async_context(carrier)
        return self

    async def __aexit__(self, *_: object) -> None:
        trying = [task for order in self._orders.values() if (task := order.trying) is not None]
        for task in trying:
            task.cancel()
        await asyncio.gather(*trying, return_exceptions=True)
        await self._open.aclose()

    def add(self, order: CallCommand, finished: Callable[[], None] = lambda: None) -> None:
        """Carry an order; `finished` is called once there is nothing more to do about it."""
        try:
            entry = self._switches.of(order)
        except NoSwitch as wrong:
            self._fail(order, str(wrong))
            finished()
            return
        known = self._orders.get(order.id)
        if entry is None or self._is_done(order, entry):
            finished()
        elif known is not None and known.entry is not entry:
            self._fail(order, f"it was given to {known.entry.name}, and comes again for {entry.name}")
            finished()
        else:
            carried = known or _Order(order, entry, self._clock())
            carried.finished.append(finished)
            self._orders[order.id] = carried
            self._new.set()

    def ended(self, tenant: str, usage_id: str) -> None:
        """A call is over."""
        id = order_id(tenant, usage_id)
        self._ended[id] = None
        _keep_last(self._ended, ENDED_KEPT_MAX)
        if (carried := self._orders.get(id)) is not None:
            if carried.trying is not None:
                carried.trying.cancel()
            self._finish(carried, OrderResult.ENDED)

    def record_came(self, seen: SeenRecord | CallRecord, at_s: float) -> None:
        """A call's record came, at an instant in Unix time: the call is over."""
        self._completeness.record(seen, at_s)
        if self._orders:
            self.ended(seen.tenant, seen.usage_id)

    def drop(self, ids: Sequence[str]) -> None:
        """Orders that another process carries from now on."""
        for id in ids:
            if (carried := self._orders.pop(id, None)) is not None and carried.trying is not None:
                carried.trying.cancel()

    def look(self) -> list[asyncio.Task[None]]:
        """Give the orders that are due; what was begun, to be awaited by who wants to."""
        now_s, begun = self._clock(), []
        busy = dict.fromkeys(self._carriers, 0)
        for carried in self._orders.values():
            busy[carried.entry.name] += carried.trying is not None
        for carried in self._orders.values():
            name = carried.entry.name
            if carried.trying is None and carried.not_before_s <= now_s and busy[name] < AT_ONCE_MAX:
                busy[name] += 1
                carried.trying = asyncio.create_task(self._try(carried))
                begun.append(carried.trying)
        return begun

    async def run(self) -> None:
        """Carry until cancelled."""
        while True:
            self._new.clear()
            self.look()
            self._show()
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._new.wait()
            except TimeoutError:
                pass

    async def _try(self, carried: _Order) -> None:
        order, entry = carried.order, carried.entry
        facts = {"switch": entry.name, "tenant": order.tenant, "usage_id": order.usage_id}
        try:
            result = OrderResult((await self._carriers[entry.name].end(order)).value)
        except Disobeyed as wrong:
            if self._clock() - carried.since_s < entry.give_up_after_s:
                log.warning("an order to end a call is given again", **facts, reason=str(wrong))
                self._wait(carried)
                return
            log.error("a switch does not end a call", **facts, reason=str(wrong))
            result = OrderResult.FAILED
        except Impossible as wrong:
            log.error("an order cannot be given", **facts, reason=str(wrong))
            result = OrderResult.FAILED
        except Exception:  # a bug of ours, whatever it is: the orders of other calls go on
            log.exception("an order cannot be given", **facts)
            result = OrderResult.FAILED
        else:
            log.info("an order to end a call was answered", **facts, result=result.value)
        self._finish(carried, result)

    def _wait(self, carried: _Order) -> None:
        """Half of the wait is certain, half by chance: orders that failed together do not come together."""
        carried.not_before_s = self._clock() + carried.wait_s * (1 + self._jitter()) / 2
        carried.wait_s = min(carried.wait_s * 2, carried.entry.retry_wait_max_s)
        carried.trying = None

    def _is_done(self, order: CallCommand, entry: SwitchEntry) -> bool:
        """Whether nothing is to be done about an order: its call is over, or it was answered just now."""
        if order.id in self._ended:
            return True
        before = self._finished.get(order.id)
        if before is None:
            return False
        if before.switch != entry.name:
            self._fail(order, f"it was given to {before.switch}, and comes again for {entry.name}")
            return True
        return self._clock() - before.at_s < AGAIN_AFTER_S

    def _finish(self, carried: _Order, result: OrderResult) -> None:
        name = carried.entry.name
        self._orders.pop(carried.order.id, None)
        self._finished.pop(carried.order.id, None)
        self._finished[carried.order.id] = _Finished(name, result, self._clock())
        _keep_last(self._finished, FINISHED_KEPT_MAX)
        self._metrics.switch_order(name, result)
        for finished in carried.finished:
            finished()

    def _fail(self, order: CallCommand, reason: str) -> None:
        log.error("an order cannot be given", tenant=order.tenant, usage_id=order.usage_id, reason=reason)
        self._metrics.switch_order(NO_SWITCH, OrderResult.FAILED)

    def _show(self) -> None:
        waiting = dict.fromkeys(self._carriers, 0)
        for carried in self._orders.values():
            waiting[carried.entry.name] += 1
        for name, orders in waiting.items():
            self._metrics.switch_orders_waiting(name, orders)
        self._completeness.show()


def _keep_last(kept: dict[str, Any], most: int) -> None:
    while len(kept) > most:
        del kept[next(iter(kept))]
