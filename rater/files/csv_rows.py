"""CSV files with a header: rows by column name, with the row number and clear errors."""

import csv
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import TextIO

from rater.wire.errors import RaterError


def read_rows(
    path: Path, required: tuple[str, ...], hint: str = "", content: bytes | None = None
) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row as (number, cells by column), the header being row 1; comma, semicolon or tab.

    `hint` is what to do about a file of another kind.  With `content`, what somebody sent, `path` is only its name.

    Raises RaterError naming file, row and what was expected: not UTF-8, missing columns, a short row.
    """
    try:
        with _opened(path, content) as lines:
            first = lines.readline()
            lines.seek(0)
            delimiter = max(",;\t", key=first.count)
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            header = [cell.strip() for cell in next(reader, [])]
            check_columns(path, header, required, hint)
            for row in reader:
                if any(cell.strip() for cell in row):
                    if len(row) != len(header):
                        raise RaterError(f"{path}:{reader.line_num}: expected {len(header)} cells, got {len(row)}")
                    yield reader.line_num, dict(zip(header, map(str.strip, row), strict=True))
    except UnicodeDecodeError as wrong:
        raise RaterError(
            f"{path}: byte {wrong.start}: expected UTF-8 text, got 0x{wrong.object[wrong.start]:02x};"
            " save the file as UTF-8"
        ) from wrong
    except csv.Error as wrong:
        raise RaterError(f"{path}: not CSV: {wrong}") from wrong
    except OSError as wrong:
        raise RaterError(f"{path}: cannot be read: {wrong.strerror}") from wrong


def _opened(path: Path, content: bytes | None) -> TextIO:
    if content is None:
        return path.open(encoding=encoding_of(path), newline="")
    return TextIOWrapper(BytesIO(content), encoding=_encoding(content), newline="")


def encoding_of(path: Path) -> str:
    """UTF-16 for a file that begins with its byte order mark, as some spreadsheets save CSV; else UTF-8."""
    with path.open("rb") as file:
        return _encoding(file.read(2))


def _encoding(begin: bytes) -> str:
    return "utf-16" if begin[:2] in (BOM_UTF16_LE, BOM_UTF16_BE) else "utf-8-sig"


def check_columns(path: Path, header: list[str], required: tuple[str, ...], hint: str = "") -> None:
    """Name the columns that are missing, or there twice; their order does not matter."""
    missing = [column for column in required if column not in header]
    if missing:
        raise RaterError(
            f"{path}:1: missing columns {', '.join(missing)}; expected the header {','.join(required)}{hint}"
        )
    twice = [column for column in required if header.count(column) > 1]
    if twice:
        raise RaterError(f"{path}:1: expected every column once, got {', '.join(twice)} twice; remove one of them")
