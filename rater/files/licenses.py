"""Licence assignments from a CSV of UPN, SKU and usage country, as commands.

A row may say from when the licence is held; where it does not, that is when the commands are given.
More assigned than purchased is an error that names the licence and the counts; a licence that the catalogue
does not know is accepted, named with its row and what may be meant, and gives no minutes.
"""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from rater.core import ISO_COUNTRIES, SKUS, LicenseAssigned, digest, meant_country, name_key, sku
from rater.engine.batch import Record
from rater.files.csv_rows import read_rows
from rater.files.lines import STANDARD_INPUT
from rater.files.source import InputFile
from rater.wire.codec import decode_command
from rater.wire.errors import RaterError
from rater.wire.words import did_you_mean

COLUMNS = ("UPN", "SKU", "Usage country")
#: May be left out: a date, which begins at midnight UTC, or a time with its zone.
FROM_COLUMN = "Effective from"
#: Years from which a licence can be held; others are slips of the finger.
YEARS = range(2000, 2100)
_COLUMN_OF = {"upn": "UPN", "sku": "SKU", "country": "Usage country", "effective_from": FROM_COLUMN}
#: `isdigit` also accepts a raised ² and numbers of any length, which `int` does not read.
_COUNT = re.compile("[0-9]{1,9}")
PURCHASED_COLUMNS = ("SKU", "Purchased")


class WrongRow(NamedTuple):
    """A row that cannot be used: its column, if it is one that is wrong, and what was expected."""

    row: int
    column: str
    said: str

    def __str__(self) -> str:
        """As one line says it."""
        return f"{self.row}: {self.column}: {self.said}" if self.column else f"{self.row}: {self.said}"


class WrongRows(RaterError):
    """Some rows of a file cannot be used; the message names the first of them."""

    def __init__(self, path: Path, rows: list[WrongRow]) -> None:
        more = f"; {len(rows) - 1} more rows are wrong" if len(rows) > 1 else ""
        super().__init__(f"{path}:{rows[0]}{more}")
        self.rows = rows


class Assignment(BaseModel):
    """One row: this user holds this licence in this country."""

    model_config = ConfigDict(frozen=True)

    row: int
    upn: str = Field(min_length=3, max_length=128)
    sku: str = Field(min_length=2, max_length=128)
    country: str
    effective_from: datetime | None = None

    @field_validator("effective_from", mode="before")
    @classmethod
    def _instant(cls, text: str) -> datetime | None:
        return instant_of(text) if text else None

    @field_validator("upn")
    @classmethod
    def _name(cls, upn: str) -> str:
        if "@" not in upn:
            raise ValueError(f"expected a user principal name such as ada@contoso.example, got {upn!r}")
        return upn.strip()

    @field_validator("country")
    @classmethod
    def _known(cls, country: str) -> str:
        if country.upper() not in ISO_COUNTRIES:
            raise ValueError(f"expected an ISO 3166-1 alpha-2 country, got {country!r}{meant_country(country)}")
        return country.upper()


class Licenses:
    """What a file assigns, and remarks about it."""

    def __init__(self, path: Path, content: bytes | None = None) -> None:
        """With `content`, what somebody sent, `path` is only its name.

        Raises WrongRows; RaterError: it is no such file.
        """
        self.path = path
        self.assignments = _read(path, content)
        self.warnings = _unknown(path, [(assignment.row, assignment.sku) for assignment in self.assignments])

    def check_purchased(self, path: Path) -> None:
        """Raise RaterError when more of a licence is assigned than the file of purchases says."""
        purchased: dict[str, int] = {}
        for number, cells in read_rows(path, PURCHASED_COLUMNS):
            count = cells["Purchased"].strip()
            if not _COUNT.fullmatch(count):
                expected = "expected a count of 1 to 9 digits"
                raise RaterError(f"{path}:{number}: Purchased: {expected}, got {count[:40]!r}")
            purchased[_code(cells["SKU"])] = int(count)
        assigned = Counter(_code(assignment.sku) for assignment in self.assignments)
        over = [
            f"{code}: {count} assigned, {purchased.get(code, 0)} purchased"
            for code, count in sorted(assigned.items())
            if count > purchased.get(code, 0)
        ]
        if over:
            raise RaterError(f"{self.path}: more licences assigned than purchased: {'; '.join(over)}")

    def commands(self, tenant: str, at: datetime) -> Iterator[LicenseAssigned]:
        """The assignments as commands of a tenant, effective at an instant; their ids are the same each time."""
        for assignment in self.assignments:
            user = name_key(assignment.upn)  # however it is spelled this time
            since = [assignment.effective_from.isoformat()] if assignment.effective_from else []
            yield LicenseAssigned(
                tenant=tenant,
                id=digest("license", tenant, user, assignment.sku, assignment.country, at.isoformat(), *since),
                at=at,
                user=assignment.upn,
                sku=assignment.sku,
                country=assignment.country,
                effective_from=assignment.effective_from,
            )


def unknown_in_commands(path: Path) -> list[str]:
    """A line for each licence that a file of commands assigns and the catalogue does not know."""
    if str(path) == STANDARD_INPUT:
        return []  # it can be read once only, and that is not here
    assigned = []
    for record in InputFile(str(path), "commands").records():
        # Most commands of a large file are of other kinds: only these are decoded here.
        if isinstance(record, Record) and b"license_assigned" in record.raw:
            command = decode_command(record.raw)
            if isinstance(command, LicenseAssigned):
                assigned.append((record.source.offset, command.sku))
    return _unknown(path, assigned)


def _unknown(path: Path, assigned: list[tuple[int, str]]) -> list[str]:
    """A line for each licence that the catalogue does not know: its first row, how often, what may be meant."""
    rows: dict[str, list[int]] = {}
    for row, code in assigned:
        if sku(code) is None:
            rows.setdefault(code, []).append(row)
    return [
        f"{path}:{found[0]}: {code}: not in the catalogue; accepted, {len(found)} assigned, it gives no minutes"
        f"{did_you_mean(code, SKUS)}"
        for code, found in rows.items()
    ]


def _code(text: str) -> str:
    known = sku(text)
    return known.code if known else text.strip().upper()


def instant_of(text: str) -> datetime:
    """From when a licence is held: a date is its midnight in UTC; ValueError says what is expected."""
    try:
        if len(text) == len("2025-03-01"):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None or instant.year not in YEARS:
        raise ValueError("expected a date such as 2025-03-01, or a time with its zone such as 2025-03-01T09:00:00Z")
    return instant.astimezone(UTC)


def _read(path: Path, content: bytes | None) -> list[Assignment]:
    seen: dict[tuple[str, str], int] = {}
    found: list[Assignment] = []
    wrong: list[WrongRow] = []
    for number, cells in read_rows(path, COLUMNS, content=content):
        try:
            fields = {field: cells.get(column, "") for field, column in _COLUMN_OF.items()}
            assignment = Assignment.model_validate({"row": number, **fields})
        except ValidationError as invalid:
            wrong += [_wrong(number, dict(error)) for error in invalid.errors()]
            continue
        key = (name_key(assignment.upn), _code(assignment.sku))
        if key in seen:
            said = f"expected once, {assignment.upn} holds {key[1]} in row {seen[key]} too"
            wrong.append(WrongRow(number, "", said))
        seen.setdefault(key, number)
        found.append(assignment)
    if wrong:
        raise WrongRows(path, wrong)
    return found


def _wrong(row: int, error: dict[str, Any]) -> WrongRow:
    message = str(error["msg"]).removeprefix("Value error, ")
    got = "" if ", got " in message else f", got {error['input']!r}"
    return WrongRow(row, _COLUMN_OF[str(error["loc"][0])], message + got)
