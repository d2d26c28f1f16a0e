"""Prepaid credit: lots used first in first out, debt, refunds, expiry.

The law: credits - debits - expiries = balance = sum of lots - debt, and debt is only there while
every lot is empty.  Sources: rating-rules 55, 60, 63 to 65, A12, A19, A20.
Refuses to know calls and recharges.
"""

from collections.abc import Iterable
from datetime import datetime

from rater.core.debt import forget, owe, pay, take_back
from rater.core.entities import Account, Lot, Share
from rater.core.instants import expiry_of

#: The name under which a share that became debt (or is no longer owed) is booked.
DEBT = ""


def credit(account: Account, lot: str, amount: int, purchased_at: datetime) -> None:
    """Add a purchase; it pays outstanding debt first (A20) and keeps its place by date of purchase."""
    assert amount > 0, amount
    account.balance += amount
    account.revision += 1
    bought = Lot(lot, amount, purchased_at, expiry_of(purchased_at))
    account.lots = tuple(sorted((*account.lots, bought), key=_purchased_at))
    _settle(account)


def debit(account: Account, amount: int) -> list[Share]:
    """Take money oldest lot first (rule 64); what the lots do not hold becomes debt (rule 55)."""
    assert amount > 0, amount
    account.balance -= amount
    account.revision += 1
    shares: list[Share] = []
    lots = list(account.lots)
    for place, lot in enumerate(lots):
        if lot.remaining:
            share = min(lot.remaining, amount)
            lots[place] = _changed(lot, -share)
            amount -= share
            shares.append(Share(lot.lot, share))
            if not amount:
                break
    account.lots = tuple(lots)
    if amount:
        shares.append(Share(DEBT, amount, account.debts.incurred))
        account.debt += amount
        account.debts = owe(account.debts, amount)
    return shares


def refund(account: Account, shares: Iterable[Share], refund_lot: str, at: datetime) -> list[Share]:
    """Give a reversed charge back to its lots, newest first; what of its debt is unpaid is no longer owed.

    Its debt that a later purchase paid goes back to that purchase.  A lot that has expired takes nothing; what
    finds no lot goes to the newest live one, or, when there is none, into a new lot named `refund_lot` (A12).
    Then the lots pay what is still owed for other calls.  Returns where the money went first.
    """
    left = sum(share.amount for share in shares)
    account.balance += left
    account.revision += 1
    went: list[Share] = []
    lots = list(account.lots)
    places = {lot.lot: place for place, lot in enumerate(lots)}
    for share in reversed(_payers(account, shares)):
        if share.lot in places:
            lots[places[share.lot]] = _changed(lots[places[share.lot]], share.amount)
        elif share.lot == DEBT:
            account.debt -= share.amount
        else:
            continue
        left -= share.amount
        went.append(share)
    if left:
        newest = lots.pop() if lots else Lot(refund_lot, 0, at, expiry_of(at))
        lots.append(_changed(newest, left))
        went.append(Share(newest.lot, left))
    account.lots = tuple(lots)
    _settle(account)
    return went


def _payers(account: Account, shares: Iterable[Share]) -> list[Share]:
    """Who paid a charge by now: its lots, and of its debt the lots that paid it, or nobody yet."""
    payers: list[Share] = []
    for share in shares:
        if share.owed_from is None:
            payers.append(share)
        else:
            account.debts, parts = take_back(account.debts, share.owed_from, share.amount)
            payers.extend([Share(part.lot or DEBT, part.end - part.start) for part in parts])
    return payers


def _settle(account: Account) -> None:
    """Lots with money pay what is owed, the oldest lot first (A20)."""
    if not account.debt:
        return
    lots = list(account.lots)
    for place, lot in enumerate(lots):
        given = min(lot.remaining, account.debt)
        if given:
            lots[place] = _changed(lot, -given)
            account.debt -= given
            account.debts = pay(account.debts, given, lot.lot)
    account.lots = tuple(lots)


def expire(account: Account, at: datetime) -> list[Share]:
    """Forfeit what is left of every lot whose time is over (rule 63, A19); returns lots that held money."""
    forfeited: list[Share] = []
    for lot in account.lots:
        if lot.expires_at <= at and lot.remaining:
            account.balance -= lot.remaining
            account.revision += 1
            forfeited.append(Share(lot.lot, lot.remaining))
    gone = frozenset([lot.lot for lot in account.lots if lot.expires_at <= at])
    if gone:
        account.lots = tuple([lot for lot in account.lots if lot.lot not in gone])
        account.debts = forget(account.debts, gone)
    return forfeited


def next_expiry(account: Account) -> datetime | None:
    """When the oldest lot's time is over."""
    return min((lot.expires_at for lot in account.lots), default=None)


def _changed(lot: Lot, by: int) -> Lot:
    return Lot(lot.lot, lot.remaining + by, lot.purchased_at, lot.expires_at)


def _purchased_at(lot: Lot) -> datetime:
    return lot.purchased_at
