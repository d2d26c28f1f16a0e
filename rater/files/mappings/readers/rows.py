"""CSV as switches really write it: quotes doubled, not escaped at all, or none; with header or by position."""

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, islice
from typing import Any, BinaryIO

from rater.files.lines import csv_records
from rater.files.mappings.readers.base import Opened, RecordReader, ended_lines, limited, text_in
from rater.files.mappings.readers.spec import Reader
from rater.files.mappings.results import Unmapped
from rater.wire.errors import RaterError


class Rows:
    """A reader of rows whose columns are known, or follow from a header."""

    def __init__(self, spec: Reader, columns: tuple[str, ...] | None = None) -> None:
        self._spec = spec
        self._columns = columns if spec.header else spec.columns
        self._header = spec.header
        self._split = _splitter(spec)
        self._least = spec.columns_min or len(self._columns or ())
        if self._columns:
            _check_columns(self._columns)

    def open(self, path: str, stream: BinaryIO, *, must_end: bool) -> Opened:
        """See RecordReader."""
        spec = self._spec
        lines = ended_lines(stream, must_end=must_end)
        before = spec.skip_lines
        list(islice(lines, spec.skip_lines))
        header = None
        if spec.header:
            line = next((line for line in lines if line.strip()), b"")
            header = text_of_header(path, line, spec.encoding)
            list(islice(lines, spec.skip_after_header))
            before += 1 + spec.skip_after_header
        raws: Iterator[bytes] = lines
        if spec.quotes == "doubled":
            raws = csv_records(lines, spec.delimiter, must_end=must_end)
        return Opened(raws, header, before)

    def bind(self, header: str | None) -> RecordReader:
        """See RecordReader."""
        if not self._spec.header:
            return self
        try:
            return Rows(self._spec, tuple(self._split((header or "").strip("\r\n"))))
        except Unmapped as wrong:
            raise RaterError(f"header: {wrong}") from None

    def fields(self, raw: bytes) -> Mapping[str, Any] | None:
        """See RecordReader."""
        cells = self._split(text_in(raw, self._spec.encoding).rstrip("\r\n"))
        columns = self._columns
        if columns is None:
            raise Unmapped("", "expected a header above this row, got none")
        if not self._least <= len(cells) <= len(columns):
            least = f"{self._least} to " if self._least < len(columns) else ""
            raise Unmapped("", f"expected {least}{len(columns)} cells, got {len(cells)}")
        if self._header and tuple(cells) == columns:
            return None
        return dict(zip(columns, cells, strict=False))

    def names(self) -> frozenset[str] | None:
        """See RecordReader."""
        return None if self._columns is None else frozenset(self._columns)


def text_of_header(path: str, line: bytes, encoding: str) -> str:
    """The header as text; RaterError names the file."""
    try:
        return text_in(line, encoding).rstrip("\r\n")
    except Unmapped as wrong:
        raise RaterError(f"{path}: header: {wrong}") from None


def _check_columns(columns: tuple[str, ...]) -> None:
    named = [name for name in columns if name]
    if twice := sorted({name for name in named if named.count(name) > 1}):
        raise RaterError(f"columns: expected every name once, got {', '.join(twice)} twice")


def _splitter(spec: Reader) -> Callable[[str], list[str]]:
    match spec.quotes:
        case "doubled":
            return lambda text: _doubled(text, spec.delimiter)
        case "unescaped":
            return _Unescaped(spec.delimiter).split
        case _:
            return lambda text: _counted([cell.strip() for cell in text.split(spec.delimiter)])


def _doubled(text: str, delimiter: str) -> list[str]:
    """RFC 4180."""
    try:
        rows = list(islice(csv.reader([text], delimiter=delimiter, strict=True), 2))
    except csv.Error as wrong:
        raise Unmapped("", f"not CSV: {wrong}") from None
    return _counted(list(chain(*rows)))


def _counted(cells: list[str]) -> list[str]:
    limited(len(cells), "cells")
    return cells


class _Unescaped:
    """Cells between quotes in which quotes may stand as they are: only one before a delimiter or the end closes.

    A text with quote, delimiter, quote in it makes one cell more than there are columns, and is refused.
    """

    def __init__(self, delimiter: str) -> None:
        self._delimiter = delimiter
        self._closing = re.compile(rf'" *(?:{re.escape(delimiter)}|\Z)')

    def split(self, text: str) -> list[str]:
        """The cells of a line, each part of it being looked at once."""
        cells: list[str] = []
        at, end = 0, len(text)
        while True:
            limited(len(cells), "cells")
            start = at
            while start < end and text[start] == " ":
                start += 1
            if text.startswith('"', start):
                found = self._closing.search(text, start + 1)
                if found is None:
                    raise Unmapped("", "expected cells between quotes, got a quote that is never closed")
                cells.append(text[start + 1 : found.start()])
                at, ended = found.end(), not found[0].endswith(self._delimiter)
            else:
                stop = text.find(self._delimiter, start)
                ended = stop < 0
                cells.append(text[start : end if ended else stop].strip())
                at = stop + 1
            if ended:
                return cells
