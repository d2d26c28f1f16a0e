"""A call that runs while its tenant's credit runs out: its events, and the record after the switch obeyed."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from rater.core import CallCommand, CallEvent, CallProgress, CallRecord, CallType

TENANT = "tailspin"
USAGE_ID = "demo-running-call"
#: No plan of this user has minutes for calls to Germany, so credit covers them.
USER, CALLING, CALLED = "user000002@tailspin.example", "+12065550002", "+493023011649"
#: How long the call has lasted when the credit runs out, and how often the switch sends a heartbeat.
LASTED = timedelta(minutes=5)
_BEAT = timedelta(seconds=30)
#: How long it takes from the order until the switch has hung up.
_HANG_UP = timedelta(seconds=4)


def events_until(dry_at: datetime) -> Iterator[CallEvent]:
    """The events of the call until the credit runs out."""
    began, at = dry_at - LASTED, dry_at - LASTED
    while at < dry_at:
        yield CallEvent(
            tenant=TENANT,
            usage_id=USAGE_ID,
            type=CallType.USER_OUT,
            event=CallProgress.STARTED if at == began else CallProgress.HEARTBEAT,
            at=at,
            started_at=began,
            user=USER,
            calling=CALLING,
            called=CALLED,
        )
        at += _BEAT


def record_of(order: CallCommand, dry_at: datetime) -> CallRecord:
    """The call's record: it lasted until the switch had hung up, and says how long it might have."""
    hung_up_at = max(order.at, dry_at) + _HANG_UP
    began = dry_at - LASTED
    return CallRecord(
        tenant=order.tenant,
        usage_id=order.usage_id,
        type=CallType.USER_OUT,
        answered_at=began,
        duration_s=(hung_up_at - began) // timedelta(seconds=1),
        user=USER,
        calling=CALLING,
        called=CALLED,
        authorized_s=order.authorized_s,
    )
