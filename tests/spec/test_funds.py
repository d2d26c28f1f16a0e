"""Funding, recharge, expiry: rating rules 58 to 67, A5 to A8, A19, A20; Harare costs 0.2 a minute."""

from datetime import UTC, datetime
from typing import Any

import pytest

from rater.core.inputs import FundsAdded, PaymentFailed, PaymentSucceeded, RechargeSettings
from rater.core.instants import expiry_of
from rater.core.outputs import RechargeRequest
from tests.world import HARARE, US, T, World, ada, at, pockets


def test_one_time_funding_or_recharge() -> None:
    """Rules 58, 60: without recharge nothing is asked for; money can be added at any time."""
    world = ada("MCOPSTNPP", funds="0.3")
    world.call(HARARE, 120)
    assert world.events == ["balance.depleted", "credits.suspended"]
    assert world.fund("50", "2025-03-11") == ["credits.resumed"]
    assert world.balance == "49.9"


@pytest.mark.parametrize(("funds", "asked"), [("50.3", []), ("50.2", []), ("50.1", ["recharge.requested"])])
def test_strictly_below_the_trigger(funds: str, asked: list[str]) -> None:
    """Rule 59, A6: 50.2 - 0.2 is exactly the trigger and asks nothing; below it asks."""
    world = ada("MCOPSTNPP", funds=funds, recharge=("50", "100"))
    world.call(HARARE, 60)
    assert world.events == asked


def test_a_fixed_amount_is_added_once() -> None:
    """Rule 59, A7: one request in flight; when it is paid the fixed amount is added."""
    world = ada("MCOPSTNPP", funds="50.1", recharge=("50", "100"))
    world.call(HARARE, 60)
    world.call(HARARE, 60)
    assert world.events == []
    assert world.paid("2025-03-10 10:05") == ["recharge.succeeded"]
    assert world.balance == "149.7"


def test_still_below_after_a_recharge() -> None:
    """A7: 300.1 - 100 + 50 is still below 300, so it asks again in the same step; after the next 50 it does not."""
    world = ada("MCOPSTNPP", funds="300.1", recharge=("300", "50"))
    world.call(HARARE, 500 * 60)
    assert world.events == ["recharge.requested"]
    assert world.paid("2025-03-10 20:01") == ["recharge.succeeded", "recharge.requested"]
    assert world.paid("2025-03-10 20:02") == ["recharge.succeeded"]
    assert world.balance == "300.1"


def test_the_hourly_limit() -> None:
    """A7: the sixth request within an hour is suppressed; a tick after the hour asks again."""
    world = ada("MCOPSTNPP", funds="1000", recharge=("990", "1"))
    world.call(HARARE, 60 * 100)
    emitted = world.events
    minute = 0
    while emitted[-1] == "recharge.requested":
        minute += 1
        emitted = world.paid(f"2025-03-10 12:{minute:02d}")
    assert (minute, emitted) == (5, ["recharge.succeeded", "recharge.suppressed"])
    world.call(HARARE, 60, "2025-03-10 12:20")
    assert world.events == []
    assert world.tick("2025-03-10 12:59") == ["recharge.requested"]


def test_minimum_amounts_are_not_the_ledgers() -> None:
    """Rule 61: whole numbers of at least 50 are a check of what people type, not of the ledger."""
    assert ada("MCOPSTNPP", funds="0.000001").balance == "0.000001"


def test_mails_have_their_events() -> None:
    """Rule 62: recharge succeeded, recharge failed, balance reached zero are notified, once each."""
    world = ada("MCOPSTNPP", funds="0.3", recharge=("0.2", "1"))
    world.call(HARARE, 120)
    assert world.events == ["balance.depleted", "credits.suspended", "recharge.requested"]
    assert world.declined("2025-03-10 11:00") == ["recharge.failed"]
    world.call(HARARE, 60)
    assert world.events == []


def test_exactly_zero_is_depleted() -> None:
    """A5: service needs a balance above zero; crossing to zero emits one event and is armed again above zero."""
    world = ada("MCOPSTNPP", funds="0.2")
    world.call(HARARE, 60)
    assert (world.balance, world.events) == ("0", ["balance.depleted", "credits.suspended"])
    world.call(HARARE, 60)
    assert world.events == []
    assert world.fund("0.2", "2025-03-11") == []
    assert world.fund("0.2", "2025-03-11") == ["credits.resumed"]
    world.call(HARARE, 60, "2025-03-12")
    assert world.events == ["balance.depleted", "credits.suspended"]


def test_a_tenant_without_credit_is_suspended_silently() -> None:
    """A5: a tenant that never had credit is suspended without an event, and starts without one."""
    world = ada("MCOPSTNPP", funds=None)
    assert world.account.service == "suspended"
    assert world.fund("1", "2025-03-02") == []
    assert world.account.service == "active"


@pytest.mark.parametrize(
    ("bought", "expires"),
    [("2024-05-10 09:00", "2025-05-10"), ("2024-02-29 23:59", "2025-02-28"), ("2023-02-28", "2024-02-28")],
)
def test_when_funds_expire(bought: str, expires: str) -> None:
    """Rule 63, A19: 00:00 UTC twelve calendar months after the date of purchase; 29 February becomes 28."""
    assert expiry_of(at(bought)) == at(expires)
    assert expiry_of(at(bought)).tzinfo is UTC


def test_expiry_forfeits_what_is_left() -> None:
    """Rule 63: the oldest lot's rest is forfeited; it may deplete the balance and ask for a recharge."""
    world = ada("MCOPSTNPP", funds=None, recharge=("50", "100"))
    world.fund("60", "2024-03-15", id="a")
    world.call(HARARE, 60, "2025-03-14")
    assert world.lots == [("a", "59.8")]
    emitted = world.tick("2025-03-15")
    assert emitted == ["funds.expired", "balance.depleted", "credits.suspended", "recharge.requested"]
    assert (world.debits, world.balance) == ([("expiry", "59.8")], "0")


def test_a_record_also_moves_the_clock() -> None:
    """Expiry that a record's arrival passes is applied before the call."""
    world = ada("MCOPSTNPP", funds=None)
    world.fund("1", "2024-03-15", id="a")
    world.fund("5", "2024-09-01", id="b")
    world.call(HARARE, 60, "2025-03-20")
    assert world.events == ["funds.expired"]
    assert world.lots == [("b", "4.8")]


def test_first_in_first_out() -> None:
    """Rule 64: each purchase is a lot; the oldest is used first, by date of purchase."""
    world = ada("MCOPSTNPP", funds=None)
    world.fund("5", "2025-03-02", id="b")
    world.fund("0.3", "2025-03-01", id="a")
    call = world.call(HARARE, 120)
    assert [(share.lot, share.amount) for share in call.segments[0].lots] == [("a", "0.3"), ("b", "0.1")]
    assert world.lots == [("b", "4.9")]


def test_credit_carries_over() -> None:
    """Rule 65: unspent credit stays from month to month."""
    world = ada("MCOPSTNPP", funds="7")
    world.tick("2025-06-01")
    assert world.balance == "7"


def test_switching_recharge_off() -> None:
    """Rule 66: the balance drains, nothing is asked for; on again while below the trigger asks at once."""
    world = ada("MCOPSTNPP", funds="50.1", recharge=("50", "100"))
    world.configure("2025-03-02", recharge=RechargeSettings(enabled=False))
    world.call(HARARE, 60)
    assert world.events == []
    assert world.configure("2025-03-11", recharge=RechargeSettings(enabled=True)) == ["recharge.requested"]


@pytest.mark.parametrize("country", ["IN", "KR", "UA"])
def test_countries_without_credits(country: str) -> None:
    """Rule 67: credits are not sold there: included minutes only."""
    world = World(country=country, conferencing_licenses=1).user("olga", "IN", "MCOMEETADV", "MCOPSTNPP")
    assert pockets(world.call(US, 60, type="conf_out", user="olga")) == [("pool", 1)]
    assert pockets(world.call(HARARE, 60, type="conf_out", user="olga")) == [("unfunded", 1)]


def test_retries_after_a_failure() -> None:
    """A8: with ticks 1 h, 6 h and 24 h after the latest failure, then never until something changes."""
    world = ada("MCOPSTNPP", funds="50.1", recharge=("50", "100"))
    world.call(HARARE, 60)
    assert world.declined("2025-03-10 11:00") == ["recharge.failed"]
    for before, due, failed in (
        ("2025-03-10 11:59:59", "2025-03-10 12:00", "2025-03-10 12:30"),
        ("2025-03-10 18:29:59", "2025-03-10 18:30", "2025-03-10 19:00"),
        ("2025-03-11 18:59:59", "2025-03-11 19:00", "2025-03-11 20:00"),
    ):
        assert world.tick(before) == []
        assert world.tick(due) == ["recharge.requested"]
        assert world.declined(failed) == ["recharge.failed"]
    assert world.tick("2025-06-01") == []
    assert world.configure("2025-06-02", payment_method="replaced") == ["recharge.requested"]


def test_a_record_does_not_retry() -> None:
    """A8: only ticks retry; service runs on until the balance is zero."""
    world = ada("MCOPSTNPP", funds="50.1", recharge=("50", "100"))
    world.call(HARARE, 60)
    world.declined("2025-03-10 11:00")
    world.call(HARARE, 60, "2025-03-12")
    assert world.events == []


def test_changed_settings_end_the_waiting() -> None:
    """A8: new recharge settings ask at once."""
    world = ada("MCOPSTNPP", funds="50.1", recharge=("50", "100"))
    world.call(HARARE, 60)
    world.declined("2025-03-10 11:00")
    changed = RechargeSettings(trigger="60")
    assert world.configure("2025-03-10 11:30", recharge=changed) == ["recharge.requested"]


def test_each_crossing_has_its_own_recharge_id() -> None:
    """A7: a trigger that is lowered and raised again starts a new crossing; its payment is not the old one's."""
    world = ada("MCOPSTNPP", funds="20", recharge=("5", "25"))
    world.paid("2025-03-01")
    asked: list[str] = []
    for trigger in ("600", "5", "600"):
        world.configure("2025-03-02", recharge=RechargeSettings(trigger=trigger))
        asked.extend(output.id for output in world.outputs if isinstance(output, RechargeRequest))
        if world.account.recharge.in_flight:
            world.declined("2025-03-02")
    assert len(asked) == len(set(asked)) == 2


def test_a_payment_is_applied_once() -> None:
    """A7: a payment without a request, or the same result twice, changes nothing."""
    world = ada("MCOPSTNPP", funds="50.1", recharge=("50", "100"))
    world.apply(PaymentFailed(tenant=T, id="q", at=at("2025-03-10 09:00")))
    assert (world.outcome, world.refusals) == ("rejected", ["no_recharge_in_flight"])
    world.call(HARARE, 60)
    payment = PaymentSucceeded(tenant=T, id="p", at=at("2025-03-10 11:00"))
    world.apply(payment)
    world.apply(payment)
    assert (world.outcome, world.balance) == ("duplicate", "149.9")


def test_a_payment_of_another_amount() -> None:
    """A7: a payment that is not what was asked for is kept aside."""
    world = ada("MCOPSTNPP", funds="50.1", recharge=("50", "100"))
    world.call(HARARE, 60)
    world.apply(PaymentSucceeded(tenant=T, id="p", at=at("2025-03-10 11:00"), amount="99"))
    assert (world.refusals, world.balance) == (["payment_mismatch"], "49.9")


def test_funds_are_added_once() -> None:
    """Rule 60: a purchase that is reported twice is one lot."""
    world = ada("MCOPSTNPP", funds="7")
    world.fund("5", "2025-03-02", id="a")
    world.fund("5", "2025-03-02", id="a")
    assert (world.outcome, world.balance) == ("duplicate", "12")


def test_debt_is_paid_first() -> None:
    """A20: debt is carried; the next lot pays it."""
    world = ada("MCOPSTNPP", funds="0.1")
    world.call(HARARE, 60)
    assert (world.balance, world.lots, world.account.debt) == ("-0.1", [], 100_000)
    world.fund("1", "2025-03-11", id="next")
    assert (world.lots, world.account.debt) == ([("next", "0.9")], 0)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ({"amount": "-1"}, "bad_amount"),
        ({"amount": "0"}, "invalid_amount"),
        ({"amount": "1.0000001"}, "bad_amount"),
        ({"amount": "1", "currency": "EUR"}, "currency_mismatch"),
    ],
)
def test_commands_that_are_refused(command: dict[str, Any], reason: str) -> None:
    """Rule 60, A18, A45: nothing at all, a negative amount, seven decimals, another currency change nothing."""
    world = ada("MCOPSTNPP", funds="7")
    world.apply(FundsAdded(tenant=T, id="x", at=datetime(2025, 3, 2, tzinfo=UTC), **command))
    assert (world.refusals, world.balance) == ([reason], "7")
