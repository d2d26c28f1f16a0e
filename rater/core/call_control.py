"""Calls in progress: the events that switches send while a call runs, and the orders that they get.

Which calls are ended, and why, is decided in `running_calls`.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from rater.core.inputs import DURATION_S_MAX, Identifier, Instant, Number, Text
from rater.core.reasons import CallType, ClosedList, NumberType


class CallProgress(ClosedList):
    """What happened to a running call."""

    STARTED = "started"  # it was answered
    HEARTBEAT = "heartbeat"  # it still runs; without one for a while it counts as gone
    ENDED = "ended"  # it is over; its record follows on `cdrs`


class DisconnectReason(ClosedList):
    """Why a running call must be ended."""

    CREDITS_SUSPENDED = "credits_suspended"  # nothing is left of the tenant's credit
    TENANT_CLOSED = "tenant_closed"  # the tenant was closed
    BRAKE_REACHED = "brake_reached"  # what brakes on money allow beside other running calls is used (A50)
    CREDIT_USED_UP = "credit_used_up"  # what this call may spend beside the tenant's other running calls is used


class CallHandles(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """By what a switch ends the call, where its `call_id` alone is not enough; each as the switch has it.

    Kamailio: `from_tag` and `to_tag` of the dialog, or `dialog`, its hash entry and id as `ENTRY:ID`.
    FreeSWITCH: `channel` is the UUID of the leg; Asterisk: the channel's unique id.
    """

    from_tag: Text | None = None
    to_tag: Text | None = None
    dialog: Text | None = None
    channel: Text | None = None


class CallEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A record of the `call-events` topic, keyed by tenant.

    `usage_id` is the one that the call's record will have: two legs of one call are two.  `started_at` is when the
    call was answered, so that a heartbeat alone is enough to know the call (absent: `at`).  The first `switch` that
    an event of the call names carries it; its order goes there and nowhere else.
    """

    tenant: Identifier
    usage_id: Identifier
    type: CallType
    event: CallProgress
    at: Instant
    started_at: Instant | None = None
    user: Identifier | None = None
    calling: Number | None = None
    called: Number | None = None
    number_type: NumberType = NumberType.TOLL
    emergency: bool | None = None
    call_id: Text | None = None
    switch: Identifier | None = None
    handles: CallHandles | None = None


class CallCommand(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A record of the `call-commands` topic, keyed by tenant: end this call.

    `id` is made from tenant and usage id: obey the first, the same id again is the same order.  The call's record
    carries `authorized_s`, so that at most these seconds are billed however long the hang-up took (A22).  `switch`
    and `handles` are those of the call's events.
    """

    tenant: str
    id: str
    command: Literal["disconnect"]
    usage_id: str
    at: datetime
    reason: DisconnectReason
    authorized_s: Annotated[int, Meta(ge=0, le=DURATION_S_MAX)]
    user: str | None = None
    call_id: str | None = None
    switch: str | None = None
    handles: CallHandles | None = None
