"""Licence assignments from a CSV of UPN, SKU and usage country, as commands.

More assigned than purchased is an error that names the licence and the counts; a licence that the catalogue
does not know is accepted, named with its row and what may be meant, and gives no minutes.
"""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

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
#: `isdigit` also accepts a raised ² and numbers of any length, which `int` does not read.
_COUNT = re.compile("[0-9]{1,9}")
PURCHASED_COLUMNS = ("SKU", "Purchased")


class Assignment(BaseModel):
    """One row: this user holds this licence in this country."""

    model_config = ConfigDict(frozen=True)

    row: int
    upn: str = Field(min_length=3, max_length=128)
    sku: str = Field(min_length=2, max_length=128)
    country: str

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
        """With `content`, what somebody sent, `path` is only its name."""
        self.path = path
        self.assignments = list(_read(path, content))
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
            yield LicenseAssigned(
                tenant=tenant,
                id=digest("license", tenant, user, assignment.sku, assignment.country, at.isoformat()),
                at=at,
                user=assignment.upn,
                sku=assignment.sku,
                country=assignment.country,
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


def _read(path: Path, content: bytes | None) -> Iterator[Assignment]:
    seen: dict[tuple[str, str], int] = {}
    for number, cells in read_rows(path, COLUMNS, content=content):
        try:
            assignment = Assignment(row=number, upn=cells["UPN"], sku=cells["SKU"], country=cells["Usage country"])
        except ValidationError as wrong:
            first = wrong.errors()[0]
            column = {"upn": "UPN", "sku": "SKU", "country": "Usage country"}[str(first["loc"][0])]
            message = first["msg"].removeprefix("Value error, ")
            got = "" if ", got " in message else f", got {first['input']!r}"
            raise RaterError(f"{path}:{number}: {column}: {message}{got}") from wrong
        key = (name_key(assignment.upn), _code(assignment.sku))
        if key in seen:
            raise RaterError(
                f"{path}:{number}: expected once, {assignment.upn} holds {key[1]} in row {seen[key]} too"
            )
        seen[key] = number
        yield assignment
