"""What is emitted for each command: every field of its event, which is the history that a clerk reads."""

from typing import Any

import pytest

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
from rater.core.outputs import AccountEvent, Balance
from tests.world import HARARE, US, T, World, ada, at

WHEN = at("2025-03-11")


def facts(world: World) -> list[dict[str, Any]]:
    """The events of the last step, without what all of them have in common."""
    common = ("tenant", "id", "sequence", "source", "at", "currency")
    events = [output for output in world.outputs if isinstance(output, AccountEvent)]
    return [
        {
            name: value.value if name == "event" else value
            for name in event.__struct_fields__
            if name not in common and (value := getattr(event, name)) is not None
        }
        for event in events
    ]


@pytest.mark.parametrize(
    ("command", "event"),
    [
        (TenantConfigured(tenant=T, id="x", at=WHEN, country="US"), {"event": "tenant.configured"}),
        (
            UserConfigured(tenant=T, id="x", at=WHEN, user="bob", country="GB"),
            {"event": "user.configured", "user": "bob"},
        ),
        (
            LicenseAssigned(tenant=T, id="x", at=WHEN, user="ada", sku="MCOPSTN5"),
            {"event": "license.assigned", "user": "ada", "sku": "MCOPSTN5"},
        ),
        (
            LicenseAssigned(tenant=T, id="x", at=WHEN, user="ada", sku="NEW"),
            {"event": "license.assigned", "user": "ada", "sku": "NEW", "reason": "unknown_sku"},
        ),
        (
            LicenseRemoved(tenant=T, id="x", at=WHEN, user="ada", sku="MCOPSTNPP"),
            {"event": "license.removed", "user": "ada", "sku": "MCOPSTNPP"},
        ),
        (
            LicenseRemoved(tenant=T, id="x", at=WHEN, user=" bob ", sku="MCOPSTNPP"),
            {"event": "license.removed", "user": "bob", "sku": "MCOPSTNPP"},
        ),
        (
            DeckActivated(tenant=T, id="x", at=WHEN, version="deck-1"),
            {"event": "deck.activated", "reason": "deck-1"},
        ),
        (
            FundsAdded(tenant=T, id="x", at=WHEN, amount="5", purchase_order="PO 7", agreement="EA"),
            {"event": "funds.added", "lot": "x", "amount": "5", "reason": "PO 7", "balance": "105"},
        ),
        (
            FundsAdded(tenant=T, id="x", at=WHEN, amount="5", agreement="EA"),
            {"event": "funds.added", "lot": "x", "amount": "5", "reason": "EA", "balance": "105"},
        ),
    ],
)
def test_each_command_is_an_event(command: AnyCommand, event: dict[str, Any]) -> None:
    """It names the command and what it said, with the balance after it."""
    world = ada("MCOPSTNPP")
    world.tell(command)
    assert facts(world) == [{"balance": "100", "command_id": "x", **event}]


def asked(attempts: int = 1) -> World:
    """A tenant whose recharge is in flight: 50.1 less 0.2 is below 50."""
    world = ada("MCOPSTNPP", funds="50.1", recharge=("50", "100"))
    world.call(HARARE)
    for attempt in range(1, attempts):
        world.declined(f"2025-03-{9 + 2 * attempt}")
        world.tick(f"2025-03-{10 + 2 * attempt}")
    return world


def in_flight(world: World) -> str:
    recharge = world.account.recharge.in_flight
    assert recharge is not None
    return recharge.recharge


def test_a_paid_recharge_is_an_event() -> None:
    """It names the recharge, and what was paid: 49.9 + 100."""
    world = asked()
    recharge = in_flight(world)
    world.tell(PaymentSucceeded(tenant=T, id="x", at=WHEN))
    assert facts(world) == [
        {
            "event": "recharge.succeeded",
            "recharge_id": recharge,
            "amount": "100",
            "balance": "149.9",
            "command_id": "x",
        }
    ]
    assert world.lots == [("funds-1", "49.9"), (recharge, "100")]


@pytest.mark.parametrize(
    ("said", "reason"), [({}, "declined"), ({"reason": "card lost"}, "card lost")], ids=["nothing", "why"]
)
def test_a_failed_recharge_is_an_event_and_a_balance(said: dict[str, str], reason: str) -> None:
    """A8: the balance record says that one failed and when it is asked for again, an hour later."""
    world = asked()
    recharge = in_flight(world)
    world.tell(PaymentFailed(tenant=T, id="x", at=WHEN, **said))
    assert facts(world) == [
        {
            "event": "recharge.failed",
            "recharge_id": recharge,
            "amount": "100",
            "balance": "49.9",
            "reason": reason,
            "command_id": "x",
        }
    ]
    (balance,) = [output for output in world.outputs if isinstance(output, Balance)]
    assert balance.recharge_in_flight is None
    assert (balance.recharge_failures, balance.recharge_retry_at) == (1, at("2025-03-11 01:00"))


def test_the_balance_is_told_when_settings_change() -> None:
    """Those who read balances know the new trigger at once, and that credits are set up."""
    world = ada("MCOPSTNPP")
    world.configure("2025-03-11", recharge=RechargeSettings(enabled=True, trigger="20", amount="30"))
    (balance,) = [output for output in world.outputs if isinstance(output, Balance)]
    assert (balance.recharge_enabled, balance.recharge_trigger, balance.recharge_amount) == (True, "20", "30")


def test_a_pools_events_name_the_pool_and_its_minutes() -> None:
    """Rule 56: 96 of 120 minutes are 80 percent; 120 are all."""
    world = ada("MCOPSTN5")
    world.call(US, 95 * 60)
    assert facts(world) == []
    world.call(US, 60)
    pool = {"balance": "100", "pool": "MCOPSTN5/US-PR/2025-03", "total": 120}
    assert facts(world) == [{"event": "pool.warning", "used": 96, **pool}]
    world.call(US, 24 * 60)
    assert facts(world) == [{"event": "pool.exhausted", "used": 120, **pool}]
