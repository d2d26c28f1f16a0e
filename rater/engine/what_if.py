"""A history replayed with substitutes: the same inputs in the same order through the same rules, and what it costs.

Time passes with the inputs that were, so with no substitute every figure is the one that was.  A payment that was
asked for in reality, then and for the same amount, is answered as it was; any other as the tenant's next payment
was, see PastPayments.  Calls are those that were: which others would have been made, or refused, is
unknown.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from itertools import islice
from typing import Protocol

import msgspec

from rater.core import (
    EVERY_TENANT,
    IDENTIFIER_LENGTH_MAX,
    AnyCommand,
    Applier,
    CallRerated,
    Committed,
    Debit,
    DeckActivated,
    Entity,
    Key,
    Mediated,
    Outcome,
    PaymentFailed,
    PaymentSucceeded,
    RatedCall,
    RechargeRequest,
    Refusal,
    Rules,
    Source,
    State,
    Tick,
    as_utc,
    month_start,
)
from rater.engine.batch import Input, Record, calls_in, input_of
from rater.engine.comparison import Refused, Remark
from rater.engine.difference import History
from rater.engine.exchanged_licences import ExchangedLicences
from rater.engine.licence_remarks import licensee, remark_on
from rater.engine.past_payments import PastPayments
from rater.engine.substitutes import Substitutes
from rater.wire.codec import encode_input

#: Records that are looked up together.
PART_RECORDS = 1_000
#: An activation moves no clock of a tenant.
_ALWAYS = month_start(1970 * 12)
_SUBSTITUTE = "what-if"


class Ledger(Committed, Protocol):
    """The state of the history that is replayed, which a shell keeps."""

    def merge(self, changes: Mapping[str, Mapping[Key, Entity]], gone: Collection[tuple[str, Key]] = ()) -> None:
        """Merge what a part of the history changed."""

    def rated(self, call: RatedCall) -> RatedCall | None:
        """Note a call that was rated; the rating that it replaces, if there is one."""


class Replay:
    """One history with its substitutes; `history` is what it costs, `past` the payments that were asked for.

    `admit` is why records of a tenant were not applied here, or None where they were; see run_batch.
    """

    def __init__(
        self,
        ledger: Ledger,
        substitutes: Substitutes,
        past: PastPayments,
        admit: Callable[[str], Refusal | None] = lambda _: None,
    ) -> None:
        self._admit = admit
        self.history = History(substitutes.period)
        #: Payments of the month that nobody asked for in reality, by what is assumed of them.
        self.assumed_paid = self.assumed_declined = 0
        self.refused: list[Refused] = []
        self.remarks: list[Remark] = []
        #: Tenants for which the price list is in force.
        self.in_force = 0
        exchange = substitutes.exchange
        self._exchanged = None if exchange is None else ExchangedLicences(exchange, substitutes)
        self._ledger, self._substitutes, self._past = ledger, substitutes, past
        exchanging = {substitutes.tenant} if exchange is not None and substitutes.tenant is not None else set()
        self._tenants = sorted({command.tenant for command in substitutes.commands} | exchanging)
        self._waiting = {tenant: substitutes.for_tenant(tenant) for tenant in self._tenants}
        self._replaced = {(command.tenant, command.id) for command in substitutes.commands}
        #: Tenants of which an input of the month was reached.
        self._started: set[str] = set()
        #: When a payment that was assumed to be declined is asked for again, by tenant.
        self._retries: dict[str, datetime] = {}
        #: Payments of this history that were asked for in reality, too.
        self._same: set[str] = set()

    def apply(self, rules: Rules, records: Iterable[Record]) -> None:
        """Apply the next inputs, which were applied by these rules; they know the substitute for the price list."""
        part = _Part(State(self._ledger), rules, self._others(rules))
        waiting = iter(records)
        while some := list(islice(waiting, PART_RECORDS)):
            values = [(record, value) for record in some if (value := self._admitted(record)) is not None]
            self._ledger.prepare(calls_in(value for _, value in values))
            for record, value in values:
                self._apply(part, record, value)
        self._ledger.merge(part.state.changes(), part.state.gone)

    def finish(self, rules: Rules) -> None:
        """Apply the commands for which no later input came."""
        part = _Part(State(self._ledger), rules, self._others(rules))
        for tenant in self._tenants:
            if tenant not in self._started and part.state.account(tenant) is not None:
                self._start(part, tenant)
            self._substitute_until(part, tenant, self._substitutes.until)
        for tenant in sorted(self._retries):
            self._retry_until(part, tenant, self._substitutes.until)
        if self._exchanged is not None:
            self.refused += [Refused(command, why) for command, why in self._exchanged.missed()]
        self._ledger.merge(part.state.changes(), part.state.gone)

    def _others(self, rules: Rules) -> Rules:
        if not self._substitutes.settings:
            return rules
        settings = msgspec.structs.replace(rules.settings, **self._substitutes.settings)
        return Rules(settings, rules.tariffs)

    def _admitted(self, record: Record) -> Input | None:
        """An input that is replayed: what does not decode moves nothing, and other tenants do not matter."""
        value = input_of(record)
        if isinstance(value, Refusal) or self._admit(value.tenant) is not None:
            return None
        only = self._substitutes.tenant
        return value if only is None or value.tenant in (only, EVERY_TENANT) else None

    def _apply(self, part: "_Part", record: Record, value: Input) -> None:
        at = value.cdr.answered_at if isinstance(value, Mediated) else as_utc(value.at)
        tenant = value.tenant
        if tenant not in self._started:
            if at < self._substitutes.since or part.state.account(tenant) is None:
                self._apply_to(part, part.real, record, value)
                return
            self._start(part, tenant)
        if self._waiting:
            self._substitute_until(part, tenant, at)
        if self._retries:
            self._retry_until(part, tenant, at)
        if isinstance(value, Mediated) or not self._is_replaced(part, value):
            if self._exchanged is not None and not isinstance(value, Mediated):
                value = self._exchanged.rewritten(value)
            self._apply_to(part, part.other, record, value)

    def _apply_to(self, part: "_Part", applier: Applier, record: Record, value: Input) -> None:
        if isinstance(value, Mediated):
            applier.call(value, record.source, record.raw)
        elif not self._is_unasked(part, value):
            applier.command(value, record.source, record.raw, record.arrived_at)
        self._count(part, applier)

    def _start(self, part: "_Part", tenant: str) -> None:
        """The month begins for a tenant: the price list is in force, in place of its own and those of everybody.

        Where it has another list of its own from a day of the month on, ours is activated then once more.
        """
        self._started.add(tenant)
        if self._exchanged is not None and tenant == self._substitutes.tenant:
            for command in self._exchanged.at_first(part.state, tenant):
                self._substitute(part, command)
        deck, account, since = self._substitutes.deck, part.state.account(tenant), self._substitutes.since
        if deck is None or account is None or deck.currency != account.currency:
            return
        self.in_force += 1
        own = {at for at, _ in account.decks if at is not None and self._substitutes.covers(at)}
        for number, at in enumerate(sorted({since, *own})):
            id = f"{_SUBSTITUTE}-{number}-{deck.version}"[:IDENTIFIER_LENGTH_MAX]
            self._substitute(
                part, DeckActivated(tenant=tenant, id=id, at=_ALWAYS, version=deck.version, effective_from=at)
            )

    def _substitute_until(self, part: "_Part", tenant: str, at: datetime) -> None:
        waiting = self._waiting.get(tenant)
        while waiting and as_utc(waiting[0].at) <= at:
            command = waiting.pop(0)
            before = licensee(part.state, command)
            is_applied = self._substitute(part, command)
            if is_applied and (text := remark_on(command, before, licensee(part.state, command))) is not None:
                self.remarks.append(Remark(command, text))

    def _substitute(self, part: "_Part", command: AnyCommand) -> bool:
        """Apply a command; whether it was applied."""
        refused = len(self.refused)
        outcome = part.other.command(command, Source(_SUBSTITUTE, 0, 0), encode_input(command))
        if outcome is Outcome.DUPLICATE:
            self.refused.append(Refused(command, "a command before the month has its id"))
        elif outcome in (Outcome.REJECTED, Outcome.CONFLICTING_DUPLICATE):
            self.refused.append(Refused(command, part.other.rejections[-1].refusal.message))
        self._count(part, part.other)
        return len(self.refused) == refused

    def _retry_until(self, part: "_Part", tenant: str, at: datetime) -> None:
        """Let time pass where a payment that was assumed to be declined is asked for again (A8)."""
        while (due := self._retries.get(tenant)) is not None and due <= at:
            del self._retries[tenant]
            tick = Tick(tenant=tenant, id=f"{_SUBSTITUTE}-tick-{due.isoformat()}", at=due)
            part.other.command(tick, Source(_SUBSTITUTE, 0, 0), encode_input(tick))
            self._count(part, part.other)

    def _is_replaced(self, part: "_Part", command: AnyCommand) -> bool:
        """Whether a substitute stands in the place of a command that was."""
        substitutes = self._substitutes
        if (command.tenant, command.id) in self._replaced:
            return True
        deck = substitutes.deck
        if isinstance(command, CallRerated):
            return deck is not None and substitutes.covers(as_utc(command.call.answered_at))
        if deck is None or not isinstance(command, DeckActivated) or command.effective_from is None:
            return False
        account = part.state.account(command.tenant)
        mine = account is not None and account.currency == deck.currency
        return mine and substitutes.covers(as_utc(command.effective_from))

    def _is_unasked(self, part: "_Part", command: AnyCommand) -> bool:
        """Whether it answers a payment that this history has not asked for, not for as much, or not then."""
        if not isinstance(command, PaymentSucceeded | PaymentFailed):
            return False
        account = part.state.account(command.tenant)
        asked = account.recharge.in_flight if account is not None else None
        if asked is not None and asked.recharge == command.recharge_id:  # before the replay began
            return False
        return command.recharge_id in self._past.asked and command.recharge_id not in self._same

    def _count(self, part: "_Part", applier: Applier) -> None:
        """Count what an input caused, and answer the payments that it asked for."""
        if not applier.outputs:
            return
        for output in applier.take_outputs():
            if isinstance(output, RatedCall):
                self.history.add_call(output, self._ledger.rated(output))
                continue
            if isinstance(output, Debit):  # of calls; their ratings are counted
                continue
            self.history.add(output)
            if isinstance(output, RechargeRequest):
                self._answer(part, applier, output)

    def _answer(self, part: "_Part", applier: Applier, request: RechargeRequest) -> None:
        if self._past.has(request):
            self._same.add(request.id)
            return
        answer = self._past.likely_answer(request)
        if self._substitutes.covers(request.at):
            self.assumed_paid += isinstance(answer, PaymentSucceeded)
            self.assumed_declined += isinstance(answer, PaymentFailed)
        applier.command(answer, Source(_SUBSTITUTE, 0, 0), encode_input(answer))
        account = part.state.account(request.tenant)
        if account is not None and account.recharge.retry_at is not None:
            self._retries[request.tenant] = account.recharge.retry_at
        self._count(part, applier)


class _Part:
    """The state of a part of the history, and its rules as they were and as they would be."""

    def __init__(self, state: State, rules: Rules, others: Rules) -> None:
        self.state = state
        self.real, self.other = Applier(state, rules), Applier(state, others)
