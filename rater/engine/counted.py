"""Records of the output topics as far as a month is counted by them: of calls without what explains a price."""

from functools import lru_cache

import msgspec

from rater.core import EventKind, Outcome, Pocket
from rater.engine.difference import COUNTED


class ReadPart(msgspec.Struct, frozen=True, gc=False):
    """See rater.engine.difference.Part."""

    pocket: Pocket
    minutes: int
    pool: str | None = None


class ReadCall(msgspec.Struct, frozen=True, gc=False):
    """See rater.engine.difference.Charged."""

    tenant: str
    usage_id: str
    outcome: Outcome
    period: str
    minutes: int
    currency: str
    charge: str
    segments: tuple[ReadPart, ...] = ()
    unfunded_charge: str = "0"
    user: str | None = None
    destination: str | None = None


read_call = msgspec.json.Decoder(ReadCall).decode


def is_of(value: bytes, period: str) -> bool:
    """Whether a record of `rated-calls` is a call of a month."""
    return _mark_of(period) in value


@lru_cache
def _mark_of(period: str) -> bytes:
    return f'"period":"{period}"'.encode()


def is_corrected(value: bytes) -> bool:
    """Whether it replaces another."""
    return b'"outcome":"corrected"' in value


def is_counted(value: bytes) -> bool:
    """Whether a record of `account-events` is counted, or answers a payment."""
    return any(mark in value for mark in EVENT_MARKS)


#: One of these is in the JSON of an event that is counted, or that answers a payment.
EVENT_MARKS = tuple(
    [f'"event":"{kind}"'.encode() for kind in (*COUNTED, EventKind.RECHARGE_SUCCEEDED, EventKind.RECHARGE_FAILED)]
)
