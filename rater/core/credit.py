"""Prepaid credit: lots used first in first out, debt, refunds, expiry.

The law: credits - debits - expiries = balance = sum of lots - debt, and debt is only there while
every lot is empty.  Sources: rating-rules 55, 60, 63 to 65, A12, A19, A20.
Refuses to know calls and recharges.
"""

from datetime import datetime

from rater.core.entities import Account, Lot
from rater.core.instants import expiry_of

#: Shares of a charge or refund by lot, in micro-units.
Shares = list[tuple[str, int]]
#: The name under which a share that became debt (or paid it back) is booked.
DEBT = ""


def credit(account: Account, lot: str, amount: int, purchased_at: datetime) -> None:
    """Add a purchase; it pays outstanding debt first (A20) and keeps its place by date of purchase."""
    assert amount > 0, amount
    paid = min(account.debt, amount)
    account.debt -= paid
    account.balance += amount
    account.revision += 1
    bought = Lot(lot, amount - paid, purchased_at, expiry_of(purchased_at))
    account.lots = tuple(sorted((*account.lots, bought), key=_purchased_at))


def debit(account: Account, amount: int) -> Shares:
    """Take money oldest lot first (rule 64); what the lots do not hold becomes debt (rule 55)."""
    assert amount > 0, amount
    account.balance -= amount
    account.revision += 1
    shares: Shares = []
    lots = list(account.lots)
    for place, lot in enumerate(lots):
        if lot.remaining:
            share = min(lot.remaining, amount)
            lots[place] = _changed(lot, -share)
            amount -= share
            shares.append((lot.lot, share))
            if not amount:
                break
    account.lots = tuple(lots)
    if amount:
        account.debt += amount
        shares.append((DEBT, amount))
    return shares


def refund(account: Account, shares: Shares, refund_lot: str, at: datetime) -> Shares:
    """Give a reversed charge back: to outstanding debt, then to its lots newest first.

    A lot that has expired takes nothing; what finds no lot goes to the newest live one, or, when there
    is none, into a new lot named `refund_lot` (A12).  Returns where the money went.
    """
    amount = sum(share for _, share in shares)
    account.balance += amount
    account.revision += 1
    went: Shares = []
    paid = min(account.debt, amount)
    if paid:
        account.debt -= paid
        went.append((DEBT, paid))
    left = amount - paid
    lots = list(account.lots)
    places = {lot.lot: place for place, lot in enumerate(lots)}
    for name, share in reversed(shares):
        given = min(share, left)
        if name in places and given:
            lots[places[name]] = _changed(lots[places[name]], given)
            left -= given
            went.append((name, given))
    if left:
        newest = lots.pop() if lots else Lot(refund_lot, 0, at, expiry_of(at))
        lots.append(_changed(newest, left))
        went.append((newest.lot, left))
    account.lots = tuple(lots)
    return went


def expire(account: Account, at: datetime) -> Shares:
    """Forfeit what is left of every lot whose time is over (rule 63, A19); returns lots that held money."""
    forfeited: Shares = []
    for lot in account.lots:
        if lot.expires_at <= at and lot.remaining:
            account.balance -= lot.remaining
            account.revision += 1
            forfeited.append((lot.lot, lot.remaining))
    account.lots = tuple([lot for lot in account.lots if lot.expires_at > at])
    return forfeited


def next_expiry(account: Account) -> datetime | None:
    """When the oldest lot's time is over."""
    return min((lot.expires_at for lot in account.lots), default=None)


def _changed(lot: Lot, by: int) -> Lot:
    return Lot(lot.lot, lot.remaining + by, lot.purchased_at, lot.expires_at)


def _purchased_at(lot: Lot) -> datetime:
    return lot.purchased_at
