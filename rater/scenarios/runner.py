"""Plays a scenario on an engine and collects what differs from what it expects.

Refuses to know rules: it turns steps into records and outputs into answers.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import orjson

from rater.contracts.codec import encode_input
from rater.core.inputs import (
    AnyCommand,
    DeckActivated,
    FundsAdded,
    LicenseAssigned,
    LicenseRemoved,
    PaymentFailed,
    PaymentSucceeded,
    RechargeSettings,
    TenantConfigured,
    UserConfigured,
)
from rater.core.inputs import Tick as TickCommand
from rater.core.settings import RatingSettings
from rater.formats.deck_csv import read_deck
from rater.scenarios.compare import differences
from rater.scenarios.engine import Engine
from rater.scenarios.model import (
    Cdr,
    Configure,
    DatedLicense,
    Fund,
    License,
    Payment,
    Recharge,
    Scenario,
    ScenarioFile,
    Tick,
    as_text,
)

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


class Result(msgspec.Struct, frozen=True):
    """One scenario that was played: what differs, each with file and line; empty when it passed."""

    file: ScenarioFile
    differences: tuple[str, ...]


def play(file: ScenarioFile, engine_for: Callable[[RatingSettings], Engine]) -> Result:
    """Provision the tenant, take the steps in order, compare after each."""
    engine = engine_for(file.settings)
    try:
        return Result(file, tuple(_play(file, engine)))
    finally:
        engine.close()


def _play(file: ScenarioFile, engine: Engine) -> Iterator[str]:
    """Each difference as one line."""
    scenario = file.scenario
    deck_path = file.path.parent / scenario.rate_deck
    engine.publish(read_deck(Path(deck_path), version=scenario.rate_deck, currency=scenario.tenant.currency))
    for command in provisioning(scenario):
        engine.submit("command", encode_input(command))
    for index, step in enumerate(scenario.steps):
        kind, raw = _record(scenario.tenant.id, index, step.action)
        outcome, outputs = engine.submit(kind, raw)
        differing = differences(step.expect, outcome, outputs, engine, scenario.tenant.id)
        where = f"{file.path}:{file.step_line(index)}: steps[{index}]"
        yield from (f"{where}: {difference}" for difference in differing)


def provisioning(scenario: Scenario) -> Iterator[AnyCommand]:
    """The commands that set up what the scenario starts from."""
    tenant = scenario.tenant
    yield TenantConfigured(
        tenant=tenant.id,
        id="provision",
        at=_BEFORE,
        currency=tenant.currency,
        country=tenant.country,
        credits=tenant.credits,
        audio_conferencing_licenses=tenant.audio_conferencing_licenses,
        recharge=_recharge(tenant.recharge),
    )
    yield DeckActivated(tenant=tenant.id, id="provision-deck", at=_BEFORE, version=scenario.rate_deck)
    for user in scenario.users:
        yield UserConfigured(
            tenant=tenant.id,
            id=f"provision-{user.id}",
            at=_BEFORE,
            user=user.id,
            country=user.country,
            outbound_policy=user.outbound_policy,
        )
        for number, license in enumerate(user.licenses):
            held = DatedLicense(sku=license) if isinstance(license, str) else license
            yield LicenseAssigned(
                tenant=tenant.id,
                id=f"provision-{user.id}-{number}",
                at=_BEFORE,
                user=user.id,
                sku=held.sku,
                since_ever=held.since is None,
                effective_from=held.since,
                effective_to=held.until,
            )


def _record(
    tenant: str, index: int, action: Fund | Cdr | License | Configure | Payment | Tick
) -> tuple[str, bytes]:
    """The record that a step publishes."""
    if isinstance(action, Cdr):
        return "cdr", _cdr_bytes(tenant, action)
    return "command", encode_input(_command(tenant, f"step-{index}", action))


def _cdr_bytes(tenant: str, cdr: Cdr) -> bytes:
    record = {"tenant": tenant} | {
        _CDR_FIELDS.get(name, name): value for name, value in cdr.model_dump(exclude_none=True).items()
    }
    return orjson.dumps(record)


def _command(tenant: str, id: str, action: Fund | License | Configure | Payment | Tick) -> AnyCommand:
    match action:
        case Fund():
            return FundsAdded(
                tenant=tenant,
                id=action.id,
                at=action.at,
                amount=action.amount,
                source=action.source,
                currency=action.currency,
            )
        case License(assign=str(sku)):
            return LicenseAssigned(
                tenant=tenant, id=id, at=action.at, user=action.user, sku=sku, country=action.country
            )
        case License():
            return LicenseRemoved(tenant=tenant, id=id, at=action.at, user=action.user, sku=action.remove or "")
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
            )
        case Payment(result="succeeded"):
            return PaymentSucceeded(tenant=tenant, id=id, at=action.at)
        case Payment():
            return PaymentFailed(tenant=tenant, id=id, at=action.at, reason=action.reason)
        case Tick():
            return TickCommand(tenant=tenant, id=f"tick-{as_text(action.at)}", at=action.at)


def _recharge(recharge: Recharge) -> RechargeSettings:
    return RechargeSettings(enabled=recharge.enabled, trigger=recharge.trigger, amount=recharge.amount)
