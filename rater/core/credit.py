"""Prepaid credit: lots used first in first out, debt, refunds, expiry.

The law: credits - debits - expiries = balance = sum of lots - debt, and debt is only there while
every lot is empty.  Rules 55, 60, 63 to 65, A12, A19, A20, A27, A45, A46.
"""

from collections.abc import Iterable
from datetime import datetime

from rater.core import lots, own_expiry
from rater.core.debt import forget, owe, pay, take_back
from rater.core.entities import Account, Lot, Share
from rater.core.instants import expiry_of
from rater.core.lot_history import begin, is_promotion, is_reversed, newest_to_refund, note_expired
from rater.core.lots import change, lot_at_hand, remove_expired, take
from rater.core.reasons import LotKind
from rater.core.state import State

#: The name under which a share that became debt (or is no longer owed) is booked.
DEBT = ""


def credit(
    state: State,
    account: Account,
    lot: str,
    amount: int,
    purchased_at: datetime,
    kind: LotKind = LotKind.PURCHASE,
    expires: datetime | None = None,
) -> None:
    """Add a lot; it pays outstanding debt first (A20) and keeps its place by date of purchase."""
    assert amount > 0, amount
    account.balance += amount
    account.revision += 1
    _add(state, account, lot, amount, purchased_at, kind, expires)
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


def debit_lot(state: State, account: Account, name: str, amount: int) -> list[Share]:
    """Take money out of one lot, and what it does not hold as `debit` does (A45)."""
    assert amount > 0, amount
    lot = lot_at_hand(state, account, name)
    own = min(amount, lot.remaining) if lot is not None else 0
    if own:
        change(state, account, name, -own)
        account.balance -= own
    if own == amount:
        account.revision += 1
        return [Share(name, own)]
    others = debit(state, account, amount - own)
    return [Share(name, own), *others] if own else others


def refund(
    state: State, account: Account, shares: Iterable[Share], refund_lot: str, at: datetime
) -> tuple[list[Share], list[Share]]:
    """Give a reversed charge back to its lots, newest first; what of its debt is unpaid is no longer owed.

    Its debt that a later purchase paid goes back to that purchase.  A lot that has expired or was reversed gets
    nothing; what finds no lot goes to the newest live one that is no promotion, or, when there is none, into a new
    lot named `refund_lot` (A12, A27).  Then the lots pay what is still owed for other calls.  Returns where the
    money went first, and what of it went to promotions that have expired: the caller forfeits that (A46).
    """
    left = sum(share.amount for share in shares)
    account.balance += left
    account.revision += 1
    went: list[Share] = []
    over: list[Share] = []
    for share in reversed(_payers(state, account, shares)):
        if share.lot == DEBT:
            account.debt -= share.amount
        elif is_reversed(state, account, share.lot):
            continue
        elif not change(state, account, share.lot, share.amount):
            if not is_promotion(state, account, share.lot):
                continue
            over.append(share)
        left -= share.amount
        went.append(share)
    if left:
        newest = newest_to_refund(state, account)
        if newest is None:
            newest = refund_lot
            _add(state, account, refund_lot, left, at, LotKind.CORRECTION)
        else:
            change(state, account, newest, left)
        went.append(Share(newest, left))
    _settle(state, account)
    return went, over


def forfeit(state: State, account: Account, share: Share) -> None:
    """Money leaves the balance because its time is over; it is in no lot any more."""
    account.balance -= share.amount
    account.revision += 1
    note_expired(state, account, share.lot, share.amount)


def _add(
    state: State,
    account: Account,
    name: str,
    amount: int,
    at: datetime,
    kind: LotKind,
    expires: datetime | None = None,
) -> None:
    account.lots_numbered += 1
    promotion = kind is LotKind.PROMOTION
    lot = Lot(name, amount, at, expires or expiry_of(at), account.lots_numbered, promotion)
    begin(state, account, lot, kind)
    if expires is None:
        lots.add(state, account, lot)
    else:
        own_expiry.add(account, lot)


def _payers(state: State, account: Account, shares: Iterable[Share]) -> list[Share]:
    """Who paid a charge by now: its lots, and of its debt the lots that paid it, if any."""
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
            share = Share(lot.lot, lot.remaining)
            forfeit(state, account, share)
            forfeited.append(share)
    forget(account, at)
    return forfeited


def next_expiry(account: Account) -> datetime | None:
    """When the time of the oldest lot that is at hand is over."""
    at_hand = (*account.promotions, *account.own_expiry, *account.lots)
    return min([lot.expires_at for lot in at_hand], default=None)
