"""What is emitted for each command: every field of its event, which is the history that a clerk reads."""

from typing import Any

import pytest

from rater.core.inputs import (
    AnyCommand,
    CallAccepted,
    CallRecord,
    DeckActivated,
    FundsAdded,
    LicenseAssigned,
    LicenseRemoved,
    PaymentFailed,
    PaymentSucceeded,
    RechargeSettings,
    Source,
    TenantConfigured,
    UserConfigured,
)
from rater.core.outputs import AccountEvent, Balance, RejectedCdr
from rater.core.reasons import CallType
from rater.engine.batch import Record, run_batch
from rater.wire.codec import encode_input
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
            LicenseRemoved(tenant=T, id="x", at=WHEN, user="ADA", sku="MCOPSTN5"),
            {"event": "license.removed", "user": "ada", "sku": "MCOPSTN5"},
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
            {"event": "funds.added", "lot": "x", "amount": "5", "reason": "PO 7, EA", "balance": "105"},
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
    world.apply(command)
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
    world.apply(PaymentSucceeded(tenant=T, id="x", at=WHEN))
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
    world.apply(PaymentFailed(tenant=T, id="x", at=WHEN, **said))
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


def test_a_balance_is_emitted_when_settings_change() -> None:
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


def test_letting_a_held_call_through_is_an_event() -> None:
    """A44: who did it, by which command."""
    world = ada("MCOPSTNPP")
    world.cdr(HARARE, 43_201)
    (letter,) = [output.id for output in world.outputs if isinstance(output, RejectedCdr)]
    world.apply(CallAccepted(tenant=T, id="x", at=WHEN, letter=letter, by="grace"))
    assert facts(world) == [{"event": "call.accepted", "reason": "grace", "command_id": "x", "balance": "100"}]


def test_a_tenant_may_have_longer_calls() -> None:
    """A44: its own longest call, in seconds; the command does not concern other tenants."""
    world = ada("MCOPSTNPP")
    world.configure("2025-03-02", call_duration_max_s=50_000)
    assert world.cdr(US, 50_000).value == "rated"
    assert world.cdr(US, 50_001).value == "rejected"


@pytest.mark.parametrize(
    ("type", "called", "reasons"),
    [
        ("user_out", "anonymous", ["not_e164"]),
        ("user_in", "anonymous", []),
        ("user_in", "12345", ["not_e164"]),
        ("user_in", None, []),
        ("user_out", None, ["not_e164"]),
    ],
)
def test_which_called_numbers_are_needed(type: str, called: str | None, reasons: list[str]) -> None:
    """A39: a call to somebody needs a number; who was called from outside may be withheld, but not illegible."""
    world = ada("MCOPSTNPP")
    world.cdr(called, 60, type=type)
    assert world.refusals == reasons


def test_a_hidden_number_is_priced_by_the_name_of_its_destination() -> None:
    """Rule 72: 447 is the row of this name; of a country's name alone it is the ordinary row."""
    world = ada("MCOPSTNPP")
    for name, charge in (("united kingdom - MOBILE", "0.06"), ("United Kingdom", "0.05"), ("Nowhere", "0")):
        assert world.call("+4****", 60, destination=name).charge == charge
    assert world.call("+4421", 60, destination="United Kingdom - mobile").charge == "0.05"


@pytest.mark.in_memory
def test_a_batch_ends_with_the_record_that_asks_for_a_payment() -> None:
    """So that a gateway's immediate answer is applied before the next call; without it all records are one batch."""
    world = ada("MCOPSTNPP", funds="50.3", recharge=("50", "100"))
    calls = [
        Record("cdr", Source("cdrs", 0, number), encode_input(call_record(f"c{number}"))) for number in range(4)
    ]
    for until_payment, applied in ((True, 2), (False, 4)):
        batch = run_batch(world.memory, world.engine.rules, calls, until_payment=until_payment)
        assert len(batch.outcomes) == applied


def call_record(id: str) -> CallRecord:
    """A minute to Harare."""
    when = at("2025-03-10 10:00")
    return CallRecord(
        tenant=T, usage_id=id, type=CallType.USER_OUT, answered_at=when, duration_s=60, user="ada", called=HARARE
    )
