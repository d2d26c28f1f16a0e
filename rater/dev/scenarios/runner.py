"""Plays a scenario on an engine and collects what differs from what it expects.

It turns steps into records and outputs into answers.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from rater.core import (
    AnyCommand,
    BrakeConfigured,
    BrakeReleased,
    CallAccepted,
    CallsOverBrake,
    DeckActivated,
    FundsAdded,
    FundsAdjusted,
    FundsRefunded,
    LicenseAssigned,
    LicenseRemoved,
    MoneyByHand,
    Outcome,
    Output,
    PaymentFailed,
    PaymentReversed,
    PaymentSucceeded,
    RatingSettings,
    Reason,
    RechargeSettings,
    RejectedCdr,
    TenantClosed,
    TenantConfigured,
    TenantReopened,
    UserConfigured,
    normal_usage_id,
)
from rater.core import Tick as TickCommand
from rater.dev.scenarios.compare import Caused, differences
from rater.dev.scenarios.engine import Engine
from rater.dev.scenarios.known import Held, Known
from rater.dev.scenarios.model import (
    OWN_ID_SEPARATOR,
    Accept,
    Action,
    Activate,
    Adjust,
    Brake,
    CallsOver,
    Cdr,
    Close,
    Configure,
    DatedLicense,
    Expect,
    Fund,
    License,
    Payment,
    Recharge,
    Refund,
    ReleaseBrake,
    Reopen,
    Rerate,
    ReversePayment,
    Scenario,
    Tick,
)
from rater.dev.scenarios.read import ScenarioFile
from rater.wire.codec import encode_input

#: Provisioning happens before anything else.
_BEFORE = datetime(1970, 1, 1, tzinfo=UTC)
_CDR_FIELDS = {
    "id": "usage_id",
    "start": "answered_at",
    "end": "ended_at",
    "seconds": "duration_s",
    "authorized_seconds": "authorized_s",
    "received": "received_at",
}
_Commanding = (
    Fund
    | Adjust
    | Refund
    | ReversePayment
    | Close
    | Reopen
    | License
    | Configure
    | Activate
    | Brake
    | ReleaseBrake
    | CallsOver
    | Tick
)
_MONEY: dict[type, type[MoneyByHand]] = {
    Fund: FundsAdded,
    Adjust: FundsAdjusted,
    Refund: FundsRefunded,
    ReversePayment: PaymentReversed,
    Close: TenantClosed,
    Reopen: TenantReopened,
}


class Result(msgspec.Struct, frozen=True):
    """One scenario that was played: what differs, each with file and line; empty when it passed.

    `notes` name the steps that were refused while nothing was expected of it.
    """

    file: ScenarioFile
    differences: tuple[str, ...]
    notes: tuple[str, ...]


def play(file: ScenarioFile, engine_for: Callable[[RatingSettings], Engine]) -> Result:
    """Provision the tenant, run the steps in order, compare after each."""
    engine = engine_for(file.settings)
    differing: list[str] = []
    notes: list[str] = []
    try:
        for where, expect, caused in _play(file, engine):
            found = [f"{where}: {difference}" for difference in differences(expect, caused)]
            differing.extend(found)
            if caused.refused and not found and not {"outcome", "reason"} & expect.model_fields_set:
                notes.append(f"{where}: refused, {caused.refused}")
    finally:
        engine.close()
    return Result(file, tuple(differing), tuple(notes))


def _play(file: ScenarioFile, engine: Engine) -> Iterator[tuple[str, Expect, Caused]]:
    """Each step with what it caused, while the engine stands right after it."""
    scenario = file.scenario
    for deck in file.decks:
        engine.publish(deck)
    for command in provisioning(scenario):
        engine.submit("command", encode_input(command))
    known = Known()
    for index, step in enumerate(scenario.steps):
        outcome, outputs = _run_step(engine, scenario.tenant.id, index, step.action, known)
        known.note(outputs)
        where = f"{file.path}:{file.step_line(index)}: steps[{index}]"
        names = {recharge: name for name, recharge in reversed(known.recharges.items())}
        yield where, step.expect, Caused(outcome, outputs, engine, scenario.tenant.id, names)


def _run_step(
    engine: Engine, tenant: str, index: int, action: Action, known: Known
) -> tuple[Outcome, list[Output]]:
    """Publish the record of a step; its outcome.  Held records are noted, so that `accept` finds them."""
    held = known.held
    if isinstance(action, Payment):
        id, recharge = _own_id("step", index), known.recharge_of(engine, tenant, action)
        return engine.submit("command", encode_input(_payment(tenant, id, action, recharge)))
    if isinstance(action, Refund | ReversePayment):
        action = action.model_copy(update={"lot": known.recharges.get(action.lot, action.lot)})
    if isinstance(action, Rerate):
        return engine.submit("command", encode_input(known.rerating(tenant, action)))
    if not isinstance(action, Accept):
        kind, raw = _record(tenant, index, action)
        outcome, outputs = engine.submit(kind, raw)
        for output in outputs:
            if isinstance(output, RejectedCdr) and output.reason is Reason.IMPLAUSIBLE_DURATION and output.usage_id:
                held[output.usage_id] = Held(output.id, raw)
        return outcome, outputs
    found = held.get(normal_usage_id(action.id), Held(action.id, b""))
    accept = CallAccepted(tenant=tenant, id=_own_id("step", index), at=action.at, letter=found.letter)
    outcome, outputs = engine.submit("command", encode_input(accept))
    if outcome is Outcome.REJECTED:
        return outcome, outputs
    outcome, more = engine.submit("cdr", found.raw)
    return outcome, [*outputs, *more]


def provisioning(scenario: Scenario) -> Iterator[AnyCommand]:
    """The commands that set up what the scenario starts from."""
    tenant = scenario.tenant
    yield TenantConfigured(
        tenant=tenant.id,
        id=_own_id("tenant"),
        at=_BEFORE,
        currency=tenant.currency,
        country=tenant.country,
        credits=tenant.credits,
        audio_conferencing_licenses=tenant.audio_conferencing_licenses,
        recharge=_recharge(tenant.recharge),
        domains=tenant.domains or None,
    )
    yield DeckActivated(tenant=tenant.id, id=_own_id("deck"), at=_BEFORE, version=scenario.rate_deck)
    for user in scenario.users:
        yield UserConfigured(
            tenant=tenant.id,
            id=_own_id("user", user.id),
            at=_BEFORE,
            user=user.id,
            country=user.country,
            outbound_policy=user.outbound_policy,
        )
        for number, license in enumerate(user.licenses):
            held = DatedLicense(sku=license) if isinstance(license, str) else license
            yield LicenseAssigned(
                tenant=tenant.id,
                id=_own_id("licence", user.id, number),
                at=_BEFORE,
                user=user.id,
                sku=held.sku,
                since_ever=held.since is None,
                effective_from=held.since,
                effective_to=held.until,
            )


def _own_id(*parts: object) -> str:
    """An id that no purchase of the scenario has: theirs are the ids of lots, and both are ids of commands."""
    return OWN_ID_SEPARATOR.join(map(str, ("scenario", *parts)))


def _record(tenant: str, index: int, action: Cdr | _Commanding) -> tuple[Literal["cdr", "command"], bytes]:
    """The record that a step publishes."""
    if isinstance(action, Cdr):
        return "cdr", _cdr_bytes(tenant, action)
    return "command", encode_input(_command(tenant, _own_id("step", index), action))


def _cdr_bytes(tenant: str, cdr: Cdr) -> bytes:
    record = {"tenant": tenant} | {
        _CDR_FIELDS.get(name, name): value for name, value in cdr.model_dump(exclude_none=True).items()
    }
    if cdr.received is None and (ended_at := _ended_at(cdr)) is not None:
        record["received_at"] = ended_at  # else the stamp of a broker would decide what is late (A43)
    return json.dumps(record, default=str).encode()  # also what no record can hold, so that the rater says so


def _ended_at(cdr: Cdr) -> datetime | None:
    """The default of `received`: start and seconds, where they can be read."""
    try:
        start = cdr.start if isinstance(cdr.start, datetime) else datetime.fromisoformat(cdr.start)
        ended_at = start + timedelta(seconds=cdr.seconds or 0)
    except (TypeError, ValueError, OverflowError):
        return None
    return ended_at if ended_at.tzinfo else None


def _payment(tenant: str, id: str, action: Payment, recharge: str | None) -> PaymentSucceeded | PaymentFailed:
    if action.result == "succeeded":
        return PaymentSucceeded(tenant=tenant, id=id, at=action.at, recharge_id=recharge)
    return PaymentFailed(tenant=tenant, id=id, at=action.at, recharge_id=recharge, reason=action.reason)


def _command(tenant: str, id: str, action: _Commanding) -> AnyCommand:
    match action:
        case Fund() | Adjust() | Refund() | ReversePayment() | Close() | Reopen():
            return _MONEY[type(action)](tenant=tenant, **action.model_dump())
        case License(assign=str(sku)):
            return LicenseAssigned(
                tenant=tenant, id=id, at=action.at, user=action.user, sku=sku, country=action.country
            )
        case License():
            sku, country = action.remove or "", action.country
            return LicenseRemoved(tenant=tenant, id=id, at=action.at, user=action.user, sku=sku, country=country)
        case Configure():
            return TenantConfigured(
                tenant=tenant,
                id=id,
                at=action.at,
                country=action.country,
                credits=action.credits,
                audio_conferencing_licenses=action.audio_conferencing_licenses,
                recharge=_recharge(action.recharge) if action.recharge else None,
                payment_method=action.payment_method,
                domains=action.domains,
                call_duration_max_s=action.call_duration_max_s,
                balance_alerts=action.balance_alerts,
            )
        case Activate():
            return DeckActivated(
                tenant=tenant, id=id, at=action.at, version=action.deck, effective_from=action.since
            )
        case Brake():
            return BrakeConfigured(tenant=tenant, id=id, **action.model_dump())
        case ReleaseBrake():
            return BrakeReleased(tenant=tenant, id=id, **action.model_dump())
        case CallsOver():
            return CallsOverBrake(tenant=tenant, id=id, **action.model_dump())
        case Tick():
            return TickCommand(tenant=tenant, id=id, at=action.at)


def _recharge(recharge: Recharge) -> RechargeSettings:
    return RechargeSettings(enabled=recharge.enabled, trigger=recharge.trigger, amount=recharge.amount)
