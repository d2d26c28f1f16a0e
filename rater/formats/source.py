"""A source of records: a file or standard input, its format recognised, read from where it was left.

Refuses to know stores; the caller says how many records were consumed before.
"""

from collections.abc import Callable, Iterator
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Literal

import orjson

from rater.contracts.call_control import CallEvent
from rater.contracts.codec import decode_call_event
from rater.core.inputs import AnyCommand, CallRecord, Source
from rater.core.mediation import Refusal
from rater.core.reasons import Reason
from rater.errors import RaterError
from rater.formats.graph import GraphRows, rows_of
from rater.formats.pstn_csv import reader_for
from rater.formats.stream import STANDARD_INPUT, EndsEarly, csv_records, lines_of, open_stream
from rater.task import Envelope, Record

Format = Literal["cdrs", "pstn-csv", "graph", "commands", "call-events"]
CALL_EVENTS = "call-events"
FORMATS: tuple[str, ...] = ("cdrs", "pstn-csv", "graph", "commands", CALL_EVENTS)
Decode = Callable[[bytes], CallRecord | AnyCommand | Refusal]
Read = Callable[[bytes], CallRecord | AnyCommand | CallEvent | Refusal]


class ContentChanged(Exception):
    """What was consumed of this name before is not what the file begins with now."""


class InputFile:
    """One source.  While it is read, `taken`, `bytes_taken` and `digest` describe what was read of it so far.

    `notice` is set when it ended early; what was read before that is whole.
    """

    def __init__(self, path: str, format: str | None = None, tenant: str | None = None) -> None:
        self.path = path
        self.name = path if path == STANDARD_INPUT else str(Path(path).resolve())
        self.notice: str | None = None
        self._format = format
        self._tenant = tenant
        self._start()

    def _start(self) -> None:
        self.taken = 0
        self.bytes_taken = 0
        self._hash = blake2b(digest_size=16)

    @property
    def digest(self) -> bytes:
        """A hash of everything that was read so far."""
        return self._hash.digest()

    def records(self, skip: int = 0, digest: bytes = b"") -> Iterator[Record | CallEvent]:
        """The records after the first `skip`; from the start when those do not have this digest.

        A file of call events gives those, and a record for each line that is none.
        """
        try:
            yield from self._read(skip, digest)
        except ContentChanged:
            self._start()
            yield from self._read(0, b"")

    def _read(self, skip: int, digest: bytes) -> Iterator[Record | CallEvent]:
        with open_stream(self.path) as stream:
            lines = lines_of(stream)
            try:
                first = next(lines, b"")
                if first.strip():
                    yield from self._decoded(first, lines, skip, digest)
                elif skip:
                    raise ContentChanged
            except EndsEarly:
                self.notice = (
                    f"{self.path}: the compressed file ends early; every whole record before that was rated."
                    " Run again with the complete file"
                )

    def _decoded(
        self, first: bytes, lines: Iterator[bytes], skip: int, digest: bytes
    ) -> Iterator[Record | CallEvent]:
        format = self._format or recognise(self.path, first)
        raws, decode, kind = self._reading(format, first, lines)
        envelope = self._envelope(format, first)
        topic = "commands" if kind == "command" else Path(self.path).name
        header = 1 if format == "pstn-csv" else 0
        for raw in raws:
            self._hash.update(raw)
            self.bytes_taken += len(raw)
            self.taken += 1
            if self.taken <= skip:
                if self.taken == skip and self.digest != digest:
                    raise ContentChanged
                continue
            stripped = raw.strip()
            if stripped:
                source = Source(topic, 0, self.taken + header)
                value = decode(stripped) if decode else None
                yield value if isinstance(value, CallEvent) else Record(kind, source, stripped, value, envelope)
        if self.taken < skip:
            raise ContentChanged

    def _reading(
        self, format: str, first: bytes, lines: Iterator[bytes]
    ) -> tuple[Iterator[bytes], Read | None, Literal["cdr", "command"]]:
        if format == "pstn-csv":
            return csv_records(lines), reader_for(self.path, first, self._tenant).decode, "cdr"
        if format == "graph":
            if self._tenant is None:
                raise RaterError(f"{self.path}: Graph rows do not name their tenant; say it with --tenant")
            return self._graph_rows(first, lines), GraphRows(self._tenant).decode, "cdr"
        if format == CALL_EVENTS:
            return chain([first], lines), decode_call_event, "cdr"
        return chain([first], lines), None, "command" if format == "commands" else "cdr"

    def _envelope(self, format: str, first: bytes) -> Envelope | None:
        if format == "cdrs":
            return None
        header = first.decode("utf-8-sig").strip() if format == "pstn-csv" else None
        return Envelope(format, self._tenant, header)

    def _graph_rows(self, first: bytes, lines: Iterator[bytes]) -> Iterator[bytes]:
        """Rows one a line, or the rows of one document."""
        try:
            row = orjson.loads(first)
            if isinstance(row, dict) and "value" not in row:
                return chain([first], lines)
        except orjson.JSONDecodeError:
            pass
        try:
            return iter(rows_of(first + b"".join(lines)))
        except (orjson.JSONDecodeError, AttributeError, TypeError) as wrong:
            raise RaterError(f"{self.path}: expected a page of pstnCallLogRow, got broken JSON: {wrong}") from wrong


def recognise(path: str, first: bytes) -> str:
    """The format that the first line of a file shows; RaterError when it shows none."""
    start = first.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start[:1] not in b"{[" or not start:
        if b"usageid" in start.lower():
            return "pstn-csv"
        shown = start[:60].decode("utf-8", "replace").strip()
        raise RaterError(
            f"{path}:1: expected a PSTN usage CSV, Graph pstnCallLogRow JSON, or cdrs or call-events JSON Lines,"
            f" got {shown!r}; say the format with --format"
        )
    if start[:1] == b"[" or b'"callType"' in start or b'"value"' in start or b"@odata" in start:
        return "graph"
    if b'"event"' in start and b'"duration_s"' not in start:
        return CALL_EVENTS
    return "commands" if b'"command"' in start else "cdrs"


def reader_of(envelope: Envelope) -> tuple[Literal["cdr", "command"], Decode | None]:
    """What reads a record again: its kind, and the decoder of its format unless it is the topic's own."""
    match envelope.format:
        case "pstn-csv":
            return "cdr", reader_for("dead letter", (envelope.header or "").encode(), envelope.tenant).decode
        case "graph":
            return "cdr", GraphRows(envelope.tenant or "").decode
        case "commands":
            return "command", None
        case "call-events":
            return "cdr", _history
        case _:
            return "cdr", None


def _history(raw: bytes) -> Refusal:
    """Why an event of a call is not taken later: orders are for calls that run."""
    event = decode_call_event(raw)
    if isinstance(event, Refusal):
        return event
    return Refusal(Reason.MALFORMED, "at", "expected an event of a call that runs; that time is over, drop it")
