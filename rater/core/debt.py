"""What a tenant owes: which calls went into debt, in their order, and which purchases paid for them since.

All debt that a tenant ever incurred stands on one line of micro-units, oldest first, so that a call only has to
know where its part begins (`owed_from`); a purchase pays what is unpaid from the front (A20).  A correction finds
there who paid for the call, and gives it back to them (A12).  The end of the line is in the account, what comes
before it in pages.
Balances are not changed here.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from rater.core.entities import Account, DebtPageEntry, Debts, Lot, Part
from rater.core.pages import replaced
from rater.core.state import State

#: So many parts stay in the account when it holds more than twice as many.
PARTS_HOT_MIN = 100


def owe(state: State, account: Account, amount: int) -> None:
    """More debt, at the end of the line."""
    debts = account.debts
    end = debts.incurred + amount
    _keep(state, account, end, _joined((*debts.parts, Part(debts.incurred, end))))


def pay(state: State, account: Account, amount: int, lot: Lot) -> None:
    """A lot pays what is unpaid, oldest first; it is not more than that."""
    while amount:
        place = next((place for place, page in enumerate(account.debts.pages) if page.unpaid), None)
        if place is None:
            break
        page = account.debts.pages[place]
        given = min(amount, page.unpaid)
        parts = _paid(state.page_of_debts(account.tenant, page.number), given, lot)
        _replace_pages(state, account, place, place + 1, parts)
        amount -= given
    _keep(state, account, account.debts.incurred, _paid(account.debts.parts, amount, lot))


def take_back(state: State, account: Account, owed_from: int, amount: int) -> tuple[Part, ...]:
    """Cut one call's part out of the line, and return it with the lots that paid it, where known."""
    end = owed_from + amount
    kept, taken = _cut(account.debts.parts, owed_from, end)
    if taken:
        _keep(state, account, account.debts.incurred, kept)
    for place in reversed(range(len(account.debts.pages))):
        page = account.debts.pages[place]
        if page.start < end and owed_from < page.end:
            kept, earlier = _cut(state.page_of_debts(account.tenant, page.number), owed_from, end)
            if earlier:
                _replace_pages(state, account, place, place + 1, kept)
                taken = [*earlier, *taken]
    return _joined(taken)


def forget(account: Account, at: datetime) -> None:
    """Drop what was paid by lots that have expired: they take nothing back; promotions forfeit it (A46)."""
    debts = account.debts
    parts = tuple([part for part in debts.parts if part.until is None or part.until > at])
    pages = tuple([page for page in debts.pages if page.until is None or page.until > at])
    account.debts = Debts(debts.incurred, parts, pages)


def _paid(parts: Iterable[Part], amount: int, lot: Lot) -> tuple[Part, ...]:
    paid: list[Part] = []
    until = None if lot.promotion else lot.expires_at
    for part in parts:
        given = min(amount, part.end - part.start) if part.lot is None else 0
        amount -= given
        paid.append(Part(part.start, part.start + given, lot.lot, until))
        paid.append(Part(part.start + given, part.end, part.lot, part.until))
    assert amount == 0, amount
    return _joined(paid)


def _cut(parts: Iterable[Part], start: int, end: int) -> tuple[tuple[Part, ...], list[Part]]:
    """The parts without what lies between start and end, and that."""
    kept: list[Part] = []
    taken: list[Part] = []
    for part in parts:
        first, last = max(part.start, start), min(part.end, end)
        if first >= last:
            kept.append(part)
            continue
        taken.append(Part(first, last, part.lot, part.until))
        kept.append(Part(part.start, first, part.lot, part.until))
        kept.append(Part(last, part.end, part.lot, part.until))
    return _joined(kept), taken


def _joined(parts: Iterable[Part]) -> tuple[Part, ...]:
    """No empty parts, and neighbours of one payer as one: as many parts as payers, and not as many as calls."""
    joined: list[Part] = []
    for part in parts:
        if part.start >= part.end:
            continue
        before = joined[-1] if joined else None
        if before is not None and (before.end, before.lot) == (part.start, part.lot):
            joined[-1] = Part(before.start, part.end, part.lot, part.until)
        else:
            joined.append(part)
    return tuple(joined)


def _keep(state: State, account: Account, incurred: int, parts: tuple[Part, ...]) -> None:
    """The end of the line as it is now; when it is long, its front goes into pages."""
    if len(parts) <= 2 * PARTS_HOT_MIN:
        account.debts = Debts(incurred, parts, account.debts.pages)
        return
    cold = len(parts) // PARTS_HOT_MIN * PARTS_HOT_MIN - PARTS_HOT_MIN
    account.debts = Debts(incurred, parts[cold:], account.debts.pages)
    pages = len(account.debts.pages)
    _replace_pages(state, account, pages, pages, parts[:cold])


def _replace_pages(state: State, account: Account, start: int, end: int, parts: Sequence[Part]) -> None:
    def save(number: int, some: Sequence[Part]) -> DebtPageEntry:
        state.save_page_of_debts(account.tenant, number, tuple(some))
        untils = [part.until for part in some if part.until is not None]
        unpaid = sum([part.end - part.start for part in some if part.lot is None])
        until = max(untils) if len(untils) == len(some) else None
        return DebtPageEntry(number, some[0].start, some[-1].end, unpaid, until)

    debts = account.debts
    account.debts = Debts(debts.incurred, debts.parts, replaced(debts.pages, start, end, parts, save))
