"""Calls in progress: which run, what each has reserved, and which must be disconnected: no longer covered.

A call is known from its first event, and dropped after `SILENCE_S` without one.
What it reserves reaches from its start to the instant at which it would be dropped, or to its last authorised
second if that comes earlier; each heartbeat asks anew what covers the call beside all others.  So while events
are applied, running calls together cost no more than there is, and who asks for another call gets what is left.

While a tenant is open, only a call that may spend credits is ended, and only once pools and credit cover none of
its seconds any more: never a call that the licence includes, or one that a pool covers.  When the tenant is
closed, all its calls are ended.  An emergency call never is.  Rules 23, 40, 53, 54, A5, A22.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from heapq import heappop, heappush

import msgspec

from rater.core.call_control import CallCommand, CallEvent, CallHandles, CallProgress, DisconnectReason
from rater.core.identity import digest, normal_usage_id
from rater.core.quotes import AUTHORIZED_S_MAX, Question, Quote, Reserved
from rater.core.reasons import Refusal, Why

#: A call without an event for so long counts as gone: three heartbeats of 30 seconds.
SILENCE_S = 90
#: How long an ended call keeps what it used reserved, until its record is rated.
SETTLING_S = 60

#: What covers a call that started at an instant, with the state at another, beside what is reserved.
Quoting = Callable[[Question, datetime, datetime, Reserved], Quote | Refusal]


class RunningCall(msgspec.Struct, kw_only=True, eq=False):
    """One call: `authorized_s` is how long it may last as of its last heartbeat, `ordered` how it must end."""

    question: Question
    usage_id: str
    call_id: str | None
    started_at: datetime
    last_event_at: datetime = msgspec.field(name="heard_at")
    quote: Quote | None = msgspec.field(default=None, name="funding")
    reserved: Reserved = msgspec.field(default_factory=Reserved)
    ordered: CallCommand | None = None
    ended: bool = False
    looked_at: datetime | None = None
    switch: str | None = None
    handles: CallHandles | None = None

    @property
    def tenant(self) -> str:
        """Whose call it is."""
        return self.question.tenant

    @property
    def authorized_s(self) -> int:
        """How long it may last."""
        return self.quote.seconds if self.quote else 0

    @property
    def may_run_out(self) -> bool:
        """Whether credit covers it, at least at its end, or the tenant is closed."""
        quote = self.quote
        if quote is None:
            return False
        return (quote.rate is not None and quote.seconds < AUTHORIZED_S_MAX) or quote.why is Why.TENANT_CLOSED

    def lasted_s(self, at: datetime) -> int:
        """Whole seconds since its start."""
        return max(0, (at - self.started_at) // timedelta(seconds=1))

    def due_at(self) -> datetime:
        """When it has to be looked at again, if it has no event."""
        silent_at = self.last_event_at + timedelta(seconds=SILENCE_S)
        if self.ended and (self.reserved.money or self.reserved.pools):
            return self.last_event_at + timedelta(seconds=SETTLING_S)
        if self.ended or self.ordered is not None or not self.may_run_out:
            return silent_at
        return min(silent_at, self.started_at + timedelta(seconds=self.authorized_s))


class Standing(msgspec.Struct, frozen=True):
    """All that `RunningCalls` knows at an instant: enough for another process to go on from there."""

    calls: tuple[RunningCall, ...] = ()
    suspended: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()


class RunningCalls:
    """Every running call that had an event.  Each method returns the orders that follow, most pressing first."""

    def __init__(self, quote: Quoting, standing: Standing | None = None) -> None:
        self._quote = quote
        self._calls: dict[str, dict[str, RunningCall]] = {}
        self._reserved: dict[str, Reserved] = {}
        #: Tenants with running calls whose credit ran out, and whose calls were looked at since.
        self._suspended: set[str] = set()
        #: The same of tenants that were closed.
        self._closed: set[str] = set()
        #: (when to look, what breaks ties, the call); one entry for each call, early ones are looked up.
        self._watch: list[tuple[datetime, tuple[str, int], RunningCall]] = []
        self._watched = 0
        if standing is not None:
            self._resume(standing)

    def __contains__(self, tenant: str) -> bool:
        return tenant in self._calls

    def __len__(self) -> int:
        return sum(map(len, self._calls.values()))

    @property
    def due_at(self) -> datetime | None:
        """When `due` next has something to look at; None without calls."""
        return self._watch[0][0] if self._watch else None

    def reserved(self, tenant: str) -> Reserved:
        """What the tenant's running calls may still cost."""
        return self._reserved.get(tenant) or Reserved()

    def order_of(self, tenant: str, usage_id: str) -> CallCommand | None:
        """The order that a call was given, as long as it goes on."""
        call = self._calls.get(tenant, {}).get(normal_usage_id(usage_id))
        return None if call is None or call.ended else call.ordered

    def standing(self) -> Standing:
        """The state to go on from; it is written down before any other event is applied."""
        known = (call for calls in self._calls.values() for call in calls.values())
        calls = tuple(msgspec.structs.replace(call, looked_at=None) for call in known)  # that follows from the rest
        return Standing(calls, tuple(sorted(self._suspended)), tuple(sorted(self._closed)))

    def apply(self, event: CallEvent, at: datetime) -> list[CallCommand]:
        """Apply an event of a call; twice or late it changes nothing."""
        if event.at + timedelta(seconds=SILENCE_S) <= at:
            return []
        call = self._calls.get(event.tenant, {}).get(normal_usage_id(event.usage_id))
        if event.event is CallProgress.ENDED:
            if call is not None and not call.ended:
                self._end(call, event.at)
            return []
        if call is None:
            call = self._begin(event, at)
        elif call.ended or event.at <= call.last_event_at:
            return []
        call.switch, call.handles = call.switch or event.switch, call.handles or event.handles
        call.last_event_at = min(event.at, at)  # a switch whose clock is ahead gains nothing
        if call.ordered is not None:  # the switch goes on: it may not have read the order
            return [call.ordered]
        return self._look(call, at)

    def service_changed(self, tenant: str, service: str, at: datetime) -> list[CallCommand]:
        """The tenant's service is this now, see `service_of`: the orders, longest authorised first."""
        stopped = {"suspended": self._suspended, "closed": self._closed}
        looked_at = stopped.pop(service, None) if tenant in self._calls else None
        for tenants in stopped.values():
            tenants.discard(tenant)
        if looked_at is None or tenant in looked_at:
            return []
        looked_at.add(tenant)
        running = [call for call in self._calls[tenant].values() if not call.ended and call.ordered is None]
        running.sort(key=lambda call: (-call.authorized_s, call.started_at, call.usage_id))
        return [order for call in running for order in self._look(call, at)]

    def due(self, at: datetime) -> list[CallCommand]:
        """Time has passed: silent calls are dropped, those whose time is used up are ended."""
        orders: list[CallCommand] = []
        while self._watch and self._watch[0][0] <= at:
            _, _, call = heappop(self._watch)
            call.looked_at = None
            if self._calls.get(call.tenant, {}).get(call.usage_id) is not call:
                continue
            if call.due_at() > at:
                self._watch_for(call)
            elif call.last_event_at + timedelta(seconds=SILENCE_S) <= at:
                self._forget(call)
            elif call.ended:  # it stays known as long as a repeated event of it would be accepted
                self._reserve(call, Reserved())
                self._watch_for(call)
            else:
                orders += self._look(call, at)
        return orders

    def _resume(self, standing: Standing) -> None:
        """Go on where another left off: the same orders follow as if it had gone on itself."""
        self._suspended.update(standing.suspended)
        self._closed.update(standing.closed)
        for call in standing.calls:
            call.usage_id = normal_usage_id(call.usage_id)  # as it was spelled, before A41
            self._calls.setdefault(call.tenant, {})[call.usage_id] = call
            self._reserved.setdefault(call.tenant, Reserved()).add(call.reserved)
            self._watch_for(call)

    def _begin(self, event: CallEvent, at: datetime) -> RunningCall:
        question = Question(
            tenant=event.tenant,
            type=event.type,
            user=event.user,
            calling=event.calling,
            called=event.called,
            number_type=event.number_type,
            emergency=event.emergency,
        )
        call = RunningCall(
            question=question,
            usage_id=normal_usage_id(event.usage_id),
            call_id=event.call_id,
            started_at=min(event.started_at or event.at, at),
            last_event_at=event.at,
        )
        self._calls.setdefault(call.tenant, {})[call.usage_id] = call
        return call

    def _look(self, call: RunningCall, at: datetime) -> list[CallCommand]:
        """Ask anew what covers the call beside all others; reserve it, or order the end if nothing does."""
        self._reserve(call, Reserved())
        quote = self._quote(call.question, call.started_at, at, self.reserved(call.tenant))
        if isinstance(quote, Refusal):
            self._watch_for(call)
            return []
        before, call.quote = call.quote, quote
        lasted_s = call.lasted_s(at)
        if call.may_run_out and lasted_s >= quote.seconds:
            authorized_s = max(quote.seconds, min(lasted_s, before.seconds if before else lasted_s))
            call.ordered = self._order(call, authorized_s, at)
            self._reserve(call, (before or quote).reservation(authorized_s))
        elif quote.seconds:
            ahead_s = call.lasted_s(call.last_event_at) + SILENCE_S
            self._reserve(call, quote.reservation(min(quote.seconds, ahead_s)))
        self._watch_for(call)
        return [call.ordered] if call.ordered else []

    def _order(self, call: RunningCall, authorized_s: int, at: datetime) -> CallCommand:
        return CallCommand(
            tenant=call.tenant,
            id=order_id(call.tenant, call.usage_id),
            command="disconnect",
            usage_id=call.usage_id,
            at=at,
            reason=_why_ended(call.quote),
            authorized_s=authorized_s,
            user=(call.quote and call.quote.user) or call.question.user,
            call_id=call.call_id,
            switch=call.switch,
            handles=call.handles,
        )

    def _end(self, call: RunningCall, at: datetime) -> None:
        """It is over: what it used stays reserved until its record has had time to be rated."""
        call.ended, call.last_event_at = True, at
        if call.quote is not None and call.ordered is None:
            self._reserve(call, call.quote.reservation(min(call.lasted_s(at), call.authorized_s), running=False))
        self._watch_for(call)

    def _reserve(self, call: RunningCall, reserved: Reserved) -> None:
        total = self._reserved.setdefault(call.tenant, Reserved())
        total.add(call.reserved, -1)
        total.add(reserved)
        call.reserved = reserved

    def _watch_for(self, call: RunningCall) -> None:
        """Look at the call when it is due; an entry that comes earlier finds the new instant by itself."""
        due_at = call.due_at()
        if call.looked_at is None or due_at < call.looked_at:
            call.looked_at = due_at
            self._watched += 1
            heappush(self._watch, (due_at, (call.usage_id, self._watched), call))

    def _forget(self, call: RunningCall) -> None:
        self._reserve(call, Reserved())
        calls = self._calls[call.tenant]
        del calls[call.usage_id]
        if not calls:
            del self._calls[call.tenant], self._reserved[call.tenant]
            self._suspended.discard(call.tenant)
            self._closed.discard(call.tenant)


def order_id(tenant: str, usage_id: str) -> str:
    """The id of the order to end a call: one for each call."""
    return digest(tenant, "disconnect", normal_usage_id(usage_id))


def _why_ended(quote: Quote | None) -> DisconnectReason:
    if quote is not None and quote.why is Why.TENANT_CLOSED:
        return DisconnectReason.TENANT_CLOSED
    suspended = quote is not None and quote.suspended
    if quote is not None and quote.brake is not None and not suspended:
        return DisconnectReason.BRAKE_REACHED
    return DisconnectReason.CREDITS_SUSPENDED if suspended else DisconnectReason.CREDIT_USED_UP
