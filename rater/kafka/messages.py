"""What is published of a record that was read: its topic, its key, its value."""

import msgspec

from rater.core import NO_TENANT, CallEvent, CallRecord, Refusal
from rater.engine.batch import SWITCH_LINE_BYTES_MAX, Record
from rater.kafka.batch_publisher import Message
from rater.kafka.not_mapped import framed
from rater.wire.codec import claimed_tenant, decode_cdr, decode_command, encode_input


def event_message(event: CallEvent) -> Message:
    """An event of a running call."""
    return "call-events", event.tenant, msgspec.json.encode(event)


def message_of(record: Record) -> tuple[Message, Refusal | None]:
    """The record as its topic wants it, and why it will be refused, where that is known.

    Bytes that do not decode are published as they are, to become dead letters; the key is then the tenant that they
    claim.
    """
    topic = "cdrs" if record.kind == "cdr" else "commands"
    value = record.decoded
    if isinstance(value, Refusal) and record.envelope is not None and record.envelope.mapping is not None:
        owner = claimed_tenant(record.raw) or record.envelope.tenant or NO_TENANT
        return (topic, owner, framed(record.envelope, value, record.raw)), value
    if value is not None and not isinstance(value, Refusal):
        return (topic, value.tenant, _with_switch_record(value, record)), None
    value = decode_cdr(record.raw) if record.kind == "cdr" else decode_command(record.raw)
    if isinstance(value, Refusal):
        return (topic, claimed_tenant(record.raw) or NO_TENANT, record.raw), value
    return (topic, value.tenant, record.raw), None


def _with_switch_record(value: object, record: Record) -> bytes:
    """A call record with the switch's own in a field `source` that is kept out of rating, if a mapping read it."""
    canonical = encode_input(value)  # type: ignore[arg-type]  # a call record or a command
    mapping = record.envelope.mapping if record.envelope else None
    if mapping is None or not isinstance(value, CallRecord):
        return canonical
    raw = record.raw[:SWITCH_LINE_BYTES_MAX].decode("utf-8", "replace")
    source = msgspec.json.encode({"mapping": mapping.name, "version": mapping.version, "raw": raw})
    return canonical[:-1] + b',"source":' + source + b"}"
