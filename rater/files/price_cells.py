"""Cells of carriers' price lists: prefixes and ranges of them, prices with currency signs, increments, statuses."""

import re
from collections.abc import Iterable, Iterator
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal, NamedTuple

from rater.core import DECIMALS_MAX

Mark = Literal["point", "comma"]
#: Prefixes that one cell may stand for; a slip such as 4-4479999 would be millions.
RANGE_MAX = 10_000
_DIGITS_MAX = 15
_RANGE = re.compile(r"([0-9]+) *(?:-|–|—|\.\.) *([0-9]+)", re.ASCII)
_SIGNS = {"€": "EUR", "£": "GBP", "US$": "USD"}
#: With a sign or code of a currency before or behind it, and "/min" or "per minute" behind that.
_PRICE = re.compile(
    r"(?P<before>US\$|[$€£]|[A-Z]{3})? *"
    r"(?P<number>-?[0-9.,]+(?:[ '\u00a0\u202f][0-9]{3})*(?:[.,][0-9]+)?(?:[eE][+-]?[0-9]{1,2})?)"
    r" *(?P<after>US\$|[$€£]|[A-Z]{3})? *(?:(?:/|per) *min(?:ute)?\.?)?",
    re.ASCII,
)
_ROUNDING = Decimal(1).scaleb(-DECIMALS_MAX)
_INCREMENTS = re.compile(r"([0-9]{1,4})(?: *[/+\-] *([0-9]{1,4}))?(?: *[/+\-] *[0-9]{1,4})?", re.ASCII)
_BLOCKED = frozenset(["blocked", "barred", "closed", "suspended", "unavailable"]) | {"not offered", "not available"}
_WITHDRAWN = frozenset(["delete", "deleted", "remove", "removed", "withdrawn", "discontinued", "expired"])
_ORDINARY = frozenset(["", "new", "new code", "add", "added", "increase", "increased", "decrease"]) | {
    "decreased",
    *(
        "change",
        "changed",
        "unchanged",
        "no change",
        "same",
        "current",
        "active",
        "effective",
        "open",
        "up",
        "down",
    ),
}


class CellError(ValueError):
    """What is wrong with a cell: what was expected, and what to do."""


class Price(NamedTuple):
    """A price as it is written: the number, and the currency that a sign or code says."""

    number: str
    currency: str | None


def prefixes_of(text: str) -> list[str]:
    """The prefixes of a cell: several with commas, semicolons, slashes or line ends, ranges with a dash."""
    found: list[str] = []
    for part in filter(None, map(str.strip, re.split(r"[,;/|\n\r]+", text))):
        found.extend(
            _range(*ends.groups()) if (ends := _RANGE.fullmatch(part.replace("+", ""))) else [_prefix(part)]
        )
        if len(found) > RANGE_MAX:
            raise CellError(f"expected at most {RANGE_MAX} prefixes in a cell (RANGE_MAX), got {text[:40]!r}")
    if not found:
        raise CellError("expected a prefix, got none")
    return found


def _prefix(text: str) -> str:
    """Without the plus sign or the 00 that stand before a country code."""
    digits = re.sub(r"^(?:\+|00)", "", re.sub(r"[ ()\u00a0.]", "", text))
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS_MAX):
        raise CellError(f"expected 1 to {_DIGITS_MAX} digits, got {text[:40]!r}")
    if digits.startswith("0"):
        raise CellError(f"expected a prefix that begins with a country code, got {text!r}; none begins with 0")
    return digits


def _range(first: str, last: str) -> Iterator[str]:
    """4477-4479, and 4477-79: the end may leave out what is the same."""
    low = _prefix(first)
    high = low[: len(low) - len(last)] + last if len(last) < len(low) else _prefix(last)
    if len(low) != len(high) or not low <= high:
        raise CellError(f"expected a range of prefixes of one length, the lower first, got {first}-{last}")
    if int(high) - int(low) >= RANGE_MAX:
        raise CellError(f"expected a range of at most {RANGE_MAX} prefixes (RANGE_MAX), got {first}-{last}")
    return (str(number) for number in range(int(low), int(high) + 1))


def price_of(text: str) -> Price:
    """The number and the currency of a price; CellError if it is invalid."""
    found = _PRICE.fullmatch(text.strip())
    if found is None:
        raise CellError(f"expected a price such as 0.015 or 0,015 €, got {text[:40]!r}")
    number = re.sub(r"[ '\u00a0\u202f]", "", found["number"])
    if number.startswith("-"):
        raise CellError(f"expected 0 or more, got {text[:40]!r}")
    signs = {_SIGNS.get(sign, sign) for sign in (found["before"], found["after"]) if sign and sign != "$"}
    if len(signs) > 1:
        raise CellError(f"expected one currency, got {text[:40]!r}")
    return Price(number, signs.pop() if signs else None)


def marks_of(numbers: Iterable[str]) -> set[Mark]:
    """The decimal marks that are certain from the numbers: 0.015 and 1,5 show one; 1,234 may be either."""
    return {mark for number in numbers if (mark := _mark(number)) is not None}


def is_unclear(number: str) -> bool:
    """Whether a comma in it may be decimal or stand between thousands."""
    return "," in number and _mark(number) is None


def _mark(number: str) -> Mark | None:
    digits = re.sub(r"[eE].*", "", number)
    if "," in digits and "." in digits:
        return "comma" if digits.rindex(",") > digits.rindex(".") else "point"
    for sign, mark, other in ((",", "comma", "point"), (".", "point", "comma")):
        whole, found, fraction = digits.partition(sign)
        if found:
            if sign in fraction:
                return other  # type: ignore[return-value]  # 1,234,567: between thousands
            grouped = len(fraction) == 3 and 1 <= len(whole) <= 3 and not whole.startswith("0")
            return None if grouped else mark  # type: ignore[return-value]
    return None


def decimal_of(number: str, mark: Mark) -> Decimal:
    """The number with this decimal mark; CellError if it is invalid."""
    decimal, group = (",", ".") if mark == "comma" else (".", ",")
    digits, exponent = re.fullmatch(r"([^eE]*)((?:[eE].*)?)", number).groups()  # type: ignore[union-attr]
    whole, _, fraction = digits.partition(decimal)
    plain = whole.replace(group, "") if re.fullmatch(rf"[0-9]{{1,3}}(?:\{group}[0-9]{{3}})+", whole) else whole
    text = f"{plain or '0'}.{fraction}" if fraction else plain
    if not re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", text, re.ASCII):
        raise CellError(f"expected a price such as 0{decimal}015, got {number[:40]!r}")
    return Decimal(text + exponent)


def written(price: Decimal, *, rounded: bool) -> tuple[str, bool]:
    """A price as decks write it, and whether it was rounded; CellError if it would have to be and must not."""
    exact = price.normalize()
    decimals = -int(exact.as_tuple().exponent)
    if decimals <= DECIMALS_MAX:
        return format(price if 0 <= -int(price.as_tuple().exponent) <= DECIMALS_MAX else exact, "f"), False
    if not rounded:
        raise CellError(
            f"expected at most {DECIMALS_MAX} decimals, got {price:f}; round such prices half up with --round"
        )
    shown = price.quantize(_ROUNDING, ROUND_HALF_UP)
    if not shown:
        raise CellError(f"expected a price that is not rounded to nothing, got {price:f}; calls would be free")
    return format(shown.normalize(), "f"), True


def increments_of(text: str) -> tuple[int, int]:
    """First and next seconds of 60/60, 1/1, 30+6 or 60; a third number, as 0/60/60 has, is refused."""
    found = _INCREMENTS.fullmatch(text.strip())
    if found is None or len(re.findall("[0-9]+", text)) > 2:
        raise CellError(f"expected increments in seconds such as 60/60 or 1/1, got {text[:40]!r}")
    return int(found[1]), int(found[2] or found[1])


def status_of(text: str) -> Literal["ordinary", "blocked", "withdrawn"]:
    """What a status says of its row; CellError for an unknown one."""
    word = " ".join(text.casefold().replace("_", " ").split())
    for known, status in ((_ORDINARY, "ordinary"), (_BLOCKED, "blocked"), (_WITHDRAWN, "withdrawn")):
        if word in known:
            return status  # type: ignore[return-value]  # one of the three above
    raise CellError(
        f"expected a status such as New, Increase, Blocked or Deleted, got {text[:40]!r}; if the column is"
        " about something else, leave it out with --column status=-"
    )
