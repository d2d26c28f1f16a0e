"""Excel workbooks (.xlsx) as CSV: text is text, a number its digits, a time RFC 3339 without a zone.

A time that a cell shows with a literal Z, as our own exports do, is in UTC.
"""

import csv
import io
import zlib
from collections.abc import Iterator
from datetime import date, datetime
from tempfile import TemporaryFile
from typing import IO, Any, BinaryIO, cast
from zipfile import BadZipFile, ZipFile

from rater.files.compressed import Room
from rater.files.extras import needed
from rater.wire.errors import RaterError

#: Of what one table may have; a sheet can say that it has 16,384 columns in each of a million rows.
COLUMNS_MAX = 256
_BOOK = "xl/workbook.xml"
#: What its reader raises at a workbook that is not whole.
_BROKEN = (BadZipFile, zlib.error, KeyError, ValueError, TypeError, EOFError, SyntaxError)


def is_workbook(packed: BinaryIO) -> bool:
    """Whether a zip is an Excel workbook; the stream stays where it was."""
    at = packed.tell()
    try:
        return _BOOK in ZipFile(packed).namelist()
    except (BadZipFile, ValueError, OverflowError, EOFError, NotImplementedError):
        return False  # what is wrong with it is reported when it is opened as a zip
    finally:
        packed.seek(at)


def workbook_as_csv(path: str, packed: BinaryIO) -> IO[bytes]:
    """The one sheet with cells as CSV in UTF-8, in a file that is gone once closed; RaterError says why not."""
    table = TemporaryFile()  # noqa: SIM115 - whoever reads it closes it
    text = io.TextIOWrapper(table, encoding="utf-8", newline="", write_through=True)
    csv.writer(text, lineterminator="\n").writerows(rows_of(path, packed))
    text.detach()
    table.seek(0)
    return cast("IO[bytes]", table)


def rows_of(path: str, packed: BinaryIO) -> Iterator[list[str]]:
    """The rows of the one sheet with cells, as text; RaterError says why not."""
    with needed("excel", path):
        from openpyxl import load_workbook  # noqa: PLC0415 - its library is an extra
        from openpyxl.utils.exceptions import InvalidFileException  # noqa: PLC0415 - the same

    try:
        with ZipFile(packed) as archive:
            Room(path, packed, 0).need(sum(each.file_size for each in archive.infolist()))
        packed.seek(0)
        book = load_workbook(packed, read_only=True, data_only=True, keep_links=False)
        try:
            yield from _rows(path, book)
        finally:
            book.close()
    except (
        BadZipFile,
        zlib.error,
        InvalidFileException,
        KeyError,
        ValueError,
        TypeError,
        EOFError,
        SyntaxError,
    ) as wrong:
        raise RaterError(f"{path}: expected a whole Excel workbook: {wrong}; save it as CSV (UTF-8)") from wrong


def _rows(path: str, book: Any) -> Iterator[list[str]]:
    sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible" and _has_cells(sheet)]
    if len(sheets) != 1:
        names = ", ".join(sheet.title for sheet in sheets[:3]) or "none"
        raise RaterError(
            f"{path}: expected a workbook with one sheet that has cells, got {len(sheets)}: {names}; save the sheet"
            " that is meant as CSV (UTF-8)"
        )
    width: int | None = None
    for row in sheets[0].iter_rows(max_col=COLUMNS_MAX):
        cells = [_text(cell) for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        width = width or len(cells)
        # Below the header, cells that are empty at the end are left out of the file.
        yield cells + [""] * (width - len(cells))


def _has_cells(sheet: Any) -> bool:
    return any(cell.value is not None for row in sheet.iter_rows(max_row=20, max_col=COLUMNS_MAX) for cell in row)


def _text(cell: Any) -> str:
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, datetime):
        # A literal Z in quotes or behind a backslash.
        shown = str(cell.number_format).rstrip('"')
        return value.isoformat() + ("Z" if shown.endswith(('"Z', "\\Z")) else "")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, bool):
        return str(value).upper()
    return str(value)
