"""Graph `pstnCallLogRow` JSON: a page with `value`, an array, or one row a line.

Seconds have seven decimals, capabilities may be unknown: both are accepted.
The caller says whose the rows are.
"""

from typing import Any, BinaryIO

import msgspec
import orjson

from rater.core import CallRecord, Reason, Refusal
from rater.files.local_times import LocalTimes
from rater.files.usage_csv import is_inbound, record_of
from rater.wire.codec import RECORD_BYTES_MAX, not_a_call_record
from rater.wire.errors import RaterError
from rater.wire.repeated_keys import repeated_key

#: A page of Graph has at most 1000 rows and 1 MB; documents are read whole, and each of these bytes may need 40.
DOCUMENT_BYTES_MAX = 16_000_000
DOCUMENT_ROWS_MAX = 200_000
#: Field of a row -> column of the usage export that means the same.
_COLUMN_OF = {
    "id": "UsageId",
    "callId": "Call ID",
    "conferenceId": "Conference ID",
    "usageCountryCode": "User Location",
    "userId": "AAD ObjectId",
    "userPrincipalName": "UPN",
    "userDisplayName": "User Display Name",
    "callType": "Call Type",
    "inventoryType": "Number Type",
    "destinationName": "Destination Dialed",
    "startDateTime": "Start Time",
    "endDateTime": "End Time",
    "duration": "Duration Seconds",
    "currency": "Currency",
    "licenseCapability": "Capability",
}
_SPLIT = "give smaller pages, or one row a line: jq -c '.value[]?'"
_NUMBERS = ("callerNumber", "calleeNumber")


class Page(msgspec.Struct, frozen=True):
    """A page of rows, each as it was written; `next_link` is there when more pages are."""

    value: list[msgspec.Raw]
    next_link: str | None = msgspec.field(name="@odata.nextLink", default=None)


_document = msgspec.json.Decoder(Page | list[msgspec.Raw])


class GraphRows(msgspec.Struct, frozen=True):
    """A reader for rows of one tenant."""

    tenant: str
    local: LocalTimes = LocalTimes()

    def decode(self, raw: bytes) -> CallRecord | Refusal:
        """A row as a call record, or why it is refused."""
        if len(raw) > RECORD_BYTES_MAX:
            return Refusal(Reason.TOO_LARGE, "", f"expected at most {RECORD_BYTES_MAX} bytes, got {len(raw)}")
        try:
            row = orjson.loads(raw)
        except orjson.JSONDecodeError as wrong:
            return Refusal(Reason.MALFORMED, "", f"not JSON: {wrong}")
        if not isinstance(row, dict):
            return Refusal(Reason.MALFORMED, "", "expected a pstnCallLogRow object")
        if repeated := repeated_key(raw):
            return Refusal(Reason.DUPLICATE_KEY, repeated, f"expected every field once, got {repeated!r} twice")
        if "callType" not in row and (refused := not_a_call_record(raw)):
            return refused
        return wrong_type(row) or record_of(self.tenant, cells_of(row), self.local)


def wrong_type(row: dict[str, Any]) -> Refusal | None:
    """A field that is there with another type than Graph documents, or None: no type is made of another."""
    for field in (*_COLUMN_OF, *_NUMBERS):
        value = row.get(field)
        if field == "duration" and type(value) not in {int, type(None)}:
            return Refusal(Reason.MALFORMED, field, f"expected a whole number of seconds, got {_shown(value)}")
        if field != "duration" and not isinstance(value, str | None):
            return Refusal(Reason.MALFORMED, field, f"expected text, got {_shown(value)}")
    return None


def _shown(value: object) -> str:
    """A value in a message; of lists and objects, which may be nested deeply, only what they are."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    return f"{value!r:.80}"


def cells_of(row: dict[str, Any]) -> dict[str, str]:
    """The row in the words of the usage export; numbers by direction, so that none is mistaken (A13)."""
    cells = {column: str(row[field]) for field, column in _COLUMN_OF.items() if row.get(field) is not None}
    inbound = is_inbound(cells.get("Call Type", ""))
    far, near = reversed(_NUMBERS) if not inbound else _NUMBERS
    for field, column in ((far, "Destination Number"), (near, "Caller ID")):
        if row.get(field):
            cells[column] = row[field]
    return cells


def whole_document(path: str, first: bytes, stream: BinaryIO) -> bytes:
    """A document whose beginning was read; RaterError if it is too large to be read whole."""
    document = first + stream.read(max(0, DOCUMENT_BYTES_MAX + 1 - len(first)))
    if len(document) > DOCUMENT_BYTES_MAX:
        raise RaterError(
            f"{path}: expected a page of at most {DOCUMENT_BYTES_MAX} bytes (DOCUMENT_BYTES_MAX); {_SPLIT}"
        )
    return document


def page_of(path: str, document: bytes) -> Page:
    """The rows of a document: a page, an array or one row, on any number of lines.  Raises RaterError."""
    try:
        try:
            found = _document.decode(document)
        except msgspec.ValidationError:
            return _one_row(path, document)
    except (msgspec.DecodeError, orjson.JSONDecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise RaterError(
            f"{path}: expected a page of pstnCallLogRow, or one JSON object a line, got broken JSON: {wrong}"
        ) from wrong
    page = found if isinstance(found, Page) else Page(found)
    if (rows := len(page.value)) > DOCUMENT_ROWS_MAX:
        raise RaterError(
            f"{path}: expected a page of at most {DOCUMENT_ROWS_MAX} rows (DOCUMENT_ROWS_MAX), got {rows}; {_SPLIT}"
        )
    return page


def _one_row(path: str, document: bytes) -> Page:
    """A document that is a single row."""
    value = orjson.loads(document)
    if not isinstance(value, dict) or "callType" not in value:
        shown = ", ".join(value)[:80] if isinstance(value, dict) else str(value)[:80]
        raise RaterError(
            f"{path}: expected a page of pstnCallLogRow, or one JSON object a line, got a document of {shown!r};"
            " to write each object on one line: jq -c ."
        )
    return Page([msgspec.Raw(document.strip())])
