"""The clock of the agents: publishes each tick that is due once, and again if it had no effect.

When a tick is due and what it does is the core's (see `rater.core.due`).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime

import structlog

from rater.agents.recharges import Ours
from rater.agents.tenants import Tenants
from rater.core import RatingSettings, Tick, due_instants, funds_in, ticks_due
from rater.kafka.publisher import NotStored

#: Seconds until a tick that changed nothing is published again, doubled each time up to the second.
AGAIN_INITIAL_S = 60.0
AGAIN_MAX_S = 6 * 3600.0
#: Ticks that are published at one look: after a month's start every tenant may need one.
AT_ONCE_MAX = 500

log = structlog.get_logger(__name__)


def utc_now() -> datetime:
    """The time by this machine's clock."""
    return datetime.now(UTC)


class _Noticed:
    """A tick that is due, by the clock of this process in seconds."""

    __slots__ = ("not_before_s", "since_s", "wait_s")

    def __init__(self, since_s: float) -> None:
        self.since_s = self.not_before_s = since_s
        self.wait_s = AGAIN_INITIAL_S


class Ticking:
    """One for a process; `look` is called every few seconds."""

    def __init__(
        self,
        tenants: Tenants,
        publish: Callable[[Tick], Awaitable[None]],
        ours: Ours,
        rating: RatingSettings,
        others_after_s: float,
        now: Callable[[], datetime] = utc_now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tenants, self._publish, self._ours = tenants, publish, ours
        self._rating, self._others_after_s = rating, others_after_s
        self._now, self._clock = now, clock
        self._next: dict[str, datetime] = {}
        #: By tenant and instant.
        self._noticed: dict[tuple[str, datetime], _Noticed] = {}

    async def look(self) -> int:
        """Publish what is due and was not published lately; how many.  What cannot be stored is left for later."""
        now = self._now()
        self._note_next()
        due = [tenant for tenant, instant in self._next.items() if instant <= now]
        ticks = self._ticks({*due, *self._tenants.restricted_tenants()}, now)
        return sum(await asyncio.gather(*[self._publish_one(tick) for tick in ticks[:AT_ONCE_MAX]]))

    async def _publish_one(self, tick: Tick) -> bool:
        try:
            await self._publish(tick)
        except NotStored as wrong:
            log.error("tick.not_stored", tenant=tick.tenant, message=str(wrong))
            return False
        log.info("tick", tenant=tick.tenant, instant=tick.at.isoformat())
        noticed = self._noticed[tick.tenant, tick.at]
        noticed.not_before_s = self._clock() + noticed.wait_s
        noticed.wait_s = min(noticed.wait_s * 2, AGAIN_MAX_S)
        return True

    def _note_next(self) -> None:
        """When time next changes something for each tenant whose balance has changed."""
        for tenant in self._tenants.pop_touched():
            balance = self._tenants.balance(tenant)
            instants = due_instants(funds_in(balance), self._rating) if balance is not None else []
            if instants:
                self._next[tenant] = min(instants)
            else:
                self._next.pop(tenant, None)

    def _ticks(self, named: Iterable[str], now: datetime) -> list[Tick]:
        """What is to be published now; what is not due any more is dropped."""
        found, still_due = [], {}
        for tenant in sorted(named):
            balance = self._tenants.balance(tenant)
            if balance is None:
                continue
            restricted_since = self._tenants.restricted_since(tenant)
            for tick in ticks_due(funds_in(balance), restricted_since, now, self._rating):
                key = (tenant, tick.at)
                noticed = still_due[key] = self._noticed.get(key) or _Noticed(self._clock())
                late = self._clock() - noticed.since_s >= self._others_after_s
                if (late or self._ours(tenant)) and self._clock() >= noticed.not_before_s:
                    found.append(tick)
        self._noticed = still_due
        return found
