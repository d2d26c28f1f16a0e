"""Bytes of a file or of standard input, decompressed, as lines with a limit.

Refuses to know what a line means.
"""

import gzip
import zlib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE, getincrementaldecoder
from collections.abc import Iterator
from io import DEFAULT_BUFFER_SIZE, BufferedReader, FileIO, RawIOBase
from typing import Any, BinaryIO, cast

from rater.errors import RaterError

#: A line beyond this is cut there: nothing that long is a record, and memory stays bounded.
LINE_BYTES_MAX = 16_000_000
_GZIP = b"\x1f\x8b"
_UTF16 = (BOM_UTF16_LE, BOM_UTF16_BE)
STANDARD_INPUT = "-"


class EndsEarly(Exception):
    """A compressed file stops in the middle; what came before it was whole."""


def open_stream(path: str) -> BinaryIO:
    """A file, or standard input for `-`; gzip is recognised by its first bytes.  Raises RaterError."""
    try:
        stream: BufferedReader | gzip.GzipFile = BufferedReader(FileIO(0 if path == STANDARD_INPUT else path))
        if _start(stream) == _GZIP:
            stream = gzip.GzipFile(fileobj=stream)
        start = _start(stream)
    except OSError as wrong:
        raise RaterError(f"{path}: cannot be read: {wrong.strerror}") from wrong
    return cast("BinaryIO", BufferedReader(_Utf8(stream)) if start in _UTF16 else stream)


def _start(stream: BufferedReader | gzip.GzipFile) -> bytes:
    """The first bytes; none of a compressed file that is cut before them."""
    try:
        return stream.peek(2)[:2]
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return b""


class _Utf8(RawIOBase):
    """A stream of UTF-16 with a byte order mark, as some spreadsheets save CSV, read as UTF-8.

    What is no UTF-16 becomes U+FFFD, so that the row is refused and not the file.
    """

    def __init__(self, stream: BufferedReader | gzip.GzipFile) -> None:
        self._stream = stream
        self._decoder = getincrementaldecoder("utf-16")(errors="replace")
        self._held = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._held:
            chunk = self._stream.read(DEFAULT_BUFFER_SIZE)
            self._held = self._decoder.decode(chunk, final=not chunk).encode()
            if not chunk:
                break
        given = self._held[: len(buffer)]
        buffer[: len(given)] = given
        self._held = self._held[len(given) :]
        return len(given)


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
