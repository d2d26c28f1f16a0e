"""Bytes to inputs and outputs to bytes.

Wrong types are refused, never coerced; unknown fields are allowed and kept out of rating.  JSON that says
a field twice is refused, because readers differ in which one they take.
Refuses to know rules: a record that decodes may still be refused by the core.
"""

import json
import re
from typing import TypeVar

import msgspec

from rater.contracts.call_control import CallEvent
from rater.contracts.words import in_words
from rater.core.inputs import IDENTIFIER_LENGTH_MAX, AnyCommand, CallRecord, RateDeck
from rater.core.instants import as_utc
from rater.core.mediation import Refusal, impossible_time, in_utc
from rater.core.outputs import Output
from rater.core.reasons import Reason

#: No record of a call is larger; what is, is a broken file or an attack.
RECORD_BYTES_MAX = 1_000_000

_cdr_decoder = msgspec.json.Decoder(CallRecord)
_command_decoder = msgspec.json.Decoder(AnyCommand)
_event_decoder = msgspec.json.Decoder(CallEvent)
_deck_decoder = msgspec.json.Decoder(RateDeck)
_encode = msgspec.json.Encoder().encode
#: Instants that some commands have besides `at`.
_EFFECTIVE = ("effective_from", "effective_to")
_KEYS = re.compile(rb'"((?:[^"\\]|\\.)*)"\s*:')
_Decoded = TypeVar("_Decoded")


class _Kind(msgspec.Struct, frozen=True):
    """The two fields by which a command and a record of a call are known apart (A48)."""

    command: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    usage_id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_kind_decoder = msgspec.json.Decoder(_Kind)
_fields_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


def decode_call(raw: bytes) -> tuple[CallRecord, bytes] | Refusal:
    """A call-detail record from one JSON object, its times in UTC, and its canonical bytes; or why not."""
    if len(raw) > RECORD_BYTES_MAX:
        return _too_large(raw)
    try:
        cdr = _call_of(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        return not_a_call_record(raw) or _undecodable(wrong, CallRecord, raw)
    canonical = _encode(cdr)
    if canonical != raw and (repeated := repeated_key(raw)):
        return _duplicate_key(repeated)
    cdr_utc = in_utc(cdr)
    if isinstance(cdr_utc, Refusal):
        return cdr_utc
    return cdr_utc, canonical if cdr_utc is cdr else _encode(cdr_utc)


def _call_of(raw: bytes) -> CallRecord:
    """A record without a duration, or with null, is of a call that was not connected (rule 73)."""
    try:
        return _cdr_decoder.decode(raw)
    except msgspec.ValidationError as wrong:
        if not str(wrong).endswith("got `null` - at `$.duration_s`"):
            raise
    fields = _fields_decoder.decode(raw)
    del fields["duration_s"]
    return _cdr_decoder.decode(_encode(fields))


def not_a_call_record(raw: bytes) -> Refusal | None:
    """Why a command is refused where records of calls are expected (A48); None if it is no command."""
    kind = _kind_of(raw)
    if kind is None or kind.command is msgspec.UNSET or kind.usage_id is not msgspec.UNSET:
        return None
    message = "expected a record of a call, got a command; give commands with --commands or on their own topic"
    return Refusal(Reason.NOT_A_CALL_RECORD, "command", message)


def _kind_of(raw: bytes) -> _Kind | None:
    """None of what is no JSON object."""
    try:
        return _kind_decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def decode_cdr(raw: bytes) -> CallRecord | Refusal:
    """The same without the canonical bytes."""
    decoded = decode_call(raw)
    return decoded if isinstance(decoded, Refusal) else decoded[0]


def decode_command(raw: bytes) -> AnyCommand | Refusal:
    """A command from one JSON object; or why not."""
    command = _decode(_command_decoder, raw)
    if isinstance(command, Refusal):
        return _not_a_command(raw) or command
    effective = {name: getattr(command, name) for name in _EFFECTIVE if hasattr(command, name)}
    return impossible_time(at=command.at, **effective) or command


def _not_a_command(raw: bytes) -> Refusal | None:
    """Why a record of a call is refused where commands are expected (A48); None if it is none."""
    kind = _kind_of(raw) if len(raw) <= RECORD_BYTES_MAX else None
    if kind is None or kind.usage_id is msgspec.UNSET or kind.command is not msgspec.UNSET:
        return None
    return Refusal(
        Reason.MALFORMED, "command", "expected a command, got a record of a call; give it among the files"
    )


def decode_call_event(raw: bytes) -> CallEvent | Refusal:
    """What a switch tells of a running call, its times in UTC, from one JSON object; or why not."""
    event = _decode(_event_decoder, raw)
    if isinstance(event, Refusal):
        return (not_a_call_record(raw) if event.reason is Reason.MALFORMED else None) or event
    if refused := impossible_time(at=event.at, started_at=event.started_at):
        return refused
    started_at = event.started_at and as_utc(event.started_at)
    return msgspec.structs.replace(event, at=as_utc(event.at), started_at=started_at)


def decode_deck(raw: bytes) -> RateDeck | Refusal:
    """A version of a rate deck; or why not.  Decks are as large as they need to be."""
    return _decode(_deck_decoder, raw, limit=None)


def encode(output: Output) -> bytes:
    """An output as one JSON object."""
    return _encode(output)


def encode_input(value: CallRecord | AnyCommand | RateDeck) -> bytes:
    """An input as one JSON object: the canonical form."""
    return _encode(value)


def claimed_tenant(raw: bytes) -> str | None:
    """The tenant that a broken record names, as far as it can be read."""
    try:
        value = json.loads(raw[:RECORD_BYTES_MAX])
    except (ValueError, RecursionError):
        return None
    tenant = value.get("tenant") if isinstance(value, dict) else None
    return tenant if isinstance(tenant, str) and 0 < len(tenant) <= IDENTIFIER_LENGTH_MAX else None


def repeated_key(raw: bytes) -> str | None:
    """A key that one object of the JSON text says twice, or None.

    The quick look may only err towards suspicion; then the exact look decides.
    """
    keys = _KEYS.findall(raw)
    if b"\\" not in raw and len(keys) == len(set(keys)):
        return None
    repeated: list[str] = []

    def look(pairs: list[tuple[str, object]]) -> None:
        names = [name for name, _ in pairs]
        repeated.extend(name for name in names if names.count(name) > 1)

    json.loads(raw, object_pairs_hook=look)
    return repeated[0] if repeated else None


def _decode(
    decoder: msgspec.json.Decoder[_Decoded], raw: bytes, limit: int | None = RECORD_BYTES_MAX
) -> _Decoded | Refusal:
    if limit is not None and len(raw) > limit:
        return _too_large(raw)
    try:
        value = decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        return _undecodable(wrong, decoder.type, raw)
    if repeated := repeated_key(raw):
        return _duplicate_key(repeated)
    return value


def _too_large(raw: bytes) -> Refusal:
    return Refusal(Reason.TOO_LARGE, "", f"expected at most {RECORD_BYTES_MAX} bytes, got {len(raw)}")


def _duplicate_key(name: str) -> Refusal:
    return Refusal(Reason.DUPLICATE_KEY, name[:80], f"expected every field once, got {name[:80]!r} twice")


def _undecodable(wrong: Exception, kind: object, raw: bytes) -> Refusal:
    """Say where and what; a local time has a reason of its own."""
    if not raw.strip():
        return Refusal(Reason.MALFORMED, "", "expected a JSON object, got an empty record")
    if isinstance(wrong, RecursionError):
        return Refusal(Reason.MALFORMED, "", "expected a flat JSON object, got one nested too deeply")
    field, message = in_words(wrong, kind, raw)
    reason = Reason.TIME_WITHOUT_ZONE if "timezone" in str(wrong) else Reason.MALFORMED
    return Refusal(reason, field, message)
