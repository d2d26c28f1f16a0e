"""What may be given back for a call by hand (A45): never more than the call cost, however often it is done."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self

import msgspec

from rater.core import IDENTIFIER_LENGTH_MAX, AccountEvent, EventKind, RatedCall, format_micros, parse_ledger

_calls = msgspec.json.Decoder(RatedCall)
_events = msgspec.json.Decoder(AccountEvent)
_ADJUSTED = msgspec.json.encode(EventKind.FUNDS_ADJUSTED)


def credit_id(usage_id: str) -> str:
    """The id of money given back for a call: the same whoever does it, so that it is given back once."""
    return f"credit-{usage_id}"[:IDENTIFIER_LENGTH_MAX]


def given_by_hand(events: Iterable[AccountEvent]) -> dict[str, list[AccountEvent]]:
    """What people gave or took for calls (A45), by the call's usage id; `events` are a tenant's, in order."""
    found: dict[str, list[AccountEvent]] = {}
    for event in events:
        if event.event is EventKind.FUNDS_ADJUSTED and event.usage_id is not None:
            found.setdefault(event.usage_id, []).append(event)
    return found


def is_given_back(usage_id: str, given: Iterable[AccountEvent]) -> bool:
    """Whether what was given for a call was given in the one way in which it is done once; see `credit_id`."""
    return any(event.command_id == credit_id(usage_id) for event in given)


class Creditable(NamedTuple):
    """What a call cost and what was given back for it, in micro-units; as text, the amount that is expected."""

    cost: int
    given: int

    @classmethod
    def of(cls, cost: int, given: Iterable[AccountEvent], id: str | None) -> Self:
        """Of a call's cost and what people gave for it.

        What the same id gave does not count: it changes nothing to give it again.
        """
        return cls(cost, sum(parse_ledger(one.amount or "0") for one in given if one.command_id != id))

    @property
    def left(self) -> int:
        """What may still be given back."""
        return self.cost - self.given

    def allows(self, micros: int) -> bool:
        """Whether this amount may be given back."""
        return 0 < micros <= self.left

    def __str__(self) -> str:
        cost, given = format_micros(self.cost), format_micros(self.given)
        less = f" ({cost}) less the {given} that was given back before" if self.given else ""
        return f"an amount above zero and at most {format_micros(self.left)}, what the call cost{less}"


def creditable(ratings: Sequence[bytes], events: Iterable[bytes], usage_id: str, id: str | None) -> Creditable:
    """What may be given back for a call under this id; `ratings` are the call's (none: it cost nothing)."""
    cost = parse_ledger(_calls.decode(ratings[-1]).charge) if ratings else 0
    given = given_by_hand(_events.decode(value) for value in events if _ADJUSTED in value)
    return Creditable.of(cost, given.get(usage_id, ()), id)
