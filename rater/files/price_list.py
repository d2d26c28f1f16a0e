"""Carriers' price lists into the columns of a deck.

Known are the column names that carriers use (price_columns), and cells as they write them (price_cells).  What
could mean two things is refused, with the option that says which.  Mixed and non-geographic destinations become
landline, which is what they are priced like; what is blocked becomes unsupported, so no such call is free by
mistake.  Toll-free prices are in `toll_free`.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from rater.core import (
    ISO_COUNTRIES,
    MoneyError,
    RateDeck,
    RateRow,
    countries_of_prefix,
    country_of_name,
    meant_country,
    parse_price,
)
from rater.files.deck_csv import check_currency, check_one_price, is_deck, read_deck
from rater.files.local_times import LocalTimes, UnreadableTime
from rater.files.price_cells import (
    CellError,
    Mark,
    Price,
    decimal_of,
    increments_of,
    is_unclear,
    marks_of,
    prefixes_of,
    price_of,
    status_of,
    written,
)
from rater.files.price_columns import columns_of, is_header
from rater.files.tables import rows_of_table
from rater.wire.errors import RaterError

#: Rows above the header: a title, an address, a date.
HEADER_ROWS_MAX = 20
_TYPES = {"mobile": "mobile", "landline": "landline", "mixed": "landline", "non-geographic": "landline"} | {
    "fixed": "landline",
    "premium": "premium",
    "unsupported": "unsupported",
}
_MOBILE = ("mobile", "mobil", "cellular", "cell")
_PRICE_ROLES: tuple[Literal["price", "connection_fee"], ...] = ("price", "connection_fee")
_ALIASES = {"antigua barbuda": "AG", "ivory coast": "CI", "cape verde": "CV", "swaziland": "SZ", "burma": "MM"}


_Read = TypeVar("_Read")


class ListOptions(msgspec.Struct, frozen=True):
    """What a person says of a price list: columns by role, how dates and decimals are written, rounding."""

    columns: Mapping[str, str] = {}
    times: str | None = None
    zone: str | None = None
    encoding: str | None = None
    decimal: Mark | None = None
    rounded: bool = False


class PriceList(msgspec.Struct, frozen=True):
    """A deck, the file's row of each of its rows, and what was done that people should know."""

    deck: RateDeck
    numbers: tuple[int, ...]
    remarks: tuple[str, ...] = ()


class _Row(msgspec.Struct, frozen=True):
    """A row of the file: its number, its cells by role, and its prices as they are written."""

    number: int
    cells: dict[str, str]
    prices: dict[str, Price]


_NO_OPTIONS = ListOptions()


def read_any_deck(path: Path, version: str | None = None, currency: str = "USD") -> RateDeck:
    """A deck in our own columns, or a price list; RaterError names file, row, column and what was expected."""
    return read_price_list(path, _NO_OPTIONS, version, currency).deck


def read_price_list(
    path: Path, options: ListOptions, version: str | None = None, currency: str = "USD"
) -> PriceList:
    """The same with what a person says of it, and with the file's rows."""
    if is_deck(path):
        deck = read_deck(path, version, currency)
        return PriceList(deck, tuple(range(2, len(deck.rows) + 2)))
    check_currency(currency)
    LocalTimes(options.times, options.zone).check()
    return _Reading(path, options, currency).read(version or path.stem)


class _Reading:
    """One price list while it is read."""

    def __init__(self, path: Path, options: ListOptions, currency: str) -> None:
        self._path = path
        self._options = options
        self._currency = currency
        self._names: dict[str, str] = {}
        self._unused: list[str] = []
        self._mark: Mark = "point"
        self._rounded: list[str] = []
        self._blocked: list[int] = []
        self._withdrawn: list[int] = []
        self._dates = 0

    def read(self, version: str) -> PriceList:
        rows = [*self._listed()]
        self._mark = self._decimal_mark(rows)
        found = [(row.number, made) for row in rows for made in self._made(row)]
        if not found:
            raise RaterError(f"{self._path}: expected at least one rate, got none")
        check_one_price(str(self._path), found)
        deck = RateDeck(version=version, currency=self._currency, rows=tuple(made for _, made in found))
        return PriceList(deck, tuple(number for number, _ in found), tuple(self._remarks()))

    def _listed(self) -> Iterator[_Row]:
        """The rows below the header."""
        places: dict[str, int] | None = None
        header: list[str] = []
        first: tuple[int, list[str]] | None = None
        for number, cells in rows_of_table(self._path, self._options.encoding):
            if places is None:
                first = first or (number, cells)
                if is_header(cells, self._options.columns):
                    header, places = cells, columns_of(f"{self._path}:{number}", cells, self._options.columns)
                    self._names = {role: cells[place] for role, place in places.items()}
                    used = set(places.values())
                    self._unused = [cell for place, cell in enumerate(cells) if cell and place not in used]
                elif number >= HEADER_ROWS_MAX:
                    break
                continue
            if len(cells) != len(header):
                raise self._wrong(number, None, f"expected {len(header)} cells, got {len(cells)}")
            yield self._row(number, {role: cells[place] for role, place in places.items()})
        if places is None:
            if first is None:
                raise RaterError(f"{self._path}: expected a price list, got no rows")
            columns_of(f"{self._path}:{first[0]}", first[1], self._options.columns)

    def _row(self, number: int, cells: dict[str, str]) -> _Row:
        prices: dict[str, Price] = {}
        for role in _PRICE_ROLES:
            # What is blocked often has no price.
            if cells.get(role) and not (role == "price" and self._status(number, cells) != "ordinary"):
                prices[role] = price = self._cell(number, role, price_of, cells[role])
                if price.currency not in (None, self._currency):
                    message = f"expected a price in {self._currency}, got {cells[role]!r}"
                    raise self._wrong(number, role, f"{message}; give --currency {price.currency}")
        return _Row(number, cells, prices)

    def _status(self, number: int, cells: dict[str, str]) -> str:
        blocked = cells["price"].casefold() == "blocked"
        return "blocked" if blocked else self._cell(number, "status", status_of, cells.get("status", ""))

    def _decimal_mark(self, rows: list[_Row]) -> Mark:
        """The one mark of all prices; RaterError where they disagree, or where nobody can know."""
        if self._options.decimal is not None:
            return self._options.decimal
        seen: dict[Mark, int] = {}
        for row in rows:
            for mark in marks_of(price.number for price in row.prices.values()):
                seen.setdefault(mark, row.number)
        if len(seen) > 1:
            where = " and ".join(f"{mark} in row {number}" for mark, number in sorted(seen.items()))
            raise RaterError(f"{self._path}: expected one decimal mark, got {where}; give --decimal point or comma")
        for row in rows if not seen else ():
            for role, price in row.prices.items():
                if is_unclear(price.number):
                    message = f"expected a price, got {row.cells[role]!r}, whose comma may be decimal or not"
                    raise self._wrong(row.number, role, f"{message}; give --decimal comma or --decimal point")
        return next(iter(seen), "point")

    def _made(self, row: _Row) -> Iterator[RateRow]:
        """The rates of a row, one for each prefix."""
        number, cells = row.number, row.cells
        prefixes = self._cell(number, "prefix", prefixes_of, cells["prefix"])
        status = self._status(number, cells)
        if status == "withdrawn":
            self._withdrawn.append(number)
            return
        if status == "blocked":
            self._blocked.append(number)
        elif "price" not in row.prices:
            raise self._wrong(number, "price", "expected a price, got none")
        first_s, next_s = self._cell(number, "increments", increments_of, cells.get("increments") or "60/60")
        shared = {
            "direction": "outbound",
            "destination": cells.get("destination") or cells.get("country") or cells["prefix"],
            "type": "unsupported" if status == "blocked" else self._type(number, cells),
            "price_per_minute": "0" if status == "blocked" else self._price(row, "price"),
            "increment_first_s": first_s,
            "increment_next_s": next_s,
            "valid_from": self._instant(number, "valid_from", cells),
            "valid_to": self._instant(number, "valid_to", cells),
        }
        if "connection_fee" in row.prices and (fee := self._price(row, "connection_fee")) != "0":
            shared["connection_fee"] = fee
        for prefix in prefixes:
            given = {name: value for name, value in shared.items() if value is not None}
            try:
                made = msgspec.convert(given | {"prefix": prefix}, RateRow)
            except msgspec.ValidationError as wrong:
                raise self._wrong(number, None, str(wrong)) from wrong
            yield msgspec.structs.replace(made, country=self._country(number, cells, prefix))

    def _price(self, row: _Row, role: Literal["price", "connection_fee"]) -> str:
        def as_decks_write_it(number: str) -> str:
            text, was_rounded = written(decimal_of(number, self._mark), rounded=self._options.rounded)
            parse_price(text)
            if was_rounded:
                self._rounded.append(f"row {row.number}: {row.cells[role]} is {text}")
            return text

        return self._cell(row.number, role, as_decks_write_it, row.prices[role].number)

    def _type(self, number: int, cells: dict[str, str]) -> str:
        """The type that the list says; without one, mobile if the destination's name says so, else landline."""
        if cells.get("type"):
            if (type := _TYPES.get(cells["type"].casefold())) is None:
                raise self._wrong(number, "type", f"expected {', '.join(_TYPES)}, got {cells['type']!r}")
            return type
        words = cells.get("destination", "").casefold().replace("-", " ").split()
        return "mobile" if any(word in words for word in _MOBILE) else "landline"

    def _country(self, number: int, cells: dict[str, str], prefix: str) -> str | None:
        """The country that the list says, as code or English name; else that of the name, or of the prefix."""
        if text := cells.get("country"):
            if text in ISO_COUNTRIES:
                return text
            if country := _named(text):
                return country
            message = f"expected an ISO 3166-1 code or an English name, got {text!r}{meant_country(text)}"
            raise self._wrong(number, "country", message)
        possible = countries_of_prefix(prefix)
        named = _named(cells.get("destination", ""))
        return named or (next(iter(possible)) if len(possible) == 1 else None)

    def _instant(
        self, number: int, role: Literal["valid_from", "valid_to"], cells: dict[str, str]
    ) -> datetime | None:
        """An instant; a date alone begins or, as the last valid one, ends with its day."""
        text = cells.get(role)
        if not text:
            return None
        try:
            instant = datetime.fromisoformat(
                LocalTimes(self._options.times, self._options.zone or "UTC").read(text)
            )
        except UnreadableTime as wrong:
            raise self._wrong(number, role, str(wrong)) from wrong
        is_date = ":" not in text
        self._dates += is_date
        return instant + timedelta(days=1) if is_date and role == "valid_to" else instant

    def _cell(self, number: int, role: str, read: Callable[[str], _Read], text: str) -> _Read:
        try:
            return read(text)
        except (CellError, MoneyError) as wrong:
            raise self._wrong(number, role, str(wrong)) from wrong

    def _wrong(self, number: int, role: str | None, message: str) -> RaterError:
        return RaterError(
            f"{self._path}:{number}: " + (f"{self._names.get(role, role)}: " if role else "") + message
        )

    def _remarks(self) -> Iterator[str]:
        rounded, blocked, withdrawn = self._rounded, self._blocked, self._withdrawn
        if self._unused:
            nowhere = not self._names.keys() & {"destination", "country"}
            hint = "; if one has the destinations: --column destination=NAME" if nowhere else ""
            yield f"columns that are not used: {', '.join(self._unused)}{hint}"
        if rounded:
            yield f"{len(rounded)} prices were rounded half up to six decimals, the first in {rounded[0]}"
        if blocked:
            yield f"{len(blocked)} rows are blocked: calls there are unsupported, the first is row {blocked[0]}"
        if withdrawn:
            yield f"{len(withdrawn)} rows are withdrawn and were left out, the first is row {withdrawn[0]}"
        if self._dates and self._options.zone is None:
            yield "dates begin at 00:00 UTC; give another zone with --zone"


def _named(text: str) -> str | None:
    name = " ".join(text.replace("&", " and ").split())
    return country_of_name(name) or _ALIASES.get(name.casefold().partition(" - ")[0])
