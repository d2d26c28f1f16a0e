"""`apply`: the one function that moves money and minutes.

An input and the state go in; outputs come out, and the state's overlay holds the changes.  Nothing
else happens: no I/O, no clock, no randomness.  An exception is a bug, and the shell stops.
"""

from datetime import UTC, datetime

import msgspec

from rater.core.calls import call_arrived, held_as
from rater.core.commands import command_arrived, command_seen, unreadable
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
from rater.core.mediation import Mediated, ahead_of_arrival
from rater.core.outputs import Output
from rater.core.passing_time import open_account, switch_service
from rater.core.provisioning import configure_tenant
from rater.core.rating import named, payer
from rater.core.reasons import EventKind, Outcome, Reason, Refusal
from rater.core.state import State
from rater.core.step import Rules, Step


class Applied(msgspec.Struct, frozen=True, gc=False):
    """What became of one input, and the outputs it caused, in order."""

    outcome: Outcome
    outputs: list[Output]


def apply_call(state: State, rules: Rules, call: Mediated, source: Source, raw: bytes) -> Applied:
    """Rate a call-detail record, or say why not."""
    cdr = call.cdr
    account = state.account(cdr.tenant)
    if account is None or cdr.tenant in RESERVED_TENANTS:
        message = "expected a tenant that was configured; configure it, then replay this record"
        return reject(state, source, raw, _unknown(cdr.tenant, message), cdr.tenant, cdr.usage_id)
    step = Step(state, rules, account, source, call.at)
    outcome = call_arrived(step, call)
    if isinstance(outcome, Refusal):
        return _refuse_call(step, named(call, payer(step, cdr)[0]), raw, outcome)
    return Applied(outcome, _all_outputs(step))


def _all_outputs(step: Step) -> list[Output]:
    """What the step caused: events after what they are about, then whether credit-funded calls may start."""
    step.emit_events()
    switch_service(step)
    return step.outputs


def _refuse_call(step: Step, call: Mediated, raw: bytes, refused: Refusal) -> Applied:
    """Keep a rejected record of a known tenant; a conflicting one is an event, too, once."""
    cdr = call.cdr
    said = held_as(call) if refused.reason is Reason.IMPLAUSIBLE_DURATION else None
    letter = reject(step.state, step.source, raw, refused, cdr.tenant, cdr.usage_id, said)
    conflict = refused.reason is Reason.CONFLICTING_DUPLICATE
    if conflict and letter.outputs:
        step.tell(EventKind.CDR_QUARANTINED, usage_id=cdr.usage_id, user=cdr.user, reason=refused.message)
    outcome = Outcome.CONFLICTING_DUPLICATE if conflict else Outcome.REJECTED
    return Applied(outcome, [*_all_outputs(step), *letter.outputs])


def apply_command(
    state: State, rules: Rules, command: AnyCommand, source: Source, raw: bytes, arrival: datetime | None = None
) -> Applied:
    """Apply a command, or say why not; `arrival` is the stamp of whoever received it (A43)."""
    ahead = ahead_of_arrival("at", as_utc(command.at), arrival, rules.settings.clock_ahead_max_h)
    if ahead is not None:
        return reject(state, source, raw, ahead, command.tenant)
    account = state.account(command.tenant)
    if command.tenant in RESERVED_TENANTS:
        if command.tenant != EVERY_TENANT or not isinstance(command, DeckActivated):
            message = "expected a tenant's name; only deck_activated can be told to every tenant, as '*'"
            return reject(state, source, raw, _unknown(command.tenant, message))
        account = state.account(NO_TENANT) or _nobody(state)
    if account is None:
        if isinstance(command, TenantConfigured):
            return _first_configuration(state, rules, command, source, raw)
        message = "expected a tenant that was configured; its first command is tenant_configured"
        return reject(state, source, raw, _unknown(command.tenant, message), command.tenant)
    step = Step(state, rules, account, source, as_utc(command.at))
    outcome = command_arrived(step, command)
    if isinstance(outcome, Refusal):
        letter = reject(state, source, raw, outcome, command.tenant)
        conflict = outcome.reason is Reason.CONFLICTING_DUPLICATE
        return Applied(Outcome.CONFLICTING_DUPLICATE, letter.outputs) if conflict else letter
    return Applied(outcome, _all_outputs(step))


def reject(
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
) -> Applied:
    """Keep an input that cannot be applied as a dead letter; the same bytes of a tenant are one letter.

    `tenant` is the one that the input names; `file_tenant` that of the file it was in, where it names none.
    `said` is what has to be remembered of the letter; see Seen.  `original` is there if `raw` is only a beginning.
    """
    account = state.account(tenant) if tenant and tenant not in RESERVED_TENANTS else None
    claimed = None if account else tenant
    if account is None:
        account = state.account(NO_TENANT) or _nobody(state)
    id = letter_id(tenant or file_tenant or NO_TENANT, raw, refused.reason, original)
    key = (account.tenant, f"rejected/{id}")
    former = (account.tenant, f"rejected/{former_letter_id(raw, refused.reason)}")
    # 0.3.0 took rows that begin alike for one
    if state.seen(key) is not None or (original is None and state.seen(former) is not None):
        return Applied(Outcome.REJECTED, [])
    state.seen_now[key] = Seen(account.clock, said)
    letter = rejected(
        account, source, raw, refused, id=id, usage_id=usage_id, claimed_tenant=claimed, original=original
    )
    return Applied(Outcome.REJECTED, [letter])


def _nobody(state: State) -> Account:
    """The account that only counts dead letters of inputs whose tenant is not known."""
    return open_account(state, NO_TENANT, "", datetime(1970, 1, 1, tzinfo=UTC))


def _unknown(tenant: str, message: str) -> Refusal:
    return Refusal(Reason.UNKNOWN_TENANT, "tenant", f"{message}; got {tenant!r}")


def _first_configuration(
    state: State, rules: Rules, command: TenantConfigured, source: Source, raw: bytes
) -> Applied:
    """A tenant comes into being with its currency."""
    if command.currency is None:
        refused = Refusal(Reason.NOT_CONFIGURED, "currency", "expected the currency of the new tenant, got none")
        return reject(state, source, raw, refused, command.tenant)
    wrong = unreadable(command)
    if wrong is not None:
        return reject(state, source, raw, wrong, command.tenant)
    at = as_utc(command.at)
    step = Step(state, rules, open_account(state, command.tenant, command.currency, at), source, at)
    configure_tenant(step, command, first=True)
    command_seen(step, command)
    return Applied(Outcome.RATED, _all_outputs(step))
