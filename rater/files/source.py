"""A source of records: a file or standard input, its format recognised, read from where it was left."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import blake2b
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

import orjson
from msgspec import json, to_builtins

from rater.core import AnyCommand, CallEvent, CallRecord, MappedBy, Original, Reason, Refusal, Source
from rater.engine.batch import Envelope, Record
from rater.files.arrival import Arrival, size_of
from rater.files.compressed import Ending
from rater.files.graph import GraphRows, page_of, whole_document
from rater.files.lines import (
    STANDARD_INPUT,
    EndsEarly,
    LongLine,
    check_ended,
    csv_records,
    first_line,
    is_json,
    json_lines,
    lines_of,
    open_stream,
    whole_line,
)
from rater.files.mappings import Mapping, NotSelected
from rater.files.recognise import CALL_EVENTS, CDRS, COMMANDS, GRAPH, PSTN_CSV, check_commands, recognise
from rater.files.usage_csv import reader_for
from rater.files.written import AS_IT_IS, Written, all_alike, of_version
from rater.wire.codec import RECORD_BYTES_MAX, decode_call_event
from rater.wire.errors import RaterError

__all__ = ["CALL_EVENTS", "InputFile"]

Read = Callable[[bytes], CallRecord | AnyCommand | CallEvent | NotSelected | Refusal]
#: After so many records the tables of a mapping are looked at again: a batch of a store is as long.
_LOOK_AGAIN_RECORDS = 10_000
_CUT = "the compressed file ends early; every whole record before that was rated. Run again with the complete file"
_FOLLOWED = "the compressed file is followed by bytes that are no gzip; they were left. Get it again"
_UNFINISHED = "the last record is not ended; it waits for the rest. If this is all, end its line"


class ContentChanged(Exception):
    """What was consumed of this name before is not what the file begins with now."""


class _Reading(NamedTuple):
    """How a file is read: its records as bytes, what decodes them, and how many rows stand before the first."""

    raws: Iterator[bytes]
    decode: Read | None
    rows_before: int
    kind: Literal["cdr", "command"] = "cdr"
    envelope: Envelope | None = None


class InputFile:
    """One source.  While it is read, `records_read`, `bytes_read` and `digest` are what was read so far, and
    `arrival` when the record arrived that was read last; `ended` says that there is no more.

    `incomplete` says why there may be more than could be read, what was read being whole; `remarks` are for
    people, nothing is missing.  Of a `growing` file, a last record without line end is left until it has one.
    """

    def __init__(
        self,
        path: str,
        format: str | None = None,
        tenant: str | None = None,
        *,
        growing: bool = False,
        arrived: datetime | None = None,
        written: Written = AS_IT_IS,
        mapping: Mapping | None = None,
    ) -> None:
        self.path = path
        self.name = path if path == STANDARD_INPUT else str(Path(path).resolve())
        self._format = format
        self.tenant = tenant
        self._growing = growing
        self._arrived = arrived
        self._written = written
        self._mapping = mapping.for_tenant(tenant) if mapping else None
        self._kept: Arrival | None = None
        self._start()

    def _start(self) -> None:
        self.records_read = 0
        self.bytes_read = 0
        self.ended = False
        self.incomplete: str | None = None
        self.remarks: list[str] = []
        #: Records that the mapping did not select, by reason.
        self.not_selected: Counter[str] = Counter()
        self._hash = blake2b(digest_size=16)

    @property
    def key(self) -> str:
        """What the position of this file is kept under: with another tenant or format it is another input, and read
        in another way, too: what was refused when it was read wrongly is read again.
        """
        ways: tuple[object, ...] = () if self._written == AS_IT_IS else (to_builtins(self._written),)
        if self._mapping is not None:
            ways += ((self._mapping.name, self._mapping.version),)
        return json.encode([self.name, self.tenant, self._format, *ways]).decode()

    @property
    def of_commands(self) -> bool:
        """Whether it holds commands, as the same ones are given to every run."""
        return self._format == COMMANDS

    @property
    def digest(self) -> bytes:
        """A hash of everything that was read so far, whatever its line ends are."""
        return self._hash.digest()

    @property
    def arrival(self) -> Arrival:
        """When the record that was read last arrived: what a broken-off run found arrived then (A43)."""
        kept = self._kept
        return kept if kept and kept.covers(self._now.size, self.bytes_read) else self._now

    def records(
        self, skip: int = 0, digest: bytes = b"", kept: Arrival | None = None
    ) -> Iterator[Record | CallEvent]:
        """The records after the first `skip`; from the start when those do not have this digest.

        A file of call events gives those, and a record for each invalid line.  `kept` is when the file arrived
        for a run that was broken off.
        """
        self._kept = None if self._arrived else kept
        try:
            yield from self._read(skip, digest)
        except ContentChanged:
            self._start()
            self._kept = None
            yield from self._read(0, b"")
        self.ended = True

    def _read(self, skip: int, digest: bytes) -> Iterator[Record | CallEvent]:
        # once a file: what is read together came together
        self._now = Arrival(self._arrived or datetime.now(UTC), self._arrived is not None, size_of(self.path))
        with open_stream(self.path, self._written.encoding) as (stream, ending, remarks, _):
            self.remarks.extend(remarks)
            if ending is not Ending.WHOLE:
                self.incomplete = f"{self.path}: {_CUT if ending is Ending.CUT else _FOLLOWED}"
            must_end = self._growing or ending is Ending.CUT
            try:
                yield from self._decoded(stream, skip, digest, must_end=must_end)
            except EndsEarly:
                self.incomplete = self.incomplete or f"{self.path}: {_UNFINISHED}"
        if self.records_read < skip:
            raise ContentChanged

    def _decoded(
        self, stream: BinaryIO, skip: int, digest: bytes, *, must_end: bool
    ) -> Iterator[Record | CallEvent]:
        reading = self._mapped(stream, must_end=must_end) or self._recognised(stream, must_end=must_end)
        if reading is None:
            self.remarks.append(f"{self.path}: the file is empty")
            return
        raws, decode, rows_before, kind, envelope = reading
        decode = decode and of_version(self._written.version, decode)
        topic = "commands" if kind == "command" else Path(self.path).name
        for raw in raws:
            text, refused, original = self._count(raw)
            if self.records_read <= skip:
                if self.records_read == skip and self.digest != digest:
                    raise ContentChanged
            elif text.strip():
                source = Source(topic, 0, self.records_read + rows_before)
                value = refused or (decode(text) if decode else None)
                if isinstance(value, CallEvent):
                    yield value
                    continue
                if isinstance(value, NotSelected):
                    self.not_selected[value.reason] += 1
                    continue
                at, given = self.arrival.at, self.arrival.given
                yield Record(kind, source, text, value, envelope, at, given, original)

    def _mapped(self, stream: BinaryIO, *, must_end: bool) -> _Reading | None:
        """How a mapping reads the file; None without one."""
        mapping = self._mapping
        if mapping is None:
            return None
        self._refresh(mapping)
        raws, bound, header, rows_before = mapping.open(self.path, stream, must_end=must_end)
        by = MappedBy(mapping.name, mapping.version, mapping.place)
        envelope = Envelope("mapping", self.tenant, header, mapping=by, version=self._written.version)
        return _Reading(self._refreshing(raws, mapping), bound.map_one, rows_before, "cdr", envelope)

    def _refreshing(self, raws: Iterator[bytes], mapping: Mapping) -> Iterator[bytes]:
        """The same records; tables that changed are read again between batches."""
        for raw in raws:
            yield raw
            if self.records_read % _LOOK_AGAIN_RECORDS == 0:
                self._refresh(mapping)

    def _refresh(self, mapping: Mapping) -> None:
        self.remarks += [line for line in mapping.refresh() if line not in self.remarks]

    def _recognised(self, stream: BinaryIO, *, must_end: bool) -> _Reading | None:
        """How the file is read by the format that it has, or that somebody said; None of an empty one."""
        row, first = first_line(stream)
        if must_end and len(first) <= RECORD_BYTES_MAX:
            check_ended(first)
        if not first:
            return None
        format = self._format or recognise(self.path, row, first)
        if self._written.version is not None and format in (CDRS, COMMANDS, CALL_EVENTS):
            raise RaterError(f"{self.path}: --version: expected a usage export, Graph rows or --map, got {format}")
        reading = self._reading(format, row, first, stream, must_end=must_end)
        return reading._replace(envelope=self._envelope(format, first))

    def _count(self, raw: bytes) -> tuple[bytes, Refusal | None, Original | None]:
        """Note that a record was read; its text without line end, or its beginning and why it is too long."""
        self.records_read += 1
        raw = raw if len(raw) <= RECORD_BYTES_MAX else whole_line(raw, BytesIO())
        text = raw.rstrip(b"\r\n")  # no more: cells at the ends of a row may be empty
        if not isinstance(raw, LongLine):
            self.bytes_read += len(raw)
            self._hash.update(text + b"\n")
            return text, None, None
        self.bytes_read += raw.size
        self._hash.update(raw.digest.encode() + b"\n")
        message = (
            f"expected at most {RECORD_BYTES_MAX} bytes (RECORD_BYTES_MAX), got {raw.original.length} with the"
            f" BLAKE2b hash {raw.original.hash}; only the beginning is kept"
        )
        return text, Refusal(Reason.TOO_LARGE, "", message), raw.original

    def _reading(self, format: str, row: int, first: bytes, stream: BinaryIO, *, must_end: bool) -> _Reading:
        if format == GRAPH and not _is_row(first):
            rows = self._document(first, stream, must_end=must_end)
            return _Reading(rows, self._graph_rows().decode, 0)
        first, lines = whole_line(first, stream), lines_of(stream)
        if must_end:
            check_ended(first)
        if format == COMMANDS:
            check_commands(self.path, row, first)
        if format == PSTN_CSV:
            if isinstance(first, LongLine):
                raise RaterError(
                    f"{self.path}:{row}: expected a header of at most {RECORD_BYTES_MAX} bytes (RECORD_BYTES_MAX)"
                )
            reader = reader_for(self.path, first, self.tenant, self._written.local)
            raws = csv_records(lines, reader.delimiter, must_end=must_end)
            return _Reading(all_alike(self.path, row, raws, reader.decode), reader.decode, row)
        raws = chain([first], json_lines(lines, must_end=must_end))
        if format == GRAPH:
            return _Reading(raws, self._graph_rows().decode, row - 1)
        if format == CALL_EVENTS:
            return _Reading(raws, decode_call_event, row - 1)
        return _Reading(raws, None, row - 1, "command" if format == COMMANDS else "cdr")

    def _envelope(self, format: str, first: bytes) -> Envelope | None:
        if format == CDRS:
            return None
        header = first.decode().strip("\r\n") if format == PSTN_CSV else None
        said = self._written
        return Envelope(format, self.tenant, header, said.times, said.zone, version=said.version)

    def _graph_rows(self) -> GraphRows:
        if self.tenant is None:
            raise RaterError(f"{self.path}: Graph rows do not name their tenant; give it with --tenant")
        return GraphRows(self.tenant, self._written.local)

    def _document(self, first: bytes, stream: BinaryIO, *, must_end: bool) -> Iterator[bytes]:
        """The rows of a page or an array, each as it was written."""
        document = whole_document(self.path, first, stream)
        if must_end and not is_json(document):
            raise EndsEarly
        page = page_of(self.path, document)
        if page.next_link:
            self.remarks.append(f"{self.path}: the page has an @odata.nextLink: there are more; rate them too")
        return map(bytes, page.value)


def _is_row(first: bytes) -> bool:
    """Whether the first line of Graph JSON is a row by itself, and not a document or its beginning."""
    if len(first) > RECORD_BYTES_MAX:  # as far as can be seen
        return first.lstrip().startswith(b"{") and b'"value"' not in first
    if not is_json(first):
        return False
    row = orjson.loads(first)
    return isinstance(row, dict) and not isinstance(row.get("value"), list)
