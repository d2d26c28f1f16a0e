"""Calls that were allowed and have not begun: they ring, and reserve what they are allowed for that time.

A call is known by the usage id that its question names.  It reserves what a running call does at its start: its
first `SILENCE_S` seconds, or all that it was allowed if that is less.  So what calls that are allowed at one
instant may cost is covered together, and who asks for another gets what is left.

It counts as ringing until an event of the call comes, which then reserves for itself, or for `RINGING_S`; the
same question again reserves once.  Only this process knows it: others, and this one after a restart, learn of a
call by its events.  At most `RINGING_MAX` ring at a time; of more the oldest no longer reserve.  Rule A50.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from rater.core.authorization import Answer, authorize
from rater.core.call_control import CallEvent, CallProgress
from rater.core.calls_at_once import CallsOver
from rater.core.identity import normal_usage_id
from rater.core.quotes import Question, Reserved
from rater.core.reasons import Refusal
from rater.core.running_calls import SILENCE_S
from rater.core.state import Committed
from rater.core.step import Rules

#: So long a call may ring until its switch reports that it began.
RINGING_S = 60
#: Calls that are remembered.
RINGING_MAX = 100_000

_RINGING, _SILENCE = timedelta(seconds=RINGING_S), timedelta(seconds=SILENCE_S)
#: Tenant and usage id.
_Call = tuple[str, str]


class _Ringing(NamedTuple):
    """Since when a call rings, and what it reserves."""

    since: datetime
    reserved: Reserved


class RingingCalls:
    """Those of one process; `answer` asks as `authorize` does, `received` is given each event of a call."""

    def __init__(self) -> None:
        #: The oldest first.
        self._calls: dict[_Call, _Ringing] = {}
        self._sums: dict[str, Reserved] = {}
        #: Calls that had an event, the one that had it longest ago first: they reserve as running calls.
        self._running: dict[_Call, datetime] = {}
        #: Calls beyond a brake on calls at once; one that is ringing is not counted again.
        self.over = CallsOver()

    def __len__(self) -> int:
        return len(self._calls)

    def reserved(self, tenant: str) -> Reserved:
        """What the tenant's ringing calls may cost."""
        return self._sums.get(tenant) or Reserved()

    def answer(
        self,
        committed: Committed,
        rules: Rules,
        question: Question,
        at: datetime,
        running: Reserved | None = None,
        length_s: int | None = None,
        usage_id: str | None = None,
    ) -> Answer | Refusal:
        """As `authorize`, beside running and ringing calls; an allowed one that names its usage id rings now."""
        self._drop(at)
        tenant = question.tenant
        call = (tenant, normal_usage_id(usage_id)) if usage_id is not None else None
        asked_before = call is not None and (self._forget(call) or call in self._running)
        answer = authorize(committed, rules, question, at, self._beside(tenant, running), length_s)
        if not asked_before and isinstance(answer, Answer) and answer.over:
            self.over.count(tenant, answer.over)
        if call is None:
            return answer
        if isinstance(answer, Answer) and answer.allowed and answer.quote is not None and call not in self._running:
            reserved = answer.quote.reservation(min(answer.seconds, SILENCE_S))
            if reserved.money or reserved.pools or any(reserved.brakes.values()):
                self._remember(call, _Ringing(at, reserved))
        return answer

    def received(self, event: CallEvent, at: datetime) -> None:
        """A switch sent an event of a call: it no longer rings."""
        if event.at + _SILENCE <= at:
            return
        self._drop(at)
        call = (event.tenant, normal_usage_id(event.usage_id))
        self._forget(call)
        self._running.pop(call, None)
        if event.event is not CallProgress.ENDED:
            self._running[call] = at

    def _beside(self, tenant: str, running: Reserved | None) -> Reserved | None:
        """What the tenant's running and ringing calls reserve."""
        ringing = self._sums.get(tenant)
        if ringing is None:
            return running
        both = Reserved()
        for one in (running, ringing):
            if one is not None:
                both.add(one)
        return both

    def _remember(self, call: _Call, ringing: _Ringing) -> None:
        if len(self._calls) >= RINGING_MAX:
            self._forget(next(iter(self._calls)))
        self._calls[call] = ringing
        self._sums.setdefault(call[0], Reserved()).add(ringing.reserved)

    def _forget(self, call: _Call) -> bool:
        """Whether it was ringing."""
        ringing = self._calls.pop(call, None)
        if ringing is None:
            return False
        tenant = call[0]
        self._sums[tenant].add(ringing.reserved, -1)
        if self._sums[tenant] == Reserved():
            del self._sums[tenant]
        return True

    def _drop(self, at: datetime) -> None:
        """Forget what is over; a clock that was set back makes no call ring for longer."""
        while self._calls:
            call, ringing = next(iter(self._calls.items()))
            if ringing.since <= at < ringing.since + _RINGING:
                break
            self._forget(call)
        while self._running:
            call, last_event_at = next(iter(self._running.items()))
            if last_event_at <= at < last_event_at + _SILENCE:
                break
            del self._running[call]
