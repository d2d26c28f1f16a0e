"""A settlement file as lines to compare: columns by name, amounts exact, times with their zone.

RaterError names file, row and column, what was expected and what is there: a row that cannot be read would be a
difference where there is none.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from rater.core import EXPONENTS, MoneyError, exponent_of, parse_micros
from rater.files.csv_rows import encoding_of
from rater.files.settlement_formats import FORMATS, NAMES, Format, kind_of
from rater.files.settlement_lines import Kind, Line
from rater.files.settlement_times import read_time, zone_named
from rater.wire.errors import RaterError

FIELDS = tuple(NAMES)
_NEEDED = ("amount", "reference")
_THOUSANDS = {
    "point": re.compile(r"\d{1,3}(,\d{3})+(\.\d+)?"),
    "comma": re.compile(r"\d{1,3}([. '\u00a0\u202f]\d{3})+(,\d+)?"),
}


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How people say that a file is read.

    `columns` name the column of each of FIELDS, `types` the kinds of words (None: not compared); what is not said
    is recognised.  `zone` is for times without one; `currency` where the file has no such column.
    """

    columns: Mapping[str, str] = {}
    types: Mapping[str, Kind | None] = {}
    decimal: Literal["point", "comma"] = "point"
    minor_units: bool = False
    encoding: str | None = None
    delimiter: str | None = None
    zone: str = "UTC"
    time_format: str | None = None
    currency: str | None = None


class Settlement(msgspec.Struct, frozen=True):
    """The lines of a file; `skipped` counts rows by the type that is not compared, `unknown` other types."""

    format: str
    lines: tuple[Line, ...]
    skipped: dict[str, int]
    unknown: dict[str, int]


def read_settlement(path: Path, reading: Reading) -> Settlement:
    """All lines of a file."""
    return _File(path, reading).read()


class _File:
    def __init__(self, path: Path, reading: Reading) -> None:
        self._path, self._reading = path, reading
        self._header: list[str] = []
        self._format = FORMATS[0]

    def read(self) -> Settlement:
        lines: list[Line] = []
        skipped, unknown = Counter[str](), Counter[str]()
        for number, cells in self._rows():
            word, kind = self._kind(cells)
            amount, negative = self._amount(number, cells)
            if kind is None or not amount:
                skipped[word] += 1
                continue
            if not isinstance(kind, Kind):
                unknown[word] += 1
                continue
            if kind is Kind.PAYMENT and negative and not word:
                kind = Kind.REFUND
            lines.append(self._line(number, cells, kind, amount))
        return Settlement(self._format.name, tuple(lines), dict(skipped), dict(unknown))

    def _rows(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Rows by column.  A PayPal settlement report marks header and data; else the header is the first row."""
        header: list[str] = []
        for number, cells in self._cells():
            first = cells[0].strip()
            if not header:
                section = first in ("RH", "FH", "SH", "CH")
                if section and first != "CH":
                    continue
                header = [cell.strip() for cell in cells[section:]]
                self._recognise(header)
                continue
            if self._format.section and first != self._format.section[1]:
                continue
            own = cells[1:] if self._format.section else cells
            if len(own) != len(header):
                raise RaterError(f"{self._path}:{number}: expected {len(header)} cells, got {len(own)}")
            yield number, dict(zip(header, map(str.strip, own), strict=True))
        if not header:
            raise RaterError(f"{self._path}: expected a header and rows, got nothing")

    def _cells(self) -> Iterator[tuple[int, list[str]]]:
        encoding = self._reading.encoding
        try:
            with self._path.open(encoding=encoding or encoding_of(self._path), newline="") as text:
                first = text.readline()
                text.seek(0)
                rows = csv.reader(
                    text, delimiter=self._reading.delimiter or max(",;\t|", key=first.count), strict=True
                )
                for row in rows:
                    if any(cell.strip() for cell in row):
                        yield rows.line_num, row
        except UnicodeDecodeError as wrong:
            byte = f"0x{wrong.object[wrong.start]:02x}"
            hint = "give its --encoding, such as windows-1252"
            raise RaterError(
                f"{self._path}: byte {wrong.start}: no {wrong.encoding} text, got {byte}; {hint}"
            ) from wrong
        except LookupError as wrong:
            raise RaterError(f"--encoding: expected one such as utf-8 or windows-1252, got {encoding!r}") from wrong
        except (csv.Error, TypeError) as wrong:
            raise RaterError(f"{self._path}: not CSV: {wrong}") from wrong
        except OSError as wrong:
            raise RaterError(f"{self._path}: cannot be read: {wrong.strerror}") from wrong

    def _recognise(self, header: list[str]) -> None:
        """A gateway's format by its columns, or one that the names of columns make."""
        self._header = header
        wrong = [column for column in self._reading.columns.values() if column not in header]
        if wrong:
            raise RaterError(f"{self._path}: no column {wrong[0]!r}; its columns are {', '.join(header)}")
        known = next((one for one in FORMATS if set(one.marks) <= set(header)), None)
        if known is not None:
            self._format = self._as_said(known)
            return
        found = {field: self._column(field) for field in FIELDS}
        for field in _NEEDED:
            if found[field] is None:
                say = f"name it: --column {field}=NAME; its columns are {', '.join(header)}"
                raise RaterError(f"{self._path}: which column is the {field} is not clear; {say}")
        self._format = self._as_said(
            Format(
                name="columns by name",
                marks=(),
                reference=(found["reference"] or "",),
                type=found["type"],
                currency=found["currency"] or "",
                at=(found["at"],) if found["at"] else (),
                amount=found["amount"],
                tenant=(found["tenant"],) if found["tenant"] else (),
            )
        )

    def _as_said(self, format: Format) -> Format:
        """The format with the columns that people named in the place of its own."""
        columns, replace = self._reading.columns, msgspec.structs.replace
        if "reference" in columns:
            format = replace(format, reference=(columns["reference"], *format.reference))
        if "tenant" in columns:
            format = replace(format, tenant=(columns["tenant"],))
        if "at" in columns:
            format = replace(format, at=(columns["at"],))
        return replace(
            format,
            amount=columns.get("amount", format.amount),
            currency=columns.get("currency", format.currency),
            type=columns.get("type", format.type),
            minor=format.minor or self._reading.minor_units,
        )

    def _column(self, field: str) -> str | None:
        """The column that a person named for a field, or the first with one of its usual names."""
        if field in self._reading.columns:
            return self._reading.columns[field]
        folded = {column.casefold(): column for column in reversed(self._header)}
        return next((folded[name] for name in NAMES[field] if name in folded), None)

    def _kind(self, cells: dict[str, str]) -> tuple[str, Kind | str | None]:
        """The type as the file says it, and what it means; without a column the sign of the amount decides."""
        if self._format.type is None:
            return "", Kind.PAYMENT
        word = cells[self._format.type]
        chosen = {name.casefold(): kind for name, kind in self._reading.types.items()}
        return (word, chosen[word.casefold()]) if word.casefold() in chosen else (word or "no type", kind_of(word))

    def _line(self, number: int, cells: dict[str, str], kind: Kind, amount: int) -> Line:
        references = (cells.get(column, "") for column in self._format.reference)
        return Line(
            row=number,
            kind=kind,
            references=tuple(dict.fromkeys(filter(None, references))),
            amount=amount,
            currency=self._currency(number, cells),
            at=self._at(number, cells),
            tenant=next((cells[name] for name in self._format.tenant if cells.get(name)), None),
        )

    def _currency(self, number: int, cells: dict[str, str]) -> str:
        code = (cells.get(self._format.currency) or self._reading.currency or "").upper()
        if code not in EXPONENTS:
            say = "give it with --currency" if not code else f"got {code!r}"
            raise RaterError(f"{self._path}:{number}: currency: expected a code of ISO 4217 such as USD; {say}")
        return code

    def _amount(self, number: int, cells: dict[str, str]) -> tuple[int, bool]:
        """The amount in micro-units without its sign, and whether it was below zero."""
        one = self._format
        if one.amount is not None:
            micros = self._micros(number, one.amount, cells)
            debit = one.sign is not None and cells[one.sign].upper().startswith("D")
            return abs(micros), micros < 0 or debit
        credit = self._micros(number, one.credit or "", cells)
        micros = credit - self._micros(number, one.debit or "", cells)
        return abs(micros), micros < 0

    def _micros(self, number: int, column: str, cells: dict[str, str]) -> int:
        if column not in cells:
            raise RaterError(f"{self._path}:{number}: no column {column!r}; name it with --column amount=NAME")
        text = cells[column]
        if not text:
            return 0
        negative = text.startswith(("-", "\u2212", "(")) or text.endswith("-")
        digits = text.strip("-+\u2212() ")
        if _THOUSANDS[self._reading.decimal].fullmatch(digits):
            digits = re.sub(r"[,]" if self._reading.decimal == "point" else r"[. '\u00a0\u202f]", "", digits)
        if self._reading.decimal == "comma":
            digits = digits.replace(".", "?").replace(",", ".")
        try:
            micros = parse_micros(digits)
        except MoneyError as wrong:
            mark = "1234.56; a decimal comma: --decimal comma" if self._reading.decimal == "point" else "1.234,56"
            raise RaterError(
                f"{self._path}:{number}: {column}: expected an amount such as {mark}; got {text!r}"
            ) from wrong
        if self._format.minor:
            if "." in digits:
                raise RaterError(f"{self._path}:{number}: {column}: expected whole minor units, got {text!r}")
            micros //= 10 ** exponent_of(self._currency(number, cells))
        return -micros if negative else micros

    def _at(self, number: int, cells: dict[str, str]) -> datetime | None:
        parts = [next((cells[n] for n in names.split("|") if cells.get(n)), "") for names in self._format.at]
        text = " ".join(filter(None, parts))
        if not text:
            return None
        found = read_time(text, self._reading.time_format)
        if found is None:
            raise RaterError(
                f"{self._path}:{number}: expected a time such as 2025-03-01 10:00:00, got {text!r};"
                " give its pattern with --time-format, such as '%m/%d/%Y %H:%M:%S'"
            )
        if found.tzinfo is None:
            name = next(
                (cells[n] for n in (self._format.zone or "").split("|") if cells.get(n)), self._reading.zone
            )
            found = found.replace(tzinfo=zone_named(name))
        return found.astimezone(UTC)
