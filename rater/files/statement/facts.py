"""Of a rated call what sums need."""

from typing import NamedTuple

from rater.core import Pocket, RatedCall, parse_amount
from rater.files.statement.kinds import CallKind, kind_of


class CallFacts(NamedTuple):
    """What a call is counted by; `charge` in micro-units."""

    kind: CallKind
    user: str | None
    destination: str | None
    minutes: int
    pool_minutes: int
    charge: int


def facts_of(call: RatedCall) -> CallFacts:
    """What sums need of a call; where neither its record nor a price names the destination, its country does."""
    pool = sum([segment.minutes for segment in call.segments if segment.pocket is Pocket.POOL])
    destination = call.destination or call.country
    return CallFacts(kind_of(call), call.user, destination, call.minutes, pool, parse_amount(call.charge))
