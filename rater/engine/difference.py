"""What two histories of a month have cost, by tenant, plan, destination and user, and how they differ.

Only sums are kept: memory grows with users and destinations, not with calls.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Protocol

import msgspec

from rater.core import (
    AccountEvent,
    EventKind,
    Output,
    Pocket,
    RechargeRequest,
    format_micros,
    month_start,
    parse_ledger,
    parse_period,
    pool_named,
)

NO_USER = "(no user)"
NO_DESTINATION = "(no destination)"
#: What a line is about, in the order in which they are shown.
GROUPS = ("tenant", "plan", "destination", "user")
#: Pockets that are no minute pool, as a line of the plans names them.
_POCKETS = {Pocket.CREDIT: "credits", Pocket.UNFUNDED: "unfunded", Pocket.INCLUDED: "included", Pocket.FREE: "free"}


@lru_cache(maxsize=65_536)
def _plan_of(pool: str) -> str:
    """The plan and country of a pool's month; of a plan that each user has alone, the plan."""
    found = pool_named(pool)
    if found is not None and found.plan is not None and not found.plan.pooled:
        return found.plan.code
    return pool.rpartition("/")[0]


class Part(Protocol):
    """Minutes of a call that one pocket covered; see rater.core.outputs.Segment."""

    @property
    def pocket(self) -> Pocket:
        """Which."""

    @property
    def minutes(self) -> int:
        """How many."""

    @property
    def pool(self) -> str | None:
        """The month of a pool, `plan/country/YYYY-MM`."""


class Charged(Protocol):
    """What is counted of a rated call: a `RatedCall`, or as much of one as was read."""

    @property
    def tenant(self) -> str:
        """Whose."""

    @property
    def period(self) -> str:
        """The month of its start, `YYYY-MM`."""

    @property
    def user(self) -> str | None:
        """Who pays."""

    @property
    def destination(self) -> str | None:
        """Where to, by the row of the price list or by the record."""

    @property
    def currency(self) -> str:
        """ISO 4217."""

    @property
    def minutes(self) -> int:
        """All its minutes."""

    @property
    def charge(self) -> str:
        """What was debited, in major units."""

    @property
    def unfunded_charge(self) -> str:
        """What nobody paid, in major units."""

    @property
    def segments(self) -> Iterable[Part]:
        """Its pockets."""


class Sums(msgspec.Struct):
    """Of one line: calls, minutes, micro-units, and how often something happened."""

    calls: int = 0
    minutes: int = 0
    #: Minutes that money paid.
    credit_minutes: int = 0
    #: What calls cost the balance, less what corrections gave back.
    debits: int = 0
    #: What calls would have cost whose users had no right to spend credits.
    unfunded: int = 0
    #: Payments that were asked for, and for how much in all.
    recharges: int = 0
    recharged: int = 0
    #: How often credit-funded calls were suspended.
    suspensions: int = 0
    #: How often a user was restricted.
    restrictions: int = 0

    def add_calls(self, other: "Sums") -> None:
        """Add the calls of another line, and what they cost."""
        self.calls += other.calls
        self.minutes += other.minutes
        self.credit_minutes += other.credit_minutes
        self.debits += other.debits
        self.unfunded += other.unfunded


MEASURES = Sums.__struct_fields__
#: Measures that are money.
AMOUNTS = frozenset({"debits", "unfunded", "recharged"})
#: Events that are counted.
COUNTED = (EventKind.CREDITS_SUSPENDED, EventKind.USER_RESTRICTED)
#: (what a line is about, tenant, name).
Place = tuple[str, str, str]


class History:
    """The sums of one history: calls of a month by their start; recharges and suspensions by when they happened.

    A call is counted by plan, destination and user; a tenant's line adds up its destinations when it is asked for.
    """

    def __init__(self, period: str) -> None:
        self.period = period
        month = parse_period(period)
        self._since, self._until = month_start(month), month_start(month + 1)
        #: Every line, those of tenants without their calls.
        self._lines: defaultdict[Place, Sums] = defaultdict(Sums)
        self.currencies: dict[str, str] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing was counted."""
        return not self._lines

    def lines(self) -> dict[Place, Sums]:
        """Every line by its place."""
        lines = {place: msgspec.structs.replace(line) for place, line in self._lines.items()}
        for (group, tenant, _), line in self._lines.items():
            if group == "destination":
                lines.setdefault(("tenant", tenant, ""), Sums()).add_calls(line)
        return lines

    def add_all(self, other: "History") -> None:
        """Add the sums of other tenants."""
        self._lines |= other._lines
        self.currencies |= other.currencies

    def add(self, output: Output) -> None:
        """Count an output that is no rated call; those that are nothing here are left."""
        if isinstance(output, RechargeRequest) and self._covers(output.at):
            line = self._lines["tenant", output.tenant, ""]
            line.recharges += 1
            line.recharged += parse_ledger(output.amount)
            self.currencies[output.tenant] = output.currency
        elif isinstance(output, AccountEvent) and output.event in COUNTED and self._covers(output.at):
            if output.event is EventKind.CREDITS_SUSPENDED:
                self._lines["tenant", output.tenant, ""].suspensions += 1
            else:
                self._lines["tenant", output.tenant, ""].restrictions += 1
                self._lines["user", output.tenant, output.user or NO_USER].restrictions += 1

    def add_call(self, call: Charged, replaced: Charged | None = None) -> None:
        """Count a rated call, and no more the rating that it replaces."""
        if call.period == self.period:
            self._add(call, 1)
        if replaced is not None and replaced.period == self.period:
            self._add(replaced, -1)

    def _covers(self, at: datetime) -> bool:
        return self._since <= at < self._until

    def _add(self, call: Charged, sign: int) -> None:
        tenant, lines = call.tenant, self._lines
        minutes, credit, paid, unfunded = sign * call.minutes, 0, 0, 0
        self.currencies[tenant] = call.currency
        if call.charge != "0":
            paid = sign * parse_ledger(call.charge)
        if call.unfunded_charge != "0":
            unfunded = sign * parse_ledger(call.unfunded_charge)
        for part in call.segments:
            name = _POCKETS[part.pocket] if part.pool is None else _plan_of(part.pool)
            plan = lines["plan", tenant, name]
            plan.calls += sign
            plan.minutes += sign * part.minutes
            if part.pocket is Pocket.CREDIT:
                credit += sign * part.minutes
                plan.debits += paid
                plan.credit_minutes += sign * part.minutes
        for line in (
            lines["destination", tenant, call.destination or NO_DESTINATION],
            lines["user", tenant, call.user or NO_USER],
        ):
            line.calls += sign
            line.minutes += minutes
            if credit or paid or unfunded:  # of most calls plans pay every minute
                line.credit_minutes += credit
                line.debits += paid
                line.unfunded += unfunded


class Line(msgspec.Struct, frozen=True):
    """One line of a difference: what it is about, and its sums as they were and as they would have been."""

    by: str
    tenant: str
    name: str
    currency: str
    was: Sums
    would_be: Sums

    @property
    def debits_more(self) -> int:
        """Micro-units that would have been debited beyond what was."""
        return self.would_be.debits - self.was.debits

    @property
    def differs(self) -> bool:
        """Whether anything would have been different."""
        return self.was != self.would_be

    def cells(self) -> list[int | Decimal]:
        """Each measure as it was and as it would have been, then the difference of the debits."""
        cells: list[int | Decimal] = []
        for measure in MEASURES:
            for sums in (self.was, self.would_be):
                value = getattr(sums, measure)
                cells.append(Decimal(format_micros(value)) if measure in AMOUNTS else value)
        return [*cells, Decimal(format_micros(self.debits_more))]


def lines_of(was: History, would_be: History) -> Iterator[Line]:
    """Every line of both, by tenant, what it is about, and name."""
    order = {group: rank for rank, group in enumerate(GROUPS)}
    lines_was, lines_would_be, nothing = was.lines(), would_be.lines(), Sums()
    places = lines_was.keys() | lines_would_be.keys()
    for place in sorted(places, key=lambda place: (place[1], order[place[0]], place[2])):
        group, tenant, name = place
        currency = was.currencies.get(tenant) or would_be.currencies.get(tenant) or ""
        sums = lines_was.get(place, nothing), lines_would_be.get(place, nothing)
        yield Line(group, tenant, name, currency, *sums)
