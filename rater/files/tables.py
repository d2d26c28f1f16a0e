"""Tables that people have, as rows of text: CSV with comma, semicolon or tab, or one sheet of an Excel workbook."""

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rater.files.compressed import ZIP
from rater.files.csv_rows import encoding_of
from rater.files.lines import SAY_ENCODING
from rater.files.workbooks import is_workbook, rows_of
from rater.wire.errors import RaterError

#: Lines by which the delimiter is found: carriers put titles above the header.
_LINES_LOOKED_AT = 20


def rows_of_table(path: Path, encoding: str | None = None) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not empty with its number, from 1; RaterError names file, row and what was expected."""
    try:
        with path.open("rb") as file:
            if file.read(4) == ZIP and is_workbook(file):
                file.seek(0)
                rows = enumerate(rows_of(str(path), file), start=1)
                yield from ((number, [*map(str.strip, row)]) for number, row in rows if any(map(str.strip, row)))
                return
        yield from _csv_rows(path, encoding)
    except OSError as wrong:
        raise RaterError(f"{path}: cannot be read: {wrong.strerror or wrong}") from wrong


def _csv_rows(path: Path, encoding: str | None) -> Iterator[tuple[int, list[str]]]:
    marked = encoding_of(path)
    try:
        with path.open(
            encoding=marked if encoding is None or marked == "utf-16" else encoding, newline=""
        ) as lines:
            looked_at = "".join(line for _, line in zip(range(_LINES_LOOKED_AT), lines, strict=False))
            lines.seek(0)
            reader = csv.reader(lines, delimiter=_delimiter(looked_at), strict=True)
            for row in reader:
                if any(cell.strip() for cell in row):
                    yield reader.line_num, [cell.strip() for cell in row]
    except UnicodeDecodeError as wrong:
        byte = f"byte 0x{wrong.object[wrong.start]:02x}"
        if encoding is None:
            raise RaterError(f"{path}: expected UTF-8 text, got {byte}; {SAY_ENCODING}") from wrong
        raise RaterError(f"{path}: expected text in {encoding}, got {byte}; give another --encoding") from wrong
    except UnicodeError as wrong:
        raise RaterError(f"{path}: expected text, got {wrong}; {SAY_ENCODING}") from wrong
    except csv.Error as wrong:
        raise RaterError(f"{path}: not CSV: {wrong}") from wrong


def _delimiter(text: str) -> str:
    """The delimiter with which most lines have the same number of cells, and more than one."""

    def agreement(delimiter: str) -> tuple[int, int]:
        widths = Counter(len(row) for row in csv.reader(text.splitlines(), delimiter=delimiter))
        return max(((count, width) for width, count in widths.items() if width > 1), default=(0, 0))

    return max(",;\t", key=agreement)
