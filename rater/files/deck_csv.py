"""Rate decks as CSV, with the columns that rater/dev/scenarios/FORMAT.md describes."""

import csv
from collections.abc import Iterable
from datetime import UTC
from hashlib import blake2b
from pathlib import Path

import msgspec
from msgspec import UNSET

from rater.core import ISO_COUNTRIES, SPECIAL, Currency, MoneyError, RateDeck, RateRow, no_currency, parse_price
from rater.files.atomic import whole_file
from rater.files.csv_rows import encoding_of, read_rows
from rater.wire.errors import RaterError
from rater.wire.fractions import without_seventh
from rater.wire.limits import PRICES, UNWRITABLE, outside_calendar
from rater.wire.words import in_words

COLUMNS = (
    "direction",
    "prefix",
    "destination",
    "country",
    "type",
    "price_per_minute",
    "connection_fee",
    "increment_first_s",
    "increment_next_s",
    "valid_from",
    "valid_to",
)
#: More digits are no number of seconds; Python reads no number of more than 4,300.
_DIGITS_MAX = 9
_IS_LIST = "; if it is a carrier's price list: rater import rates"
_WHOLE_NUMBERS = ("increment_first_s", "increment_next_s")


def read_deck(path: Path, version: str | None = None, currency: str = "USD") -> RateDeck:
    """The deck of a file; its version, where none is given, is a hash of its rows and, but for USD, its currency.

    Raises RaterError naming file, row, column and what was expected, or that the currency is invalid.
    """
    check_currency(currency)
    numbered = [(number, _row(path, number, cells)) for number, cells in read_rows(path, COLUMNS, _IS_LIST)]
    check_one_price(str(path), numbered)
    rows = tuple(row for _, row in numbered)
    if version is not None and UNWRITABLE.search(version):
        raise RaterError(f"version of the rate deck: expected text without control characters, got {version!r}")
    if not rows:
        raise RaterError(f"{path}: expected at least one rate, got none")
    return RateDeck(version=version or _version(rows, currency), currency=currency, rows=rows)


def is_deck(path: Path) -> bool:
    """Whether a file begins with the columns of a deck, and not with a carrier's; RaterError if unreadable."""
    try:
        with path.open(encoding=encoding_of(path), errors="replace") as lines:
            return "price_per_minute" in lines.readline()
    except OSError as wrong:
        raise RaterError(f"{path}: cannot be read: {wrong.strerror}") from wrong


def check_one_price(path: str, rows: Iterable[tuple[int, RateRow]]) -> None:
    """That no prefix has two prices from one instant on, premium rows apart: which one is meant would not be clear.

    A premium row wins over an ordinary one, and the later `valid_from` over an earlier one.  RaterError names both
    rows.
    """
    seen: dict[object, tuple[int, RateRow]] = {}
    for number, row in rows:
        key = (row.direction, row.prefix, row.type in SPECIAL, row.valid_from)
        first, before = seen.setdefault(key, (number, row))
        if _price(row) != _price(before):
            since = f"from {row.valid_from.isoformat()} on" if row.valid_from else "without valid_from"
            raise RaterError(
                f"{path}:{number}: expected one price of prefix {row.prefix} {since}, got"
                f" {row.price_per_minute} here and {before.price_per_minute} in row {first};"
                " leave one of them, or give the date from which each is valid"
            )


def _price(row: RateRow) -> tuple[object, ...]:
    """What a call costs by a row."""
    fee = 0 if row.connection_fee is UNSET else parse_price(row.connection_fee)
    return parse_price(row.price_per_minute), fee, row.increment_first_s, row.increment_next_s


def _version(rows: tuple[RateRow, ...], currency: str) -> str:
    """The same prices in two currencies are two decks; USD is left out, as before there were other currencies."""
    content = rows if currency == "USD" else (currency, rows)
    return blake2b(msgspec.msgpack.encode(content), digest_size=6).hexdigest()


def check_currency(currency: str) -> None:
    """Raise RaterError unless this is a currency of the contract: a deck of another could not be read again."""
    try:
        msgspec.convert(currency, Currency)
    except msgspec.ValidationError as wrong:
        raise RaterError(
            f"currency of the rate deck: expected three capital letters of ISO 4217 such as USD, got {currency!r}"
        ) from wrong
    if refused := no_currency(currency):
        raise RaterError(f"currency of the rate deck: {refused.message}")


def _row(path: Path, number: int, cells: dict[str, str]) -> RateRow:
    given = _given(cells)
    for column in _WHOLE_NUMBERS:
        if column in given:
            given[column] = _whole(path, number, column, cells[column])
    for column in ("valid_from", "valid_to"):
        if column in given:
            given[column] = without_seventh(cells[column])
    for column in PRICES:
        if cells[column]:
            _check_price(path, number, column, cells[column])
    try:
        row = msgspec.convert(given, RateRow)
    except msgspec.ValidationError as wrong:
        field, message = in_words(wrong, RateRow, given)
        raise RaterError(f"{path}:{number}: {field}: {message}") from wrong
    _check_prefix(path, number, row.prefix)
    if row.country is not None and row.country not in ISO_COUNTRIES:
        raise RaterError(f"{path}:{number}: country: expected an ISO 3166-1 alpha-2 code, got {row.country!r}")
    if wrong_time := outside_calendar(row):
        raise RaterError(f"{path}:{number}: {wrong_time[0]}: {wrong_time[1]}")
    if row.valid_from and row.valid_to and row.valid_from >= row.valid_to:
        raise RaterError(f"{path}:{number}: valid_to: expected a time after valid_from")
    if row.valid_from and row.valid_from.tzinfo is not UTC:
        row = msgspec.structs.replace(row, valid_from=row.valid_from.astimezone(UTC))
    return row


def _check_prefix(path: Path, number: int, prefix: str) -> None:
    if prefix.startswith("0"):
        raise RaterError(
            f"{path}:{number}: prefix: expected a country code and what follows it, got {prefix!r}; no number"
            " begins with 0: leave out 00, 011 or whatever is dialled before the country code"
        )


def _given(cells: dict[str, str]) -> dict[str, object]:
    """The cells that say something.  A fee of "0" does not: 0.3.0 left it out of what a version is the hash of."""
    given: dict[str, object] = {column: cells[column] for column in COLUMNS if cells[column] != ""}
    if cells["connection_fee"] == "0":
        del given["connection_fee"]
    return given


def _whole(path: Path, number: int, column: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS_MAX:
        raise RaterError(f"{path}:{number}: {column}: expected whole seconds, got {text[:40]!r}")
    return int(text)


def _check_price(path: Path, number: int, column: str, text: str) -> None:
    try:
        parse_price(text)
    except MoneyError as wrong:
        raise RaterError(f"{path}:{number}: {column}: {wrong}") from wrong


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
