"""Mediation: is this record of a call one that can be rated at all?

The checks that types cannot say, the same in every shell.  Sources: rating-rules 15, 23, 68, 72, 73, A13,
A14; conformance README ("is `rejected`").  Refuses to know tenants' state, except the currency.
"""

from datetime import UTC, datetime, timedelta

import msgspec

from rater.core.classify import INBOUND, OUTBOUND
from rater.core.geography import is_emergency
from rater.core.inputs import CallRecord
from rater.core.instants import as_utc
from rater.core.numbers import is_address, is_e164, is_withheld
from rater.core.reasons import CallType, Reason

#: Switches round start, end and duration apart; more than this is not rounding.
CLOCK_TOLERANCE_S = 2
_USERLESS = frozenset({CallType.UCAP_IN, CallType.UCAP_OUT, CallType.INTERNAL})


class Refusal(msgspec.Struct, frozen=True):
    """Why a record is refused: the reason, the field, and one sentence with what was expected."""

    reason: Reason
    field: str
    message: str


def in_utc(cdr: CallRecord) -> CallRecord:
    """The record with every instant in UTC, so that the same call has the same content."""
    received, ended = cdr.received_at, cdr.ended_at
    if (
        cdr.answered_at.tzinfo is UTC
        and (received is None or received.tzinfo is UTC)
        and (ended is None or ended.tzinfo is UTC)
    ):
        return cdr
    changed = {
        field: value.astimezone(UTC)
        for field in ("answered_at", "ended_at", "received_at")
        if (value := getattr(cdr, field)) is not None and value.tzinfo is not UTC
    }
    return msgspec.structs.replace(cdr, **changed) if changed else cdr


def arrival(cdr: CallRecord) -> datetime:
    """When the record reached the rater, in UTC; without `received_at`, when the call ended."""
    return as_utc(cdr.received_at or cdr.answered_at + timedelta(seconds=cdr.duration_s))


def refusal(cdr: CallRecord, currency: str, emergency: bool) -> Refusal | None:
    """The first reason for which this record cannot be rated, or None."""
    if cdr.duration_s < 0:
        return Refusal(Reason.NEGATIVE_DURATION, "duration_s", f"expected 0 or more seconds, got {cdr.duration_s}")
    if cdr.currency is not None and cdr.currency != currency:
        return Refusal(
            Reason.CURRENCY_MISMATCH,
            "currency",
            f"expected the tenant's currency {currency}, got {cdr.currency}",
        )
    if cdr.ended_at is not None:
        wrong = _times_disagree(cdr, cdr.ended_at)
        if wrong:
            return wrong
    if emergency:
        return None
    if cdr.user is None and cdr.type in OUTBOUND and cdr.type not in _USERLESS:
        return Refusal(Reason.NO_USER, "user", f"expected the user who pays for a call of type {cdr.type.value}")
    return _numbers_unreadable(cdr)


def emergency_call(cdr: CallRecord, country: str | None) -> bool:
    """Whether this is an emergency call: what the record says, else the list of the user's country (A14)."""
    if cdr.emergency is not None:
        return cdr.emergency
    called = cdr.called
    if called is None or called[:1] == "+" or cdr.type not in OUTBOUND:
        return False
    return is_emergency(called, country)


def internal_call(cdr: CallRecord) -> bool:
    """Whether the call stayed within the service (rule 15)."""
    called = cdr.called
    return cdr.type is CallType.INTERNAL or (called is not None and called[:1] != "+" and is_address(called))


def _times_disagree(cdr: CallRecord, ended_at: datetime) -> Refusal | None:
    if ended_at < cdr.answered_at:
        return Refusal(
            Reason.ENDS_BEFORE_START,
            "ended_at",
            f"expected an end at or after the start {cdr.answered_at.isoformat()}, got {ended_at.isoformat()}",
        )
    lasted = ended_at - cdr.answered_at
    if timedelta(seconds=cdr.duration_s - CLOCK_TOLERANCE_S) > lasted:
        return Refusal(
            Reason.IMPOSSIBLE_DURATION,
            "duration_s",
            f"expected at most the {lasted // timedelta(seconds=1)} s between start and end, got {cdr.duration_s}",
        )
    return None


def _numbers_unreadable(cdr: CallRecord) -> Refusal | None:
    """Both numbers must be E.164 where the rules read them; withheld callers and internal addresses may be."""
    called, calling = cdr.called, cdr.calling
    outbound = cdr.type in OUTBOUND
    if not outbound and cdr.type not in INBOUND:
        return None
    if outbound and called is None:
        return Refusal(Reason.NOT_E164, "called", "expected the called number, got none")
    if called is not None and not (is_e164(called) or is_address(called) or (not outbound and is_withheld(called))):
        return Refusal(Reason.NOT_E164, "called", f"expected an E.164 number such as +14255550100, got {called!r}")
    if calling is None or is_e164(calling) or is_withheld(calling) or is_address(calling):
        return None
    return Refusal(Reason.NOT_E164, "calling", f"expected an E.164 number such as +14255550100, got {calling!r}")
