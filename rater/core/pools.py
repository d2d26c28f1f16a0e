"""Minute pools: totals, what is left, taking, giving back, and what is told at 80 and 100 percent.

Sources: rating-rules 1 to 11, 27 to 31, 56, A1, A2, A9, A10 and the conformance README's settled details.
Refuses to know which call draws on which pool, and money.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache

import msgspec

from rater.core.catalogue import DIAL_OUT_BASIS_PURCHASED_FROM, Plan, allowance, dial_out_minutes, sku
from rater.core.entities import Account, PoolMonth
from rater.core.entitlements import DIAL_OUT_FAMILY, holders_count
from rater.core.instants import MonthIndex, first_day, month_start, parse_period, period_of
from rater.core.reasons import EventKind
from rater.core.settings import RatingSettings
from rater.core.state import State

DOMESTIC = "domestic"
INTERNATIONAL = "international"
_INSTANT = timedelta(microseconds=1)
_allowance = lru_cache(maxsize=4096)(allowance)


class Pool(msgspec.Struct, frozen=True):
    """A pool that a call may draw on: whose (`family`), which cap (`side`, for plans that have two).

    `plan` is None for the dial-out pool; `country` decides the allowance.
    """

    family: str
    side: str
    plan: Plan | None
    country: str

    @property
    def capability(self) -> str:
        """The licence code in the usage row of a call that this pool carried."""
        return "MCOMEETADD" if self.plan is None else self.plan.capability

    def name(self, month: MonthIndex) -> str:
        """`PLAN/COUNTRY[/SIDE]/YYYY-MM`, as reports and scenarios name it."""
        return pool_name(self.family, self.side if self.has_two_caps else "", month)

    @property
    def has_two_caps(self) -> bool:
        """Whether the plan counts domestic and international minutes apart (rule 8)."""
        return self.plan is not None and self.plan.international

    def other_side(self) -> "Pool":
        """The plan's other cap."""
        other = DOMESTIC if self.side == INTERNATIONAL else INTERNATIONAL
        return Pool(self.family, other, self.plan, self.country)


@lru_cache(maxsize=65536)
def pool_name(family: str, side: str, month: MonthIndex) -> str:
    """The name of a pool's month."""
    return f"{family}/{side}/{period_of(month)}" if side else f"{family}/{period_of(month)}"


def total(
    state: State, account: Account, settings: RatingSettings, pool: Pool, month: MonthIndex, at: datetime
) -> int:
    """Minutes of the pool in the month, counting licences held up to an instant (A9, A10)."""
    if pool.plan is None:
        return _dial_out_total(state, account, settings, month, at)
    holders = state.holders_of(account.tenant, pool.family)
    minutes = _allowance(pool.plan, pool.country, first_day(month))[pool.side == INTERNATIONAL]
    return minutes * holders_count(holders, month, at) if minutes else 0


def _total_of(
    state: State,
    account: Account,
    settings: RatingSettings,
    pool: Pool,
    month: MonthIndex,
    at: datetime,
    staged: PoolMonth,
) -> int:
    """The same, taken from the pool's month where it was counted before and cannot have changed."""
    if pool.plan is None:
        return _dial_out_total(state, account, settings, month, at)
    holders = state.holders_of(account.tenant, pool.family)
    if staged.counted == holders.revision:
        return staged.total
    whole = total(state, account, settings, pool, month, at)
    if month not in holders.joined:
        staged.total, staged.counted = whole, holders.revision
    return whole


def _dial_out_total(
    state: State, account: Account, settings: RatingSettings, month: MonthIndex, at: datetime
) -> int:
    minutes = dial_out_minutes(account.country, first_day(month))
    by_date = settings.dial_out_basis == "by_date"
    if settings.dial_out_basis == "assigned" or (by_date and at.date() < DIAL_OUT_BASIS_PURCHASED_FROM):
        return minutes * holders_count(state.holders_of(account.tenant, DIAL_OUT_FAMILY), month, at)
    return minutes * purchased_at(account, at)


def purchased_at(account: Account, at: datetime) -> int:
    """Audio Conferencing licences that the tenant had bought at an instant."""
    purchased = 0
    for since, count in account.conferencing_licenses:
        if since is None or since <= at:
            purchased = count
    return purchased


class PoolUse(msgspec.Struct, frozen=True):
    """A pool's month as reports show it."""

    pool: Pool
    month: MonthIndex
    used: int
    total: int

    @property
    def name(self) -> str:
        """The pool's name with its month."""
        return self.pool.name(self.month)

    @property
    def period(self) -> str:
        """The month as `YYYY-MM`."""
        return period_of(self.month)


def pool_named(name: str) -> tuple[Pool, MonthIndex] | None:
    """The pool and month that a name means; None when no pool can have this name."""
    *family, last = name.split("/")
    try:
        month = parse_period(last)
    except ValueError:
        return None
    if "/".join(family) == DIAL_OUT_FAMILY:
        return Pool(DIAL_OUT_FAMILY, "", None, ""), month
    known = sku(family[0]) if len(family) in (2, 3) else None
    if known is None or known.plan is None or known.plan.international != (len(family) == 3):
        return None
    side = family[2] if len(family) == 3 else DOMESTIC
    if side not in (DOMESTIC, INTERNATIONAL):
        return None
    country = family[1].partition("-")[0] if known.plan.pooled else ""
    return Pool("/".join(family[:2]), side, known.plan, country), month


def pool_use(state: State, settings: RatingSettings, account: Account, name: str) -> PoolUse | None:
    """Used and total minutes of a named pool, counting licences up to the tenant's clock."""
    found = pool_named(name)
    if found is None:
        return None
    pool, month = found
    used = state.peek_pool(account.tenant, name).used
    now = min(account.clock, month_start(month + 1) - _INSTANT)
    return PoolUse(pool, month, used, max(used, total(state, account, settings, pool, month, now)))


class Draw(msgspec.Struct, frozen=True):
    """Minutes taken from one pool by one call, for the rated call's segment."""

    pool: Pool
    name: str
    minutes: int
    before: int
    total: int


class PoolNews(msgspec.Struct, frozen=True):
    """A pool crossed 80 or 100 percent."""

    kind: EventKind
    name: str
    used: int
    total: int


def available(
    state: State, account: Account, settings: RatingSettings, pool: Pool, month: MonthIndex, at: datetime
) -> tuple[PoolMonth, int, int]:
    """The pool's month, minutes left for a call that starts at an instant, and the total seen then.

    The total is never below what is used.  With linked caps a plan whose other cap is reached has
    nothing left (A2).
    """
    staged = state.pool(account.tenant, pool.name(month))
    seen = _total_of(state, account, settings, pool, month, at, staged)
    seen = max(seen, staged.used)
    left = seen - staged.used
    if left and pool.has_two_caps and settings.linked_caps:
        other = pool.other_side()
        other_used = state.peek_pool(account.tenant, other.name(month)).used
        if other_used >= total(state, account, settings, other, month, at):
            left = 0
    return staged, left, seen


def take(
    state: State,
    account: Account,
    settings: RatingSettings,
    pools: tuple[Pool, ...],
    month: MonthIndex,
    at: datetime,
    minutes: int,
) -> tuple[list[Draw], list[PoolNews]]:
    """Take up to `minutes` from the pools in order (A21); what is missing overflows to money."""
    draws: list[Draw] = []
    news: list[PoolNews] = []
    for pool in pools:
        staged, left, seen = available(state, account, settings, pool, month, at)
        taken = min(minutes, left)
        if taken:
            draws.append(Draw(pool, pool.name(month), taken, staged.used, seen))
            staged.used += taken
            minutes -= taken
        if staged.used and staged.used * 100 >= seen * settings.pool_warning_percent:
            news.extend(_news(state, account, settings, pool, month, at, staged))
        if not minutes:
            break
    return draws, news


def give_back(state: State, tenant: str, name: str, minutes: int) -> None:
    """Return a reversed call's minutes to its month; what was told stays told (A12)."""
    pool = state.pool(tenant, name)
    assert pool.used >= minutes, f"{name}: {minutes} minutes to give back, {pool.used} used"
    pool.used -= minutes


def _news(
    state: State,
    account: Account,
    settings: RatingSettings,
    pool: Pool,
    month: MonthIndex,
    at: datetime,
    staged: PoolMonth,
) -> Iterator[PoolNews]:
    """What to tell now: a warning once a month; exhaustion once, and again only after the total grew."""
    now = max(at, min(account.clock, month_start(month + 1) - _INSTANT))
    whole = max(_total_of(state, account, settings, pool, month, now, staged), staged.used)
    name = pool.name(month)
    if not staged.warned and staged.used * 100 >= whole * settings.pool_warning_percent:
        staged.warned = True
        yield PoolNews(EventKind.POOL_WARNING, name, staged.used, whole)
    if staged.used == whole and whole > staged.exhausted_at:
        staged.exhausted_at = whole
        yield PoolNews(EventKind.POOL_EXHAUSTED, name, staged.used, whole)
