"""Rows into files of four formats; no half file is left."""

import csv
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

from rater.files.atomic import replacing
from rater.files.export_tables import Kind, Row, Sheet, text_of
from rater.files.extras import needed
from rater.wire.errors import RaterError

FORMATS = ("csv", "jsonl", "parquet", "xlsx")
#: With these a spreadsheet begins to compute, unless it is a number, such as +14255550100; apostrophes before them
#: are kept apart from ours.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?\**", re.ASCII)


def write(table: Sheet, rows: Iterable[Row], format: str, out: str) -> int:
    """Write rows in a format to a file, or (CSV and JSON Lines) to standard output for `-`; the number of rows.

    Raises RaterError when the format is not known or its library not installed, or the file cannot be written or
    finds no room.
    """
    if format not in FORMATS:
        raise RaterError(f"--format: expected one of {', '.join(FORMATS)}, got {format!r}")
    counted = _Counted(rows)
    if out == "-":
        if format not in ("csv", "jsonl"):
            raise RaterError(f"--out: {format} cannot go to standard output; name a file")
        _TEXT[format](table, counted, sys.stdout)
        return counted.count
    write_file = _writer(format, out)
    with replacing(Path(out), private=True) as target:
        write_file(table, counted, target)
    return counted.count


class _Counted:
    def __init__(self, rows: Iterable[Row]) -> None:
        self.count = 0
        self._rows = rows

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            self.count += 1
            yield row


def write_csv(columns: Sequence[tuple[str, Kind]], rows: Iterable[Row], out: IO[str]) -> None:
    """Rows below the names of their columns; what a spreadsheet would compute is text."""
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([name for name, _ in columns])
    ways = [_no_formula if kind == "text" else text_of for _, kind in columns]
    writer.writerows([way(value) for way, value in zip(ways, row, strict=True)] for row in rows)


def _csv(table: Sheet, rows: Iterable[Row], out: IO[str]) -> None:
    write_csv(table.columns, rows, out)


def _no_formula(value: Any) -> str:
    """A text that a spreadsheet would compute gets an apostrophe before it; numbers to dial stay as they are.

    So does one that already has apostrophes before it: who reads it back removes one from each such text.
    """
    text = text_of(value)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def _jsonl(table: Sheet, rows: Iterable[Row], out: IO[str]) -> None:
    names = [name for name, _ in table.columns]
    for row in rows:
        out.write(msgspec.json.encode(dict(zip(names, row, strict=True))).decode() + "\n")


def _writer(format: str, out: str) -> Callable[[Sheet, Iterable[Row], Path], None]:
    """What writes a format; MissingExtraError where its library is not installed, before anything is written."""
    match format:
        case "parquet":
            with needed("parquet", out):
                from rater.files.export_parquet import write_parquet  # noqa: PLC0415 - its library is an extra
            return write_parquet
        case "xlsx":
            with needed("excel", out):
                from rater.files.export_excel import write_excel  # noqa: PLC0415 - its library is an extra
            return write_excel
        case _:
            return _to_path(_TEXT[format])


def _to_path(
    write_text: Callable[[Sheet, Iterable[Row], IO[str]], None],
) -> Callable[[Sheet, Iterable[Row], Path], None]:
    def write_file(table: Sheet, rows: Iterable[Row], target: Path) -> None:
        with target.open("w", encoding="utf-8", newline="") as out:
            write_text(table, rows, out)

    return write_file


_TEXT = {"csv": _csv, "jsonl": _jsonl}
