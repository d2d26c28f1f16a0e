"""What a switch asks about the tenant of a `World`, and the events of its running calls."""

from datetime import datetime, timedelta
from typing import Any

from rater.core.authorization import Answer, authorize
from rater.core.call_control import CallCommand, CallEvent, CallProgress
from rater.core.quotes import Question, Quote, Reserved
from rater.core.quoting import quote
from rater.core.reasons import CallType, NumberType, Refusal
from rater.core.ringing import RingingCalls
from rater.core.running_calls import RunningCalls
from tests.world import T, World, at

NOON = "2025-03-10 12:00"
#: As long as anything is authorised.
A_DAY = 86_400
#: No other call than one for help is authorised for longer (A44).
LONGEST = 43_200


def question(
    called: str | None,
    user: str | None = "ada",
    type: str = "user_out",
    calling: str | None = "+14255550100",
    toll_free: bool = False,
    tenant: str = T,
    emergency: bool | None = None,
) -> Question:
    """A call that is to start."""
    return Question(
        tenant=tenant,
        type=CallType(type),
        user=user,
        calling=calling,
        called=called,
        number_type=NumberType.TOLL_FREE if toll_free else NumberType.TOLL,
        emergency=emergency,
    )


def may(
    world: World, called: str | None, when: str = NOON, reserved: Reserved | None = None, **call: Any
) -> tuple[str, int]:
    """Why a call may start or not, and for how many seconds."""
    rules, asked = world.engine.rules, question(called, **call)
    answer = authorize(world.engine.committed(), rules, asked, at(when), reserved or Reserved())
    assert isinstance(answer, Answer), answer
    assert answer.allowed == bool(answer.seconds)
    return answer.reason.value, answer.seconds


class Switch:
    """A switch with its calls, and the clock on its wall."""

    def __init__(self, world: World, when: str = NOON) -> None:
        self.world = world
        self.now = at(when)
        self.running = RunningCalls(self.quote)
        self.ringing = RingingCalls()

    def quote(self, asked: Question, began: datetime, now: datetime, reserved: Reserved) -> Quote | Refusal:
        return quote(self.world.engine.committed(), self.world.engine.rules, asked, began, now, reserved)

    def start(self, id: str, called: str, **call: Any) -> list[CallCommand]:
        """A call is answered."""
        return self._apply(self.event(id, CallProgress.STARTED, called, **call))

    def beat(self, id: str, called: str, **call: Any) -> list[CallCommand]:
        """A call still runs."""
        return self._apply(self.event(id, CallProgress.HEARTBEAT, called, **call))

    def end(self, id: str, called: str, **call: Any) -> list[CallCommand]:
        """A call is over."""
        return self._apply(self.event(id, CallProgress.ENDED, called, **call))

    def _apply(self, event: CallEvent) -> list[CallCommand]:
        orders = self.running.apply(event, self.now)
        self.ringing.received(event, self.now)
        return orders

    def event(self, id: str, progress: str, called: str, began: str | None = None, **call: Any) -> CallEvent:
        """The event of this instant."""
        asked = question(called, **call)
        return CallEvent(
            tenant=asked.tenant,
            usage_id=id,
            type=asked.type,
            event=CallProgress(progress),
            at=self.now,
            started_at=at(began) if began else None,
            user=asked.user,
            calling=asked.calling,
            called=asked.called,
            number_type=asked.number_type,
            emergency=asked.emergency,
        )

    def wait(self, seconds: int) -> list[CallCommand]:
        """Time passes, and the clock is looked at every second."""
        orders = []
        for _ in range(seconds):
            self.now += timedelta(seconds=1)
            orders += self.running.due(self.now)
        return orders

    def may(self, called: str, **call: Any) -> tuple[str, int]:
        """Why another call may start now, and for how many seconds."""
        return self.ask(None, called, **call)

    def ask(self, id: str | None, called: str, **call: Any) -> tuple[str, int]:
        """The same, with the usage id of the call that is to start."""
        engine, running = self.world.engine, self.running.reserved(T)
        answer = self.ringing.answer(
            engine.committed(), engine.rules, question(called, **call), self.now, running, usage_id=id
        )
        assert isinstance(answer, Answer), answer
        assert answer.allowed == bool(answer.seconds)
        return answer.reason.value, answer.seconds


def shown(orders: list[CallCommand]) -> list[tuple[str, str, int]]:
    """Orders as (call, reason, authorised seconds)."""
    return [(order.usage_id, order.reason.value, order.authorized_s) for order in orders]
