"""Money by hand: adjustments, refunds of purchases, and charge-backs.

A45.  They move the balance as calls do, so crossings of zero and of the trigger follow; refunds and charge-backs
stop auto-recharge first.
"""

from collections.abc import Sequence

from rater.core.amounts import not_above_zero, other_currency, too_much, zero_amount
from rater.core.calls import owes_too_much
from rater.core.credit import debit, debit_lot
from rater.core.entities import LotHistory, Share
from rater.core.funding import add_lot, expires_before
from rater.core.identity import digest, name_key
from rater.core.inputs import FundsAdjusted, FundsRefunded, PaymentReversed
from rater.core.instants import as_utc
from rater.core.limits import too_many_purchases, too_many_with_own_expiry
from rater.core.lot_history import PAYMENTS, known_lot, note_refunded, note_reversed
from rater.core.lots import lot_at_hand
from rater.core.money import format_micros, parse_micros
from rater.core.passing_time import balance_moved
from rater.core.reasons import DebitKind, EventKind, LotKind, Reason, Refusal
from rater.core.recharge import RechargeEvent, advance_recharge
from rater.core.step import Step


def unreadable_adjustment(command: FundsAdjusted) -> Refusal | None:
    """Why no tenant's money could be adjusted so."""
    refused = zero_amount(command.amount) or unexplained(command.reason, command.by)
    if refused is not None:
        return refused
    if command.expires is not None and parse_micros(command.amount) < 0:
        message = "expected no expiry: money that is taken off does not expire"
        return Refusal(Reason.MALFORMED, "expires", message)
    return expires_before(command.at, command.expires)


def unreadable_refund(command: FundsRefunded) -> Refusal | None:
    """Why no such sum could be paid out."""
    return not_above_zero(command.amount)


def unexplained(reason: str, by: str) -> Refusal | None:
    """Why nobody could understand it later: no reason, or no person."""
    for field, text in (("reason", reason), ("by", by)):
        if not name_key(text):
            return Refusal(Reason.MALFORMED, field, f"expected why and by whom money is moved, got {text!r}")
    return None


def adjustment_refused(step: Step, command: FundsAdjusted) -> Refusal | None:
    """Why this tenant's money cannot be adjusted so."""
    account, amount = step.account, parse_micros(command.amount)
    if (refused := other_currency(account, command.currency)) is not None:
        return refused
    if amount <= 0:
        return owes_too_much(account)
    too_many = too_many_with_own_expiry if command.expires else too_many_purchases
    return too_much(account, amount) or too_many(account)


def adjust(step: Step, command: FundsAdjusted) -> None:
    """Add a lot of its own, or take money as a call does."""
    account, amount = step.account, parse_micros(command.amount)
    step.emit(
        EventKind.FUNDS_ADJUSTED,
        amount=format_micros(amount),
        lot=command.id if amount > 0 else None,
        usage_id=command.usage_id,
        command_id=command.id,
        reason=command.reason,
        by=command.by,
    )
    if amount > 0:
        expires = None if command.expires is None else as_utc(command.expires)
        add_lot(step, command.id, amount, LotKind.ADJUSTMENT, expires)
        return
    before = account.balance
    shares = debit(step.state, account, -amount)
    _emit_debit(step, DebitKind.ADJUSTMENT, command.id, shares, command.usage_id)
    balance_moved(step, before)


def refund_refused(step: Step, command: FundsRefunded) -> Refusal | None:
    """Why this cannot be paid out of that purchase."""
    paid = _payment(step, command.lot)
    if isinstance(paid, Refusal):
        return paid
    left = _left_to_refund(step, command.lot, paid)
    if parse_micros(command.amount) > left:
        what = "reversed" if paid.reversed else f"{format_micros(left)} left to refund"
        message = f"expected at most what is left of {command.lot!r} ({what}), got {command.amount}"
        return Refusal(Reason.REFUND_EXCEEDS_LOT, "amount", message)
    return other_currency(step.account, command.currency)


def refund_purchase(step: Step, command: FundsRefunded) -> None:
    """Pay money of a purchase out."""
    account, amount = step.account, parse_micros(command.amount)
    before, paid = account.balance, _known_payment(step, command.lot)
    step.emit(
        EventKind.FUNDS_REFUNDED,
        lot=command.lot,
        amount=format_micros(amount),
        command_id=command.id,
        reason=command.reason,
        by=command.by,
    )
    shares = debit_lot(step.state, account, command.lot, amount)
    note_refunded(step.state, account, command.lot, paid, amount)
    _emit_debit(step, DebitKind.REFUND, command.id, shares)
    _went_back(step, before)


def reversal_refused(step: Step, command: PaymentReversed) -> Refusal | None:
    """Why the bank cannot have taken that back."""
    paid = _payment(step, command.lot)
    if isinstance(paid, Refusal):
        return paid
    if paid.reversed:
        message = f"expected a payment that was not reversed yet, got {command.lot!r}"
        return Refusal(Reason.ALREADY_REVERSED, "lot", message)
    return owes_too_much(step.account)


def reverse_payment(step: Step, command: PaymentReversed) -> None:
    """Take back what the purchase brought, but for what was refunded or expired of it."""
    account = step.account
    before, paid = account.balance, _known_payment(step, command.lot)
    amount = _not_gone(paid)
    step.emit(
        EventKind.PAYMENT_REVERSED,
        lot=command.lot,
        amount=format_micros(amount),
        command_id=command.id,
        reason=command.reason,
        by=command.by,
    )
    note_reversed(step.state, account, command.lot, paid)
    if amount:
        shares = debit_lot(step.state, account, command.lot, amount)
        _emit_debit(step, DebitKind.CHARGE_BACK, command.id, shares)
    _went_back(step, before)


def _went_back(step: Step, before: int) -> None:
    """Auto-recharge stops before a request that this would cause; crossings follow."""
    advance_recharge(step, RechargeEvent.MONEY_WENT_BACK)
    step.balance_changed()
    balance_moved(step, before)


def _emit_debit(
    step: Step, kind: DebitKind, command_id: str, shares: Sequence[Share], usage_id: str | None = None
) -> None:
    id = digest(step.account.tenant, kind.value, command_id)
    amount = sum([share.amount for share in shares])
    step.debit(kind, id, amount, shares, usage_id=usage_id, command_id=command_id)


def _payment(step: Step, lot: str) -> LotHistory | Refusal:
    """The purchase or recharge of this name."""
    found = known_lot(step.state, step.account, lot)
    if found is None:
        message = f"expected the name of a purchase or a recharge, got {lot!r}; see rater show balance"
        if lot_at_hand(step.state, step.account, lot) or step.state.shelved_lot(step.account.tenant, lot):
            message = f"{lot!r} was added by a release that did not note its amount; adjust the balance instead"
        return Refusal(Reason.UNKNOWN_LOT, "lot", message)
    if found.kind in PAYMENTS:
        return found
    message = f"expected a purchase or a recharge, got {lot!r}, which is of kind {found.kind.value}"
    return Refusal(Reason.NOT_A_PAYMENT, "lot", message)


def _known_payment(step: Step, lot: str) -> LotHistory:
    found = _payment(step, lot)
    assert isinstance(found, LotHistory), lot
    return found


def _not_gone(paid: LotHistory) -> int:
    return max(0, paid.amount - paid.refunded - paid.expired)


def _left_to_refund(step: Step, name: str, paid: LotHistory) -> int:
    """What is left of it, but no more than was paid for it and did not go back (A45)."""
    lot = lot_at_hand(step.state, step.account, name)
    if lot is None or paid.reversed:
        return 0
    return min(lot.remaining, _not_gone(paid))
