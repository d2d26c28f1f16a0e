"""Blocks of `key: value` lines, one record a block; a blank line ends it.  Lines without separator are left out.

A key that comes again makes a list, as RADIUS attributes do: a mapping that uses it must name which one it means.
"""

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from rater.files.lines import EndsEarly, lines_of
from rater.files.mappings.readers.base import Opened, RecordReader, limited, text_in
from rater.files.mappings.readers.spec import Reader
from rater.wire.codec import RECORD_BYTES_MAX


class Blocks:
    """See the module."""

    def __init__(self, spec: Reader) -> None:
        self._spec = spec

    def open(self, _: str, stream: BinaryIO, *, must_end: bool) -> Opened:
        """See RecordReader.  With `must_end`, a block is ended by the blank line behind it."""
        return Opened(_blocks(stream, must_end=must_end))

    def bind(self, _: str | None) -> RecordReader:
        """See RecordReader."""
        return self

    def fields(self, raw: bytes) -> Mapping[str, Any]:
        """See RecordReader."""
        found: dict[str, Any] = {}
        for count, line in enumerate(text_in(raw, self._spec.encoding).splitlines(), 1):
            limited(count, "lines")
            name, separator, value = line.partition(self._spec.separator)
            if not separator:
                continue
            name, text = name.strip(), _without_quotes(value.strip())
            if name not in found:
                found[name] = text
            elif isinstance(found[name], list):
                found[name].append(text)
            else:
                found[name] = [found[name], text]
        return found

    def names(self) -> None:
        """See RecordReader: every block has its own."""
        return


def _blocks(stream: BinaryIO, *, must_end: bool) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for line in lines_of(stream):
        if not line.strip() and held:
            yield b"".join(held)
            held, size = [], 0
        elif line.strip() and size <= RECORD_BYTES_MAX:  # of what is too long, enough to be refused as that
            held.append(line)
            size += len(line)
    if held and must_end:
        raise EndsEarly
    if held:
        yield b"".join(held)


def _without_quotes(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
