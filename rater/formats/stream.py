"""Bytes of a file or of standard input, decompressed, as lines with a limit.

Refuses to know what a line means.
"""

import gzip
import zlib
from collections.abc import Iterator
from io import BufferedReader, FileIO
from typing import BinaryIO, cast

from rater.errors import RaterError

#: A line beyond this is cut there: nothing that long is a record, and memory stays bounded.
LINE_BYTES_MAX = 16_000_000
_GZIP = b"\x1f\x8b"
STANDARD_INPUT = "-"


class EndsEarly(Exception):
    """A compressed file stops in the middle; what came before it was whole."""


def open_stream(path: str) -> BinaryIO:
    """A file, or standard input for `-`; gzip is recognised by its first bytes.  Raises RaterError."""
    try:
        raw = BufferedReader(FileIO(0 if path == STANDARD_INPUT else path))
        start = raw.peek(2)[:2]
    except OSError as wrong:
        raise RaterError(f"{path}: cannot be read: {wrong.strerror}") from wrong
    return cast("BinaryIO", gzip.GzipFile(fileobj=raw) if start == _GZIP else raw)


def lines_of(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a stream, each with its line end; EndsEarly after the last whole one of a cut gzip."""
    try:
        while line := stream.readline(LINE_BYTES_MAX):
            yield line
    except (EOFError, zlib.error, gzip.BadGzipFile) as wrong:
        raise EndsEarly(str(wrong)) from wrong


def csv_records(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Lines joined where a quoted cell holds a line end (RFC 4180)."""
    held = b""
    for line in lines:
        held += line
        if held.count(b'"') % 2 == 0 or len(held) > LINE_BYTES_MAX:
            yield held
            held = b""
    if held:
        yield held
