"""Amounts as people write them."""

import re

#: A comma before one or two decimals.
_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]{1,2}")


def plain_amount(text: str, currency: str) -> str:
    """As records have it: without the currency behind it, and with a point for a comma before cents."""
    number = text[: -len(currency)].strip() if text.upper().endswith(currency) else text
    return number.replace(",", ".") if _COMMA.fullmatch(number) else number or text
