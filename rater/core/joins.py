"""When users first held a plan within a month (A10): the instants of each plan and month, in pages.

A join writes one page, and the entries of its month's pages; a month in which nobody joined has neither.
"""

from bisect import bisect_right, insort
from collections.abc import Sequence
from datetime import datetime

from rater.core.entities import Entity
from rater.core.instants import MonthIndex, period_of
from rater.core.lists import Holders, JoinedPage, JoinedPageEntry, JoinsOfMonth
from rater.core.pages import replaced
from rater.core.state import State

#: A page holds at most so many instants, each of 6 to 13 bytes.
JOINED_PAGE_MAX = 500


def join(state: State, tenant: str, family: str, month: MonthIndex, *instants: datetime) -> None:
    """Others got the plan at these instants."""
    for at in instants:
        pages = _pages(state, tenant, family, month)
        place = max(bisect_right(pages, at, key=_first_of) - 1, 0)
        joined = list(_instants(state, tenant, family, month, pages[place])) if pages else []
        insort(joined, at)
        _replace(state, tenant, family, month, place, joined)
    _count(state.holders_to_change(tenant, family), month, len(instants))


def leave(state: State, tenant: str, family: str, month: MonthIndex, at: datetime) -> None:
    """One of those who got the plan at this instant did not."""
    pages = _pages(state, tenant, family, month)
    place = bisect_right(pages, at, key=_first_of) - 1
    joined = list(_instants(state, tenant, family, month, pages[place]))
    joined.remove(at)
    _replace(state, tenant, family, month, place, joined)
    _count(state.holders_to_change(tenant, family), month, -1)


def rename_plan(state: State, tenant: str, old: str, new: str) -> None:
    """Who holds a plan is kept under another name of it: it is one user's own, and the user was renamed."""
    holders = state.holders_to_change(tenant, old)
    for month in holders.joins:
        end = period_of(month)
        pages = _pages(state, tenant, old, month)
        for page in pages:
            instants = _instants(state, tenant, old, month, page)
            state.joined[(tenant, f"{new}/{end}/{page.number}")] = JoinedPage(instants)
            state.gone.add(("joined", (tenant, f"{old}/{end}/{page.number}")))
        state.joins[(tenant, f"{new}/{end}")] = JoinsOfMonth(pages)
        state.gone.add(("joins", (tenant, f"{old}/{end}")))
    state.holders[(tenant, new)] = holders
    state.holders[(tenant, old)] = Holders()
    state.gone.add(("holders", (tenant, old)))


def joined_until(state: State, tenant: str, family: str, month: MonthIndex, until: datetime) -> int:
    """How many joined within the month up to and including an instant."""
    pages = _pages(state, tenant, family, month)
    before = bisect_right(pages, until, key=_first_of) - 1
    if before < 0:
        return 0
    whole = sum([page.count for page in pages[:before]])
    return whole + bisect_right(_instants(state, tenant, family, month, pages[before]), until)


def _pages(state: State, tenant: str, family: str, month: MonthIndex) -> tuple[JoinedPageEntry, ...]:
    found = state.load("joins", (tenant, f"{family}/{period_of(month)}"))
    return found.pages if isinstance(found, JoinsOfMonth) else ()


def _instants(
    state: State, tenant: str, family: str, month: MonthIndex, page: JoinedPageEntry
) -> tuple[datetime, ...]:
    key = (tenant, f"{family}/{period_of(month)}/{page.number}")
    found: Entity | None = state.load("joined", key)
    assert isinstance(found, JoinedPage), key
    return found.instants


def _replace(
    state: State, tenant: str, family: str, month: MonthIndex, place: int, joined: Sequence[datetime]
) -> None:
    """These instants replace those of a page."""
    name = f"{family}/{period_of(month)}"

    def save(number: int, some: Sequence[datetime]) -> JoinedPageEntry:
        state.joined[(tenant, f"{name}/{number}")] = JoinedPage(tuple(some))
        return JoinedPageEntry(number, some[0], len(some))

    pages = _pages(state, tenant, family, month)
    state.joins[(tenant, name)] = JoinsOfMonth(
        replaced(pages, place, min(place + 1, len(pages)), joined, save, JOINED_PAGE_MAX)
    )


def _count(holders: Holders, month: MonthIndex, by: int) -> None:
    count = holders.joins.get(month, 0) + by
    if count:
        holders.joins[month] = count
    else:
        holders.joins.pop(month, None)


def _first_of(page: JoinedPageEntry) -> datetime:
    return page.first
