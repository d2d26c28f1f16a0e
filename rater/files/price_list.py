"""A vendor's price list into the columns of a deck.

The list has `Destination Name, Destination Type, Country, Prefix, Price / min`; mixed and non-geographic
destinations become landline, which is what they are priced like.
Toll-free prices are in `toll_free`.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

from msgspec import UNSET

from rater.core import MoneyError, RateDeck, RateRow, parse_price
from rater.files.atomic import whole_file
from rater.files.csv_rows import encoding_of, read_rows
from rater.files.deck_csv import COLUMNS, check_currency, read_deck
from rater.wire.errors import RaterError

PRICE_LIST_COLUMNS = ("Destination Name", "Destination Type", "Country", "Prefix", "Price / min")
_TYPES = {"mobile": "mobile", "landline": "landline", "mixed": "landline", "non-geographic": "landline"}


def read_any_deck(path: Path, version: str | None = None, currency: str = "USD") -> RateDeck:
    """A deck in our own columns, or a price list; RaterError names file, row, column and what was expected."""
    if not _is_price_list(path):
        return read_deck(path, version, currency)
    check_currency(currency)
    rows = tuple(_rows(path))
    return RateDeck(version=version or path.stem, currency=currency, rows=rows)


def write_deck(deck: RateDeck, path: Path) -> None:
    """Write the deck in our own columns; RaterError if it cannot be written, and then nothing is left of it."""
    with whole_file(path) as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in deck.rows:
            writer.writerow([_text(getattr(row, column)) for column in COLUMNS])


def _text(value: object) -> str:
    """A cell; without a connection fee it says 0."""
    if value is None or value is UNSET:
        return "0" if value is UNSET else ""
    return str(value).replace("+00:00", "Z").replace(" ", "T") if hasattr(value, "tzinfo") else str(value)


def _is_price_list(path: Path) -> bool:
    try:
        with path.open(encoding=encoding_of(path), errors="replace") as lines:
            return "Price / min" in lines.readline()
    except OSError as wrong:
        raise RaterError(f"{path}: cannot be read: {wrong.strerror}") from wrong


def _rows(path: Path) -> Iterator[RateRow]:
    seen: dict[str, int] = {}
    for number, cells in read_rows(path, PRICE_LIST_COLUMNS):
        prefix, price = cells["Prefix"].lstrip("+"), cells["Price / min"]
        if not (prefix.isascii() and prefix.isdigit() and len(prefix) <= 15):
            raise RaterError(f"{path}:{number}: Prefix: expected 1 to 15 digits, got {cells['Prefix']!r}")
        if prefix in seen:
            raise RaterError(f"{path}:{number}: Prefix: expected once, {prefix} stands in row {seen[prefix]} too")
        seen[prefix] = number
        type = _TYPES.get(cells["Destination Type"].casefold())
        if type is None:
            expected = ", ".join(_TYPES)
            raise RaterError(
                f"{path}:{number}: Destination Type: expected {expected}, got {cells['Destination Type']!r}"
            )
        _check_price(path, number, price)
        yield RateRow(
            direction="outbound",
            prefix=prefix,
            destination=cells["Destination Name"],
            country=cells["Country"] or None,
            type="mobile" if type == "mobile" else "landline",
            price_per_minute=price,
        )


def _check_price(path: Path, number: int, price: str) -> None:
    try:
        parse_price(price)
    except MoneyError as wrong:
        raise RaterError(f"{path}:{number}: Price / min: {wrong}") from wrong
