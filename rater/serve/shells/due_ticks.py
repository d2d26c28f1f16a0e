"""Ticks that tenants of a store need by the clock: expiry of money, recharges to be tried again, months."""

import time
from collections.abc import Callable, Iterable
from datetime import datetime

from rater.core import (
    RESERVED_TENANTS,
    Account,
    RatingSettings,
    Tick,
    due_instants,
    funds_of,
    month_index,
    month_start,
    ticks_due,
)

#: A tick that changed nothing is given again after so many seconds.
_AGAIN_S = 60.0


class DueTicks:
    """What is due follows from the accounts; `changed` says which are other ones now."""

    def __init__(self, settings: RatingSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._accounts: dict[str, Account] = {}
        #: When time next changes something about a tenant's money.
        self._next: dict[str, datetime] = {}
        #: Ticks that were given, by tenant and instant, and before when they are not given again.
        self._given: dict[tuple[str, datetime], float] = {}

    def changed(self, accounts: Iterable[Account]) -> None:
        """These accounts were committed."""
        for account in accounts:
            if account.tenant in RESERVED_TENANTS:
                continue
            self._accounts[account.tenant] = account
            instants = due_instants(funds_of(account), self._settings)
            if instants:
                self._next[account.tenant] = min(instants)
            else:
                self._next.pop(account.tenant, None)

    def due(self, now: datetime) -> list[Tick]:
        """The ticks to apply now, those of each tenant oldest first."""
        month = month_start(month_index(now))
        named = {tenant for tenant, instant in self._next.items() if instant <= now}
        named.update(tenant for tenant, account in self._accounts.items() if account.clock < month)
        found = [tick for tenant in sorted(named) for tick in self._of(self._accounts[tenant], now)]
        at = self._clock()
        self._given = {key: until for key, until in self._given.items() if until > at}
        new = [tick for tick in found if (tick.tenant, tick.at) not in self._given]
        self._given |= {(tick.tenant, tick.at): at + _AGAIN_S for tick in new}
        return new

    def _of(self, account: Account, now: datetime) -> tuple[Tick, ...]:
        # where its clock stands before the month, a user may still be restricted for the month before
        return ticks_due(funds_of(account), account.clock, now, self._settings)
