"""Runs of a tenant's future: calls and commands to come, rated on an overlay that is dropped.

See rater.engine.likely_future for where the calls are from.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

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
    RechargeRequest,
    Rules,
    Source,
    State,
    Tick,
    funds_of,
    mediate,
    parse_ledger,
    recharge_due,
)
from rater.wire.codec import encode_input

DAY = timedelta(days=1)
_SOURCE = Source("forecast", 0, 0)

#: The answer to a payment that a run asks for.
Answer = Callable[[RechargeRequest], PaymentSucceeded | PaymentFailed]


class Charge(NamedTuple):
    """What a call has cost, in micro-units."""

    micros: int


class Run(NamedTuple):
    """One way that it may go; money in micro-units, one entry of the lists for the end of each day from now on.

    `spent` are the debits of calls so far, `debits` each of them with its instant; `pools` are those that calls
    drew on, by month, and `used_up` is when each was used up.
    """

    first_zero: datetime | None
    next_recharge: datetime | None
    recharges: int
    balances: list[int]
    spent: list[int]
    pools: frozenset[str]
    used_up: dict[str, datetime]
    debits: list[tuple[datetime, int]]


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
        return self._play(((one.answered_at + timedelta(seconds=one.duration_s), one) for one in calls), now, days)

    def play_charges(self, run: Run, now: datetime, days: int) -> Run:
        """A run once more with what its calls cost, in a fraction of the time.

        A call costs the same however much money there is, so other commands about money change no charge.  Which
        pools are used up is left out.
        """
        return self._play(((at, Charge(micros)) for at, micros in run.debits), now, days)

    def _play(self, inputs: Iterable[tuple[datetime, CallRecord | Charge]], now: datetime, days: int) -> Run:
        return _Played(self._committed, self._rules, self._tenant, self._answer).run(self._first, inputs, now, days)


class _Played:
    """One run while it is played."""

    def __init__(self, committed: Committed, rules: Rules, tenant: str, answer: Answer) -> None:
        self._state = State(committed)
        self._applier = Applier(self._state, rules)
        self._rules, self._tenant, self._answer = rules, tenant, answer
        #: When, in which order, and what: a call, what one cost, a command, or the end of a day.
        self._waiting: list[tuple[datetime, int, CallRecord | Charge | AnyCommand | None]] = []
        self._numbers = count()
        self._retry: datetime | None = None
        self._first_zero: datetime | None = None
        self._next_recharge: datetime | None = None
        self._recharges = self._total = 0
        self._balances: list[int] = []
        self._spent: list[int] = []
        self._used_up: dict[str, datetime] = {}
        self._debits: list[tuple[datetime, int]] = []

    def run(
        self,
        first: Sequence[AnyCommand],
        inputs: Iterable[tuple[datetime, CallRecord | Charge]],
        now: datetime,
        days: int,
    ) -> Run:
        """See Player.play."""
        for command in first:
            self._command(command)
        for at, one in inputs:
            self._add(at, one)
        for day in range(1, days + 1):
            self._add(now + day * DAY, None)
        self._look(now)
        until = now + days * DAY
        while self._waiting and self._waiting[0][0] <= until:
            at, _, what = heappop(self._waiting)
            if what is None:
                self._end_of_day(at)
            elif isinstance(what, CallRecord):
                self._applier.call(mediate(what, b""), _SOURCE, b"")  # none comes again that is compared
            elif isinstance(what, Charge):
                self._applier.debit_unrecorded(self._tenant, _SOURCE, at, what.micros)
                self._add_debit(at, what.micros)
            else:
                self._command(what)
            self._look(at)
        return Run(
            self._first_zero,
            self._next_recharge,
            self._recharges,
            self._balances,
            self._spent,
            frozenset(name for _, name in self._state.pools),
            self._used_up,
            self._debits,
        )

    def _add(self, at: datetime, what: CallRecord | Charge | AnyCommand | None) -> None:
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
                self._add_debit(at, parse_ledger(output.amount))
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

    def _add_debit(self, at: datetime, amount: int) -> None:
        self._total += amount
        self._debits.append((at, amount))

    def _note(self, event: AccountEvent) -> None:
        if event.event is EventKind.POOL_EXHAUSTED and event.pool is not None:
            self._used_up.setdefault(event.pool, event.at)
        if event.event is EventKind.RECHARGE_SUCCEEDED:
            self._recharges += 1
            self._next_recharge = self._next_recharge or event.at
