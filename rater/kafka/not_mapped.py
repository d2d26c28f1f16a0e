"""A switch's record that its mapping refused, on its way to the dead letters of the rating task.

`cdrs` holds call records in our JSON.  What a mapping cannot read goes there in a frame of its own, so that the
rating
task writes the dead letter, with the reason that the mapping gave and the bytes of the switch: nobody else writes
dead letters.
"""

from base64 import b64decode, b64encode
from typing import Literal

import msgspec

from rater.core import MappedBy, Refusal
from rater.engine.batch import Envelope, Record

#: How each frame begins; no call record does.
BEGINNING = b'{"not_mapped":1,'


class _Frame(msgspec.Struct, frozen=True):
    not_mapped: Literal[1]
    tenant: str | None
    header: str | None
    mapping: MappedBy
    refusal: Refusal
    raw: str


_frames = msgspec.json.Decoder(_Frame)


def framed(envelope: Envelope, refusal: Refusal, raw: bytes) -> bytes:
    """The record in its frame."""
    assert envelope.mapping is not None, "a mapping refused it"
    frame = _Frame(1, envelope.tenant, envelope.header, envelope.mapping, refusal, b64encode(raw).decode())
    return msgspec.json.encode(frame)


def unframed(record: Record) -> Record:
    """The switch's record with the reason why it was refused; what is no frame of ours stays as it is."""
    try:
        frame = _frames.decode(record.raw)
        raw = b64decode(frame.raw, validate=True)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError):
        return record
    envelope = Envelope("mapping", frame.tenant, frame.header, mapping=frame.mapping)
    return msgspec.structs.replace(record, raw=raw, decoded=frame.refusal, envelope=envelope)
