"""Entitlements: which licences a user holds when, and how many users hold a plan in a month.

A user is a time line of stretches; each change of it moves the counts of `Holders`, so that a pool's
total is read without visiting users.  Rules 1 to 8, 10, 13, 14, A10.
"""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import msgspec

from rater.core.catalogue import Service, helps, sku
from rater.core.entities import Account, Stretch, User
from rater.core.geography import pool_country
from rater.core.identity import name_key
from rater.core.instants import MonthIndex, month_index, month_start
from rater.core.joins import join, joined_until, leave
from rater.core.lists import Holders
from rater.core.state import State

#: The pool of conference dial-out minutes: one per tenant (rule 29).
DIAL_OUT_FAMILY = "MCOMEETADV/zone-a"
_BEGINNING_OF_TIME = datetime.min.replace(tzinfo=UTC)
_INSTANT = timedelta(microseconds=1)


def profile_key(country: str | None, skus: tuple[str, ...]) -> str:
    """Country and licences as one string, the key under which classification is cached."""
    return f"{country or ''}|{','.join(skus)}"


def stretch_at(user: User, at: datetime) -> Stretch:
    """What the user holds at an instant."""
    timeline = user.timeline
    if len(timeline) == 1:
        return timeline[0]
    return timeline[bisect_right(timeline, at, key=_since) - 1]


def next_help(user: User, after: datetime) -> datetime | None:
    """When the user next comes to hold a licence that helps, and that it did not hold at an instant; or None."""
    held = stretch_at(user, after).skus
    later = (stretch for stretch in user.timeline if stretch.since is not None and stretch.since > after)
    return next((s.since for s in later if any(helps(code) for code in s.skus if code not in held)), None)


def new_user(user: str, country: str | None) -> User:
    """A user without licences."""
    return User(user=user.strip(), timeline=(_stretch(None, country, ()),))


def unknown_user(user: str) -> User:
    """One of whom nothing is known but a name in a record: it holds nothing."""
    return User(user=user, timeline=(_stretch(None, None, ()),), configured=False)


def with_license(user: User, code: str, since: datetime | None, until: datetime | None) -> User:
    """The user holding a licence from `since` (None: ever) until `until` (None: for good)."""
    return _changed(user, since, until, lambda stretch: (stretch.country, _added(stretch.skus, code)))


def without_license(user: User, code: str, since: datetime | None) -> User:
    """The user without the licence from `since` on."""
    return _changed(
        user, since, None, lambda stretch: (stretch.country, tuple(s for s in stretch.skus if s != code))
    )


def moved_to(user: User, country: str, since: datetime | None) -> User:
    """The user with another usage location from `since` on (rule 2)."""
    return _changed(user, since, None, lambda stretch: (country, stretch.skus))


def keep_countries(account: Account, user: User) -> None:
    """The tenant has a user in these countries: their emergency numbers count for unconfigured users (A36)."""
    countries = {stretch.country for stretch in user.timeline if stretch.country is not None}
    if not countries.issubset(account.user_countries):
        account.user_countries = tuple(sorted(countries.union(account.user_countries)))


def store_user(state: State, tenant: str, before: User | None, after: User) -> None:
    """Keep a changed user and move the counts of every plan that it gained or lost."""
    if before is None or before.timeline != after.timeline:
        account = state.account(tenant)
        assert account is not None, tenant
        account.licenses_revision += 1
        keep_countries(account, after)
        families = _families(before) | _families(after)
        for family in sorted(families):
            _count(state, tenant, before, family, -1)
            _count(state, tenant, after, family, +1)
    state.users[(tenant, name_key(after.user))] = after


def forget_holder(state: State, tenant: str, user: User) -> None:
    """Remove a user's plans from the counts of who holds them: it turned out to be another one (A40)."""
    for family in sorted(_families(user)):
        _count(state, tenant, user, family, -1)


def own_families(user: User) -> list[str]:
    """The pool families that only this user belongs to, as they are named after it (rule 7)."""
    plans = [known.plan for stretch in user.timeline for code in stretch.skus if (known := sku(code)) is not None]
    own = {plan.code for plan in plans if plan is not None and not plan.pooled}
    return sorted(family_name(code, False, None, user.user) for code in own)


def merge_users(first: User, other: User) -> User:
    """One user from two whose names mean the same; the first one's name, country and policy go before (A40).

    It holds at any time what either held then.  Restricted is it if either was, since the earlier instant.
    """
    if other.configured and not first.configured:
        first, other = other, first
    merged = msgspec.structs.replace(first, timeline=_joined(first, other))
    restricted = [since for since in (first.restricted_since, other.restricted_since) if since is not None]
    return msgspec.structs.replace(
        merged,
        restricted_since=min(restricted, default=None),
        outbound_policy=first.outbound_policy or other.outbound_policy,
        toll_free_dial_in=first.toll_free_dial_in and other.toll_free_dial_in,
    )


def _joined(first: User, other: User) -> tuple[Stretch, ...]:
    """The time line on which both hold what they held."""
    joined: list[Stretch] = []
    for since in sorted({_since(stretch) for user in (first, other) for stretch in user.timeline}):
        mine, theirs = stretch_at(first, since), stretch_at(other, since)
        skus = tuple(sorted({*mine.skus, *theirs.skus}))
        country = mine.country or theirs.country
        if not joined or (joined[-1].country, joined[-1].skus) != (country, skus):
            joined.append(_stretch(None if since == _BEGINNING_OF_TIME else since, country, skus))
    return tuple(joined)


def holders_count(state: State, tenant: str, family: str, month: MonthIndex, until: datetime) -> int:
    """Distinct users who held the plan at any time of the month up to and including an instant (A10)."""
    holders = state.holders_of(tenant, family)
    count = 0
    for first, change in holders.standing.items():
        if first <= month:
            count += change
    if month in holders.joins:
        count += joined_until(state, tenant, family, month, until)
    return count


def family_name(plan_code: str, pooled: bool, country: str | None, user: str) -> str:
    """The part of a pool's name before side and month: plan and country, or plan and user (rules 3, 7)."""
    return f"{plan_code}/{pool_country(country or '') if pooled else user}"


def _since(stretch: Stretch) -> datetime:
    return stretch.since or _BEGINNING_OF_TIME


def _added(skus: tuple[str, ...], code: str) -> tuple[str, ...]:
    return skus if code in skus else tuple(sorted((*skus, code)))


@lru_cache(maxsize=4096)
def _stretch(since: datetime | None, country: str | None, skus: tuple[str, ...]) -> Stretch:
    """One value for all who hold the same since the same instant: thousands of users share a few of them."""
    return Stretch(since, country, skus, profile_key(country, skus), _has_own_plan(skus))


def _has_own_plan(skus: tuple[str, ...]) -> bool:
    plans = [known.plan for code in skus if (known := sku(code)) is not None and known.plan is not None]
    return any(not plan.pooled for plan in plans)


def _changed(user: User, since: datetime | None, until: datetime | None, change) -> User:  # type: ignore[no-untyped-def]
    """The user with every stretch between two instants changed, cut where needed, joined where equal."""
    start = since or _BEGINNING_OF_TIME
    stretches: list[Stretch] = []
    for stretch, end in _with_ends(user):
        for piece in _cut(stretch, end, start, until):
            inside = _since(piece) >= start and (until is None or _since(piece) < until)
            country, skus = change(piece) if inside else (piece.country, piece.skus)
            if not stretches or (stretches[-1].country, stretches[-1].skus) != (country, skus):
                stretches.append(_stretch(piece.since, country, skus))
    return msgspec.structs.replace(user, timeline=tuple(stretches))


def _cut(stretch: Stretch, end: datetime | None, *instants: datetime | None) -> Iterator[Stretch]:
    yield stretch
    for instant in instants:
        if instant is not None and _since(stretch) < instant and (end is None or instant < end):
            yield msgspec.structs.replace(stretch, since=instant)


def _with_ends(user: User) -> Iterator[tuple[Stretch, datetime | None]]:
    ends = [stretch.since for stretch in user.timeline[1:]]
    yield from zip(user.timeline, [*ends, None], strict=True)


def _families(user: User | None) -> set[str]:
    """Every pool family that the user belongs to at some time."""
    if user is None:
        return set()
    return {family for stretch in user.timeline for family in families_of(stretch, user.user)}


def families_of(stretch: Stretch, user: str) -> Iterator[str]:
    """The pool families that a stretch counts in: one per calling plan, and the dial-out pool."""
    for code in stretch.skus:
        known = sku(code)
        if known is None:
            continue
        if known.plan is not None:
            yield family_name(known.plan.code, known.plan.pooled, stretch.country, user)
        if Service.AUDIO_CONFERENCING in known.services:
            yield DIAL_OUT_FAMILY


def _held(user: User, family: str) -> Iterator[tuple[datetime | None, datetime | None]]:
    """The longest intervals in which the user belongs to the family."""
    start: datetime | None = None
    inside = False
    for stretch, end in _with_ends(user):
        if family in families_of(stretch, user.user):
            if not inside:
                start, inside = stretch.since, True
            if end is None:
                yield start, None
        elif inside:
            inside = False
            yield start, stretch.since


def _count(state: State, tenant: str, user: User | None, family: str, by: int) -> None:
    """Add (+1) or take away (-1) one user's months of holding a plan; once a month however often it is held."""
    if user is None:
        return
    holders = state.holders_to_change(tenant, family)
    counted_to: MonthIndex = -1
    for start, end in _held(user, family):
        first = 0 if start is None else month_index(start)
        if start is not None and start != month_start(first):
            if first > counted_to:
                (join if by > 0 else leave)(state, tenant, family, first, start)
            first += 1
        first = max(first, counted_to + 1)
        last = None if end is None else month_index(end - _INSTANT)
        if last is None or first <= last:
            _stand(holders, first, by)
            if last is None:
                return
            _stand(holders, last + 1, -by)
        counted_to = max(counted_to, last)


def _stand(holders: Holders, month: MonthIndex, by: int) -> None:
    change = holders.standing.get(month, 0) + by
    if change:
        holders.standing[month] = change
    else:
        holders.standing.pop(month, None)
