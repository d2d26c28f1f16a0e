"""Minute pools: totals, what is left, taking, giving back, and the events at 80 and 100 percent.

Rules 1 to 11, 27 to 31, 56, A1, A2, A9, A10.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec import UNSET

from rater.core.catalogue import DIAL_OUT_BASIS_PURCHASED_FROM, Plan, allowance, dial_out_minutes, sku
from rater.core.entities import Account, PoolMonth
from rater.core.entitlements import DIAL_OUT_FAMILY, holders_count
from rater.core.instants import MonthIndex, first_day, month_start, parse_period, period_of
from rater.core.outputs import Segment
from rater.core.reasons import EventKind, Pocket
from rater.core.settings import RatingSettings
from rater.core.state import State

DOMESTIC = "domestic"
INTERNATIONAL = "international"
_INSTANT = timedelta(microseconds=1)


class Pool(msgspec.Struct, frozen=True):
    """A pool of one month that a call may draw on: whose (`family`), which cap (`side`, for plans that have two).

    `plan` is None for the dial-out pool.  `minutes` is what each holder adds; `other` the plan's other cap.
    """

    family: str
    side: str
    plan: Plan | None
    month: MonthIndex
    name: str
    minutes: int = 0
    other: "Pool | None" = None

    @property
    def capability(self) -> str:
        """The licence code in the usage row of a call that this pool covered."""
        return "MCOMEETADD" if self.plan is None else self.plan.capability

    @property
    def period(self) -> str:
        """The month as `YYYY-MM`."""
        return period_of(self.month)


def dial_out_pool(month: MonthIndex) -> Pool:
    """The tenant's conference dial-out minutes of a month (rule 29)."""
    return Pool(DIAL_OUT_FAMILY, "", None, month, f"{DIAL_OUT_FAMILY}/{period_of(month)}")


def plan_pool(family: str, side: str, plan: Plan, country: str, month: MonthIndex) -> Pool:
    """A calling plan's pool, named `PLAN/COUNTRY[/SIDE]/YYYY-MM`; some plans count two sides apart (rule 8)."""
    minutes = allowance(plan, country, first_day(month))
    if not plan.international:
        return Pool(family, side, plan, month, f"{family}/{period_of(month)}", minutes[0])
    domestic, international = (
        Pool(family, cap, plan, month, f"{family}/{cap}/{period_of(month)}", each)
        for cap, each in zip((DOMESTIC, INTERNATIONAL), minutes, strict=True)
    )
    pool, other = (domestic, international) if side == DOMESTIC else (international, domestic)
    return msgspec.structs.replace(pool, other=other)


def total(state: State, account: Account, settings: RatingSettings, pool: Pool, at: datetime) -> int:
    """Minutes of the pool, counting licences held up to an instant (A9, A10)."""
    if pool.plan is None:
        return _dial_out_total(state, account, settings, pool.month, at)
    return pool.minutes * holders_count(state, account.tenant, pool.family, pool.month, at) if pool.minutes else 0


def _counted_total(
    state: State, account: Account, settings: RatingSettings, pool: Pool, at: datetime, month: PoolMonth
) -> int:
    """The same, noted in the pool's month where it will be the same for every call of the month."""
    counted = total(state, account, settings, pool, at)
    if pool.plan is not None and pool.month not in state.holders_of(account.tenant, pool.family).joins:
        month.total, month.counted = counted, account.licenses_revision
    return counted


def _dial_out_total(
    state: State, account: Account, settings: RatingSettings, month: MonthIndex, at: datetime
) -> int:
    minutes = dial_out_minutes(account.country, first_day(month))
    by_date = settings.dial_out_basis == "by_date"
    if settings.dial_out_basis == "assigned" or (by_date and at.date() < DIAL_OUT_BASIS_PURCHASED_FROM):
        return minutes * holders_count(state, account.tenant, DIAL_OUT_FAMILY, month, at)
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
    used: int
    total: int

    @property
    def name(self) -> str:
        """The pool's name with its month."""
        return self.pool.name

    @property
    def month(self) -> MonthIndex:
        """The month."""
        return self.pool.month

    @property
    def period(self) -> str:
        """The month as `YYYY-MM`."""
        return self.pool.period


def pool_named(name: str) -> Pool | None:
    """The pool that a name means; None when no pool can have this name."""
    *family, last = name.split("/")
    try:
        month = parse_period(last)
    except ValueError:
        return None
    if "/".join(family) == DIAL_OUT_FAMILY:
        return dial_out_pool(month)
    known = sku(family[0]) if len(family) in (2, 3) else None
    if known is None or known.plan is None or known.plan.international != (len(family) == 3):
        return None
    family[0] = known.code
    side = family[2] if len(family) == 3 else DOMESTIC
    if side not in (DOMESTIC, INTERNATIONAL):
        return None
    country = family[1].partition("-")[0] if known.plan.pooled else ""
    return plan_pool("/".join(family[:2]), side, known.plan, country, month)


def pool_use(state: State, settings: RatingSettings, account: Account, name: str) -> PoolUse | None:
    """Used and total minutes of a named pool, counting licences up to the tenant's clock."""
    pool = pool_named(name)
    if pool is None:
        return None
    used = state.peek_pool(account.tenant, pool.name).used
    now = min(account.clock, month_start(pool.month + 1) - _INSTANT)
    return PoolUse(pool, used, max(used, total(state, account, settings, pool, now)))


class PoolNews(msgspec.Struct, frozen=True):
    """A pool crossed 80 or 100 percent."""

    kind: EventKind
    name: str
    used: int
    total: int


class Taken(msgspec.Struct, frozen=True, gc=False):
    """Minutes that a call took from pools: segments in order, minutes left over, the first pool's capability.

    `pools` are the segments' minutes by pool.
    """

    segments: tuple[Segment, ...]
    pools: tuple[tuple[str, int], ...]
    left: int
    capability: str | None
    news: Sequence[PoolNews] = ()


def nothing_taken(minutes: int) -> Taken:
    """A call that draws on no pool: all of its minutes are left over."""
    return Taken((), (), minutes, None)


def available(
    state: State, account: Account, settings: RatingSettings, pool: Pool, at: datetime
) -> tuple[PoolMonth, int, int]:
    """The pool's month, minutes left for a call that starts at an instant, and the total seen then.

    The total is never below what is used.  With linked caps a plan whose other cap is reached has
    nothing left (A2).
    """
    staged = state.pool(account.tenant, pool.name)
    # Counted before, and no licence changed since: nearly every call.
    if staged.counted == account.licenses_revision:
        seen = staged.total
    else:
        seen = _counted_total(state, account, settings, pool, at, staged)
    used = staged.used
    if used >= seen:
        return staged, 0, used
    if pool.other is not None and settings.linked_caps:
        other = state.peek_pool(account.tenant, pool.other.name)
        if other.counted == account.licenses_revision:
            of_other = other.total
        else:
            of_other = total(state, account, settings, pool.other, at)
        if other.used >= of_other:
            return staged, 0, seen
    return staged, seen - used, seen


def take(
    state: State, account: Account, settings: RatingSettings, pools: tuple[Pool, ...], at: datetime, minutes: int
) -> Taken:
    """Take up to `minutes` from the pools in order (A21); what is missing overflows to money."""
    segments: tuple[Segment, ...] = ()
    minutes_of: tuple[tuple[str, int], ...] = ()
    news: list[PoolNews] = []
    capability = None
    for pool in pools:
        staged, left, seen = available(state, account, settings, pool, at)
        used = before = staged.used
        if left:
            taken = min(left, minutes)
            staged.used = used = before + taken
            minutes -= taken
            capability = capability or pool.capability
            segments = (*segments, Segment(Pocket.POOL, taken, UNSET, pool.name, before, used, seen))
            minutes_of = (*minutes_of, (pool.name, taken))
        if used and used * 100 >= seen * settings.pool_warning_percent:
            news.extend(_news(state, account, settings, pool, at, staged))
        if not minutes:
            break
    return Taken(segments, minutes_of, minutes, capability, news)


def present_name(state: State, tenant: str, name: str) -> str:
    """A pool's name as it is now: one of a plan counted per user has the user's name as it is shown (A40, A51)."""
    code, _, rest = name.partition("/")
    user, _, month = rest.rpartition("/")
    known = sku(code)
    if known is None or known.plan is None or known.plan.pooled:
        return name
    found = state.user_meant_by(tenant, user)
    return f"{code}/{found.user}/{month}" if found is not None else name


def give_back(state: State, tenant: str, name: str, minutes: int) -> None:
    """Return a reversed call's minutes to its month; emitted events are not undone (A12)."""
    pool = state.pool(tenant, present_name(state, tenant, name))
    assert pool.used >= minutes, f"{name}: {minutes} minutes to give back, {pool.used} used"
    pool.used -= minutes


def _news(
    state: State, account: Account, settings: RatingSettings, pool: Pool, at: datetime, staged: PoolMonth
) -> Iterator[PoolNews]:
    """The events to emit now: a warning once a month; exhaustion once, and again only after the total grew."""
    now = max(at, min(account.clock, month_start(pool.month + 1) - _INSTANT))
    whole = max(total(state, account, settings, pool, now), staged.used)
    if not staged.warned and staged.used * 100 >= whole * settings.pool_warning_percent:
        staged.warned = True
        yield PoolNews(EventKind.POOL_WARNING, pool.name, staged.used, whole)
    if staged.used == whole and whole > staged.exhausted_at:
        staged.exhausted_at = whole
        yield PoolNews(EventKind.POOL_EXHAUSTED, pool.name, staged.used, whole)
