"""The records in the body of a request: our JSON (one object, an array, or lines), a form as FreeSWITCH posts it,
or what a mapping reads.

A body whose frame cannot be read is refused as a whole (400: nothing was stored, the client still has it).  A
record in a good frame that cannot be rated is kept as a dead letter.
"""

import base64
import binascii
from collections.abc import Callable, Iterator
from datetime import datetime
from io import BytesIO
from typing import NamedTuple
from urllib.parse import parse_qs

import msgspec

from rater.core import CallEvent, MappedBy, Source
from rater.engine.batch import Envelope, Record
from rater.files.mappings import Mapping, NotSelected
from rater.files.recognise import CALL_EVENTS, COMMANDS
from rater.serve.group_commit import Item
from rater.serve.problems import Kind, ProblemError
from rater.wire.codec import RECORD_BYTES_MAX, decode_call_event
from rater.wire.errors import RaterError

#: Records of one request.
RECORDS_MAX = 5_000
JSON = ("application/json", "text/json")
LINES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/json-lines")
#: The last two are names of mod_xml_cdr and mod_json_cdr of FreeSWITCH: what is behind `cdr=` is not URL-encoded.
FORM, PLAIN_FORM, BASE64_FORM = FORMS = (
    "application/x-www-form-urlencoded",
    "application/x-www-form-plaintext",
    "application/x-www-form-base64-encoded",
)
FORM_FIELD = "cdr"
_BEFORE = f"{FORM_FIELD}=".encode()
_array = msgspec.json.Decoder(list[msgspec.Raw])
_value = msgspec.json.Decoder(msgspec.Raw)


class Arrived(NamedTuple):
    """A request's records have this in common: whose they are and when they came.

    `places` gives each record the place under which it is known.
    """

    tenant: str | None
    at: datetime
    places: Callable[[], Source]


#: A record to be stored, or why its mapping passes it over.
Found = Item | NotSelected


def calls_in(content_type: str, body: bytes, arrived: Arrived, mapping: Mapping | None) -> list[Found]:
    """The records of calls; ProblemError where the body is none."""
    if mapping is None or mapping.file.reader.kind != "form":  # a mapping of forms reads them itself
        body = _out_of_form(content_type, body)
    if mapping is not None:
        return _bounded(_mapped(mapping, body, arrived))
    return _bounded(
        Record("cdr", arrived.places(), raw, None, None, arrived.at, True) for raw in _ours(content_type, body)
    )


def events_in(content_type: str, body: bytes, arrived: Arrived) -> list[Found]:
    """Events of running calls; what is none is a record that will be refused."""
    return _bounded(_event(raw, arrived) for raw in _ours(content_type, _out_of_form(content_type, body)))


def commands_in(content_type: str, body: bytes, arrived: Arrived) -> list[Found]:
    """Commands; what is refused of them says that it came by an input for commands (A48)."""
    envelope = Envelope(COMMANDS, arrived.tenant)
    return _bounded(
        Record("command", arrived.places(), raw, None, envelope, arrived.at, True)
        for raw in _ours(content_type, body)
    )


def _event(raw: bytes, arrived: Arrived) -> Item:
    event = decode_call_event(raw)
    if isinstance(event, CallEvent):
        return event
    envelope = Envelope(CALL_EVENTS, arrived.tenant)
    return Record("cdr", arrived.places(), raw, event, envelope, arrived.at, True)


def _mapped(mapping: Mapping, body: bytes, arrived: Arrived) -> Iterator[Found]:
    try:
        opened = mapping.open("the body", BytesIO(body))
    except RaterError as wrong:
        raise ProblemError(Kind.UNREADABLE, f"map={mapping.name}: {wrong}") from wrong
    by = MappedBy(mapping.name, mapping.version, mapping.place)
    envelope = Envelope("mapping", arrived.tenant, opened.header, mapping=by)
    for line in opened.raws:
        raw = line.rstrip(b"\r\n")
        if not raw.strip():
            continue
        value = opened.mapping.map_one(raw)
        if isinstance(value, NotSelected):
            yield value
        else:
            yield Record("cdr", arrived.places(), raw, value, envelope, arrived.at, True)


def _ours(content_type: str, body: bytes) -> Iterator[bytes]:
    """The bytes of each record of a body in our JSON."""
    if content_type in LINES:
        yield from (line for text in body.splitlines() if (line := text.strip()))
        return
    if content_type not in (*JSON, *FORMS):
        expected = ", ".join((JSON[0], LINES[0], FORM))
        raise ProblemError(
            Kind.WRONG_TYPE, f"Content-Type: expected {expected}, or any with ?map=NAME; got {content_type[:80]}"
        )
    start = body.lstrip()[:1]
    try:
        if start == b"[":
            yield from map(bytes, _array.decode(body))
            return
        if start == b"{":
            yield bytes(_value.decode(body))
            return
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise ProblemError(
            Kind.UNREADABLE, f"the body: expected JSON: {wrong}; lines of JSON have Content-Type: {LINES[0]}"
        ) from wrong
    shown = body[:40].decode("utf-8", "replace")
    raise ProblemError(Kind.UNREADABLE, f"the body: expected a JSON object or an array of them, got {shown!r}")


def _out_of_form(content_type: str, body: bytes) -> bytes:
    """The content of a form's field `cdr`; any other body as it is."""
    if content_type == FORM:
        return _field(body)
    if content_type == PLAIN_FORM:
        return body.removeprefix(_BEFORE)
    if content_type == BASE64_FORM:
        try:
            return base64.b64decode(body.removeprefix(_BEFORE))
        except (binascii.Error, ValueError) as wrong:
            raise ProblemError(Kind.UNREADABLE, f"{FORM_FIELD}: expected base64: {wrong}") from wrong
    return body


def _field(body: bytes) -> bytes:
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=16, keep_blank_values=True)
    except (ValueError, UnicodeDecodeError):
        fields = {}
    found = fields.get(FORM_FIELD, [])
    if len(found) != 1:
        raise ProblemError(
            Kind.UNREADABLE,
            f"the form: expected one field {FORM_FIELD} that holds the record; a body of JSON has Content-Type:"
            f" {JSON[0]}",
        )
    return found[0].encode()


def _bounded(found: Iterator[Found]) -> list[Found]:
    """All records; ProblemError where there are too many, or one is too long: nothing is stored then."""
    records: list[Found] = []
    for one in found:
        if len(records) == RECORDS_MAX:
            raise ProblemError(Kind.TOO_LARGE, f"expected at most {RECORDS_MAX} records (RECORDS_MAX); send fewer")
        if isinstance(one, Record) and len(one.raw) > RECORD_BYTES_MAX:
            raise ProblemError(
                Kind.TOO_LARGE,
                f"record {len(records)}: expected at most {RECORD_BYTES_MAX} bytes (RECORD_BYTES_MAX),"
                f" got {len(one.raw)}",
            )
        records.append(one)
    return records
