"""Calls by what stands on a bill: the day, the charge, a number."""

from datetime import date

from rater.core import MoneyError, parse_ledger
from rater.embedded.lookup import digits_of
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


def read_number(option: str, text: str | None) -> str | None:
    """The digits of a part of a number; RaterError names the option."""
    try:
        return None if text is None else digits_of(text)
    except ValueError as wrong:
        raise RaterError(f"{option}: {wrong}, got {text!r}") from wrong
