"""Limits of what comes in that the types alone do not say: identifiers, prices and instants of a deck.

Does no I/O; knows no tenants.
"""

import re
from functools import cache
from typing import Any, get_args, get_type_hints

from msgspec import UNSET

from rater.core import (
    CONTROL_CHARACTERS,
    CallRerated,
    Identifier,
    MoneyError,
    RateDeck,
    RateRow,
    Reason,
    Refusal,
    as_utc,
    parse_price,
)

PRICES = ("price_per_minute", "connection_fee")
#: What cannot be part of a name: control characters, and half of a surrogate pair, which is no UTF-8.
UNWRITABLE = re.compile(rf"{CONTROL_CHARACTERS.pattern}|[\ud800-\udfff]")


def control_character(value: Any) -> Refusal | None:
    """Refuse an identifier with a control character: two tenants could share ids, and terminals obey some.

    Blanks around the name of a user are no part of it (A40), tabs and line ends included.
    """
    kind: type = type(value)
    for name in _identifiers(kind):
        text = getattr(value, name)
        if text is not None and UNWRITABLE.search(text.strip() if name == "user" else text):
            return Refusal(Reason.MALFORMED, name, f"expected text without control characters, got {text!r}")
    return control_character(value.call) if isinstance(value, CallRerated) else None


def unusable_rate(deck: RateDeck) -> Refusal | None:
    """The first price or instant of a deck that nothing can be reckoned with, or None."""
    for number, row in enumerate(deck.rows):
        for name in PRICES:
            price = getattr(row, name)
            try:
                parse_price("0" if price is UNSET else price)
            except MoneyError as wrong:
                return Refusal(Reason.BAD_AMOUNT, f"rows[{number}].{name}", str(wrong))
        if wrong_time := outside_calendar(row):
            return Refusal(Reason.IMPOSSIBLE_TIME, f"rows[{number}].{wrong_time[0]}", wrong_time[1])
    return None


def outside_calendar(row: RateRow) -> tuple[str, str] | None:
    """The field of a row whose instant has no year from 1 to 9999 in UTC, and what was expected; or None."""
    for name, instant in (("valid_from", row.valid_from), ("valid_to", row.valid_to)):
        if instant is not None and instant.year in (1, 9999):
            try:
                as_utc(instant)
            except OverflowError:
                expected = "a time from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z"
                return name, f"expected {expected}, got {instant.isoformat()}"
    return None


@cache
def _identifiers(kind: type) -> tuple[str, ...]:
    """The names of a record's fields that are identifiers."""
    hints = get_type_hints(kind, include_extras=True)
    return tuple(name for name, hint in hints.items() if Identifier in (hint, *get_args(hint)))
