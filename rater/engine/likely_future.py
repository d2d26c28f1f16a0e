"""A tenant's likely future: weeks of its own past, drawn by chance and played forward through the rules.

Burn is not linear: plans pay for the first half of a month, weekends are quiet, lots expire.  So nothing is
extrapolated: each run draws whole weeks of the past, moves their calls behind now, and rates them on an overlay
that is dropped.  A run first draws half as many weeks as there are, and from these the weeks to come: the mean of
a few weeks is itself uncertain, and their spread is smaller than that of all weeks; with half of them the band
holds what it should (the backtest in tests/embedded/test_forecast.py).  The same seed gives the same runs.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import NamedTuple

import msgspec

from rater.core import (
    Account,
    AccountEvent,
    AnyCommand,
    Applier,
    CallRecord,
    Committed,
    Debit,
    Entity,
    EventKind,
    Key,
    PaymentFailed,
    PaymentSucceeded,
    RatedCall,
    RechargeRequest,
    Rules,
    Source,
    State,
    Tick,
    funds_of,
    mediate,
    parse_ledger,
    recharge_due,
    record_as_rated,
)
from rater.wire.codec import encode_input
from rater.wire.errors import Exit, RaterError

WEEK = timedelta(weeks=1)
DAY = timedelta(days=1)
#: Whole weeks of the past that are needed at the least, and that are drawn from at most.
WEEKS_MIN, WEEKS_MAX = 4, 8
#: So many calls are kept before it is looked which of them are too old.
_KEPT_AT_FIRST = 10_000
_SOURCE = Source("forecast", 0, 0)

#: How long after the beginning of its week a call was answered, and its record.
DrawnCall = tuple[timedelta, CallRecord]
#: The answer to a payment that a run asks for.
Answer = Callable[[RechargeRequest], PaymentSucceeded | PaymentFailed]


class Run(NamedTuple):
    """One way that it may go; money in micro-units, one entry of the lists for the end of each day from now on.

    `spent` are the debits of calls so far, `debits` each of them with its instant; `used_up` is when each pool's
    month was used up.
    """

    first_zero: datetime | None
    next_recharge: datetime | None
    recharges: int
    balances: list[int]
    spent: list[int]
    used_up: dict[str, datetime]
    debits: list[tuple[datetime, int]]


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


class _WithoutCalls(Committed):
    """What was committed, as calls of the future see it: none of them was rated before."""

    def __init__(self, committed: Committed) -> None:
        self._committed = committed
        self._loaded: dict[tuple[str, Key], Entity | None] = {}

    def load(self, kind: str, key: Key) -> Entity | None:
        if kind == "call":
            return None
        place = (kind, key)
        if place not in self._loaded:
            self._loaded[place] = self._committed.load(kind, key)
        return self._loaded[place]

    def prepare(self, calls: Sequence[CallRecord]) -> None:
        pass


class Player:
    """Plays a tenant's runs from its state as committed; `first` are commands that are applied before all else."""

    def __init__(
        self, committed: Committed, rules: Rules, tenant: str, answer: Answer, first: Sequence[AnyCommand] = ()
    ) -> None:
        self._committed, self._rules, self._tenant = _WithoutCalls(committed), rules, tenant
        self._answer, self._first = answer, first

    def play(self, calls: Iterable[CallRecord], now: datetime, days: int) -> Run:
        """One run: calls, the end of each day, payments and their retries, in the order of time."""
        return _Played(self._committed, self._rules, self._tenant, self._answer).run(self._first, calls, now, days)


class _Played:
    """One run while it is played."""

    def __init__(self, committed: Committed, rules: Rules, tenant: str, answer: Answer) -> None:
        self._state = State(committed)
        self._applier = Applier(self._state, rules)
        self._rules, self._tenant, self._answer = rules, tenant, answer
        self._waiting: list[tuple[datetime, int, CallRecord | AnyCommand | None]] = []
        self._numbers = count()
        self._retry: datetime | None = None
        self._first_zero: datetime | None = None
        self._next_recharge: datetime | None = None
        self._recharges = self._total = 0
        self._balances: list[int] = []
        self._spent: list[int] = []
        self._used_up: dict[str, datetime] = {}
        self._debits: list[tuple[datetime, int]] = []

    def run(self, first: Sequence[AnyCommand], calls: Iterable[CallRecord], now: datetime, days: int) -> Run:
        """See Player.play."""
        for command in first:
            self._command(command)
        for record in calls:
            self._add(record.answered_at + timedelta(seconds=record.duration_s), record)
        for day in range(1, days + 1):
            self._add(now + day * DAY, None)
        self._look(now)
        until = now + days * DAY
        while self._waiting and self._waiting[0][0] <= until:
            at, _, what = heappop(self._waiting)
            if what is None:
                self._end_of_day(at)
            elif isinstance(what, CallRecord):
                self._applier.call(mediate(what, encode_input(what)), _SOURCE, b"")
            else:
                self._command(what)
            self._look(at)
        return Run(
            self._first_zero,
            self._next_recharge,
            self._recharges,
            self._balances,
            self._spent,
            self._used_up,
            self._debits,
        )

    def _add(self, at: datetime, what: CallRecord | AnyCommand | None) -> None:
        heappush(self._waiting, (at, next(self._numbers), what))

    def _command(self, command: AnyCommand) -> None:
        self._applier.command(command, _SOURCE, encode_input(command))

    def _tick(self, at: datetime) -> None:
        self._command(Tick(tenant=self._tenant, id=f"forecast-{at.isoformat()}", at=at))

    def _end_of_day(self, at: datetime) -> None:
        self._tick(at)
        self._balances.append(self._account().balance)
        self._spent.append(self._total)

    def _account(self) -> Account:
        account = self._state.account(self._tenant)
        assert account is not None, self._tenant
        return account

    def _look(self, at: datetime) -> None:
        """Note what an input caused, and let payments and retries follow."""
        for output in self._applier.take_outputs():
            if isinstance(output, Debit) and output.usage_id is not None:
                amount = parse_ledger(output.amount)
                self._total += amount
                self._debits.append((at, amount))
            elif isinstance(output, RechargeRequest):
                answer = self._answer(output)
                self._add(max(at, answer.at), answer)
            elif isinstance(output, AccountEvent):
                self._note(output)
        account = self._account()
        if self._first_zero is None and account.balance <= 0:
            self._first_zero = at
        if account.recharge.failures or account.recharge.suppressed:
            due = recharge_due(funds_of(account), self._rules.settings)
            if due is not None and due != self._retry:
                self._retry = due
                self._add(max(at, due), Tick(tenant=self._tenant, id=f"forecast-retry-{due.isoformat()}", at=due))

    def _note(self, event: AccountEvent) -> None:
        if event.event is EventKind.POOL_EXHAUSTED and event.pool is not None:
            self._used_up.setdefault(event.pool, event.at)
        if event.event is EventKind.RECHARGE_SUCCEEDED:
            self._recharges += 1
            self._next_recharge = self._next_recharge or event.at
