"""Money that comes in: purchases, promotions, and the gateway's answers to recharges.

Rules 58 to 60, 62 to 64, A6 to A8, A46, A47.
"""

from datetime import datetime

import msgspec
from msgspec import UNSET

from rater.core.amounts import bad_amount, other_currency, too_much, zero_amount
from rater.core.credit import credit
from rater.core.entities import Account, InFlight, Seen
from rater.core.inputs import FundsAdded, PaymentFailed, PaymentSucceeded
from rater.core.instants import as_utc
from rater.core.lots import lot_at_hand
from rater.core.money import format_micros, parse_micros
from rater.core.passing_time import balance_moved, set_alarm
from rater.core.reasons import EventKind, LotKind, Reason, Refusal
from rater.core.recharge import RechargeEvent, advance_recharge
from rater.core.step import Step

_SUCCEEDED, _FAILED = "succeeded", "failed"


def unreadable_funds(command: FundsAdded) -> Refusal | None:
    """Why no tenant could be funded so: a promotion says when it expires, and nothing else does (A46)."""
    refused = zero_amount(command.amount) or bad_amount("amount", command.amount)
    if refused is not None:
        return refused
    promotion = command.source == "promotion"
    if promotion and command.expires is None:
        message = "expected when the promotion expires, got none"
    elif not promotion and command.expires is not None:
        message = "expected no expiry: a purchase expires twelve months after; a promotion says when"
    else:
        return expires_before(command.at, command.expires)
    return Refusal(Reason.MALFORMED, "expires", message)


def expires_before(at: datetime, expires: datetime | None) -> Refusal | None:
    """Why money cannot expire then (A46)."""
    if expires is None or expires > at:
        return None
    message = f"expected an instant after {at.isoformat()}, got {expires.isoformat()}"
    return Refusal(Reason.MALFORMED, "expires", message)


def fund(step: Step, command: FundsAdded) -> None:
    """Add a purchase or a promotion."""
    step.emit(
        EventKind.FUNDS_ADDED,
        lot=command.id,
        amount=format_micros(parse_micros(command.amount)),
        command_id=command.id,
        reason=", ".join(filter(None, (command.purchase_order, command.agreement))) or None,
        by=command.by,
        lot_kind=LotKind.PROMOTION if command.source == "promotion" else None,
    )
    kind = {"promotion": LotKind.PROMOTION, "auto_recharge": LotKind.RECHARGE}
    source = "manual" if command.source is UNSET else command.source
    expires = None if command.expires is None else as_utc(command.expires)
    add_lot(step, command.id, parse_micros(command.amount), kind.get(source, LotKind.PURCHASE), expires)


def add_lot(step: Step, lot: str, amount: int, kind: LotKind, expires: datetime | None = None) -> None:
    """Add a lot; one bought long ago may have expired already."""
    account = step.account
    before = account.balance
    credit(step.state, account, lot, amount, step.at, kind, expires)
    step.balance_changed()
    set_alarm(account)
    balance_moved(step, before, credited=True)


def payment_refused(step: Step, command: PaymentSucceeded | PaymentFailed) -> Refusal | None:
    """Why this answer to a recharge is not applied."""
    account, asked = step.account, _asked_for(step.account, command)
    if isinstance(command, PaymentFailed):
        return _no_such_recharge(step, command)
    refused = other_currency(account, command.currency) or _no_such_recharge(step, command)
    if refused is not None or asked is None:
        return refused
    return _other_amount(asked, command.amount) or too_much(account, asked.amount)


def is_answered_so(step: Step, command: PaymentSucceeded | PaymentFailed) -> bool:
    """Whether the gateway said the same of this recharge before (A47)."""
    if _asked_for(step.account, command) is not None:
        return False
    before = _answers(step, _meant(step.account, command))
    return before is not None and _result(command) in before.results


def payment_arrived(step: Step, command: PaymentSucceeded | PaymentFailed) -> None:
    """The gateway answers the recharge in flight, or contradicts what it said of one before (A47)."""
    answered = _asked_for(step.account, command)
    if answered is None:
        _conflict(step, command)
        return
    _remember(step, answered.recharge, _Answers(answered.amount, (_result(command),)))
    amount = format_micros(answered.amount)
    if isinstance(command, PaymentSucceeded):
        advance_recharge(step, RechargeEvent.PAID)
        step.emit(EventKind.RECHARGE_SUCCEEDED, recharge_id=answered.recharge, amount=amount, command_id=command.id)
        add_lot(step, answered.recharge, answered.amount, LotKind.RECHARGE)
        return
    advance_recharge(step, RechargeEvent.FAILED)
    step.emit(
        EventKind.RECHARGE_FAILED,
        recharge_id=answered.recharge,
        amount=amount,
        reason="declined" if command.reason is UNSET else command.reason,
        command_id=command.id,
    )
    step.balance_changed()


def _conflict(step: Step, command: PaymentSucceeded | PaymentFailed) -> None:
    """No money moves: a person decides."""
    recharge = _meant(step.account, command)
    before = _answers(step, recharge)
    assert recharge is not None
    assert before is not None
    result = _result(command)
    step.emit(
        EventKind.PAYMENT_CONFLICT,
        recharge_id=recharge,
        amount=format_micros(before.amount),
        reason=f"{before.results[-1]}, then {result}",
        command_id=command.id,
    )
    _remember(step, recharge, _Answers(before.amount, (*before.results, result)))


class _Answers(msgspec.Struct, frozen=True):
    """How much was asked for with a recharge, and what the gateway said of it so far, in order."""

    amount: int
    results: tuple[str, ...]


def _result(command: PaymentSucceeded | PaymentFailed) -> str:
    return _SUCCEEDED if isinstance(command, PaymentSucceeded) else _FAILED


def _asked_for(account: Account, command: PaymentSucceeded | PaymentFailed) -> InFlight | None:
    """The request in flight, if the answer is about it."""
    in_flight = account.recharge.in_flight
    return in_flight if in_flight is not None and command.recharge_id in (None, in_flight.recharge) else None


def _meant(account: Account, command: PaymentSucceeded | PaymentFailed) -> str | None:
    """The recharge that an answer is about: the one it names, else the last one that was answered."""
    return command.recharge_id or account.recharge.answered


def _key(step: Step, recharge: str) -> tuple[str, str]:
    return step.account.tenant, f"recharge/{recharge}"


def _answers(step: Step, recharge: str | None) -> _Answers | None:
    """The former answer to a recharge; of one that an earlier release recorded, only that it was paid."""
    if recharge is None:
        return None
    seen = step.state.seen(_key(step, recharge))
    if seen is not None and seen.said is not None:
        amount, *results = seen.said.split(" ")
        return _Answers(parse_micros(amount), tuple(results))
    lot = lot_at_hand(step.state, step.account, recharge)
    return None if lot is None else _Answers(lot.remaining, (_SUCCEEDED,))


def _remember(step: Step, recharge: str, answers: _Answers) -> None:
    said = " ".join((format_micros(answers.amount), *answers.results))
    step.state.seen_now[_key(step, recharge)] = Seen(step.at, said)


def _no_such_recharge(step: Step, command: PaymentSucceeded | PaymentFailed) -> Refusal | None:
    account = step.account
    if _asked_for(account, command) or _answers(step, _meant(account, command)):
        return None
    in_flight = account.recharge.in_flight
    asked = f"recharge {in_flight.recharge} is" if in_flight else "no recharge is"
    message = f"{asked} in flight, got an answer to {command.recharge_id}"
    return Refusal(Reason.NO_RECHARGE_IN_FLIGHT, "recharge_id", message)


def _other_amount(asked: InFlight, amount: str | None) -> Refusal | None:
    bad = bad_amount("amount", amount)
    if amount is None or bad is not None or parse_micros(amount) == asked.amount:
        return bad
    message = f"expected the {format_micros(asked.amount)} that was asked for, got {amount}"
    return Refusal(Reason.PAYMENT_MISMATCH, "amount", message)
