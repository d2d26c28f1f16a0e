"""What the readers share: their shape, their limits, lines that must be ended."""

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple, Protocol

from rater.files.lines import EndsEarly, lines_of
from rater.files.mappings.results import Unmapped
from rater.wire.codec import RECORD_BYTES_MAX
from rater.wire.errors import RaterError

#: A document is read whole, and each of its bytes may need 40.
DOCUMENT_BYTES_MAX = 16_000_000
DOCUMENT_RECORDS_MAX = 200_000
#: Fields of one record: cells, members, elements, lines of a block.
CELLS_MAX = 10_000
#: Records of switches are nested five deep.
DEPTH_MAX = 50


class Opened(NamedTuple):
    """A file's records as bytes; the header that they need; how many rows stand before the first."""

    raws: Iterator[bytes]
    header: str | None = None
    rows_before: int = 0


class RecordReader(Protocol):
    """How one format is read."""

    def open(self, path: str, stream: BinaryIO, /, *, must_end: bool) -> Opened:
        """The records of a file; with `must_end`, EndsEarly at a last one that is not ended.  Raises RaterError."""

    def bind(self, header: str | None, /) -> "RecordReader":
        """The same reader for the records below a header."""

    def fields(self, raw: bytes) -> Mapping[str, Any] | None:
        """The fields of a record; None of a line that repeats the header.  Raises Unmapped."""

    def names(self) -> frozenset[str] | None:
        """Which fields a record has, where that is known beforehand."""


def text_in(raw: bytes, encoding: str) -> str:
    """The text of a record.  Raises Unmapped."""
    if len(raw) > RECORD_BYTES_MAX:
        raise Unmapped("", f"expected at most {RECORD_BYTES_MAX} bytes (RECORD_BYTES_MAX), got {len(raw)}")
    try:
        return raw.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as wrong:
        byte = f"0x{raw[wrong.start]:02x} at {wrong.start}"
        raise Unmapped("", f"expected text in {encoding}, got byte {byte}; set reader.encoding") from None


def ended_lines(stream: BinaryIO, *, must_end: bool) -> Iterator[bytes]:
    """The lines of a stream; with `must_end`, EndsEarly at a last one without line end."""
    for line in lines_of(stream):
        if must_end and not line.endswith(b"\n"):
            raise EndsEarly
        yield line


def whole_document(path: str, stream: BinaryIO) -> bytes:
    """All of a document; RaterError if it is too large to be read whole."""
    document = stream.read(DOCUMENT_BYTES_MAX + 1)
    if len(document) > DOCUMENT_BYTES_MAX:
        raise RaterError(
            f"{path}: expected a document of at most {DOCUMENT_BYTES_MAX} bytes (DOCUMENT_BYTES_MAX); divide it"
        )
    return document


def limited(count: int, what: str) -> None:
    """Raise Unmapped for a record of too many fields."""
    if count > CELLS_MAX:
        raise Unmapped("", f"expected at most {CELLS_MAX} {what} (CELLS_MAX), got {count}")
