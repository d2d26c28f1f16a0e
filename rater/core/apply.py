"""Applying: the one place that moves money and minutes.

An input and the state go in; outputs come out, and the state's overlay holds the changes.  Nothing
else happens: no I/O, no clock, no randomness.  An exception is a bug, and the shell stops.
"""

from datetime import UTC, datetime

import msgspec

from rater.core.calls import call_and_content, call_arrived
from rater.core.commands import command_arrived, command_seen, unreadable
from rater.core.credit import debit
from rater.core.entities import Account, Seen
from rater.core.inputs import (
    EVERY_TENANT,
    NO_TENANT,
    RESERVED_TENANTS,
    AnyCommand,
    DeckActivated,
    Source,
    TenantConfigured,
)
from rater.core.instants import as_utc
from rater.core.letters import Original, former_letter_id, letter_id, rejected
from rater.core.mediation import Mediated
from rater.core.outputs import Output, RejectedCdr
from rater.core.passing_time import advance, balance_moved, open_account, switch_service
from rater.core.provisioning import configure_tenant
from rater.core.rating import named, payer
from rater.core.reasons import EventKind, Outcome, Reason, Refusal
from rater.core.record_checks import ahead_of_arrival
from rater.core.state import State, letter_key
from rater.core.step import Rules, Step


class Rejection(msgspec.Struct, frozen=True):
    """Why an input was rejected, and the id of its dead letter."""

    letter: str
    refusal: Refusal


class Applier:
    """Applies the inputs of a batch to its state, one after the other; `outputs` are what they caused, in order."""

    __slots__ = ("_rules", "_state", "_steps", "outputs", "rejections")

    def __init__(self, state: State, rules: Rules) -> None:
        self._state = state
        self._rules = rules
        #: Each tenant's step, from its first call on: all calls of a tenant share it.
        self._steps: dict[str, Step] = {}
        #: Since the last `take_outputs`; the steps append to it.
        self.outputs: list[Output] = []
        #: The letter and the reason of each input that was rejected, in order, also where the letter was there
        #: before.
        self.rejections: list[Rejection] = []

    def take_outputs(self) -> list[Output]:
        """What inputs caused since this was asked last, in order."""
        taken = self.outputs.copy()
        self.outputs.clear()  # and no new list: the tenants' steps hold this one
        return taken

    def call(self, call: Mediated, source: Source, raw: bytes) -> Outcome:
        """Rate a call-detail record, or return why not."""
        cdr = call.cdr
        step = self._steps.get(cdr.tenant) or self._open_step(cdr.tenant, source, call.at)
        if step is None:
            message = "expected a tenant that was configured; configure it, then replay this record"
            return self.reject(source, raw, _unknown(cdr.tenant, message), cdr.tenant, cdr.usage_id)
        step.begin(source, call.at)
        outcome = call_arrived(step, call)
        if isinstance(outcome, Refusal):
            return self._refuse_call(step, named(call, payer(step, cdr)[0]), raw, outcome)
        _finish_input(step)
        return outcome

    def debit_unrecorded(self, tenant: str, source: Source, at: datetime, amount: int) -> None:
        """Take so many micro-units as a call does, without a debit or a rated call: for forecasts alone."""
        step = self._steps.get(tenant) or self._open_step(tenant, source, at)
        assert step is not None, tenant
        step.begin(source, at)
        advance(step, at)
        before = step.account.balance
        debit(step.state, step.account, amount)
        balance_moved(step, before)
        _finish_input(step)

    def command(self, command: AnyCommand, source: Source, raw: bytes, arrival: datetime | None = None) -> Outcome:
        """Apply a command, or return why not; `arrival` is the stamp of whoever received it (A43)."""
        # A command may put another account in this one's place, and the step of the tenant's calls holds this one.
        self._steps.pop(command.tenant, None)
        ahead = ahead_of_arrival("at", as_utc(command.at), arrival, self._rules.settings.clock_ahead_max_h)
        if ahead is not None:
            return self.reject(source, raw, ahead, command.tenant)
        account = self._state.account(command.tenant)
        if command.tenant in RESERVED_TENANTS:
            if command.tenant != EVERY_TENANT or not isinstance(command, DeckActivated):
                message = "expected a tenant's name; only deck_activated can be sent to every tenant, as '*'"
                return self.reject(source, raw, _unknown(command.tenant, message))
            account = self._state.account(NO_TENANT) or _nobody(self._state)
        if account is None:
            if isinstance(command, TenantConfigured):
                return self._first_configuration(command, source, raw)
            message = "expected a tenant that was configured; its first command is tenant_configured"
            return self.reject(source, raw, _unknown(command.tenant, message), command.tenant)
        step = Step(self._state, self._rules, account, source, as_utc(command.at), self.outputs)
        outcome = command_arrived(step, command)
        if isinstance(outcome, Refusal):
            return self.reject(source, raw, outcome, command.tenant)
        _finish_input(step)
        return outcome

    def reject(
        self,
        source: Source,
        raw: bytes,
        refused: Refusal,
        tenant: str | None = None,
        usage_id: str | None = None,
        *,
        file_tenant: str | None = None,
        original: Original | None = None,
    ) -> Outcome:
        """Keep an input that cannot be applied as a dead letter."""
        id, letter = dead_letter(
            self._state, source, raw, refused, tenant, usage_id, file_tenant=file_tenant, original=original
        )
        return self._rejected(id, letter, refused)

    def _rejected(self, id: str, letter: RejectedCdr | None, refused: Refusal) -> Outcome:
        self.rejections.append(Rejection(id, refused))
        if letter is not None:
            self.outputs.append(letter)
        conflict = refused.reason is Reason.CONFLICTING_DUPLICATE
        return Outcome.CONFLICTING_DUPLICATE if conflict else Outcome.REJECTED

    def _open_step(self, tenant: str, source: Source, at: datetime) -> Step | None:
        """The step of a tenant's calls; None for an unconfigured tenant."""
        account = self._state.account(tenant)
        if account is None or tenant in RESERVED_TENANTS:
            return None
        step = self._steps[tenant] = Step(self._state, self._rules, account, source, at, self.outputs)
        return step

    def _refuse_call(self, step: Step, call: Mediated, raw: bytes, refused: Refusal) -> Outcome:
        """Keep a rejected record of a known tenant; a conflicting one is an event, too, once."""
        cdr = call.cdr
        said = call_and_content(call) if refused.reason is Reason.IMPLAUSIBLE_DURATION else None
        id, letter = dead_letter(step.state, step.source, raw, refused, cdr.tenant, cdr.usage_id, said)
        if refused.reason is Reason.CONFLICTING_DUPLICATE and letter is not None:
            step.emit(EventKind.CDR_QUARANTINED, usage_id=cdr.usage_id, user=cdr.user, reason=refused.message)
        _finish_input(step)
        return self._rejected(id, letter, refused)

    def _first_configuration(self, command: TenantConfigured, source: Source, raw: bytes) -> Outcome:
        """A tenant is created with its currency."""
        if command.currency is None:
            refused = Refusal(
                Reason.NOT_CONFIGURED, "currency", "expected the currency of the new tenant, got none"
            )
            return self.reject(source, raw, refused, command.tenant)
        wrong = unreadable(command)
        if wrong is not None:
            return self.reject(source, raw, wrong, command.tenant)
        at = as_utc(command.at)
        account = open_account(self._state, command.tenant, command.currency, at)
        step = Step(self._state, self._rules, account, source, at, self.outputs)
        configure_tenant(step, command, first=True)
        command_seen(step, command)
        _finish_input(step)
        return Outcome.RATED


def _finish_input(step: Step) -> None:
    """Emit the events after what they are about, then whether credit-funded calls may start."""
    step.emit_events()
    switch_service(step)


def dead_letter(
    state: State,
    source: Source,
    raw: bytes,
    refused: Refusal,
    tenant: str | None = None,
    usage_id: str | None = None,
    said: str | None = None,
    *,
    file_tenant: str | None = None,
    original: Original | None = None,
) -> tuple[str, RejectedCdr | None]:
    """The id of the dead letter of an input that cannot be applied; and the letter, unless it was written before.

    The same bytes of a tenant are one letter.
    `tenant` is the one that the input names; `file_tenant` that of the file it was in, where it names none.
    `said` is what has to be remembered of the letter; see Seen.  `original` is there if `raw` is only a beginning.
    """
    account = state.account(tenant) if tenant and tenant not in RESERVED_TENANTS else None
    claimed = None if account else tenant
    if account is None:
        account = state.account(NO_TENANT) or _nobody(state)
    id = letter_id(tenant or file_tenant or NO_TENANT, raw, refused.reason, original)
    key = letter_key(account.tenant, id)
    former = letter_key(account.tenant, former_letter_id(raw, refused.reason))
    # 0.3.0 read rows that begin alike as one
    if state.seen(key) is not None or (original is None and state.seen(former) is not None):
        return id, None
    state.seen_now[key] = Seen(account.clock, said)
    letter = rejected(
        account, source, raw, refused, id=id, usage_id=usage_id, claimed_tenant=claimed, original=original
    )
    return id, letter


def _nobody(state: State) -> Account:
    """The account that only counts dead letters of inputs whose tenant is not known."""
    return open_account(state, NO_TENANT, "", datetime(1970, 1, 1, tzinfo=UTC))


def _unknown(tenant: str, message: str) -> Refusal:
    return Refusal(Reason.UNKNOWN_TENANT, "tenant", f"{message}; got {tenant!r}")
