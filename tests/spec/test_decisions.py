"""Where two readers of the rules differed: decisions A25 to A35, each as a table."""

from typing import Any

import pytest

from rater.core.geography import domestic_countries
from rater.core.outputs import AccountEvent
from rater.core.settings import RatingSettings
from tests.world import CA, LONDON, US, World, at, pockets

TOLL_FREE = "+18005550100"


@pytest.mark.parametrize(
    ("sku", "gives"),
    [
        ("MCOMEETADV", True),
        ("BUSINESS_VOICE_MED2", True),
        ("BUSINESS_VOICE_MED", True),
        ("BUSINESS_VOICE", True),
        ("BUSINESS_VOICE_DIRECTROUTING", True),
        ("ENTERPRISEPREMIUM", True),
        ("SPE_E5", True),
        ("ENTERPRISEPREMIUM_NOPSTNCONF", False),
        ("ENTERPRISEPACK", False),
    ],
)
def test_which_suites_give_audio_conferencing(sku: str, gives: bool) -> None:
    """A25: a Zone A dial-out of the organizer draws on the tenant's pool if the suite gives Audio Conferencing."""
    world = World(conferencing_licenses=1).user("olga", "US", sku)
    call = world.call(LONDON, 60, type="conf_out", user="olga")
    assert pockets(call) == [("pool" if gives else "unfunded", 1)]


def test_a_refund_without_a_live_lot_lives_for_a_year() -> None:
    """A27: the lot of 1 March 2024 expired; the correction gives its price back on 10 March 2025, until 10 March 2026."""
    world = World(funds=None).user("ada", "US", "MCOPSTNPP")
    world.fund("10", "2024-03-01", id="old")
    call = world.call(LONDON, 60, "2025-02-27 10:00", id="x")
    assert pockets(call) == [("credit", 1)]
    world.tick("2025-03-09")
    assert world.lots == []
    world.call(LONDON, 0, "2025-02-27 10:00", id="x", version=2, received_at=at("2025-03-10 12:00"))
    ((_, amount),) = world.lots
    assert amount == call.charge
    assert [lot.expires_at for lot in world.account.lots if lot.remaining] == [at("2026-03-10")]
    world.tick("2026-03-10")
    assert (world.lots, world.balance) == ([], "0")


def test_toll_inbound_of_a_pay_per_minute_organizer() -> None:
    """A28: it is priced by the bridge number that was called, wherever the caller is."""
    world = World().user("olga", "US", "MCOMEETACPEA")
    charges = {
        (called, calling): world.call(called, 60, type="conf_in", user="olga", calling=calling).charge
        for called in (US, LONDON)
        for calling in (CA, None)
    }
    assert charges[(US, CA)] == charges[(US, None)]
    assert charges[(LONDON, CA)] == charges[(LONDON, None)]
    assert charges[(US, CA)] != charges[(LONDON, CA)]


@pytest.mark.parametrize(
    ("skus", "when", "pocket"),
    [
        (("MCOPSTN1",), "2025-10-31 23:59:59", "pool"),
        (("MCOPSTN1",), "2025-11-01", "unfunded"),
        (("MCOPSTN1", "MCOPSTN_PAYG_1"), "2025-11-01", "unfunded"),
        (("MCOPSTN1", "MCOPSTNPP"), "2025-11-01", "unfunded"),
        (("MCOPSTN1", "MCOPSTN_PAYG_1", "MCOPSTNPP"), "2025-10-31 23:59:59", "pool"),
        (("MCOPSTN1", "MCOPSTN_PAYG_1", "MCOPSTNPP"), "2025-11-01", "credit"),
        (("MCOPSTN_PAYG_2", "MCOPSTNPP"), "2025-11-01", "credit"),
    ],
)
def test_a_queues_outbound_call_from_november_2025(skus: tuple[str, ...], when: str, pocket: str) -> None:
    """A29: the resource account needs pay-as-you-go and access to credits; pools do not carry it any more."""
    world = World().user("queue", "US", *skus)
    assert pockets(world.call(US, 60, when, type="ucap_out", user="queue")) == [(pocket, 1)]


@pytest.mark.parametrize(("when", "domestic"), [("2020-04-30", False), ("2020-05-01", True)])
def test_canada_is_domestic_for_the_us_since_may_2020(when: str, domestic: bool) -> None:
    """A30: from 1 May 2020."""
    assert ("CA" in domestic_countries("US", at(when).date())) is domestic


@pytest.mark.parametrize(
    ("straddle", "credits", "expected"),
    [
        ("split", True, [("pool", 1), ("credit", 2)]),
        ("whole_to_credits", True, [("credit", 3)]),
        ("split", False, [("pool", 1), ("unfunded", 2)]),
        ("whole_to_credits", False, [("pool", 1), ("unfunded", 2)]),
    ],
)
def test_a_straddler_without_access_to_credits_is_split(
    straddle: str, credits: bool, expected: list[tuple[str, int]]
) -> None:
    """A31: 119 of 120 minutes are used, the call has 3; only who may spend credits pays all of it."""
    skus = ("MCOPSTN5", "MCOPSTNPP") if credits else ("MCOPSTN5",)
    world = World(straddle=straddle).user("ada", "US", *skus)
    world.call(US, 119 * 60)
    assert pockets(world.call(US, 180, "2025-03-11")) == expected


@pytest.mark.parametrize(
    ("setting", "begin", "before", "after"),
    [
        ("recharges_per_hour_max", "2025-03-10 10:00", "2025-03-10 10:59:59", "2025-03-10 11:00:01"),
        ("recharges_per_day_max", "2025-03-10 10:00", "2025-03-11 09:59:59", "2025-03-11 10:00:01"),
        ("recharges_per_month_max", "2025-03-10 10:00", "2025-04-09 09:59:59", "2025-04-09 10:00:01"),
    ],
)
def test_the_windows_of_the_limits_of_recharges(setting: str, begin: str, before: str, after: str) -> None:
    """A32: with a limit of one, a second recharge waits until the window that ends now no longer has the first."""
    limits: dict[str, Any] = {setting: 1}
    world = World(funds=None, recharge=("50", "1"), **limits)
    assert "recharge.requested" in world.fund("1", begin)
    assert world.paid(begin).count("recharge.suppressed") == 1
    assert "recharge.requested" not in world.tick(before)
    assert "recharge.requested" in world.tick(after)


def test_how_many_recharges_there_are_at_most() -> None:
    """A32: 5 an hour, 20 a day, 200 in 30 days."""
    limits = RatingSettings()
    per = (limits.recharges_per_hour_max, limits.recharges_per_day_max, limits.recharges_per_month_max)
    assert per == (5, 20, 200)


def test_the_international_plan_gives_no_minutes_and_ends_a_restriction() -> None:
    """A34: MCOPSTN9 has no minutes that are stated anywhere."""
    world = World().user("ada", "US")
    assert pockets(world.call(US)) == [("unfunded", 1)]
    assert world.assign("ada", "MCOPSTN9", "2025-03-11") == ["user.unrestricted"]
    assert pockets(world.call(US, 60, "2025-03-12")) == [("unfunded", 1)]


@pytest.mark.parametrize("calling", [None, "anonymous", "Anonymous", "anonymous@anonymous.invalid"])
@pytest.mark.parametrize("type", ["user_in", "ucap_in", "conf_in"])
def test_a_withheld_caller_on_toll_free_pays_the_row_for_all(type: str, calling: str | None) -> None:
    """A35: 0.3 is the price of the deck's `*` row."""
    world = World().user("ada", "US", "MCOPSTN1", "MCOMEETADV")
    user = None if type == "ucap_in" else "ada"
    assert world.call(TOLL_FREE, 60, type=type, user=user, calling=calling, toll_free=True).charge == "0.3"


@pytest.mark.parametrize(
    ("arrives", "warned"),
    [("2025-03-10 12:00", [(100, 120)]), ("2025-03-19 23:59:59", [(100, 120)]), ("2025-03-20", [])],
)
def test_a_pools_total_in_events_is_that_of_the_arrival(arrives: str, warned: list[tuple[int, int]]) -> None:
    """A33: 100 of 120 minutes are more than 80 percent; from 20 March on a second licence makes it 100 of 240."""
    world = World().user("ada", "US", "MCOPSTN5").user("bob", "US")
    world.assign("bob", "MCOPSTN5", "2025-03-01", country="US", effective_from=at("2025-03-20"))
    world.call(US, 100 * 60, "2025-03-10 10:00", received_at=at(arrives))
    events = [output for output in world.outputs if isinstance(output, AccountEvent)]
    assert [(event.used, event.total) for event in events if event.pool] == warned
