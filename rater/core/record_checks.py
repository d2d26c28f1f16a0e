"""Checks of a record by itself: can its times all be true, and can it be read who calls whom?

What depends on the tenant (its currency, its domains) is checked in `mediation`.  A39, A43.
"""

from datetime import datetime, timedelta

from rater.core.classify import INBOUND, OUTBOUND
from rater.core.inputs import CallRecord
from rater.core.numbers import is_address, is_e164, is_withheld
from rater.core.reasons import CallType, Reason, Refusal

#: Switches round start, end and duration apart; more than this is not rounding.
CLOCK_TOLERANCE = timedelta(seconds=2)
#: Years that are reckoned with; instants outside cannot be moved by a zone or a month without leaving the calendar.
YEARS = range(1900, 2200)
_USERLESS = frozenset({CallType.UCAP_IN, CallType.UCAP_OUT, CallType.INTERNAL})


def impossible_time(**instants: datetime | None) -> Refusal | None:
    """The first of the named instants that no calendar reckoning may be tried on, or None."""
    for field, instant in instants.items():
        if instant is not None and instant.year not in YEARS:
            return Refusal(
                Reason.IMPOSSIBLE_TIME,
                field,
                f"expected a year from {YEARS[0]} to {YEARS[-1]}, got {instant.isoformat()}",
            )
    return None


def ahead_of_arrival(field: str, instant: datetime, arrival: datetime | None, hours: int) -> Refusal | None:
    """Why an instant cannot be: it lies further ahead of the arrival than clocks differ (A43); None if it can."""
    # A difference: what lies hours after the last day of year 9999 has no instant.
    if arrival is None or instant - arrival <= timedelta(hours=hours):
        return None
    message = (
        f"expected a time at most {hours} hours (clock_ahead_max_h) after the arrival at {arrival.isoformat()},"
        f" got {instant.isoformat()}; correct the clock that wrote it"
    )
    return Refusal(Reason.IMPOSSIBLE_TIME, field, message)


def impossible(cdr: CallRecord, hung_up_at: datetime) -> Refusal | None:
    """Start, end and duration that cannot all be true."""
    if cdr.duration_s < 0:
        return Refusal(Reason.NEGATIVE_DURATION, "duration_s", f"expected 0 or more seconds, got {cdr.duration_s}")
    ended_at = cdr.ended_at
    if ended_at is None or ended_at >= hung_up_at:
        return None
    if ended_at < cdr.answered_at:
        return Refusal(
            Reason.ENDS_BEFORE_START,
            "ended_at",
            f"expected an end at or after the start {cdr.answered_at.isoformat()}, got {ended_at.isoformat()}",
        )
    if ended_at + CLOCK_TOLERANCE >= hung_up_at:
        return None
    lasted_s = (ended_at - cdr.answered_at) // timedelta(seconds=1)
    # A spreadsheet shows, and saves, times to the minute.
    lost = ended_at.second == 0 == cdr.answered_at.second and hung_up_at - ended_at < timedelta(minutes=1)
    hint = "; start and end have no seconds: were they lost when the file was saved?" if lost else ""
    return Refusal(
        Reason.IMPOSSIBLE_DURATION,
        "duration_s",
        f"expected at most the {lasted_s} s between start and end, got {cdr.duration_s}{hint}",
    )


def unreadable(cdr: CallRecord, *, numbers_are_plain: bool = False) -> Refusal | None:
    """Who pays and both numbers, where the rules read them; withheld callers and internal addresses may be.

    `numbers_are_plain`: both are there, and are E.164 as nearly all are.
    """
    if numbers_are_plain and cdr.user is not None:
        return None  # a check that such a record can fail goes above this line
    called, calling = cdr.called, cdr.calling
    outbound = cdr.type in OUTBOUND
    if outbound and cdr.user is None and cdr.type not in _USERLESS:
        return Refusal(Reason.NO_USER, "user", f"expected the user who pays for a call of type {cdr.type.value}")
    if not outbound and cdr.type not in INBOUND:
        return None
    if outbound and called is None:
        return Refusal(Reason.NOT_E164, "called", "expected the called number, got none")
    if called is not None and not (is_e164(called) or is_address(called) or (not outbound and is_withheld(called))):
        return Refusal(Reason.NOT_E164, "called", f"expected an E.164 number such as +14255550100, got {called!r}")
    if calling is None or is_e164(calling) or is_withheld(calling) or is_address(calling):
        return None
    return Refusal(Reason.NOT_E164, "calling", f"expected an E.164 number such as +14255550100, got {calling!r}")
