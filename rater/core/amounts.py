"""Amounts and currencies in commands: which are invalid, and which are more than a ledger holds.

Rule 60, A18, A45.
"""

from rater.core.entities import Account
from rater.core.money import BALANCE_MICROS_MAX, MoneyError, format_micros, parse_amount, parse_micros
from rater.core.outputs import AccountEvent
from rater.core.reasons import EventKind, Reason, Refusal

#: Money that an adjustment takes off is a debit.
_CREDITS = (EventKind.FUNDS_ADDED, EventKind.FUNDS_ADJUSTED, EventKind.RECHARGE_SUCCEEDED)


def credited_by(event: AccountEvent) -> int:
    """How much money came into the balance with an event: with most of them none."""
    if event.event not in _CREDITS:
        return 0
    return max(0, parse_amount(event.amount or "0"))


def bad_amount(field: str, text: str | None, *, zero: bool = False) -> Refusal | None:
    """Why this is no amount above zero; with `zero`, no amount of zero or more."""
    if text is None:
        return None
    try:
        micros = parse_micros(text)
    except MoneyError as wrong:
        return Refusal(Reason.BAD_AMOUNT, field, str(wrong))
    if micros < 0 or (micros == 0 and not zero):
        least = "of zero or more" if zero else "above zero"
        return Refusal(Reason.BAD_AMOUNT, field, f"expected an amount {least}, got {text!r}")
    return None


def zero_amount(text: str) -> Refusal | None:
    """Why money by hand cannot be nothing (A45)."""
    try:
        micros = parse_micros(text)
    except MoneyError as wrong:
        return Refusal(Reason.BAD_AMOUNT, "amount", str(wrong))
    if micros:
        return None
    return Refusal(Reason.INVALID_AMOUNT, "amount", f"expected an amount that is not zero, got {text!r}")


def not_above_zero(text: str) -> Refusal | None:
    """Why no such sum can be paid out (A45)."""
    refused = zero_amount(text)
    if refused is not None or parse_micros(text) > 0:
        return refused
    return Refusal(Reason.INVALID_AMOUNT, "amount", f"expected an amount above zero, got {text!r}")


def other_currency(account: Account, currency: str | None) -> Refusal | None:
    """Why money in this currency is not this tenant's."""
    if currency is None or currency == account.currency:
        return None
    message = f"expected the tenant's currency {account.currency}, got {currency}"
    return Refusal(Reason.CURRENCY_MISMATCH, "currency", message)


def too_much(account: Account, amount: int) -> Refusal | None:
    """No balance is so large that a sum of it with anything else overflows 64 bits."""
    if account.balance + amount <= BALANCE_MICROS_MAX:
        return None
    largest, balance = format_micros(BALANCE_MICROS_MAX), format_micros(account.balance)
    message = (
        f"expected a balance of at most {largest} (BALANCE_MICROS_MAX) after it,"
        f" got {balance} + {format_micros(amount)}; nothing was added"
    )
    return Refusal(Reason.BAD_AMOUNT, "amount", message)
