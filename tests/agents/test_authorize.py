"""May a call start, why, and for how long: rating rules 22 to 24, 43b, 50 to 54, A5.

In the deck of the fixtures a minute costs: US 0.01, London 0.05, Harare 0.2, Jamaica 0.4; GB special rates 0.5 and
0.15 for the connection; Rome 0.06 a minute in increments of 30 and 6 seconds, and 0.05 for the connection.
"""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from rater.core.authorization import authorize
from rater.core.inputs import EVERY_TENANT, DeckActivated
from rater.core.quotes import Reserved
from rater.core.reasons import ALLOWS, Refusal, Why
from rater.files.deck_csv import read_deck
from tests.agents.switch import A_DAY, LONGEST, NOON, may, question
from tests.world import (
    BEGINNING,
    DECK,
    GB_PREMIUM,
    GB_SPECIAL,
    HARARE,
    JAMAICA,
    LONDON,
    NOWHERE,
    PARIS,
    ROME,
    US,
    World,
    ada,
    at,
)

BRIDGE = "+12065550199"


@pytest.mark.parametrize(
    ("funds", "called", "why", "seconds"),
    [
        ("1", HARARE, "credit", 5 * 60),  # 1 / 0.2
        ("1.19", HARARE, "credit", 5 * 60),  # the sixth minute costs up to 1.2
        ("0.2", HARARE, "credit", 60),
        ("0.199999", HARARE, "credit_too_low", 0),
        ("1.15", GB_SPECIAL, "credit", 2 * 60),  # 0.15 for the connection, 2 * 0.5
        ("0.65", GB_SPECIAL, "credit", 60),
        ("0.64", GB_SPECIAL, "credit_too_low", 0),
        ("0.14", GB_SPECIAL, "credit_too_low", 0),
        ("0.08", ROME, "credit", 30),  # 0.05 + 30 s for 0.03
        ("0.091999", ROME, "credit", 36),  # 0.05 + 36 s for 0.036 = 0.086; 42 s would be 0.092
        ("0.079", ROME, "credit_too_low", 0),
        ("1000", US, "credit", LONGEST),  # 100,000 minutes: more than anything is authorised for
        ("0.000001", HARARE, "credit_too_low", 0),
        ("0.000001", "+448001111111", "credit", LONGEST),  # its price is 0, and there is credit
        (None, HARARE, "credits_suspended", 0),
        (None, "+448001111111", "credits_suspended", 0),  # without credit not even what costs nothing
    ],
)
def test_credit_divided_by_the_rate(funds: str | None, called: str, why: str, seconds: int) -> None:
    """A1, rules 46, 50: connection fee first, then as many increments as the balance pays for."""
    assert may(ada("MCOPSTNPP", funds=funds), called) == (why, seconds)


@pytest.mark.parametrize(
    ("used", "skus", "funds", "why", "seconds"),
    [
        (0, ("MCOPSTN5",), None, "pool", 120 * 60),
        (118, ("MCOPSTN5",), None, "pool", 2 * 60),
        (118, ("MCOPSTN5", "MCOPSTNPP"), "0.05", "pool_then_credit", (2 + 5) * 60),
        (118, ("MCOPSTN5", "MCOPSTNPP"), "0.009", "pool", 2 * 60),
        (118, ("MCOPSTN5", "MCOPSTNPP"), None, "pool", 2 * 60),
        (120, ("MCOPSTN5", "MCOPSTNPP"), "0.05", "credit", 5 * 60),
        (120, ("MCOPSTN5", "MCOPSTNPP"), None, "credits_suspended", 0),
        (118, ("MCOPSTN8", "MCOPSTN5", "MCOPSTNPP"), "0.05", "pool_then_credit", (2 + 120 + 5) * 60),
        (0, ("MCOPSTN1",), None, "pool", LONGEST),
    ],
)
def test_pools_in_their_order_then_credit(
    used: int, skus: tuple[str, ...], funds: str | None, why: str, seconds: int
) -> None:
    """Rules 51, 54, A21: the user's own bucket, the plan's pool, then credit at 0.01; suspended: only the pools."""
    world = ada(*skus, funds=funds)
    if used:
        world.call(US, used * 60)
    assert may(world, US) == (why, seconds)


def test_minutes_out_and_no_credits() -> None:
    """Rules 50, 53: nothing pays for the call; who may not spend credits gets that reason."""
    world = ada("MCOPSTN5")
    world.call(US, 120 * 60)
    assert may(world, US) == ("no_credits_license", 0)
    world = ada("MCOPSTN5", "MCOPSTNPP", credits="not_set_up", funds=None)
    world.call(US, 120 * 60)
    assert may(world, US) == ("credits_not_set_up", 0)


def test_a_domestic_plan_does_not_call_abroad() -> None:
    """Rules 20, 51: international by a domestic-plan user is credit from the first second."""
    assert may(ada("MCOPSTN5"), LONDON) == ("no_credits_license", 0)
    assert may(ada("MCOPSTN5", "MCOPSTNPP", funds="1"), LONDON) == ("credit", 20 * 60)


def test_a_restricted_user_may_not_call_out() -> None:
    """Rule 53: after unfunded minutes outbound is refused, emergency and inbound are not; until the next month."""
    world = ada("MCOPSTN5", "MCOMEETADV")
    world.configure("2025-03-02", domains=("contoso.example",))
    world.call(US, 121 * 60)
    assert world.events[-1:] == ["user.restricted"]
    assert may(world, US) == ("user_restricted", 0)
    assert may(world, "911") == ("emergency", A_DAY)
    assert may(world, "bob@contoso.example") == ("free", LONGEST)
    assert may(world, US, type="dr_out") == ("free", LONGEST)
    assert may(world, BRIDGE, type="user_in", calling=US) == ("included", LONGEST)
    assert may(world, US, "2025-04-01 00:00") == ("pool", 120 * 60)


@pytest.mark.parametrize(
    ("policy", "type", "called", "why"),
    [
        ("DialoutCPCandPSTNDisabled", "user_out", US, "policy"),
        ("DialoutCPCandPSTNDisabled", "user_out", "911", "emergency"),
        ("DialoutCPCandPSTNDisabled", "dr_out", US, "free"),
        ("DialoutCPCandPSTNDisabled", "user_in", BRIDGE, "included"),
        ("DialoutCPCInternationalPSTNDomestic", "user_out", US, "pool_then_credit"),
        ("DialoutCPCInternationalPSTNDomestic", "user_out", PARIS, "policy"),
        ("DialoutCPCZoneAPSTNInternational", "conf_out", PARIS, "credit"),
        ("DialoutCPCZoneAPSTNInternational", "conf_out", HARARE, "policy"),
        ("DialoutCPCandPSTNInternational", "user_out", HARARE, "credit"),
    ],
)
def test_outbound_policies(policy: str, type: str, called: str, why: str) -> None:
    """Rule 24: policies are for authorisation; emergency calls are allowed under any."""
    world = ada("MCOPSTN5", "MCOPSTNPP", "MCOMEETADV", funds="10")
    world.configure_user("ada", "2025-03-02", outbound_policy=policy)
    assert may(world, called, type=type)[0] == why


def test_an_organizer_excluded_from_toll_free() -> None:
    """Rule 43b: nobody joins by toll-free; by toll they do."""
    world = ada("MCOMEETADV")
    world.configure_user("ada", "2025-03-02", toll_free_dial_in=False)
    assert may(world, BRIDGE, type="conf_in", toll_free=True) == ("toll_free_excluded", 0)
    assert may(world, BRIDGE, type="conf_in") == ("included", LONGEST)


@pytest.mark.parametrize("funds", [None, "1"])
@pytest.mark.parametrize("type", ["user_in", "conf_in", "ucap_in"])
def test_toll_inbound_is_always_allowed(funds: str | None, type: str) -> None:
    """Rules 16, 25, 35, 40: whatever the balance."""
    user = None if type == "ucap_in" else "ada"
    world = ada("MCOMEETADV", funds=funds)
    assert may(world, BRIDGE, type=type, user=user, calling=US) == ("included", LONGEST)


def test_toll_free_inbound_needs_credit() -> None:
    """Rules 39, 40, 42: by where it came from: US 0.022, withheld 0.3 a minute; nobody needs a licence for it."""
    rich, poor = World(funds="0.6"), World(funds=None)
    assert may(rich, BRIDGE, type="ucap_in", user=None, calling=US, toll_free=True) == ("credit", 27 * 60)
    assert may(rich, BRIDGE, type="ucap_in", user=None, calling="anonymous", toll_free=True) == ("credit", 2 * 60)
    assert may(poor, BRIDGE, type="ucap_in", user=None, calling=US, toll_free=True) == ("credits_suspended", 0)


def test_pay_per_minute_meetings() -> None:
    """Rule 33, A16: every leg is credit, without a licence for credits."""
    world = ada("MCOMEETACPEA", funds="0.1")
    assert may(world, US, type="conf_in") == ("credit", 10 * 60)
    assert may(world, LONDON, type="conf_out") == ("credit", 2 * 60)


def test_meetings_dial_out() -> None:
    """Rules 27, 28: Zone A draws on the tenant's 60 minutes, elsewhere is credit from the first second."""
    world = ada("MCOMEETADV", "MCOPSTNPP", funds="0.7", conferencing_licenses=1)
    assert may(world, PARIS, type="conf_out") == ("pool_then_credit", (60 + 10) * 60)
    assert may(world, HARARE, type="conf_out") == ("credit", 3 * 60)


@pytest.mark.parametrize("called", ["911", "933"])
def test_emergency_is_always_allowed(called: str) -> None:
    """Rule 23: unknown tenant, unknown user, nothing left, restricted: calls for help go through."""
    for tenant in ("contoso", "nobody", "-", "*"):
        for user in ("ada", "zoe", None):
            assert may(ada(funds=None), called, tenant=tenant, user=user) == ("emergency", A_DAY)
    assert may(ada(funds=None), "+12065550100", emergency=True) == ("emergency", A_DAY)


def test_numbers_of_their_own_kind() -> None:
    """Rules 22, 48: what cannot be reached is refused; what nobody can price nobody pays."""
    world = ada("MCOPSTN5", "MCOPSTNPP")
    world.configure("2025-03-02", domains=("contoso.example",))
    assert may(world, GB_PREMIUM) == ("unsupported_number", 0)
    assert may(world, NOWHERE) == ("not_priced", LONGEST)
    assert may(world, "bob@contoso.example") == ("free", LONGEST)
    assert may(World(deck=False).user("ada", "US", "MCOPSTN5"), US) == ("not_priced", LONGEST)


def test_queues() -> None:
    """Rule 36: from November 2025 a queue's outbound call needs pay-as-you-go."""
    world = World(funds="0.1").user("queue", "US", "MCOEV_VIRTUALUSER", "MCOPSTN5", "MCOPSTNPP")
    assert may(world, US, "2025-10-31", type="ucap_out", user="queue")[0] == "pool_then_credit"
    assert may(world, US, "2025-11-01", type="ucap_out", user="queue") == ("needs_pay_as_you_go", 0)
    world.assign("queue", "MCOPSTN_PAYG_1", None)
    assert may(world, US, "2025-11-01", type="ucap_out", user="queue") == ("credit", 10 * 60)


def test_unknown_tenants_and_users() -> None:
    """An unconfigured tenant has nothing; a user without a licence spends nothing."""
    assert may(ada(), US, tenant="nobody") == ("unknown_tenant", 0)
    assert may(ada(), US, user="zoe") == ("unknown_user", 0)


def test_time_passes_before_the_answer() -> None:
    """A19, rule 11: funds of 1 March 2025 are gone a year later; the pool is full again in April."""
    world = ada("MCOPSTNPP", "MCOPSTN5", funds="1")
    world.call(US, 120 * 60)
    assert may(world, HARARE, "2026-02-28 23:59") == ("credit", 5 * 60)
    assert may(world, HARARE, "2026-03-01 00:00") == ("credits_suspended", 0)
    assert may(world, US, "2025-03-31 23:59") == ("credit", 100 * 60)
    assert may(world, US, "2025-04-01 00:00") == ("pool_then_credit", (120 + 100) * 60)


def test_asking_changes_nothing() -> None:
    """The overlay is dropped: whatever is asked, the committed state is as it was."""
    world = ada("MCOPSTNPP", "MCOPSTN5", funds="1", recharge=("50", "100"))
    before = repr(world.memory.entities)
    may(world, US, "2027-01-01")
    may(world, HARARE, reserved=Reserved(300_000, {"MCOPSTN5/US-PR/2025-03": 5}))
    assert repr(world.memory.entities) == before


@pytest.mark.parametrize(
    ("money", "minutes", "called", "why", "seconds"),
    [
        (0, 20, US, "pool_then_credit", (100 + 100) * 60),
        (0, 120, US, "credit", 100 * 60),
        (0, 500, US, "credit", 100 * 60),
        (900_000, 120, US, "credit", 10 * 60),
        (1_000_000, 119, US, "pool", 60),
        (1_000_000, 120, US, "credit_reserved", 0),
        (600_000, 0, HARARE, "credit", 2 * 60),
        (700_000, 0, JAMAICA, "credit_reserved", 0),
    ],
)
def test_running_calls_count(money: int, minutes: int, called: str, why: str, seconds: int) -> None:
    """Of 120 minutes and 1.00, what running calls reserved is not authorised a second time."""
    world = ada("MCOPSTNPP", "MCOPSTN5", funds="1")
    reserved = Reserved(money, {"MCOPSTN5/US-PR/2025-03": minutes})
    assert may(world, called, reserved=reserved) == (why, seconds)


@pytest.mark.parametrize(("funds", "seconds"), [("0.05", 5 * 60), ("0.01", 2 * 60), (None, 2 * 60)])
def test_whole_to_credits(funds: str | None, seconds: int) -> None:
    """A3: two pool minutes are left; a longer call goes whole to credits, so the longer of both is authorised."""
    world = ada("MCOPSTNPP", "MCOPSTN5", funds=funds, straddle="whole_to_credits")
    world.call(US, 118 * 60)
    assert may(world, US)[1] == seconds


@pytest.mark.parametrize(
    ("call", "field"),
    [
        ({"called": None}, "called"),
        ({"called": "555-0100"}, "called"),
        ({"called": US, "calling": "12"}, "calling"),
        ({"called": US, "user": None}, "user"),
    ],
)
def test_no_call_at_all(call: dict[str, Any], field: str) -> None:
    """Rule 72: what no record could say is no question either."""
    world = ada("MCOPSTN5")
    asked = question(**call)
    refused = authorize(world.engine.committed(), world.engine.rules, asked, at(NOON))
    assert isinstance(refused, Refusal)
    assert refused.field == field


def test_everybodys_deck_in_another_currency() -> None:
    """Rule 48: as without a deck, the call has no price; it is not waited for."""
    world = World(deck=False).user("ada", "US", "MCOPSTNPP")
    world.engine.publish(msgspec.structs.replace(read_deck(DECK, version="euro"), currency="EUR"))
    world.apply(DeckActivated(tenant=EVERY_TENANT, id="euro", at=BEGINNING, version="euro"))
    assert may(world, US) == ("not_priced", LONGEST)


def test_a_deck_that_is_not_read_yet() -> None:
    """The state may name a version before this process has read it: a price is never guessed."""
    world = ada("MCOPSTN5")
    world.engine.rules.tariffs.clear()
    assert may(world, US) == ("not_ready", 0)
    assert may(world, "911") == ("emergency", A_DAY)


def test_a_closed_tenant() -> None:
    """The rule closing: no call may start but one for help."""
    world = ada("MCOPSTN5")
    world.close("2025-03-05")
    assert may(world, US) == ("tenant_closed", 0)
    assert may(world, "911") == ("emergency", A_DAY)


def test_every_answer_has_its_test() -> None:
    """The closed list: what allows and what refuses are apart, and nothing of it is left over."""
    here = Path(__file__)
    text = here.read_text() + here.with_name("test_brakes.py").read_text()
    assert [why for why in Why if f'"{why.value}"' not in text] == []
    assert {"emergency", "pool", "credit"} < {why.value for why in ALLOWS}
