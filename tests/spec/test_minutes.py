"""Who has which minutes: rating rules 1 to 14."""

from datetime import date

import pytest

from rater.core.catalogue import DIAL_OUT_60_FROM, GB_3000_FROM, SKUS, Service, allowance, dial_out_minutes, sku
from rater.core.classify import TABLE
from rater.core.geography import DOMESTIC_CANADA_FROM, pool_country_name
from tests.world import BERLIN, CA, HARARE, LONDON, PARIS, US, World, pockets


@pytest.mark.parametrize(
    ("plan", "country", "month", "domestic", "international"),
    [
        ("MCOPSTN1", "US", date(2025, 3, 1), 3000, 0),
        ("MCOPSTN1", "PR", date(2025, 3, 1), 3000, 0),
        ("MCOPSTN1", "CA", date(2025, 3, 1), 3000, 0),
        ("MCOPSTN1", "DE", date(2025, 3, 1), 1200, 0),
        ("MCOPSTN1", "GB", date(2022, 12, 1), 1200, 0),
        ("MCOPSTN1", "GB", date(2023, 1, 1), 3000, 0),
        ("MCOPSTN1", "JP", date(2025, 3, 1), 0, 0),
        ("MCOPSTN2", "US", date(2025, 3, 1), 3000, 600),
        ("MCOPSTN2", "FR", date(2025, 3, 1), 1200, 600),
        ("MCOPSTN2", "GB", date(2023, 1, 1), 3000, 600),
        ("MCOPSTN5", "US", date(2025, 3, 1), 120, 0),
        ("MCOPSTN6", "DE", date(2025, 3, 1), 240, 0),
        ("MCOPSTN8", "GB", date(2025, 3, 1), 120, 0),
        ("MCOPSTN9", "GB", date(2025, 3, 1), 0, 0),
        ("BUSINESS_VOICE_MED2", "US", date(2021, 3, 1), 3000, 0),
        ("BUSINESS_VOICE_MED", "CA", date(2021, 3, 1), 3000, 0),
        ("BUSINESS_VOICE", "GB", date(2021, 3, 1), 1200, 0),
    ],
)
def test_minutes_of_a_plan(plan: str, country: str, month: date, domestic: int, international: int) -> None:
    """Rule 1: minutes come from the plan, per user and calendar month, and change on known dates."""
    found = SKUS[plan].plan
    assert found is not None
    assert allowance(found, country, month) == (domestic, international)


def test_the_licence_country_decides() -> None:
    """Rule 2: the country of a plan is the user's usage location, not the tenant's."""
    world = World(country="US").user("ada", "DE", "MCOPSTN1", "MCOPSTNPP")
    assert pockets(world.call(BERLIN)) == [("pool", 1)]
    assert pockets(world.call(US)) == [("credit", 1)]
    assert world.pool("MCOPSTN1/DE/2025-03") == (1, 1200)


def test_one_pool_for_a_country_and_plan() -> None:
    """Rule 3: all users of a country with the same plan share one pool: 2 x 120 minutes."""
    world = World().user("ada", "US", "MCOPSTN5", "MCOPSTNPP").user("bob", "US", "MCOPSTN5", "MCOPSTNPP")
    assert pockets(world.call(US, 200 * 60)) == [("pool", 200)]
    assert pockets(world.call(US, 50 * 60, user="bob")) == [("pool", 40), ("credit", 10)]


def test_different_plans_do_not_pool() -> None:
    """Rule 4: a 120-minute and a 3000-minute plan in one country are two pools."""
    world = World().user("ada", "US", "MCOPSTN5", "MCOPSTNPP").user("bob", "US", "MCOPSTN1", "MCOPSTNPP")
    assert pockets(world.call(US, 130 * 60)) == [("pool", 120), ("credit", 10)]
    assert world.pool("MCOPSTN5/US-PR/2025-03") == (120, 120)
    assert world.pool("MCOPSTN1/US-PR/2025-03") == (0, 3000)


def test_minutes_stay_in_their_country() -> None:
    """Rule 5: minutes never move between countries' pools."""
    world = World().user("ada", "GB", "MCOPSTN5", "MCOPSTNPP").user("bob", "DE", "MCOPSTN5", "MCOPSTNPP")
    world.call(LONDON, 121 * 60)
    assert world.pool("MCOPSTN5/GB/2025-03") == (120, 120)
    assert world.pool("MCOPSTN5/DE/2025-03") == (0, 120)


def test_united_states_and_puerto_rico_share() -> None:
    """Rule 6: usage locations US and PR share one pool; Canada has its own."""
    world = World().user("ada", "US", "MCOPSTN1").user("bob", "PR", "MCOPSTN1").user("cleo", "CA", "MCOPSTN1")
    assert world.pool("MCOPSTN1/US-PR/2025-03") == (0, 6000)
    assert world.pool("MCOPSTN1/CA/2025-03") == (0, 3000)
    assert pool_country_name("US-PR") == "United States (including Puerto Rico)"


def test_the_per_user_plan_is_not_pooled() -> None:
    """Rule 7: MCOPSTN8's 120 minutes belong to one user."""
    world = World().user("ada", "US", "MCOPSTN8", "MCOPSTNPP").user("bob", "US", "MCOPSTN8", "MCOPSTNPP")
    assert pockets(world.call(US, 121 * 60)) == [("pool", 120), ("credit", 1)]
    assert world.pool("MCOPSTN8/ada/2025-03") == (120, 120)
    assert world.pool("MCOPSTN8/bob/2025-03") == (0, 120)


def test_domestic_and_international_pools() -> None:
    """Rule 8: MCOPSTN2 has a domestic and an international pool."""
    world = World().user("ada", "US", "MCOPSTN2", "MCOPSTNPP")
    world.call(US, 60)
    world.call(LONDON, 120)
    assert world.pool("MCOPSTN2/US-PR/domestic/2025-03") == (1, 3000)
    assert world.pool("MCOPSTN2/US-PR/international/2025-03") == (2, 600)


@pytest.mark.parametrize(("linked", "london"), [(True, [("credit", 1)]), (False, [("pool", 1)])])
def test_either_cap_closes_both(linked: bool, london: list[tuple[str, int]]) -> None:
    """Rule 9, A2: the minute cap is reached when the domestic or the international cap is; a setting unlinks them."""
    world = World(linked_caps=linked).user("ada", "GB", "MCOPSTN2", "MCOPSTNPP")
    assert pockets(world.call(US, 602 * 60)) == [("pool", 600), ("credit", 2)]
    assert pockets(world.call(LONDON, 60)) == london


def test_assigned_licences_count() -> None:
    """Rule 10: capacity counts licences assigned: three users in Canada are 9,000 minutes."""
    world = World().user("ada", "CA", "MCOPSTN1").user("bob", "CA", "MCOPSTN1").user("cleo", "CA", "MCOPSTN1")
    assert world.pool("MCOPSTN1/CA/2025-03") == (0, 9000)


def test_a_new_month_starts_afresh() -> None:
    """Rule 11: unused minutes are discarded, used ones come back, on the first of the month."""
    world = World().user("ada", "US", "MCOPSTN5", "MCOPSTNPP")
    assert pockets(world.call(US, 121 * 60)) == [("pool", 120), ("credit", 1)]
    assert pockets(world.call(US, 121 * 60, "2025-04-01")) == [("pool", 120), ("credit", 1)]
    assert world.pool("MCOPSTN5/US-PR/2025-04") == (120, 120)


@pytest.mark.parametrize("plan", ["MCOPSTN_PAYG_1", "MCOPSTN_PAYG_2"])
def test_pay_as_you_go(plan: str) -> None:
    """Rule 12: pay-as-you-go has no outgoing minutes; incoming calls are included."""
    world = World().user("ada", "US", plan, "MCOPSTNPP")
    assert pockets(world.call(US, 61)) == [("credit", 2)]
    assert pockets(world.call("+14255550100", 600, type="user_in")) == [("included", 10)]


def test_no_plan_no_minutes() -> None:
    """Rule 13: a user with nothing but credits pays for every call; Phone System brings no minutes."""
    world = World().user("ada", "US", "MCOPSTNPP").user("bob", "US", "MCOEV")
    assert pockets(world.call(US, 61)) == [("credit", 2)]
    assert pockets(world.call(US, 61, user="bob")) == [("unfunded", 2)]


def test_a_licence_counts_from_when_it_is_effective() -> None:
    """Rule 14: the rater uses the licence's own time, not the time at which it read of it."""
    world = World().user("ada", "US", "MCOPSTNPP")
    world.assign("ada", "MCOPSTN1", "2025-03-10 12:00")
    assert pockets(world.call(US, 60, "2025-03-10 11:59")) == [("credit", 1)]
    assert pockets(world.call(US, 60, "2025-03-10 12:00")) == [("pool", 1)]


def test_a_licence_that_ends() -> None:
    """Rule 14, A10: after its end a licence gives nothing to its user; the month's capacity stays."""
    world = World().user("ada", "US", "MCOPSTNPP").user("bob", "US", "MCOPSTN5")
    world.assign("ada", "MCOPSTN5", "2025-03-02", until="2025-03-20")
    assert pockets(world.call(US, 60, "2025-03-19")) == [("pool", 1)]
    assert pockets(world.call(US, 60, "2025-03-20")) == [("credit", 1)]
    assert world.pool("MCOPSTN5/US-PR/2025-03") == (1, 240)
    assert world.pool("MCOPSTN5/US-PR/2025-04") == (0, 120)


def test_capacity_counts_each_user_once() -> None:
    """A10: distinct users who held the plan at any time of the month so far; no proration."""
    world = World().user("ada", "US", "MCOPSTNPP")
    world.assign("ada", "MCOPSTN1", "2025-03-05")
    world.remove("ada", "MCOPSTN1", "2025-03-07")
    world.assign("ada", "MCOPSTN1", "2025-03-09")
    world.assign("bob", "MCOPSTN1", "2025-03-20", country="US")
    world.tick("2025-03-10")
    assert world.pool("MCOPSTN1/US-PR/2025-03") == (0, 6000)
    assert world.call(US, 60, "2025-03-10").segments[0].pool_total == 3000
    assert world.call(US, 60, "2025-03-21").segments[0].pool_total == 6000


def test_capacity_never_falls_below_what_is_used() -> None:
    """A10: removing licences does not turn used minutes into overdrawn ones."""
    world = World(conferencing_licenses=3).user("ada", "GB", "MCOMEETADV", "MCOPSTNPP")
    world.call("+33142681000", 150 * 60, type="conf_out")
    world.configure("2025-03-11", audio_conferencing_licenses=1)
    assert world.pool("MCOMEETADV/zone-a/2025-03") == (150, 150)


def test_a_user_who_moves() -> None:
    """Rules 2, 3: with a new usage location the user draws on the new country's pool."""
    world = World().user("ada", "US", "MCOPSTN1", "MCOPSTNPP")
    world.assign("ada", "MCOPSTN1", "2025-03-15", country="GB")
    assert world.call(US, 60, "2025-03-14").segments[0].pool == "MCOPSTN1/US-PR/2025-03"
    assert world.call(LONDON, 60, "2025-03-16").segments[0].pool == "MCOPSTN1/GB/2025-03"
    assert world.pool("MCOPSTN1/US-PR/2025-04") == (0, 0)


def test_plans_are_used_up_in_order() -> None:
    """A21: the user's own minutes, then the domestic plan, then Domestic and International, then credits."""
    world = World(call_duration_max_s=200_000).user("ada", "US", "MCOPSTN2", "MCOPSTN5", "MCOPSTN8", "MCOPSTNPP")
    call = world.call(US, 3300 * 60)
    assert [(s.pool, s.minutes) for s in call.segments] == [
        ("MCOPSTN8/ada/2025-03", 120),
        ("MCOPSTN5/US-PR/2025-03", 120),
        ("MCOPSTN2/US-PR/domestic/2025-03", 3000),
        (None, 60),
    ]


def test_an_unknown_licence_is_accepted() -> None:
    """Table 2.4: a licence that no list knows gives no minutes, and the call says so."""
    world = World().user("ada", "US", "MCOPSTNU", "MCOPSTNPP")
    call = world.call(US)
    assert pockets(call) == [("credit", 1)]
    assert call.anomalies == ("unknown_sku",)


def test_every_licence_of_the_tables_is_known() -> None:
    """Tables 2.4 and 3.1: licence codes and their aliases."""
    for code in [
        "MCOPSTN1",
        "MCOPSTN2",
        "MCOPSTN5",
        "MCOPSTN_5",
        "MCOPSTN6",
        "MCOPSTN8",
        "MCOPSTN9",
        "MCOPSTNCAP",
        "MCOPSTNPP",
        "MCOPSTNC",
        "MCOPSTN_PAYG_1",
        "MCOPSTN_PAYG_2",
        "MCOMEETADV",
        "MCOMEETADD",
        "MCOMEETADD_DIALOUT_US",
        "MCOMEETADD_CN_GLOBAL",
        "MCOMEETADD_TATA",
        "MCOMEETACPEA",
        "MCOMEETACPEA_GOV",
        "MCOEV",
        "MCOEV_VIRTUALUSER",
        "MCOEV_VIRTUALUSER_GOV",
        "ENTERPRISEPREMIUM",
        "BUSINESS_VOICE",
        "BUSINESS_VOICE_MED",
        "BUSINESS_VOICE_MED2",
        "BUSINESS_VOICE_MED2_TELCO",
        "BUSINESS_VOICE_DIRECTROUTING",
    ]:
        assert sku(code) is not None, code
        assert sku(f" {code.lower()} ") is sku(code)
    credits = sku("MCOPSTNC")
    assert credits is not None
    assert credits.services == {Service.CREDITS}


@pytest.mark.parametrize(
    ("country", "month", "minutes"),
    [
        ("US", date(2018, 11, 1), 900),
        ("US", date(2019, 11, 1), 900),
        ("US", date(2019, 12, 1), 60),
        ("KR", date(2025, 3, 1), 900),
    ],
)
def test_dial_out_minutes_by_date(country: str, month: date, minutes: int) -> None:
    """Rule 30: 900 minutes until the end of November 2019, then 60; RU, KR and TW kept 900."""
    assert dial_out_minutes(country, month) == minutes


def test_zimbabwe_is_never_domestic_for_others() -> None:
    """Rule 51: an international call of a domestic-plan user is paid from the first second."""
    world = World().user("ada", "US", "MCOPSTN1", "MCOPSTNPP")
    assert pockets(world.call(HARARE, 61)) == [("credit", 2)]
    assert pockets(world.call(CA, 61)) == [("pool", 2)]


def test_rules_change_at_the_start_of_a_month() -> None:
    """Rule 1: routes and allowances are looked up by month, so no date of the table may lie within one."""
    dates = [row.since for row in TABLE] + [DIAL_OUT_60_FROM, DOMESTIC_CANADA_FROM, GB_3000_FROM]
    assert {day.day for day in dates} == {1}


def test_a_user_is_let_call_and_restricted_again() -> None:
    """What one step undoes and does again is emitted as it happened."""
    world = World(funds=None).user("ada", "US", "MCOPSTN1")
    world.call(HARARE, 60, "2025-03-10")
    assert world.events == ["user.restricted"]
    world.call(HARARE, 60, "2025-04-10")
    assert world.events == ["user.unrestricted", "user.restricted"]


def test_a_user_moves_as_a_licence_is_removed() -> None:
    """`license`: the country may come with either; the plan that is left pools there (rule 2)."""
    world = World().user("ada", "GB", "MCOPSTN1", "MCOPSTN5")
    world.remove("ada", "MCOPSTN5", "2025-03-09", country="FR")
    assert pockets(world.call(PARIS, 60, "2025-03-10")) == [("pool", 1)]
    assert world.pool("MCOPSTN1/FR/2025-03") == (1, 1200)


@pytest.mark.parametrize("name", ["MCOPSTN5/US-PR/2025-03", "MCOPSTN_5/US-PR/2025-03"])
def test_a_pool_by_either_name_of_its_plan(name: str) -> None:
    """Table 3.1: MCOPSTN5 is sold as MCOPSTN_5 too."""
    world = World().user("ada", "US", "MCOPSTN_5")
    world.call(US, 60)
    assert world.pool(name) == (1, 120)


def test_pay_as_you_go_includes_inbound() -> None:
    """Rules 12, 16: unlimited incoming minutes, by that licence."""
    call = World().user("ada", "US", "MCOPSTN_PAYG_1").call("+14255550100", 600, type="user_in")
    assert (pockets(call), call.capability) == ([("included", 10)], "MCOPSTN_PAYG_1")
