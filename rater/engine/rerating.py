"""Which calls another price list changes, and by how much: tried on an overlay of the committed state.

The commands come out in the order in which they are to be applied; in that order, on the same state, they give the
sums that were shown.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice

import msgspec

from rater.core import (
    Applier,
    CallRerated,
    Committed,
    LiveCall,
    Outcome,
    RatedCall,
    Reason,
    RejectedCdr,
    Rules,
    Source,
    State,
    deck_stands,
    format_micros,
    live_call,
    normal_usage_id,
    parse_ledger,
    rerating_of,
    same_rating,
)

#: Live versions that are looked up at once.
_PREPARED = 1_000
_UNKNOWN = "(no destination)"
_calls = msgspec.json.Decoder(RatedCall)


class Order(msgspec.Struct, frozen=True):
    """What a person asks for: calls that started in [since, until), of one tenant or of all (None), with a deck.

    `at` is when it is done: time passes up to then; None is each tenant's own time, so that none passes.
    """

    deck: str
    tenant: str | None
    since: datetime
    until: datetime
    at: datetime | None
    reason: str | None = None
    by: str | None = None

    def asks_for(self, call: RatedCall) -> bool:
        """Whether a call is one of those."""
        return self.tenant in (None, call.tenant) and self.since <= call.answered_at < self.until


class Line(msgspec.Struct):
    """Calls of a tenant to one destination that change: minutes, and micro-units before and after."""

    tenant: str
    destination: str
    currency: str
    calls: int = 0
    minutes: int = 0
    old: int = 0
    new: int = 0

    def amounts(self) -> tuple[str, str, str]:
        """Old charge, new charge and the difference, in major units."""
        return format_micros(self.old), format_micros(self.new), format_micros(self.new - self.old)

    def row(self) -> tuple[str, str, str, str, str, str, int, int]:
        """As it is shown, under COLUMNS."""
        return self.tenant, self.destination, self.currency, *self.amounts(), self.calls, self.minutes


COLUMNS = ("tenant", "destination", "currency", "old", "new", "difference", "calls", "minutes")


class Plan:
    """The commands in their order, and what they come to."""

    def __init__(self) -> None:
        self.commands: list[CallRerated] = []
        self.lines: dict[tuple[str, str], Line] = {}
        #: Calls of which charge and pockets stay as they are.
        self.unchanged = 0
        self.refused: Counter[Reason] = Counter()
        #: Tenants with calls of the time for which another deck is in force still.
        self.priced_otherwise: dict[str, str] = {}

    def rows(self) -> list[tuple[str, str, str, str, str, str, int, int]]:
        """The lines by tenant and destination."""
        return [self.lines[key].row() for key in sorted(self.lines)]

    def sums(self) -> dict[str, Line]:
        """One line for each currency."""
        sums: dict[str, Line] = {}
        for line in self.lines.values():
            total = sums.setdefault(line.currency, Line("", "", line.currency))
            for name in ("calls", "minutes", "old", "new"):
                setattr(total, name, getattr(total, name) + getattr(line, name))
        return sums

    def add(self, command: CallRerated, old: RatedCall, new: RatedCall) -> None:
        """Note a call that changes."""
        self.commands.append(command)
        key = (old.tenant, old.destination or _UNKNOWN)
        line = self.lines.setdefault(key, Line(*key, old.currency))
        line.calls += 1
        line.minutes += old.minutes
        line.old += parse_ledger(old.charge)
        line.new += parse_ledger(new.charge)


class Standing:
    """The rated calls that an order asks for, of each the rating that stands, in the order of their first."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._calls: dict[tuple[str, str], bytes] = {}

    def note(self, value: bytes) -> RatedCall:
        """The next record of `rated-calls`."""
        call = _calls.decode(value)
        key = (call.tenant, normal_usage_id(call.usage_id))
        if self._order.asks_for(call):
            self._calls[key] = value
        else:  # a correction may have moved it out of the time
            self._calls.pop(key, None)
        return call

    def calls(self) -> Iterator[RatedCall]:
        """The calls."""
        return map(_calls.decode, self._calls.values())

    def live(self, tenant: str, usage_id: str) -> LiveCall | None:
        """The live version of one of the calls."""
        found = self._calls.get((tenant, normal_usage_id(usage_id)))
        return None if found is None else live_call(_calls.decode(found))


def plan_of(
    committed: Committed,
    rules: Rules,
    order: Order,
    calls: Iterable[RatedCall],
    plan: Plan,
    progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Try the order on calls, and add what changes to a plan; nothing is written."""
    state, waiting = State(committed), iter(calls)
    while some := list(islice(waiting, _PREPARED)):
        commands = [
            rerating_of(call, order.deck, order.at or _clock(state, call), order.reason, order.by) for call in some
        ]
        committed.prepare([command.call for command in commands])
        for call, command in zip(some, commands, strict=True):
            _try(state, rules, plan, call, command)
            _note_deck(state, rules, plan, order, call)
        progress(len(some))


def _clock(state: State, call: RatedCall) -> datetime:
    account = state.account(call.tenant)
    return call.received_at if account is None else account.clock


def _try(state: State, rules: Rules, plan: Plan, call: RatedCall, command: CallRerated) -> None:
    attempt = State(state)
    applier = Applier(attempt, rules)
    if applier.command(command, Source("", 0, 0), b"") is not Outcome.CORRECTED:
        plan.refused.update(output.reason for output in applier.outputs if isinstance(output, RejectedCdr))
        return
    (rated,) = [output for output in applier.outputs if isinstance(output, RatedCall)]
    if same_rating(call, rated):
        plan.unchanged += 1
        return
    state.absorb(attempt)
    plan.add(command, call, rated)


def _note_deck(state: State, rules: Rules, plan: Plan, order: Order, call: RatedCall) -> None:
    """Late calls and corrections of the switch are priced by the deck in force, which should be the same."""
    if call.tenant not in plan.priced_otherwise:
        stands = deck_stands(state, rules, call.tenant, call.answered_at)
        if stands != order.deck:
            plan.priced_otherwise[call.tenant] = stands or "no deck"
