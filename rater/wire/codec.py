"""Bytes to inputs and outputs to bytes.

Wrong types are refused, never coerced; unknown fields are allowed and kept out of rating.  JSON that says
a field twice is refused, because readers differ in which one they use.
Every decoder gives a value or a Refusal, whatever the bytes are, in time and memory that grow with their number.
Knows no rules: a record that decodes may still be refused by the core.
"""

import json
from collections.abc import Callable, Mapping
from typing import TypeVar, get_args

import msgspec

from rater.core import (
    IDENTIFIER_LENGTH_MAX,
    AnyCommand,
    CallEvent,
    CallRecord,
    Output,
    RateDeck,
    RateRow,
    Reason,
    Refusal,
    TenantConfigured,
    as_utc,
    impossible_time,
    in_utc,
    no_currency,
)
from rater.wire.fractions import NOTHING, cut_fractions, instants_of, may_have_seventh
from rater.wire.limits import UNWRITABLE, control_character, unusable_rate
from rater.wire.repeated_keys import repeated_key
from rater.wire.words import in_words

#: No record of a call is larger; what is, is a broken file or an attack.
RECORD_BYTES_MAX = 1_000_000

_cdr_decoder = msgspec.json.Decoder(CallRecord)
_command_decoder = msgspec.json.Decoder(AnyCommand)
_event_decoder = msgspec.json.Decoder(CallEvent)
_deck_decoder = msgspec.json.Decoder(RateDeck)
_encode = msgspec.json.Encoder().encode
_CDR_INSTANTS = instants_of(CallRecord)
_COMMAND_INSTANTS, _WITHIN_COMMANDS = instants_of(AnyCommand), {"call": instants_of(CallRecord)}
_EVENT_INSTANTS = instants_of(CallEvent)
_DECK_INSTANTS, _WITHIN_DECKS = instants_of(RateDeck), {"rows": instants_of(RateRow)}
_NO_ZONE = "Expected `datetime` with a timezone"
_Decoded = TypeVar("_Decoded")


class _Kind(msgspec.Struct, frozen=True):
    """The two fields by which a command and a record of a call are known apart (A48).

    A record of a call may have an unknown field `command`; it is a command if that is the name of one.
    """

    command: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    usage_id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


#: As they stand in JSON.
_COMMAND_NAMES = frozenset(_encode(kind.__struct_config__.tag) for kind in get_args(AnyCommand))
_kind_decoder = msgspec.json.Decoder(_Kind)
_fields_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


def decode_call(raw: bytes) -> tuple[CallRecord, bytes, CallRecord | None] | Refusal:
    """A call-detail record from one JSON object, its times in UTC, and its canonical bytes; or why not.

    The third part is the record as it was read before A42 (fractions were rounded), where that is another.
    """
    decoded = _decode(_call_of, CallRecord, raw, _CDR_INSTANTS)
    if isinstance(decoded, Refusal):
        return (not_a_call_record(raw) if decoded.reason is Reason.MALFORMED else None) or decoded
    cdr, canonical, formerly = decoded
    cdr_utc = in_utc(cdr)
    if isinstance(cdr_utc, Refusal):
        return cdr_utc
    former_utc = None if formerly is None else in_utc(formerly)
    former_utc = None if isinstance(former_utc, Refusal) else former_utc
    return cdr_utc, canonical if cdr_utc is cdr else _encode(cdr_utc), former_utc


def _call_of(raw: bytes) -> CallRecord:
    """A record without a duration, or with null, is of a call that was not connected (rule 73)."""
    try:
        return _cdr_decoder.decode(raw)
    except msgspec.ValidationError as wrong:
        if not str(wrong).endswith("got `null` - at `$.duration_s`"):
            raise
    return _cdr_decoder.decode(_without_duration(raw))


def _command_of(raw: bytes) -> AnyCommand:
    """A command; the record of a call in it may have a duration of null as well."""
    try:
        return _command_decoder.decode(raw)  # type: ignore[no-any-return]  # msgspec's types know no unions
    except msgspec.ValidationError as wrong:
        if not str(wrong).endswith("got `null` - at `$.call.duration_s`"):
            raise
    fields = _fields_decoder.decode(raw)
    fields["call"] = msgspec.Raw(_without_duration(bytes(fields["call"])))
    return _command_decoder.decode(_encode(fields))  # type: ignore[no-any-return]  # the same


def _without_duration(raw: bytes) -> bytes:
    fields = _fields_decoder.decode(raw)
    del fields["duration_s"]
    return _encode(fields)


def not_a_call_record(raw: bytes) -> Refusal | None:
    """Why a command is refused where records of calls are expected (A48); None if it is no command."""
    kind = _kind_of(raw)
    if kind is None or kind.command is msgspec.UNSET:
        return None
    if kind.usage_id is not msgspec.UNSET and bytes(kind.command) not in _COMMAND_NAMES:
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
    decoded = _decode(_command_of, AnyCommand, raw, _COMMAND_INSTANTS, _WITHIN_COMMANDS)
    if isinstance(decoded, Refusal):
        return _not_a_command(raw) or decoded
    command = decoded[0]
    if isinstance(command, TenantConfigured) and (refused := no_currency(command.currency)):
        return refused
    # In one order, so that a replay names the same field where two are impossible.
    instants = {name: getattr(command, name, None) for name in sorted(_COMMAND_INSTANTS)}
    return impossible_time(**instants) or command


def _not_a_command(raw: bytes) -> Refusal | None:
    """Why a record of a call is refused where commands are expected (A48); None if it is not a record."""
    kind = _kind_of(raw) if len(raw) <= RECORD_BYTES_MAX else None
    if kind is None or kind.usage_id is msgspec.UNSET or kind.command is not msgspec.UNSET:
        return None
    return Refusal(
        Reason.MALFORMED, "command", "expected a command, got a record of a call; give it among the files"
    )


def decode_call_event(raw: bytes) -> CallEvent | Refusal:
    """An event of a running call, its times in UTC, from one JSON object; or why not."""
    decoded = _decode(_event_decoder.decode, CallEvent, raw, _EVENT_INSTANTS)
    if isinstance(decoded, Refusal):
        return (not_a_call_record(raw) if decoded.reason is Reason.MALFORMED else None) or decoded
    event = decoded[0]
    if refused := impossible_time(at=event.at, started_at=event.started_at):
        return refused
    started_at = event.started_at and as_utc(event.started_at)
    return msgspec.structs.replace(event, at=as_utc(event.at), started_at=started_at)


def decode_deck(raw: bytes) -> RateDeck | Refusal:
    """A version of a rate deck; or why not.  Decks are as large as they need to be.

    One in a currency that does not exist is read, since release 0.3.0 published such; only a tenant that was
    configured there can use it.
    """
    decoded = _decode(_deck_decoder.decode, RateDeck, raw, _DECK_INSTANTS, _WITHIN_DECKS, limit=None)
    if isinstance(decoded, Refusal):
        return decoded
    return unusable_rate(decoded[0]) or decoded[0]


def encode(output: Output) -> bytes:
    """An output as one JSON object."""
    return _encode(output)


def encode_input(value: CallRecord | AnyCommand | RateDeck) -> bytes:
    """An input as one JSON object: the canonical form."""
    return _encode(value)


def claimed_tenant(raw: bytes) -> str | None:
    """The tenant that a broken record names, as far as it can be read and could be a tenant's name."""
    try:
        value = json.loads(raw[:RECORD_BYTES_MAX])
    except (ValueError, RecursionError):
        return None
    tenant = value.get("tenant") if isinstance(value, dict) else None
    if not isinstance(tenant, str) or not 0 < len(tenant) <= IDENTIFIER_LENGTH_MAX:
        return None
    return None if UNWRITABLE.search(tenant) else tenant


def _decode(
    read: Callable[[bytes], _Decoded],
    kind: object,
    raw: bytes,
    instants: frozenset[str],
    within: Mapping[str, frozenset[str]] = NOTHING,
    limit: int | None = RECORD_BYTES_MAX,
) -> tuple[_Decoded, bytes, _Decoded | None] | Refusal:
    """The value with its canonical bytes; instants are cut to microseconds (A42).

    The third part is the value as it was read before A42, where that is another.
    Bytes that are canonical say no field twice and have no fraction to cut, so they are not looked at again.
    """
    if limit is not None and len(raw) > limit:
        return _too_large(raw)
    formerly = None
    try:
        value = read(raw)
        canonical = _encode(value)
        if canonical != raw:
            if repeated := repeated_key(raw):
                return _duplicate_key(repeated)
            if may_have_seventh(raw):
                as_read, value = value, read(cut_fractions(raw, instants, within))
                formerly = None if as_read == value else as_read
                canonical = _encode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        return _undecodable(wrong, kind, raw)
    # A control character is escaped, or DEL, or (C1) not ASCII: most records need no look.
    if (b"\\" in raw or b"\x7f" in raw or not raw.isascii()) and (refused := control_character(value)):
        return refused
    return value, canonical, formerly


def _too_large(raw: bytes) -> Refusal:
    return Refusal(Reason.TOO_LARGE, "", f"expected at most {RECORD_BYTES_MAX} bytes, got {len(raw)}")


def _duplicate_key(name: str) -> Refusal:
    return Refusal(Reason.DUPLICATE_KEY, name, f"expected every field once, got {name!r} twice")


def _undecodable(wrong: Exception, kind: object, raw: bytes) -> Refusal:
    """Add place and field; a local time has a reason of its own."""
    if not raw.strip():
        return Refusal(Reason.MALFORMED, "", "expected a JSON object, got an empty record")
    if isinstance(wrong, RecursionError):
        return Refusal(Reason.MALFORMED, "", "expected a flat JSON object, got one nested too deeply")
    field, message = in_words(wrong, kind, raw)
    reason = Reason.TIME_WITHOUT_ZONE if str(wrong).startswith(_NO_ZONE) else Reason.MALFORMED
    return Refusal(reason, field, message)
