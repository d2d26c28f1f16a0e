"""What is kept of every lot for good: what was paid for it, and what went back, expired or was reversed.

Rules 63, A27, A45, A46.  Money is moved by `credit`, not here.
"""

from datetime import datetime

import msgspec

from rater.core.entities import Account, Lot, LotHistory
from rater.core.lots import LOTS_SHOWN_MAX, front_lots, lot_at_hand
from rater.core.money import parse_micros
from rater.core.own_expiry import place_of
from rater.core.reasons import LotKind
from rater.core.state import State, command_key

#: What somebody paid for: only this can be paid back.
PAYMENTS = (LotKind.PURCHASE, LotKind.RECHARGE)


def begin(state: State, account: Account, lot: Lot, kind: LotKind) -> None:
    """Note a lot that is being added."""
    state.lot_histories[(account.tenant, lot.lot)] = LotHistory(
        kind, lot.remaining, lot.purchased_at, lot.expires_at, lot.number, account.lot_added_last
    )
    account.lot_added_last = lot.lot


def paid_lots(state: State, account: Account) -> list[Lot]:
    """Lots with money that somebody paid for, as many as a balance record shows: money of them can be paid back."""
    found = ((lot, known_lot(state, account, lot.lot)) for lot in front_lots(account))
    return [lot for lot, history in found if history is not None and history.kind in PAYMENTS][:LOTS_SHOWN_MAX]


def note_expired(state: State, account: Account, name: str, amount: int) -> None:
    """Money of the lot was forfeited."""
    history = state.lot_history(account.tenant, name)
    if history is not None:
        _keep(state, account, name, msgspec.structs.replace(history, expired=history.expired + amount))


def note_refunded(state: State, account: Account, name: str, history: LotHistory, amount: int) -> None:
    """Money of the lot was paid out."""
    _keep(state, account, name, msgspec.structs.replace(history, refunded=history.refunded + amount))


def note_paid_out(state: State, account: Account, name: str, amount: int) -> None:
    """What was left of the lot was paid out because the tenant closed; an earlier release's lot has no history."""
    history = state.lot_history(account.tenant, name)
    if history is not None:
        note_refunded(state, account, name, history, amount)


def note_reversed(state: State, account: Account, name: str, history: LotHistory) -> None:
    """The bank took the payment back."""
    _keep(state, account, name, msgspec.structs.replace(history, reversed=True))


def is_reversed(state: State, account: Account, name: str) -> bool:
    """Whether the bank took the payment back: the lot takes no refund of a call any more (A45)."""
    history = state.lot_history(account.tenant, name)
    return history is not None and history.reversed


def is_promotion(state: State, account: Account, name: str) -> bool:
    """Whether the lot was given without payment (A46)."""
    history = state.lot_history(account.tenant, name)
    return history is not None and history.kind is LotKind.PROMOTION


def known_lot(state: State, account: Account, name: str) -> LotHistory | None:
    """The lot of this name, also one that an earlier release added; None where its amount is not known any more.

    Of a purchase the command that added it says the amount, unless it has expired since: how much of it expired was
    not noted.
    """
    history = state.lot_history(account.tenant, name)
    if history is not None:
        return history
    lot = lot_at_hand(state, account, name)
    where = lot or state.shelved_lot(account.tenant, name)
    seen = state.seen(command_key(account.tenant, name))
    if where is None or seen is None or seen.said is None or (lot is None and where.expires_at <= account.clock):
        return None
    kind, _, amount = seen.said.partition(" ")
    if kind != "funds_added":
        return None
    micros = parse_micros(amount.partition(" ")[0])
    return LotHistory(LotKind.PURCHASE, micros, where.purchased_at, where.expires_at, where.number)


def newest_to_refund(state: State, account: Account) -> str | None:
    """The newest lot that lives, is no promotion, and was not reversed, used up or not (A45, A46)."""
    lots = list(account.own_expiry[-1:])
    if account.lots and not is_reversed(state, account, account.lots[-1].lot):
        lots.append(account.lots[-1])
    elif account.lots:
        found = _newest_before(state, account)
        return None if found is None else found[1]
    newest = max(lots, key=place_of, default=None)
    return None if newest is None else newest.lot


def _newest_before(state: State, account: Account) -> tuple[tuple[datetime, int], str] | None:
    """As `newest_to_refund`, where the newest purchase was reversed: all that were ever added are looked at."""
    at_hand = [(place_of(lot), lot.lot) for lot in (*account.own_expiry, *account.lots)]
    for page in account.lot_pages[-1:]:
        at_hand += [(place_of(lot), lot.lot) for lot in state.page_of_lots(account.tenant, page.number)]
    found = [one for one in at_hand if not is_reversed(state, account, one[1])]
    name = account.lot_added_last
    while name is not None:
        history = state.lot_history(account.tenant, name)
        assert history is not None, name
        lives = history.expires_at > account.clock and history.kind is not LotKind.PROMOTION
        if lives and not history.reversed:
            found.append(((history.purchased_at, history.number), name))
        name = history.before
    return max(found, default=None)


def _keep(state: State, account: Account, name: str, history: LotHistory) -> None:
    state.lot_histories[(account.tenant, name)] = history
