"""Bytes of a file or of standard input, decompressed, as lines with a limit."""

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, getincrementaldecoder
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import blake2b
from io import DEFAULT_BUFFER_SIZE, BufferedReader, FileIO, RawIOBase
from typing import Any, BinaryIO, NamedTuple, cast

import orjson

from rater.core import Original
from rater.files.compressed import GZIP, ZIP, Ending, Gunzipped, gzip_ending, open_zip, rewindable
from rater.files.workbooks import is_workbook, workbook_as_csv
from rater.wire.codec import RECORD_BYTES_MAX
from rater.wire.errors import RaterError

#: What is kept of a line that is longer than any record: enough to find it by.
LONG_LINE_KEPT_BYTES = 100_000
_LINE_END_BYTES = 2
#: What a record of a CSV can span; beyond it, a quote was never closed.
CSV_RECORD_LINES_MAX = 100
CSV_RECORD_BYTES_MAX = 1_000_000
#: What to do about bytes that are no UTF-8.
SAY_ENCODING = "give its encoding, such as --encoding windows-1252, or save it as UTF-8"
_UTF16 = (BOM_UTF16_LE, BOM_UTF16_BE)
#: The rest of a quoted cell, two quotes standing for one.
_TO_CLOSING_QUOTE = re.compile(rb'(?:[^"]++|"")*+"')
_BUFFER_BYTES = 1 << 16
STANDARD_INPUT = "-"


class LongLine(bytes):
    """The beginning of a line that is longer than RECORD_BYTES_MAX, with its line end if it has one.

    `size` and `digest` are of the whole line, `original` of its text without the line end; the rest is not kept.
    """

    size: int
    digest: str
    original: Original


class _TextHash:
    """Length and hash of a line that comes in parts, without its line end."""

    def __init__(self) -> None:
        self._length = 0
        self._hash = blake2b(digest_size=16)
        #: A carriage return at the end of a part may be half of the line end.
        self._held = b""

    def add(self, part: bytes) -> None:
        """The next part; only the last one ends with a line feed."""
        text = self._held + part
        end = 2 if text.endswith(b"\r\n") else 1 if text.endswith((b"\r", b"\n")) else 0
        text, self._held = text[: len(text) - end], text[len(text) - end :]
        self._length += len(text)
        self._hash.update(text)

    def original(self) -> Original:
        """Of what was added."""
        return Original(self._length, self._hash.hexdigest())


class EndsEarly(Exception):
    """The last record of a stream is not all there; what came before it was whole."""


class Opened(NamedTuple):
    """Bytes to read, and how a compressed file ends."""

    stream: BinaryIO
    ending: Ending = Ending.WHOLE
    #: What was left out of a zip, for people.
    remarks: tuple[str, ...] = ()
    #: Whether it is UTF-8 whatever the file's encoding is: made here of a workbook.
    is_utf8: bool = False


@contextmanager
def open_stream(path: str, encoding: str | None = None) -> Iterator[Opened]:
    """A file, or standard input for `-`; gzip, zip and Excel are recognised by their first bytes.

    Text in an `encoding` is read as UTF-8.  Raises RaterError where it cannot be read, now or while it is read.
    """
    with ExitStack() as closing:
        try:
            opened = _unpacked(path, closing)
            start = opened.stream.peek(2)[:2]  # type: ignore[attr-defined]  # all that is opened here can
            if start in _UTF16:
                opened = opened._replace(stream=_buffered(_Utf8(path, opened.stream, "utf-16", "replace")))
            elif encoding is not None and not opened.is_utf8:
                opened = opened._replace(stream=_buffered(_Utf8(path, opened.stream, encoding, "strict")))
            yield opened
        except OSError as wrong:
            raise RaterError(f"{path}: cannot be read: {wrong.strerror or wrong}") from wrong


def _unpacked(path: str, closing: ExitStack) -> Opened:
    buffered = closing.enter_context(BufferedReader(FileIO(0 if path == STANDARD_INPUT else path)))
    stream, start = cast("BinaryIO", buffered), buffered.peek(4)[:4]
    if start.startswith(GZIP):
        packed = closing.enter_context(rewindable(stream))
        ending = gzip_ending(path, packed)
        return Opened(_buffered(Gunzipped(packed)), ending)
    if start == ZIP:
        packed = closing.enter_context(rewindable(stream))
        if is_workbook(packed):
            return Opened(_buffered(closing.enter_context(workbook_as_csv(path, packed))), is_utf8=True)
        table, remarks = open_zip(path, packed)
        return Opened(_buffered(closing.enter_context(table)), remarks=remarks)
    return Opened(stream)


def _buffered(stream: Any) -> BinaryIO:
    return cast("BinaryIO", BufferedReader(stream, _BUFFER_BYTES))


class _Utf8(RawIOBase):
    """A stream in another encoding, read as UTF-8.

    Some spreadsheets save CSV as UTF-16 with a byte order mark; invalid bytes become U+FFFD there ("replace"), so
    that the row is refused and not the file.  In an encoding that a person named it is an error ("strict").
    """

    def __init__(self, path: str, stream: BinaryIO, encoding: str, errors: str) -> None:
        self._path = path
        self._encoding = encoding
        self._stream = stream
        self._decoder = getincrementaldecoder(encoding)(errors=errors)
        self._held = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._held:
            chunk = self._stream.read(DEFAULT_BUFFER_SIZE)
            try:
                self._held = self._decoder.decode(chunk, final=not chunk).encode()
            except UnicodeDecodeError as wrong:
                raise RaterError(
                    f"{self._path}: expected text in {self._encoding}, got byte 0x{wrong.object[wrong.start]:02x};"
                    " give another --encoding.  Records before it may have been rated; they stay"
                ) from wrong
            if not chunk:
                break
        given = self._held[: len(buffer)]
        buffer[: len(given)] = given
        self._held = self._held[len(given) :]
        return len(given)


def lines_of(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a stream, each with its line end; the last one may have none.  None is kept that is too long."""
    while line := beginning_of_line(stream):
        yield line if len(line) <= RECORD_BYTES_MAX else whole_line(line, stream)


def beginning_of_line(stream: BinaryIO) -> bytes:
    """The next line, or so much of it that it is longer than a record may be."""
    return stream.readline(RECORD_BYTES_MAX + _LINE_END_BYTES)


def whole_line(line: bytes, stream: BinaryIO) -> bytes:
    """A line whose beginning was read: a LongLine, the rest being read and not kept, if it is too long."""
    if len(line.rstrip(b"\r\n")) <= RECORD_BYTES_MAX:
        return line
    size, digest, part, text = len(line), blake2b(line, digest_size=16), line, _TextHash()
    text.add(line)
    while not part.endswith(b"\n") and (part := beginning_of_line(stream)):
        size += len(part)
        digest.update(part)
        text.add(part)
    long = LongLine(line[:LONG_LINE_KEPT_BYTES] + (b"\n" if part.endswith(b"\n") else b""))
    long.size, long.digest, long.original = size, digest.hexdigest(), text.original()
    return long


def first_line(stream: BinaryIO) -> tuple[int, bytes]:
    """The number of the first line that is not blank, and its beginning without a byte order mark."""
    row = 1
    while line := beginning_of_line(stream):
        text = line.removeprefix(BOM_UTF8)
        if text.strip():
            return row, text
        row += line.endswith(b"\n")
    return 0, b""


def check_ended(line: bytes) -> None:
    """EndsEarly at a line that is neither ended nor a whole JSON value."""
    if not line.endswith(b"\n") and not is_json(line):
        raise EndsEarly


def json_lines(lines: Iterator[bytes], *, must_end: bool) -> Iterator[bytes]:
    """Lines of JSON; with `must_end`, EndsEarly at a last line that is neither ended nor a whole value."""
    for line in lines:
        if must_end:
            check_ended(line)
        yield line


def is_json(text: bytes) -> bool:
    """Whether it is one whole JSON value.  The beginning of an object or an array never is."""
    try:
        orjson.loads(text)
    except (orjson.JSONDecodeError, RecursionError):
        return False
    return True


def csv_records(lines: Iterator[bytes], delimiter: str, *, must_end: bool) -> Iterator[bytes]:
    """Lines joined where a quoted cell holds a line end (RFC 4180), each line being looked at once.

    Where no quote closes the cell within what a record can span, the first line stands alone, so that it is
    refused and not the rest of the file.  With `must_end`, EndsEarly at a last record that is not ended.
    """
    quote = delimiter.encode() + b'"'
    ahead: deque[bytes] = deque()
    while ahead or (line := next(lines, b"")):
        if not ahead:
            ahead.append(line)
        count = _span(ahead, lines, quote, must_end=must_end)
        yield ahead.popleft() if count == 1 else b"".join(ahead.popleft() for _ in range(count))


def _span(ahead: deque[bytes], lines: Iterator[bytes], quote: bytes, *, must_end: bool) -> int:
    """How many lines the first record has, reading more where it needs them; 1 if its quote is never closed."""
    is_open, count, size = False, 0, 0
    while count < CSV_RECORD_LINES_MAX and size < CSV_RECORD_BYTES_MAX:
        if count == len(ahead):
            ahead.append(next(lines, b""))
        line = ahead[count]
        if must_end and not line.endswith(b"\n"):
            raise EndsEarly
        if not line:
            ahead.pop()
            return 1
        if isinstance(line, LongLine):
            return 1
        is_open = _leaves_open(line, quote, is_open=is_open)
        size += len(line)
        count += 1
        if not is_open:
            return count
    return 1


def _leaves_open(line: bytes, quote: bytes, *, is_open: bool) -> bool:
    """Whether a quoted cell goes on in the next line.  A quote opens one only behind a delimiter: `quote`."""
    at = 0
    if not is_open and line.startswith(b'"'):
        is_open, at = True, 1
    while True:
        if is_open:
            closing = _TO_CLOSING_QUOTE.match(line, at)
            if closing is None:
                return True
            at = closing.end()
        opening = line.find(quote, at)
        if opening < 0:
            return False
        is_open, at = True, opening + len(quote)
