"""Rows into files of four formats; no half file is left."""

import csv
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from io import BytesIO
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter
from xlsxwriter.exceptions import XlsxFileError

from rater.core import DECIMALS_MAX, exponent_of
from rater.files.atomic import replacing
from rater.files.export_tables import Row, Table, text_of
from rater.wire.errors import RaterError

_GROUP_ROWS = 50_000
_ARROW = {
    "text": pa.string(),
    "integer": pa.int64(),
    "money": pa.decimal128(19, 6),
    "time": pa.timestamp("us", tz="UTC"),
    "percent": pa.float64(),
}
#: How Excel shows a kind of cell; a time is a number there, its letters make it read as in the other formats.
_SHOWN = {"integer": "0", "percent": "0.0", "time": 'yyyy-mm-dd"T"hh:mm:ss"Z"'}
#: Money has at least the decimals of its currency, and as many as the amount has.
_MONEY_SHOWN = {decimals: "0." + "0" * decimals if decimals else "0" for decimals in range(DECIMALS_MAX + 1)}
_TIME_WIDTH = 21
#: With these a spreadsheet begins to compute, unless it is a number, such as +14255550100; apostrophes before them
#: are kept apart from ours.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?\**", re.ASCII)
#: Excel has no more rows on a sheet.
_SHEET_ROWS_MAX = 1_048_576


def write(table: Table, rows: Iterable[Row], format: str, out: str) -> int:
    """Write rows in a format to a file, or (CSV and JSON Lines) to standard output for `-`; the number of rows.

    Raises RaterError when the format is not known, or the file cannot be written or finds no room.
    """
    if format not in WRITERS:
        raise RaterError(f"--format: expected one of {', '.join(WRITERS)}, got {format!r}")
    counted = _Counted(rows)
    if out == "-":
        if format not in ("csv", "jsonl"):
            raise RaterError(f"--out: {format} cannot go to standard output; name a file")
        _TEXT[format](table, counted, sys.stdout)
        return counted.count
    with replacing(Path(out), private=True) as target:
        WRITERS[format](table, counted, target)
    return counted.count


class _Counted:
    def __init__(self, rows: Iterable[Row]) -> None:
        self.count = 0
        self._rows = rows

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            self.count += 1
            yield row


def _csv(table: Table, rows: Iterable[Row], out: IO[str]) -> None:
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([name for name, _ in table.columns])
    ways = [_no_formula if kind == "text" else text_of for _, kind in table.columns]
    writer.writerows([way(value) for way, value in zip(ways, row, strict=True)] for row in rows)


def _no_formula(value: Any) -> str:
    """A text that a spreadsheet would compute gets an apostrophe before it; numbers to dial stay as they are.

    So does one that already has apostrophes before it: who reads it back removes one from each such text.
    """
    text = text_of(value)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def _jsonl(table: Table, rows: Iterable[Row], out: IO[str]) -> None:
    names = [name for name, _ in table.columns]
    for row in rows:
        out.write(msgspec.json.encode(dict(zip(names, row, strict=True))).decode() + "\n")


def _parquet(table: Table, rows: Iterable[Row], target: Path) -> None:
    schema = pa.schema([(name, _ARROW[kind]) for name, kind in table.columns])
    iterator = iter(rows)
    with pq.ParquetWriter(target, schema) as writer:
        while group := list(islice(iterator, _GROUP_ROWS)):
            columns = [
                pa.array(values, type=field.type)
                for values, field in zip(zip(*group, strict=True), schema, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def _xlsx(table: Table, rows: Iterable[Row], target: Path) -> None:
    """Text is written as text, so that a number such as +14255550100 is no formula; times are times in UTC.

    Excel's writer keeps rows in a file of its own until the end: beside the target, whose disk has to hold them.
    The compressed whole is made in memory: a ZipFile that finds no room fails again when it is forgotten.
    """
    whole = BytesIO()
    with TemporaryDirectory(dir=target.parent, prefix=f"{target.name}-") as beside:
        settings = {
            "constant_memory": True,
            "strings_to_formulas": False,
            "remove_timezone": True,
            "tmpdir": beside,
        }
        book = xlsxwriter.Workbook(whole, settings)
        sheet = book.add_worksheet(table.name)
        shown: dict[object, Any] = {
            key: book.add_format({"num_format": text}) for key, text in (*_SHOWN.items(), *_MONEY_SHOWN.items())
        }
        currency = next(
            (place for place, (name, _) in enumerate(table.columns) if name.casefold() == "currency"), None
        )
        for column, (_, kind) in enumerate(table.columns):
            if kind == "time":
                sheet.set_column(column, column, _TIME_WIDTH)
        sheet.write_row(0, 0, [name for name, _ in table.columns])
        for number, row in enumerate(rows, start=1):
            if number >= _SHEET_ROWS_MAX:
                book.close()
                raise RaterError(
                    f"an Excel sheet has at most {_SHEET_ROWS_MAX} rows; name one --period, or use csv"
                )
            exponent = 0 if currency is None else exponent_of(str(row[currency]))
            for column, ((_, kind), value) in enumerate(zip(table.columns, row, strict=True)):
                if value is not None:
                    key = _decimals(value, exponent) if isinstance(value, Decimal) else kind
                    _write_cell(sheet, number, column, value, shown.get(key))
        _close(book)
    target.write_bytes(whole.getvalue())  # a view of the buffer would outlive a write that fails


def _decimals(amount: Decimal, exponent: int) -> int:
    """How many decimals an amount is shown with in a currency that has so many."""
    own = amount.normalize().as_tuple().exponent
    return max(exponent, -own if isinstance(own, int) else 0)


def _close(book: Any) -> None:
    """Put the file together; what the system says of a full disk is wrapped there."""
    try:
        book.close()
    except XlsxFileError as wrong:
        raise next((said for said in wrong.args if isinstance(said, OSError)), OSError(str(wrong))) from wrong


def _write_cell(sheet: Any, number: int, column: int, value: Any, shown: Any) -> None:
    """A cell of a sheet as what it is; `shown` is how, and None for text."""
    if shown is None:
        sheet.write_string(number, column, text_of(value))
    elif isinstance(value, datetime):
        sheet.write_datetime(number, column, value, shown)
    else:
        sheet.write_number(number, column, value, shown)


def _to_path(
    write_text: Callable[[Table, Iterable[Row], IO[str]], None],
) -> Callable[[Table, Iterable[Row], Path], None]:
    def write_file(table: Table, rows: Iterable[Row], target: Path) -> None:
        with target.open("w", encoding="utf-8", newline="") as out:
            write_text(table, rows, out)

    return write_file


_TEXT = {"csv": _csv, "jsonl": _jsonl}
WRITERS: dict[str, Callable[[Table, Iterable[Row], Path], None]] = {
    "csv": _to_path(_csv),
    "jsonl": _to_path(_jsonl),
    "parquet": _parquet,
    "xlsx": _xlsx,
}
