"""The PSTN usage export: 20 columns, comma or tab, `<No data>` for what does not apply.

`Caller ID` is never a destination (A13): the number at the other end is `Destination Number`.  For inbound
calls the export's own wording is "number that received the call", so there `Caller ID` is the called number
and `Destination Number`, where it is not empty, the calling one.
The caller says whose the rows are.
"""

import csv
import re
from collections.abc import Mapping

import msgspec
import orjson

from rater.core import DIRECT_INBOUND, DURATION_S_MAX, INBOUND, CallRecord, CallType, Reason, Refusal
from rater.files.lines import SAY_ENCODING
from rater.files.local_times import LocalTimes, UnreadableTime
from rater.wire.codec import RECORD_BYTES_MAX, decode_cdr
from rater.wire.errors import RaterError

COLUMNS = (
    "UsageId",
    "Call ID",
    "Conference ID",
    "User Location",
    "AAD ObjectId",
    "UPN",
    "User Display Name",
    "Caller ID",
    "Call Type",
    "Number Type",
    "Domestic/International",
    "Destination Dialed",
    "Destination Number",
    "Start Time",
    "End Time",
    "Duration Seconds",
    "Connection Fee",
    "Charge",
    "Currency",
    "Capability",
)
#: A column that our own usage export has besides; the portal's is of one tenant and does not name it.
_OURS = "Tenant"
_NO_DATA = "<no data>"
#: What the csv module says of it.
_NEVER_CLOSED = "unexpected end of data"
_NEEDED = ("UsageId", "Call Type", "Start Time")
_INBOUND = frozenset(type.value for type in INBOUND | DIRECT_INBOUND)
_CALL_TYPES = frozenset(type.value for type in CallType)
_FRACTION = re.compile(r"(\.\d{6})\d+")
_TIMES = {"Start Time": "answered_at", "End Time": "ended_at"}
#: A spreadsheet writes long numbers so, with six digits; the other digits are lost.
_ROUNDED = re.compile(r"[0-9][.,][0-9]+E\+[0-9]+", re.ASCII)
_NUMBERED = ("UsageId", "Call ID", "Conference ID", "Caller ID", "Destination Number")
#: Seconds; spreadsheets add a decimal.  Three zeros could be thousands.
_SECONDS = re.compile(r"(-?[0-9]{1,18})(?:[.,]0{1,2})?", re.ASCII)
_AS_WRITTEN = LocalTimes()
NOT_UTF8 = "expected UTF-8 text"


class PstnCsv(msgspec.Struct, frozen=True):
    """A reader for the rows of one file: its tenant, delimiter, and the columns in the file's order."""

    tenant: str
    delimiter: str
    columns: tuple[str, ...]
    local: LocalTimes = _AS_WRITTEN

    def decode(self, raw: bytes) -> CallRecord | Refusal:
        """A row as a call record, or why it is refused."""
        if len(raw) > RECORD_BYTES_MAX:
            return Refusal(Reason.TOO_LARGE, "", f"expected at most {RECORD_BYTES_MAX} bytes, got {len(raw)}")
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as wrong:
            message = f"{NOT_UTF8}, got byte 0x{raw[wrong.start]:02x} at {wrong.start}; {SAY_ENCODING}"
            return Refusal(Reason.MALFORMED, "", message)
        try:
            cells = next(csv.reader([text], delimiter=self.delimiter, strict=True), [])
        except csv.Error as wrong:
            message = "a quote that is never closed" if str(wrong) == _NEVER_CLOSED else str(wrong)
            return Refusal(Reason.MALFORMED, "", f"not CSV: {message}")
        if len(cells) != len(self.columns):
            return Refusal(Reason.MALFORMED, "", f"expected {len(self.columns)} cells, got {len(cells)}")
        given = {
            column: cell.strip()
            for column, cell in zip(self.columns, cells, strict=True)
            if cell.strip() and cell.strip().casefold() != _NO_DATA
        }
        if (other := given.get(_OURS, self.tenant)) != self.tenant:
            return Refusal(
                Reason.MALFORMED, _OURS, f"expected calls of {self.tenant} (--tenant), got {other!r:.80}"
            )
        return record_of(self.tenant, given, self.local)


def reader_for(path: str, header: bytes, tenant: str | None, local: LocalTimes = _AS_WRITTEN) -> PstnCsv:
    """The reader that a header asks for; RaterError names the columns that are missing."""
    try:
        text = header.decode("utf-8-sig").strip("\r\n")
    except UnicodeDecodeError as wrong:
        raise RaterError(f"{path}:1: {NOT_UTF8}, got byte 0x{header[wrong.start]:02x}; {SAY_ENCODING}") from wrong
    delimiter = max(",\t;", key=text.count)
    columns = _columns(path, text, delimiter)
    missing = [column for column in COLUMNS if column not in columns]
    if missing:
        raise RaterError(
            f"{path}:1: missing columns {', '.join(missing)}; expected the 20 columns of a PSTN usage export:"
            f" {','.join(COLUMNS)}"
        )
    twice = [column for column in COLUMNS if columns.count(column) > 1]
    if twice:
        raise RaterError(f"{path}:1: expected every column once, got {', '.join(twice)} twice; remove one of them")
    if tenant is None:
        raise RaterError(f"{path}: give the tenant of a usage export with --tenant")
    return PstnCsv(tenant, delimiter, columns, local)


def _columns(path: str, text: str, delimiter: str) -> tuple[str, ...]:
    """The names in a header, those that are known in their own spelling."""
    known = {column.casefold(): column for column in COLUMNS}
    try:
        names = [cell.strip() for cell in next(csv.reader([text], delimiter=delimiter), [])]
    except csv.Error as wrong:
        raise RaterError(
            f"{path}:1: expected a header that ends with LF or CR LF, got: {wrong}; save the file again as CSV"
        ) from wrong
    return tuple(known.get(name.casefold(), name) for name in names)


def record_of(tenant: str, given: Mapping[str, str], local: LocalTimes = _AS_WRITTEN) -> CallRecord | Refusal:
    """A call record from named cells; absent cells are not in the mapping."""
    for column in _NEEDED:
        if column not in given:
            return Refusal(Reason.MALFORMED, column, "expected a value, got none")
    type = given["Call Type"].strip().casefold()
    if type not in _CALL_TYPES:
        return _unknown_type(given["Call Type"])
    duration = given.get("Duration Seconds", "0")  # without one it was not connected (rule 73)
    seconds = _SECONDS.fullmatch(duration)
    if seconds is None:
        return _no_seconds(duration)
    if refused := _digits_lost(given):
        return refused
    if isinstance(times := _times_of(given, local), Refusal):
        return times
    inbound = is_inbound(type)
    far, near = given.get("Destination Number"), given.get("Caller ID")
    fields: dict[str, object] = {
        "tenant": tenant,
        "usage_id": given["UsageId"],
        "type": type,
        **times,
        "duration_s": int(seconds[1]),
        "user": given.get("UPN") or given.get("AAD ObjectId"),
        "calling": far if inbound else near,
        "called": near if inbound else far,
        "number_type": number_type(given.get("Number Type", "")),
        "currency": given.get("Currency"),
        "call_id": given.get("Call ID"),
        "conference_id": given.get("Conference ID"),
        "destination": given.get("Destination Dialed"),
        "user_country": given.get("User Location"),
        "user_object_id": given.get("AAD ObjectId"),
        "user_display_name": given.get("User Display Name"),
        "reported_capability": given.get("Capability"),
    }
    return _about_times(
        _decoded({name: value for name, value in fields.items() if value is not None}), given, local
    )


def _no_seconds(duration: str) -> Refusal:
    most = f", at most {DURATION_S_MAX} (DURATION_S_MAX)" if duration.isdecimal() else ""
    message = f"expected whole seconds{most}, got {duration!r:.80}"
    return Refusal(Reason.MALFORMED, "Duration Seconds", message)


def _times_of(given: Mapping[str, str], local: LocalTimes) -> dict[str, object] | Refusal:
    """Start and end in RFC 3339, by field; or why one is no time."""
    times: dict[str, object] = {}
    for column, name in _TIMES.items():
        if column in given:
            try:
                times[name] = _FRACTION.sub(r"\1", local.read(given[column]))
            except UnreadableTime as wrong:
                return Refusal(wrong.reason, column, str(wrong))
    return times


def _about_times(
    refused: CallRecord | Refusal, given: Mapping[str, str], local: LocalTimes
) -> CallRecord | Refusal:
    """What was decoded; a refusal of a time that cannot be, with what is wrong with it."""
    if not isinstance(refused, Refusal) or refused.reason is not Reason.MALFORMED:
        return refused
    column = next((column for column, name in _TIMES.items() if name == refused.field), None)
    if column is None:
        return refused
    try:
        local.converted(given[column])
    except UnreadableTime as wrong:
        return Refusal(wrong.reason, column, str(wrong))
    return refused


def _digits_lost(given: Mapping[str, str]) -> Refusal | None:
    """A number or an id that a spreadsheet wrote with six digits, or None."""
    for column in _NUMBERED:
        if column in given and _ROUNDED.fullmatch(given[column]):
            message = (
                f"expected every digit, got {given[column]!r}: a spreadsheet rounded the number; export the file"
                " again and give it as it comes, or format this column as text before a spreadsheet reads the file"
            )
            return Refusal(Reason.MALFORMED, column, message)
    return None


def _decoded(fields: Mapping[str, object]) -> CallRecord | Refusal:
    try:
        raw = orjson.dumps(fields)
    except TypeError:  # half a surrogate pair, as in a name from the command line that is no UTF-8
        return Refusal(Reason.MALFORMED, "", "expected text that can be written as UTF-8")
    return decode_cdr(raw)


def _unknown_type(type: str) -> Refusal:
    expected = "a call type such as user_out, conf_in, dr_out or oc_user_in"
    return Refusal(Reason.MALFORMED, "type", f"expected {expected}, got {type!r:.80}")


def is_inbound(type: str) -> bool:
    """Whether calls of a type, however it is spelled, come from outside: which number is whose depends on it."""
    return type.strip().casefold() in _INBOUND


def number_type(text: str) -> str:
    """`toll_free` for every spelling of it, else `toll`."""
    return "toll_free" if "tollfree" in re.sub(r"[^a-z]", "", text.casefold()) else "toll"
