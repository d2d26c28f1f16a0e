"""What reads a dead letter's bytes again: the reader of the format that the letter names."""

from collections.abc import Callable
from typing import Literal

from rater.core import AnyCommand, CallRecord, Reason, Refusal
from rater.engine.batch import Envelope
from rater.files.graph import GraphRows
from rater.files.local_times import LocalTimes
from rater.files.mappings import NotSelected, load
from rater.files.usage_csv import reader_for
from rater.files.written import of_version
from rater.wire.codec import decode_call_event
from rater.wire.errors import RaterError

Decode = Callable[[bytes], CallRecord | AnyCommand | Refusal]


def reader_of(envelope: Envelope) -> tuple[Literal["cdr", "command"], Decode | None]:
    """What reads a record again: its kind, and the decoder of its format unless it is the topic's own."""
    kind, decode = _reader_of(envelope)
    return kind, decode and of_version(envelope.version, decode)


def _reader_of(envelope: Envelope) -> tuple[Literal["cdr", "command"], Decode | None]:
    local = LocalTimes(envelope.times, envelope.zone)
    match envelope.format:
        case "pstn-csv":
            header = (envelope.header or "").encode()
            return "cdr", reader_for("dead letter", header, envelope.tenant, local).decode
        case "graph":
            return "cdr", GraphRows(envelope.tenant or "", local).decode
        case "mapping":
            return "cdr", _mapped(envelope)
        case "commands":
            return "command", None
        case "call-events":
            return "cdr", _history
        case _:
            return "cdr", None


def _history(raw: bytes) -> Refusal:
    """Why an event of a call is not accepted later: orders are for calls that run."""
    event = decode_call_event(raw)
    if isinstance(event, Refusal):
        return event
    return Refusal(Reason.MALFORMED, "at", "expected an event of a call that runs; that time is over, drop it")


def _mapped(envelope: Envelope) -> Decode:
    """What maps a switch's record again: the mapping as it is now, with its tables as they are now."""
    if envelope.mapping is None:
        raise RaterError("expected the mapping's name in the dead letter, got none")
    mapping = load(envelope.mapping.place).for_tenant(envelope.tenant).bind(envelope.header)

    def decode(raw: bytes) -> CallRecord | Refusal:
        found = mapping.map_one(raw)
        if isinstance(found, NotSelected):
            message = f"expected a record that the mapping selects: {found.reason}; drop it"
            return Refusal(Reason.MALFORMED, "select", message)
        return found

    return decode
