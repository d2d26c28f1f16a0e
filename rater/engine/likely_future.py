"""A tenant's likely future: weeks of its own past, drawn by chance, to be played forward through the rules.

Burn is not linear: plans pay for the first half of a month, weekends are quiet, lots expire.  So nothing is
extrapolated: each run draws whole weeks of the past, moves their calls behind now, and rates them on an overlay
that is dropped.  A run first draws half as many weeks as there are, and from these the weeks to come: the mean of
a few weeks is itself uncertain, and their spread is smaller than that of all weeks; with half of them the band
holds what it should (the backtest in tests/embedded/test_forecast.py).  The same seed gives the same runs.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import NamedTuple

import msgspec

from rater.core import CallRecord, RatedCall, record_as_rated
from rater.engine.future_runs import DAY
from rater.wire.errors import Exit, RaterError

WEEK = timedelta(weeks=1)
#: Whole weeks of the past that are needed at the least, and that are drawn from at most.
WEEKS_MIN, WEEKS_MAX = 4, 8
#: So many calls are kept before it is looked which of them are too old.
_KEPT_AT_FIRST = 10_000

#: How long after the beginning of its week a call was answered, and its record.
DrawnCall = tuple[timedelta, CallRecord]


class Past(NamedTuple):
    """The calls of whole weeks, the latest week first, and when the latest of them ends."""

    weeks: list[list[DrawnCall]]
    until: datetime


def past_of(calls: Iterable[RatedCall], now: datetime, most: int = WEEKS_MAX) -> Past:
    """The last whole weeks before now up to the last call; of corrected calls what stands.

    A week counts as whole if there were calls on its last day or later: that the next records are not here yet is
    no quiet week.  Only calls of the weeks that may be drawn from are kept meanwhile.
    RaterError for less than four whole weeks: so little shows nothing of the next ones.
    """
    latest = _Latest(now, most)
    for call in calls:
        latest.add(call)
    past = list(latest.standing.values())
    until = _until(max((call.answered_at for call in past), default=now), now)
    since = min((call.answered_at for call in past), default=now)
    weeks = most if latest.dropped else min(most, (until - since) // WEEK)
    if weeks < WEEKS_MIN:
        days = max(0, (until - since) // DAY)
        raise RaterError(
            f"expected at least {WEEKS_MIN} whole weeks of calls before {until.isoformat()}, got {days} days;"
            " nothing can be said about the weeks to come",
            Exit.FAILED,
        )
    found: list[list[DrawnCall]] = [[] for _ in range(weeks)]
    for call in past:
        week = -((call.answered_at - until) // WEEK) - 1
        if 0 <= week < weeks:
            begins = until - (week + 1) * WEEK
            found[week].append((call.answered_at - begins, record_as_rated(call)))
    return Past(found, until)


def _until(last: datetime, now: datetime) -> datetime:
    """The end of the last whole week, if the last call began then."""
    return now - max(0, -((last + DAY - now) // WEEK)) * WEEK


class _Latest:
    """The standing ratings of the last weeks so far, as ratings come by in whatever order.

    One week more is kept than is drawn from: a correction may say that the last call began earlier.
    """

    def __init__(self, now: datetime, most: int) -> None:
        self.standing: dict[str, RatedCall] = {}
        #: Whether there were calls before those weeks.
        self.dropped = False
        self._now, self._kept = now, (most + 1) * WEEK
        self._last: datetime | None = None
        self._from: datetime | None = None
        self._room = _KEPT_AT_FIRST

    def add(self, call: RatedCall) -> None:
        """The next rating; it stands in the place of the one before it."""
        at = call.answered_at
        if at >= self._now:
            self.standing.pop(call.usage_id, None)
            return
        if self._last is None or at > self._last:
            self._last = at
            self._from = _until(at, self._now) - self._kept
        assert self._from is not None
        if at < self._from:
            self.standing.pop(call.usage_id, None)
            self.dropped = True
            return
        self.standing[call.usage_id] = call
        if len(self.standing) > self._room:
            before = len(self.standing)
            self.standing = {id: one for id, one in self.standing.items() if one.answered_at >= self._from}
            self.dropped |= len(self.standing) < before
            self._room = max(_KEPT_AT_FIRST, 2 * len(self.standing))


def drawn(weeks: Sequence[list[DrawnCall]], now: datetime, days: int, chance: Random) -> Iterator[CallRecord]:
    """Calls of the days to come, each with an id of its own, in the order of their start within a week."""
    might_have_been = chance.choices(weeks, k=len(weeks) // 2)
    until, numbers = now + days * DAY, count()
    for week in range(-(-days // 7)):
        for offset, record in chance.choice(might_have_been):
            answered_at = now + week * WEEK + offset
            if answered_at < until:
                yield msgspec.structs.replace(
                    record,
                    usage_id=f"forecast-{next(numbers)}",
                    answered_at=answered_at,
                    version=1,
                    received_at=None,
                )
