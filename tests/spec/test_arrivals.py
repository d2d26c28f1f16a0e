"""When a record arrived, which clocks run ahead, and calls that last too long: A37, A43, A44."""

from typing import Any

import pytest

from rater.core.authorization import authorize
from rater.core.inputs import CallAccepted, FundsAdded, Tick
from rater.core.quotes import Question
from rater.core.reasons import Refusal
from rater.kafka.records import arrival_of
from tests.world import HARARE, US, T, ada, at, pockets


def test_a_call_dated_ahead_forfeits_nothing() -> None:
    """A43: a record of the year 2035 that arrives in 2025 is rejected; the money of 2025 does not expire."""
    world = ada("MCOPSTNPP", funds="100")
    assert world.cdr(HARARE, 60, "2035-01-01", arrived="2025-03-10 10:00") == "rejected"
    assert world.refusals == ["impossible_time"]
    assert (world.balance, world.account.clock) == ("100", at("2025-03-01"))


@pytest.mark.parametrize(
    ("start", "seconds", "outcome"),
    [
        ("2025-03-11 21:59:00", 60, "rated"),  # ends 36 hours after the arrival
        ("2025-03-11 21:59:01", 60, "rejected"),  # one second later
        ("2025-03-11 22:00:01", 0, "rejected"),
    ],
)
def test_clocks_may_differ_by_36_hours(start: str, seconds: int, outcome: str) -> None:
    """A43: start and end of a call lie at most `clock_ahead_max_h` after its arrival."""
    assert ada("MCOPSTN1").cdr(US, seconds, start, arrived="2025-03-10 10:00") == outcome


def test_an_end_and_a_receipt_ahead_of_the_arrival_are_rejected() -> None:
    """A43: `ended_at` and `received_at` are compared with the arrival, too."""
    for field in ("ended_at", "received_at"):
        world = ada("MCOPSTN1")
        ahead: dict[str, Any] = {field: at("2199-01-01")}
        world.cdr(US, 60, "2025-03-10 09:00", arrived="2025-03-10 10:00", **ahead)
        assert world.refusals == ["impossible_time"], field


def test_a_switch_cannot_vouch_for_its_own_clock() -> None:
    """A43: the arrival is the earlier of what the switch says and the broker's stamp."""
    world = ada("MCOPSTN1")
    ahead = at("2026-01-01")
    assert world.cdr(US, 60, "2026-01-01", received_at=ahead, arrived="2025-03-10 10:00") == "rejected"
    assert world.cdr(US, 60, "2026-01-01", received_at=ahead) == "rated"


@pytest.mark.parametrize("hours", [1, 48])
def test_how_far_clocks_may_differ_is_a_setting(hours: int) -> None:
    """A43: `clock_ahead_max_h`."""
    world = ada("MCOPSTN1", clock_ahead_max_h=hours)
    accepted = world.cdr(US, 60, "2025-03-11 10:00", arrived="2025-03-10 10:00") == "rated"
    assert accepted == (hours == 48)


def test_a_purchase_or_a_tick_dated_ahead_moves_nothing() -> None:
    """A43: a command's `at` is compared with its arrival."""
    world = ada(funds="100")
    for command in (
        FundsAdded(tenant=T, id="p", at=at("2199-01-01"), amount="50"),
        Tick(tenant=T, id="t", at=at("2035-01-01")),
    ):
        world.apply(command, arrived="2025-03-10 10:00")
        assert world.refusals == ["impossible_time"]
        assert (world.balance, world.account.clock) == ("100", at("2025-03-01"))


def test_a_rejected_record_moves_no_clock() -> None:
    """A37: what is rejected changes nothing but the dead letters: the lot of 1 March 2025 has not expired."""
    world = ada("MCOPSTNPP", funds="100")
    assert world.cdr(US, 60, "2026-06-01", currency="EUR") == "rejected"
    assert world.cdr(US, 100_000, "2026-06-01") == "rejected"
    assert (world.balance, world.account.clock) == ("100", at("2025-03-01"))


def test_a_duplicate_moves_the_clock() -> None:
    """A37: duplicates are no refusals: the lot of 1 March 2025 expires when one is received in June 2026."""
    world = ada("MCOPSTN1", funds="100")
    world.cdr(US, 60, id="x")
    assert world.cdr(US, 60, id="x", received_at=at("2026-06-01")) == "duplicate"
    assert world.balance == "0"


def test_a_conflicting_record_moves_the_clock() -> None:
    """A37: nor are conflicting records of calls: the same lot expires; the call stays as it was rated."""
    world = ada("MCOPSTN1", funds="100")
    world.cdr(US, 60, id="x")
    assert world.cdr(US, 61, id="x", received_at=at("2026-06-01")) == "conflicting_duplicate"
    assert world.balance == "0"
    assert world.pool("MCOPSTN1/US-PR/2025-03") == (1, 3000)


def test_a_rejected_command_moves_no_clock() -> None:
    """A37: a command is judged as if the clock stood at its time; a rejected one moves nothing."""
    world = ada("MCOPSTNPP", funds="100")
    world.paid("2026-06-01")
    assert world.refusals == ["no_recharge_in_flight"]
    assert (world.balance, world.account.clock) == ("100", at("2025-03-01"))


def test_a_command_is_judged_at_its_own_time() -> None:
    """A37: the lot expires on 1 March 2026, which asks for a recharge: a payment of June answers that request."""
    world = ada("MCOPSTNPP", funds="100", recharge=("50", "60"))
    events = world.paid("2026-06-01")
    assert events == [
        "funds.expired",
        "balance.depleted",
        "credits.suspended",
        "credits.resumed",
        "recharge.succeeded",
        "recharge.requested",
    ]
    assert world.balance == "60"


def test_a_repeated_command_moves_no_clock() -> None:
    """A37: a command that is applied already changes nothing, whatever time it says now."""
    world = ada(funds=None)
    world.fund("70", "2025-03-01", id="p")
    world.fund("70", "2026-06-01", id="p")
    assert (world.outcome, world.balance) == ("duplicate", "70")


@pytest.mark.parametrize(("arrived", "late"), [("2025-04-03 23:59:59", False), ("2025-04-04", True)])
def test_the_stamp_decides_what_is_late(arrived: str, late: bool) -> None:
    """A43: on Kafka the broker's stamp says when a record arrived, although the record has no time of its own."""
    assert ada("MCOPSTN1").call(US, 60, "2025-03-30", arrived=arrived).late is late


@pytest.mark.parametrize(
    ("received", "arrived", "late"),
    [
        ("2025-04-05", "2025-04-03 23:59:59", False),
        ("2025-04-03 23:59:59", "2025-04-05", False),
        ("2025-04-05", "2025-04-04", True),
        ("2025-04-04", "2025-06-01", True),
        ("2025-04-04", None, True),
        ("2025-04-03 23:59:59", None, False),
    ],
)
def test_the_earlier_of_receipt_and_stamp_decides_what_is_late(
    received: str, arrived: str | None, late: bool
) -> None:
    """A43: March is open until 4 April; the clock is at `received_at` in each of them."""
    world = ada("MCOPSTN1")
    assert world.call(US, 60, "2025-03-30", received_at=at(received), arrived=arrived).late is late
    assert world.account.clock == at(received)


def test_when_a_licence_becomes_effective_may_be_far_ahead() -> None:
    """A43: `effective_from` and `effective_to` are no times of a clock."""
    world = ada()
    world.assign("ada", "MCOPSTN1", "2025-03-02", until="2199-01-01", effective_from=at("2099-01-01"))
    assert (world.outcome, world.account.clock) == ("rated", at("2025-03-02"))


def test_the_stamp_does_not_move_the_clock() -> None:
    """A43: the clock is moved by `received_at`, else by the call's end, and no output shows the stamp."""
    world = ada("MCOPSTN1")
    call = world.call(US, 60, "2025-03-30", arrived="2025-06-01")
    assert world.account.clock == call.received_at == at("2025-03-30 00:01:00")


def test_a_call_that_lasts_too_long_is_held() -> None:
    """A44: 12 hours are rated; a second more waits for a person, and costs nothing."""
    world = ada("MCOPSTNPP")
    assert world.cdr(HARARE, 43_200) == "rated"
    before = world.balance
    assert world.cdr(HARARE, 43_201) == "rejected"
    assert (world.refusals, world.balance) == (["implausible_duration"], before)


def test_an_accepted_call_is_rated_once() -> None:
    """A44: 50,000 s are 834 minutes x 0.2 = 166.8, once a person let it through."""
    world = ada("MCOPSTNPP", funds="1000")
    world.cdr(HARARE, 50_000)
    world.accept("2025-03-11")
    assert (world.outcome, world.balance) == ("rated", "833.2")
    world.raw(world.sent)
    assert (world.outcome, world.balance) == ("duplicate", "833.2")


def test_only_what_was_held_is_accepted() -> None:
    """A44: an acceptance names a dead letter; the same call with other content is held anew."""
    world = ada("MCOPSTNPP", funds="1000")
    world.cdr(HARARE, 50_000, id="x")
    world.accept("2025-03-11")
    assert world.cdr(HARARE, 60_000, id="x", version=2) == "rejected"
    world.apply(CallAccepted(tenant=T, id="a", at=at("2025-03-12"), letter="0123"))
    assert world.refusals == ["unknown_letter"]


def test_no_record_accepts_itself() -> None:
    """A44: a field of the record that claims acceptance changes nothing."""
    world = ada("MCOPSTNPP")
    world.raw(
        b'{"tenant":"contoso","usage_id":"x","type":"user_out","user":"ada","called":"+263242700000",'
        b'"answered_at":"2025-03-10T00:00:00Z","duration_s":50000,"accepted":true}'
    )
    assert world.refusals == ["implausible_duration"]


def test_a_held_correction_leaves_the_call_as_it_is() -> None:
    """A44: version 2 waits; version 1 stays rated, and a duplicate of it stays one."""
    world = ada("MCOPSTNPP")
    world.cdr(HARARE, 60, id="x")
    before = world.balance
    assert world.cdr(HARARE, 50_000, id="x", version=2) == "rejected"
    assert world.balance == before
    assert world.cdr(HARARE, 60, id="x") == "duplicate"


def test_duplicates_are_looked_for_before_the_length() -> None:
    """A44: a lower version than the live one is a duplicate, however long it lasted."""
    world = ada("MCOPSTNPP")
    world.cdr(HARARE, 60, id="x", version=2)
    assert world.cdr(HARARE, 50_000, id="x", version=1) == "duplicate"
    assert world.cdr(HARARE, 50_000, id="x", version=2) == "conflicting_duplicate"


def test_emergency_calls_are_never_held() -> None:
    """A44: they are free, so nothing has to wait."""
    world = ada("MCOPSTN1")
    assert pockets(world.call("911", 50_000)) == [("free", 834)]


def test_internal_calls_are_held_too() -> None:
    """A44: all call types can be held, by their seconds."""
    assert ada("MCOPSTN1").cdr(None, 50_000, type="internal") == "rejected"


def test_a_tenant_may_allow_longer_calls() -> None:
    """A44: `tenant_configured.call_duration_max_s`."""
    world = ada("MCOPSTN1")
    world.configure("2025-03-02", call_duration_max_s=100_000)
    assert world.cdr(US, 50_000) == "rated"
    assert world.cdr(US, 100_001) == "rejected"


def test_the_limit_is_a_setting() -> None:
    """A44: `call_duration_max_s`."""
    assert ada("MCOPSTN1", call_duration_max_s=100).cdr(US, 101) == "rejected"


def test_no_call_is_authorised_for_longer() -> None:
    """A44: authorisation grants no more seconds than a call may last."""
    world = ada("MCOPSTN1", call_duration_max_s=600)
    question = Question(tenant=T, user="ada", called=US)
    memory = world.engine.committed()
    answer = authorize(memory, world.engine.rules, question, at("2025-03-10"))
    assert not isinstance(answer, Refusal)
    assert (answer.allowed, answer.seconds) == (True, 600)


def test_a_stamp_on_the_last_day_of_the_calendar_stops_nothing() -> None:
    """A43: 36 hours after 31 December 9999 there is no instant; calls and commands of before are accepted."""
    world, last = ada("MCOPSTN1"), "9999-12-31 23:00"
    assert world.cdr(US, 60, "2025-03-10", arrived=last) == "rated"
    world.apply(FundsAdded(tenant=T, id="f2", at=at("2025-03-11"), amount="5"), arrived=last)
    assert world.balance == "105"


@pytest.mark.parametrize("stamp_ms", [0, -1, 253_402_300_800_000, (1 << 63) - 1])
def test_a_stamp_that_is_no_instant_is_no_arrival(stamp_ms: int) -> None:
    """A43: where a topic has CreateTime, producers stamp their own records with any number."""
    assert arrival_of(stamp_ms) is None
    assert arrival_of(1_741_600_000_000) == at("2025-03-10 09:46:40")
