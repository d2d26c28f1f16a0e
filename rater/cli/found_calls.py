"""Calls by what stands on a bill: the day and the charge."""

from datetime import date

from rater.core import (
    MoneyError,
    RatedCall,
    exponent_of,
    parse_ledger,
    round_to_cents,
)
from rater.wire.errors import RaterError


def read_day(option: str, text: str | None) -> date | None:
    """A day; RaterError names the option."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as wrong:
        raise RaterError(f"{option}: expected a day such as 2025-03-12, got {text!r}") from wrong


def read_amount(option: str, text: str | None) -> int | None:
    """An amount in micro-units; RaterError names the option."""
    try:
        return None if text is None else parse_ledger(text)
    except MoneyError as wrong:
        raise RaterError(f"{option}: {wrong}") from wrong


def began_on(day: date | None, call: RatedCall) -> bool:
    """Whether a call began on a day, in UTC."""
    return day is None or call.answered_at.date() == day


def cost(amount: int | None, call: RatedCall) -> bool:
    """Whether a call cost an amount: exactly, or as exports show it in its currency (A18)."""
    if amount is None:
        return True
    charge = parse_ledger(call.charge)
    return amount == charge or amount == parse_ledger(round_to_cents(charge, exponent_of(call.currency)))
