"""Where a tenant's purchases are kept: the next to be used and the newest in its account, the others beside it.

In order of purchase (equal times: of arrival) they are `Account.lots` but for its last, then the pages, then the
last of `Account.lots`, the newest, which is there also when nothing is left of it: money that finds no lot of its
own goes to it (A12).  Of the others only those with money left are in this order; where any other one stood is kept
as a `ShelvedLot`, so that a correction puts it back.  A lot's time follows from its date of purchase, so lots
expire in this order, too.  Those that say when they expire are kept apart: see `own_expiry`.
Debt and balances are changed by `credit`, not here.
"""

from bisect import bisect_right, insort
from collections.abc import Sequence
from datetime import datetime

from rater.core import own_expiry
from rater.core.entities import Account, Debts, Lot, LotPageEntry, Part, ShelvedLot
from rater.core.own_expiry import changed, place_of
from rater.core.pages import replaced
from rater.core.state import State

#: At least so many lots with money are in the account, where there are as many, and at most as many more.
LOTS_HOT_MIN = 100
LOTS_HOT_MAX = 2 * LOTS_HOT_MIN
#: A balance record shows at most so many.
LOTS_SHOWN_MAX = LOTS_HOT_MIN

_Place = tuple[datetime, int]


def money_in(account: Account) -> int:
    """The sum of all lots."""
    at_hand = (*account.promotions, *account.own_expiry, *account.lots)
    return sum([lot.remaining for lot in at_hand]) + sum([page.money for page in account.lot_pages])


def lots_with_money(account: Account) -> int:
    """How many lots have something left."""
    at_hand = (*account.promotions, *account.own_expiry, *account.lots)
    return sum([lot.remaining > 0 for lot in at_hand]) + sum([page.count for page in account.lot_pages])


def shown_lots(account: Account) -> list[Lot]:
    """The lots with money that are used next, as many as a balance record shows."""
    front = front_lots(account)
    if account.promotions or account.own_expiry:
        front = own_expiry.in_order_of_use(account, front)
        return own_expiry.with_next_to_expire(front, LOTS_SHOWN_MAX)
    return front[:LOTS_SHOWN_MAX]


def front_lots(account: Account) -> list[Lot]:
    """Lots with money that expire twelve months after their purchase, those that are used next."""
    return [lot for lot in account.lots[: _front_end(account)] if lot.remaining]


def lot_at_hand(state: State, account: Account, name: str) -> Lot | None:
    """A lot that is in the account or in a page; None for one that is used up and put away, or that never was."""
    for lot in (*account.promotions, *account.own_expiry, *account.lots):
        if lot.lot == name:
            return lot
    shelved = state.shelved_lot(account.tenant, name)
    found = None if shelved is None else _in_pages(state, account, shelved)
    return None if found is None else found[1][found[2]]


def add(state: State, account: Account, lot: Lot) -> None:
    """Put a lot into its place among those that expire twelve months after their purchase."""
    account.wake_at = min(account.wake_at, lot.expires_at)
    if not account.lots:
        account.lots = (lot,)
        return
    *front, newest = account.lots
    if place_of(lot) > place_of(newest):
        account.lots = (*front, lot)
        lot = newest
        if not lot.remaining:
            _shelve(state, account, lot)
            return
    _insert(state, account, lot)


def take(state: State, account: Account, amount: int) -> list[tuple[Lot, int]]:
    """Money from the lots in the order of use, as far as there is any: which lots gave how much."""
    if not account.promotions and not account.own_expiry:
        return _take_in_order(state, account, amount)
    taken: list[tuple[Lot, int]] = []

    def left() -> int:
        return amount - sum([given for _, given in taken])

    taken += own_expiry.draw(account, account.promotions, left())
    for lot in account.own_expiry:
        taken += _take_in_order(state, account, left(), place_of(lot))
        taken += own_expiry.draw(account, (lot,), left())
    return taken + _take_in_order(state, account, left())


def _take_in_order(
    state: State, account: Account, amount: int, before: _Place | None = None
) -> list[tuple[Lot, int]]:
    """Money from the oldest lots on, from those before a place only if one is given."""
    taken: list[tuple[Lot, int]] = []
    more = True
    while amount and more:
        lots, more = list(account.lots), bool(account.lot_pages)
        for place in range(_front_end(account)):
            lot = lots[place]
            if before is not None and place_of(lot) > before:
                more = False
                break
            given = min(lot.remaining, amount)
            if given:
                lots[place] = changed(lot, -given)
                taken.append((lot, given))
                amount -= given
                if not amount:
                    break
        account.lots = tuple(lots)
        _tidy(state, account)
    return taken


def change(state: State, account: Account, name: str, amount: int) -> bool:
    """Give money back to a lot, or take some of what it has; False when its time is over, or there is none such."""
    if own_expiry.change(account, name, amount):
        return True
    for place in reversed(range(len(account.lots))):
        if account.lots[place].lot == name:
            _replace(account, place, amount)
            _tidy(state, account)
            return True
    shelved = state.shelved_lot(account.tenant, name)
    if shelved is None or _is_over(shelved, account.clock):
        return False
    found = _in_pages(state, account, shelved)
    if found is not None:
        page, lots, place = found
        lots[place] = changed(lots[place], amount)
        _replace_pages(state, account, page, page + 1, [lot for lot in lots if lot.remaining])
        return True
    add(state, account, Lot(name, amount, shelved.purchased_at, shelved.expires_at, shelved.number))
    return True


def _in_pages(state: State, account: Account, shelved: ShelvedLot) -> tuple[int, list[Lot], int] | None:
    """In which page a lot is, the lots of that page, and where it is among them."""
    where = (shelved.purchased_at, shelved.number)
    page = bisect_right(account.lot_pages, where, key=_first_of) - 1
    if page < 0:
        return None
    lots = list(state.page_of_lots(account.tenant, account.lot_pages[page].number))
    found = bisect_right(lots, where, key=place_of) - 1
    return (page, lots, found) if found >= 0 and place_of(lots[found]) == where else None


def remove_expired(state: State, account: Account, at: datetime) -> list[Lot]:
    """Remove every lot whose time is over, in the order in which they expire."""
    own = own_expiry.remove_expired(account, at)
    removed = _remove_expired(state, account, at)
    return sorted([*own, *removed], key=lambda lot: (lot.expires_at, place_of(lot))) if own else removed


def _remove_expired(state: State, account: Account, at: datetime) -> list[Lot]:
    removed: list[Lot] = []
    more = True
    while more:
        end, more = _front_end(account), bool(account.lot_pages)
        over = [lot for lot in account.lots[:end] if lot.expires_at <= at]
        removed += over
        more = more and bool(over)
        account.lots = (*[lot for lot in account.lots[:end] if lot.expires_at > at], *account.lots[end:])
        _warm(state, account)
    return removed


def tidy_lots(state: State, account: Account) -> None:
    """Bring an account that kept all its lots at hand (version 0.3.0) into this form; money stays where it was."""
    lots = [
        Lot(lot.lot, lot.remaining, lot.purchased_at, lot.expires_at, number)
        for number, lot in enumerate(account.lots, 1)
    ]
    account.lots = tuple(lots)
    account.lots_numbered = max(account.lots_numbered, len(lots))
    _tidy(state, account)
    _spill(state, account)
    until = {lot.lot: lot.expires_at for lot in lots}
    parts = [
        Part(part.start, part.end, part.lot, until.get(part.lot or ""))
        for part in account.debts.parts
        if part.lot is None or part.lot in until
    ]
    account.debts = Debts(account.debts.incurred, tuple(parts), account.debts.pages)


def _front_end(account: Account) -> int:
    """How many lots of the account come before the pages: all, where there are no pages."""
    return len(account.lots) - 1 if account.lot_pages else len(account.lots)


def _replace(account: Account, place: int, by: int) -> None:
    lots = list(account.lots)
    lots[place] = changed(lots[place], by)
    account.lots = tuple(lots)


def _is_over(lot: ShelvedLot, clock: datetime) -> bool:
    """Lots are removed when the clock moves on: one that was bought out of date is there until it does."""
    return lot.expires_at <= clock and lot.shelved_at < clock


def _insert(state: State, account: Account, lot: Lot) -> None:
    """Put a lot with money before the newest."""
    page = bisect_right(account.lot_pages, place_of(lot), key=_first_of) - 1
    if page < 0:
        front = list(account.lots[:-1])
        insort(front, lot, key=place_of)
        account.lots = (*front, account.lots[-1])
        _spill(state, account)
        return
    lots = list(state.page_of_lots(account.tenant, account.lot_pages[page].number))
    insort(lots, lot, key=place_of)
    _shelve(state, account, lot)
    _replace_pages(state, account, page, page + 1, lots)


def _tidy(state: State, account: Account) -> None:
    """Lots with nothing left leave the account, and others come in from the first page."""
    empty = [lot for lot in account.lots[:-1] if not lot.remaining]
    if empty:
        for lot in empty:
            _shelve(state, account, lot)
        account.lots = (*[lot for lot in account.lots[:-1] if lot.remaining], account.lots[-1])
    _warm(state, account)


def _warm(state: State, account: Account) -> None:
    while account.lot_pages and len(account.lots) <= LOTS_HOT_MIN:
        lots = state.page_of_lots(account.tenant, account.lot_pages[0].number)
        account.lots = (*account.lots[:-1], *lots, account.lots[-1])
        account.lot_pages = account.lot_pages[1:]


def _spill(state: State, account: Account) -> None:
    """When the account holds too many lots, those that are used last go into pages."""
    if len(account.lots) > LOTS_HOT_MAX + 1:
        cold = account.lots[LOTS_HOT_MIN:-1]
        for lot in cold:
            _shelve(state, account, lot)
        account.lots = (*account.lots[:LOTS_HOT_MIN], account.lots[-1])
        _replace_pages(state, account, 0, 0, cold)


def _shelve(state: State, account: Account, lot: Lot) -> None:
    state.shelved_lots[(account.tenant, lot.lot)] = ShelvedLot(
        lot.number, lot.purchased_at, lot.expires_at, account.clock
    )


def _replace_pages(state: State, account: Account, start: int, end: int, lots: Sequence[Lot]) -> None:
    def save(number: int, some: Sequence[Lot]) -> LotPageEntry:
        state.save_page_of_lots(account.tenant, number, tuple(some))
        first = some[0]
        return LotPageEntry(
            number, first.purchased_at, first.number, len(some), sum([lot.remaining for lot in some])
        )

    account.lot_pages = replaced(account.lot_pages, start, end, lots, save)


def _first_of(page: LotPageEntry) -> _Place:
    return page.purchased_at, page.first
