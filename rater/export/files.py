"""Rows into files: written beside the target and moved there when whole, so that no half file is left.

Refuses to know what the rows mean.
"""

import csv
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter

from rater.errors import RaterError
from rater.exits import Exit
from rater.export.tables import Row, Table, text_of

_GROUP_ROWS = 50_000
_ARROW = {
    "text": pa.string(),
    "integer": pa.int64(),
    "money": pa.decimal128(18, 6),
    "time": pa.timestamp("us", tz="UTC"),
}
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
    with _replacing(Path(out)) as target:
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


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    target = path.with_name(f".{path.name}.part")
    try:
        yield target
        target.replace(path)
    except OSError as wrong:
        target.unlink(missing_ok=True)
        raise RaterError(f"{path}: cannot be written: {wrong.strerror}", Exit.DISK_FULL) from wrong
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _csv(table: Table, rows: Iterable[Row], out: IO[str]) -> None:
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([name for name, _ in table.columns])
    writer.writerows([text_of(value) for value in row] for row in rows)


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
    """Text is written as text, so that a number such as +14255550100 is no formula."""
    book = xlsxwriter.Workbook(str(target), {"constant_memory": True, "strings_to_formulas": False})
    sheet = book.add_worksheet()
    money = book.add_format({"num_format": "0.00####"})
    sheet.write_row(0, 0, [name for name, _ in table.columns])
    for number, row in enumerate(rows, start=1):
        if number >= _SHEET_ROWS_MAX:
            book.close()
            raise RaterError(f"an Excel sheet has at most {_SHEET_ROWS_MAX} rows; name one --period, or use csv")
        for column, ((_, kind), value) in enumerate(zip(table.columns, row, strict=True)):
            if value is None:
                continue
            if kind == "money":
                sheet.write_number(number, column, value, money)
            elif kind == "integer":
                sheet.write_number(number, column, value)
            else:
                sheet.write_string(number, column, text_of(value))
    book.close()


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
