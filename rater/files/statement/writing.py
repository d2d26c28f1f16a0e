"""A statement in five formats, each a function of the statement alone."""

import sys
from collections.abc import Iterator
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import IO, Any, Literal, get_args

import msgspec

from rater.core import format_micros
from rater.files.atomic import replacing
from rater.files.export import write_csv
from rater.files.export_tables import Kind, Row
from rater.files.extras import needed
from rater.files.statement.model import Statement
from rater.files.statement.page import as_html
from rater.files.statement.sections import Cell, Column, sections_of, shown
from rater.files.statement.text import as_text
from rater.wire.errors import RaterError

Format = Literal["text", "csv", "xlsx", "html", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)
#: Those that can be read on a screen.
ON_SCREEN = ("text", "json", "csv")
MEDIA_TYPES: dict[Format, str] = {
    "text": "text/plain; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "html": "text/html; charset=utf-8",
    "json": "application/json",
}
_MONEY = frozenset(
    {"opening", "closing", "moved_since", "balance", "unexplained", "amount", "given_back"}
    | {"calls_amount", "other_amount"}
)
_CSV: tuple[tuple[str, Kind], ...] = (
    ("tenant", "text"),
    ("currency", "text"),
    ("since", "time"),
    ("until", "time"),
    ("section", "text"),
    ("name", "text"),
    ("period", "text"),
    ("day", "text"),
    ("late", "text"),
    ("count", "integer"),
    ("minutes", "integer"),
    ("pool_minutes", "integer"),
    ("used", "integer"),
    ("total", "integer"),
    ("left", "integer"),
    ("amount", "money"),
    ("given_back", "money"),
    ("calls_amount", "money"),
    ("other_amount", "money"),
    ("balance", "money"),
)


def write_statement(statement: Statement, format: Format, out: str | IO[bytes]) -> None:
    """Write a statement to a file (its owner's alone), to standard output for `-`, or to a stream of bytes.

    Raises RaterError when the format cannot be shown on a screen, its library is not installed, or the file cannot
    be written.
    """
    if out == "-" and format not in ON_SCREEN:
        raise RaterError(f"--out: {format} cannot go to standard output; name a file")
    made = rendered(statement, format)
    if not isinstance(out, str):
        out.write(made)
    elif out == "-":
        sys.stdout.write(made.decode("utf-8", "backslashreplace"))
        sys.stdout.flush()
    else:
        with replacing(Path(out), private=True) as target:
            target.write_bytes(made)


def rendered(statement: Statement, format: Format) -> bytes:
    """The statement as the bytes of a file."""
    match format:
        case "text":
            return as_text(statement).encode()
        case "csv":
            return _as_csv(statement).encode()
        case "json":
            return msgspec.json.encode(plain(statement)) + b"\n"
        case "html":
            return as_html(statement).encode()
        case "xlsx":
            with needed("excel", "--format xlsx"):
                from rater.files.statement.excel import as_excel  # noqa: PLC0415 - its library is an extra
            return as_excel(statement)


def plain(statement: Statement) -> dict[str, Any]:
    """The statement as JSON has it: amounts are decimal strings with all their decimals, instants end in Z."""
    made: dict[str, Any] = _plain(msgspec.to_builtins(statement))
    return made | {"adds_up": statement.adds_up}


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {
                name: format_micros(each) if name in _MONEY and isinstance(each, int) else _plain(each)
                for name, each in value.items()
            }
        case list() | tuple():
            return [_plain(each) for each in value]
        case _:
            return value


def _as_csv(statement: Statement) -> str:
    """One table: each row says of which section it is, and has the columns of that section."""
    out = StringIO()
    write_csv(_CSV, _csv_rows(statement), out)
    return out.getvalue()


def _csv_rows(statement: Statement) -> Iterator[Row]:
    first: Row = (statement.tenant, statement.currency, statement.since, statement.until)
    names = [name for name, _ in _CSV[len(first) + 1 :]]
    for section in sections_of(statement):
        for row in section.rows:
            cells = {
                column.key: _csv_cell(column, cell, statement.currency)
                for column, cell in zip(section.columns, row, strict=True)
            }
            yield (*first, section.key, *(cells.get(name) for name in names))


def _csv_cell(column: Column, cell: Cell, currency: str) -> str | int | Decimal | None:
    if column.kind == "money" and isinstance(cell, int):
        return Decimal(shown(cell, currency))
    return cell if isinstance(cell, str | int | None) else cell.isoformat()
