"""Graph `pstnCallLogRow` JSON: a page with `value`, an array, or one row a line (rating-rules 2.2).

Seconds have seven decimals, capabilities may be unknown: both are accepted.
Refuses to know which tenant a page belongs to: the caller says.
"""

from typing import Any

import msgspec
import orjson

from rater.contracts.codec import repeated_key
from rater.core.inputs import CallRecord
from rater.core.mediation import Refusal
from rater.core.reasons import Reason
from rater.formats.pstn_csv import record_of

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


class GraphRows(msgspec.Struct, frozen=True):
    """A reader for rows of one tenant."""

    tenant: str

    def decode(self, raw: bytes) -> CallRecord | Refusal:
        """A row as a call record, or why it is none."""
        try:
            row = orjson.loads(raw)
        except orjson.JSONDecodeError as wrong:
            return Refusal(Reason.MALFORMED, "", f"not JSON: {wrong}")
        if not isinstance(row, dict):
            return Refusal(Reason.MALFORMED, "", "expected a pstnCallLogRow object")
        if repeated := repeated_key(raw):
            return Refusal(Reason.DUPLICATE_KEY, repeated, f"expected every field once, got {repeated!r} twice")
        return record_of(self.tenant, cells_of(row))


def cells_of(row: dict[str, Any]) -> dict[str, str]:
    """The row in the words of the usage export; numbers by direction, so that none is mistaken (A13)."""
    cells = {
        column: str(row[field])
        for field, column in _COLUMN_OF.items()
        if row.get(field) is not None and not isinstance(row[field], float)
    }
    if isinstance(row.get("duration"), float):
        cells["Duration Seconds"] = repr(row["duration"])
    inbound = "_in" in cells.get("Call Type", "")
    far, near = ("callerNumber", "calleeNumber") if inbound else ("calleeNumber", "callerNumber")
    for field, column in ((far, "Destination Number"), (near, "Caller ID")):
        if row.get(field):
            cells[column] = str(row[field])
    return cells


def rows_of(document: bytes) -> list[bytes]:
    """The rows of a page or an array, each as its own JSON; raises orjson.JSONDecodeError."""
    value = orjson.loads(document)
    rows = value.get("value", [value]) if isinstance(value, dict) else value
    return [orjson.dumps(row) for row in rows]
