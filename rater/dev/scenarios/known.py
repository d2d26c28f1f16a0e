"""What later steps of a scenario may name: held records, recharges, and calls that were rated."""

from collections.abc import Iterable

import msgspec

from rater.core import (
    CallRecord,
    CallRerated,
    CallType,
    Output,
    RatedCall,
    normal_usage_id,
    rerating_of,
)
from rater.dev.scenarios.engine import Engine
from rater.dev.scenarios.model import Payment, Rerate


class Held(msgspec.Struct, frozen=True):
    """A record that waits for a person's acceptance: its dead letter and its bytes."""

    letter: str
    raw: bytes


class Known:
    """Held records by usage id, recharges by what a payment called them, ratings of calls by usage id."""

    def __init__(self) -> None:
        self.held: dict[str, Held] = {}
        self.recharges: dict[str, str] = {}
        self._rated: dict[str, list[RatedCall]] = {}

    def note(self, outputs: Iterable[Output]) -> None:
        """What a step caused."""
        for output in outputs:
            if isinstance(output, RatedCall):
                self._rated.setdefault(output.usage_id, []).append(output)

    def recharge_of(self, engine: Engine, tenant: str, payment: Payment) -> str | None:
        """The recharge that a payment answers: the one of its name, that in flight, or the last one (A47)."""
        if payment.id is None:
            return None
        if payment.id not in self.recharges:
            recharge = engine.account(tenant).recharge
            meant = recharge.in_flight.recharge if recharge.in_flight else recharge.answered
            if meant is None:
                return None
            self.recharges[payment.id] = meant
        return self.recharges[payment.id]

    def rerating(self, tenant: str, action: Rerate) -> CallRerated:
        """The command that rates a call again, as it was looked at; with the id alone if nobody rated it."""
        seen = [
            call
            for call in self._rated.get(normal_usage_id(action.id), ())
            if action.version in (None, call.version) and action.rating in (None, call.rating + 1)
        ]
        if seen:
            return rerating_of(seen[-1], action.deck, action.at, action.reason)
        nobody = CallRecord(tenant=tenant, usage_id=action.id, type=CallType.USER_OUT, answered_at=action.at)
        return CallRerated(
            tenant=tenant,
            id=f"rerate-{action.id}",
            at=action.at,
            call=nobody,
            content="",
            rating=action.rating or 1,
            deck=action.deck,
        )
