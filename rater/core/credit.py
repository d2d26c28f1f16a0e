"""Prepaid credit: lots used first in first out, debt, refunds, expiry.

The law: credits - debits - expiries = balance = sum of lots - debt, and debt is only there while
every lot is empty.  Rules 55, 60, 63 to 65, A12, A19, A20.
Refuses to know calls and recharges.
"""

from collections.abc import Iterable
from datetime import datetime

from rater.core.debt import forget, owe, pay, take_back
from rater.core.entities import Account, Lot, Share
from rater.core.instants import expiry_of
from rater.core.lots import add, put_back, put_into_newest, remove_expired, take
from rater.core.state import State

#: The name under which a share that became debt (or is no longer owed) is booked.
DEBT = ""


def credit(state: State, account: Account, lot: str, amount: int, purchased_at: datetime) -> None:
    """Add a purchase; it pays outstanding debt first (A20) and keeps its place by date of purchase."""
    assert amount > 0, amount
    account.balance += amount
    account.revision += 1
    _add(state, account, lot, amount, purchased_at)
    _settle(state, account)


def debit(state: State, account: Account, amount: int) -> list[Share]:
    """Take money oldest lot first (rule 64); what the lots do not hold becomes debt (rule 55)."""
    assert amount > 0, amount
    account.balance -= amount
    account.revision += 1
    shares: list[Share] = []
    for lot, given in take(state, account, amount):
        shares.append(Share(lot.lot, given))
        amount -= given
    if amount:
        shares.append(Share(DEBT, amount, account.debts.incurred))
        account.debt += amount
        owe(state, account, amount)
    return shares


def refund(state: State, account: Account, shares: Iterable[Share], refund_lot: str, at: datetime) -> list[Share]:
    """Give a reversed charge back to its lots, newest first; what of its debt is unpaid is no longer owed.

    Its debt that a later purchase paid goes back to that purchase.  A lot that has expired takes nothing; what
    finds no lot goes to the newest live one, or, when there is none, into a new lot named `refund_lot` (A12).
    Then the lots pay what is still owed for other calls.  Returns where the money went first.
    """
    left = sum(share.amount for share in shares)
    account.balance += left
    account.revision += 1
    went: list[Share] = []
    for share in reversed(_payers(state, account, shares)):
        if share.lot == DEBT:
            account.debt -= share.amount
        elif not put_back(state, account, share.lot, share.amount):
            continue
        left -= share.amount
        went.append(share)
    if left:
        if account.lots:
            newest = put_into_newest(account, left)
        else:
            newest = refund_lot
            _add(state, account, refund_lot, left, at)
        went.append(Share(newest, left))
    _settle(state, account)
    return went


def _add(state: State, account: Account, lot: str, amount: int, at: datetime) -> None:
    account.lots_numbered += 1
    add(state, account, Lot(lot, amount, at, expiry_of(at), account.lots_numbered))


def _payers(state: State, account: Account, shares: Iterable[Share]) -> list[Share]:
    """Who paid a charge by now: its lots, and of its debt the lots that paid it, or nobody yet."""
    payers: list[Share] = []
    for share in shares:
        if share.owed_from is None:
            payers.append(share)
        else:
            parts = take_back(state, account, share.owed_from, share.amount)
            payers.extend([Share(part.lot or DEBT, part.end - part.start) for part in parts])
    return payers


def _settle(state: State, account: Account) -> None:
    """Lots with money pay what is owed, the oldest lot first (A20)."""
    if not account.debt:
        return
    for lot, given in take(state, account, account.debt):
        account.debt -= given
        pay(state, account, given, lot)


def expire(state: State, account: Account, at: datetime) -> list[Share]:
    """Forfeit what is left of every lot whose time is over (rule 63, A19); returns lots that held money."""
    forfeited: list[Share] = []
    for lot in remove_expired(state, account, at):
        if lot.remaining:
            account.balance -= lot.remaining
            account.revision += 1
            forfeited.append(Share(lot.lot, lot.remaining))
    forget(account, at)
    return forfeited


def next_expiry(account: Account) -> datetime | None:
    """When the time of the oldest lot that is at hand is over."""
    return min([lot.expires_at for lot in account.lots], default=None)
