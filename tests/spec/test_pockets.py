"""Which calls draw on what: rating rules 15 to 43."""

from typing import Any

import pytest

from rater.core.geography import INTERNATIONAL_PLAN, ZONE_A
from rater.core.policies import POLICIES, policy_allows
from tests.world import BERLIN, CA, GB_PREMIUM, GB_SPECIAL, HARARE, LONDON, PARIS, US, World, at, pockets

CONFERENCE: dict[str, Any] = {"type": "conf_out", "user": "olga"}


def organizer(*skus: str, country: str = "GB", licences: int = 2, **settings: Any) -> World:
    """A world in which olga organizes meetings."""
    return World(conferencing_licenses=licences, **settings).user("olga", country, *skus)


def test_internal_calls_are_free() -> None:
    """Rule 15: calls between users of the service cost neither minutes nor money."""
    world = World().user("ada", "US", "MCOPSTN1")
    world.configure("2025-03-02", domains=("contoso.example",))
    assert pockets(world.call("sip:bob@contoso.example", 600)) == [("free", 10)]
    assert pockets(world.call("bob@contoso.example", 60, type="internal")) == [("free", 1)]
    assert world.pool("MCOPSTN1/US-PR/2025-03") == (0, 3000)


def test_inbound_to_a_toll_number_is_included() -> None:
    """Rule 16: calls to a user's toll number consume nothing."""
    call = World().user("ada", "US", "MCOPSTN1").call("+14255550100", 600, type="user_in", calling=LONDON)
    assert (pockets(call), call.charge, call.capability) == ([("included", 10)], "0", "MCOPSTN1")


@pytest.mark.parametrize(
    "type", ["user_out", "user_out_conf", "user_out_transfer", "user_out_forwarding", "pstn_out"]
)
def test_outbound_legs_draw_on_the_users_plan(type: str) -> None:
    """Rules 17, 18: the pool of the user who called, added, transferred or forwarded."""
    assert pockets(World().user("ada", "US", "MCOPSTN1").call(US, 61, type=type)) == [("pool", 2)]


def test_each_record_is_a_call_of_its_own() -> None:
    """Rule 19: a three-way call is two records, each rated on its own."""
    world = World().user("ada", "US", "MCOPSTN1")
    for id in ("leg-1", "leg-2"):
        assert pockets(world.call(US, 61, id=id, call_id="same-call")) == [("pool", 2)]
    assert world.pool("MCOPSTN1/US-PR/2025-03") == (4, 3000)


@pytest.mark.parametrize(
    ("plan", "called", "expected"),
    [
        ("MCOPSTN1", BERLIN, "pool"),
        ("MCOPSTN1", LONDON, "credit"),
        ("MCOPSTN2", LONDON, "pool"),
        ("MCOPSTN2", HARARE, "pool"),
        ("MCOPSTN2", "+850212345678", "credit"),
    ],
)
def test_what_a_plan_covers(plan: str, called: str, expected: str) -> None:
    """Rule 20: domestic plans cover the usage country; Domestic and International also the listed destinations."""
    assert pockets(World().user("ada", "DE", plan, "MCOPSTNPP").call(called)) == [(expected, 1)]


def test_the_list_of_international_destinations() -> None:
    """Rule 20: Cuba, the Cook Islands and North Korea are not on the list."""
    assert {"GB", "ZW", "MO", "BN", "VA", "NG"} <= INTERNATIONAL_PLAN
    assert not {"CU", "CK", "KP"} & INTERNATIONAL_PLAN
    assert len(ZONE_A) == 44


@pytest.mark.parametrize(
    ("country", "called", "when", "expected"),
    [
        ("US", CA, "2020-04-30", "credit"),
        ("US", CA, "2020-05-01", "pool"),
        ("US", "+17875550100", "2020-04-30", "pool"),
        ("PR", US, "2025-03-10", "pool"),
        ("CA", US, "2019-01-01", "pool"),
        ("CA", "+17875550100", "2025-03-10", "pool"),
        ("GB", US, "2025-03-10", "credit"),
    ],
)
def test_what_is_domestic(country: str, called: str, when: str, expected: str) -> None:
    """Rule 21: domestic is the US with Puerto Rico and (from 2020-05) Canada; for Canada also the US and PR."""
    world = World(funds=None).user("ada", country, "MCOPSTN1", "MCOPSTNPP")
    assert pockets(world.call(called, 60, when)) == [(expected, 1)]


def test_premium_numbers_are_never_bundled() -> None:
    """Rule 22: special-rate numbers are paid from credits although the country is domestic."""
    world = World().user("ada", "GB", "MCOPSTN1", "MCOPSTNPP")
    call = world.call(GB_SPECIAL, 61)
    assert (pockets(call), call.charge) == ([("credit", 2)], "1.15")
    french = World().user("ada", "FR", "MCOPSTN1", "MCOPSTNPP").call("+33899123456", 60)
    assert (pockets(french), french.charge) == ([("credit", 1)], "0.4")


def test_unsupported_numbers_are_free_with_an_event() -> None:
    """Rule 22: a number that should not have connected is free, and an exception."""
    world = World().user("ada", "GB", "MCOPSTN1", "MCOPSTNPP")
    call = world.call(GB_PREMIUM, 61)
    assert (pockets(call), call.capability, world.events) == ([("free", 2)], "FREECALL", ["rating.exception"])


def test_a_premium_number_is_not_sold_at_an_ordinary_rate() -> None:
    """Rules 22, 48: +44 844 matches the ordinary row 44; without a premium row it cannot be priced."""
    world = World().user("ada", "GB", "MCOPSTN1", "MCOPSTNPP")
    call = world.call("+448441234567", 61)
    assert (pockets(call), call.charge, call.anomalies) == ([("free", 2)], "0", ("premium_without_rate",))


@pytest.mark.parametrize(
    ("country", "number", "free"),
    [("US", "911", True), ("US", "933", True), ("GB", "999", True), ("GB", "112", True), ("DE", "112", True)],
)
def test_emergency_calls_are_free(country: str, number: str, free: bool) -> None:
    """Rule 23, A14: emergency calls are free, whatever the pool and the balance."""
    world = World(funds=None, credits="not_set_up").user("ada", country)
    assert (pockets(world.call(number, 301)) == [("free", 6)]) is free
    assert world.events == []


def test_the_record_may_say_that_a_call_is_an_emergency() -> None:
    """A14: the flag of the record is stronger than the list."""
    world = World().user("ada", "US", "MCOPSTN1")
    assert pockets(world.call("+14255550911", 60, emergency=True)) == [("free", 1)]
    assert world.cdr("911", 60, emergency=False) == "rejected"
    assert world.refusals == ["not_e164"]


def test_the_twelve_policies() -> None:
    """Rule 24: four scopes of dial-out times three of calls; domestic is the user's or organizer's country."""
    assert len(POLICIES) == 12
    day = at("2025-03-10").date()
    assert policy_allows("DialoutCPCZoneAPSTNDomestic", True, "FR", "GB", day)
    assert not policy_allows("DialoutCPCZoneAPSTNDomestic", True, "ZW", "GB", day)
    assert policy_allows("DialoutCPCZoneAPSTNDomestic", False, "GB", "GB", day)
    assert not policy_allows("DialoutCPCZoneAPSTNDomestic", False, "FR", "GB", day)
    assert not policy_allows("DialoutCPCandPSTNDisabled", False, "GB", "GB", day)
    assert policy_allows("DialoutCPCandPSTNInternational", True, "ZW", "GB", day)


def test_a_call_against_policy_is_rated_and_flagged() -> None:
    """Rule 24: a record is never refused for policy."""
    world = World().user("ada", "US", "MCOPSTN1", "MCOPSTNPP")
    world.configure_user("ada", "2025-03-02", outbound_policy="DialoutCPCandPSTNDomestic")
    call = world.call(HARARE)
    assert (pockets(call), call.anomalies) == ([("credit", 1)], ("policy",))
    assert world.call(US).anomalies == ()


def test_dial_in_to_a_toll_bridge_is_included() -> None:
    """Rule 25: a subscribed organizer's toll bridge accepts calls without counting."""
    call = organizer("MCOMEETADV").call("+442079460000", 6000, type="conf_in", user="olga")
    assert (pockets(call), call.capability) == ([("included", 100)], "MCOMEETADD")


def test_dial_out_is_the_organizers() -> None:
    """Rules 26, 27: dial-out to Zone A draws on the tenant's pool, wherever the organizer is."""
    world = organizer("MCOMEETADV", "MCOPSTNPP", country="ZW")
    call = world.call(PARIS, 185, **CONFERENCE)
    assert (pockets(call), call.user, call.capability) == ([("pool", 4)], "olga", "MCOMEETADD")
    assert world.pool("MCOMEETADV/zone-a/2025-03") == (4, 120)


def test_dial_out_outside_zone_a_is_paid() -> None:
    """Rule 28: Zimbabwe is credits on all minutes, also for an organizer in Zimbabwe."""
    call = organizer("MCOMEETADV", "MCOPSTNPP", country="ZW").call(HARARE, 185, **CONFERENCE)
    assert (pockets(call), call.charge) == ([("credit", 4)], "0.8")


def test_one_dial_out_pool_for_the_tenant() -> None:
    """Rule 29: organizers in two countries share it."""
    world = organizer("MCOMEETADV").user("pedro", "ES", "MCOMEETADV")
    world.call(PARIS, 600, **CONFERENCE)
    world.call(PARIS, 600, type="conf_out", user="pedro")
    assert world.pool("MCOMEETADV/zone-a/2025-03") == (20, 120)


@pytest.mark.parametrize(
    ("basis", "when", "total"),
    [
        ("by_date", "2020-10-21", 60),
        ("by_date", "2020-10-22", 300),
        ("assigned", "2025-03-10", 60),
        ("purchased", "2019-12-10", 300),
    ],
)
def test_what_the_dial_out_pool_counts(basis: str, when: str, total: int) -> None:
    """Rules 30, 31, A9: licences assigned before 2020-10-22, purchased from then on; a setting fixes it."""
    world = organizer("MCOMEETADV", licences=5, funds=None, dial_out_basis=basis)
    call = world.call(PARIS, 60, when, **CONFERENCE)
    assert call.segments[0].pool_total == total


def test_unlimited_dial_out_to_north_america() -> None:
    """Rule 32: the licence covers the US and Canada without counting; the rest goes its usual way."""
    world = organizer("MCOMEETADV", "MCOMEETADD_DIALOUT_US", "MCOPSTNPP")
    call = world.call(CA, 6000, **CONFERENCE)
    assert (pockets(call), call.capability) == ([("included", 100)], "MCOMEETADD_DIALOUT_US")
    assert pockets(world.call(PARIS, 60, **CONFERENCE)) == [("pool", 1)]


@pytest.mark.parametrize(
    ("type", "called", "calling", "toll_free", "charge"),
    [
        ("conf_in", "+18005550100", US, True, "0.044"),
        ("conf_in", LONDON, US, False, "0.1"),
        ("conf_out", PARIS, LONDON, False, "0.14"),
    ],
)
def test_pay_per_minute_conferencing(type: str, called: str, calling: str, toll_free: bool, charge: str) -> None:
    """Rule 33, A16: every leg of a pay-per-minute organizer is paid, and no licence for credits is needed."""
    call = organizer("MCOMEETACPEA").call(called, 61, type=type, user="olga", calling=calling, toll_free=toll_free)
    assert (call.charge, call.capability) == (charge, "MCOMEETACPEA")


def test_dial_out_without_conferencing_is_a_call_of_the_organizer() -> None:
    """Rule 34: it draws on the organizer's calling plan."""
    call = organizer("MCOPSTN1").call(LONDON, 61, **CONFERENCE)
    assert [(s.pool, s.minutes) for s in call.segments] == [("MCOPSTN1/GB/2025-03", 2)]


def test_a_queues_toll_number_is_included() -> None:
    """Rule 35: no charge for inbound calls to a queue's toll number; the row has no user."""
    call = World().call(LONDON, 600, type="ucap_in", user=None)
    assert (pockets(call), call.capability) == ([("included", 10)], "MCOEV")


def test_a_queues_outbound_call() -> None:
    """Rule 36: the resource account's plan pays; from November 2025 it needs pay-as-you-go and credits."""
    world = World(funds="100").user("queue", "US", "MCOPSTN1", "MCOPSTNPP")
    assert pockets(world.call(US, 60, type="ucap_out", user="queue")) == [("pool", 1)]
    late = world.call(US, 60, "2025-11-01", type="ucap_out", user="queue")
    assert (pockets(late), late.anomalies) == ([("unfunded", 1)], ("needs_pay_as_you_go",))
    world.assign("queue", "MCOPSTN_PAYG_1", "2025-11-02")
    assert pockets(world.call(US, 60, "2025-11-03", type="ucap_out", user="queue")) == [("credit", 1)]


def test_a_queues_leg_to_a_user_is_internal() -> None:
    """Rule 37: queue to user is peer to peer; if it is reported at all it is free."""
    world = World()
    world.configure("2025-03-02", domains=("contoso.example",))
    call = world.call("sip:ada@contoso.example", 600, type="ucap_out", user="queue")
    assert pockets(call) == [("free", 10)]


@pytest.mark.parametrize(
    "type", ["dr_in", "dr_out", "dr_out_user_conf", "dr_out_user_forwarding", "dr_emergency_out", "dr_out_ucap"]
)
def test_direct_routing_is_not_charged(type: str) -> None:
    """Rule 38: the tenant's own carrier charges those."""
    assert pockets(World().user("ada", "US", "MCOPSTN1").call(HARARE, 61, type=type)) == [("free", 2)]


@pytest.mark.parametrize("type", ["user_in", "conf_in", "ucap_in"])
def test_toll_free_is_paid_by_the_tenant(type: str) -> None:
    """Rules 39, 41: toll-free inbound is paid from the balance, without any licence for credits."""
    world = World().user("ada", "US", "MCOMEETADV", "MCOPSTN1")
    call = world.call(
        "+18005550100", 75, type=type, user=None if type == "ucap_in" else "ada", calling=US, toll_free=True
    )
    assert (pockets(call), call.charge, call.capability) == ([("credit", 2)], "0.044", "MCOPSTNPP")


def test_at_zero_toll_free_stops_and_toll_goes_on() -> None:
    """Rules 40, 54: credit-funded services are suspended at zero; a toll call is still included."""
    world = World(funds="0.04")
    world.call("+18005550100", 75, type="ucap_in", user=None, calling=US, toll_free=True)
    assert world.account.service == "suspended"
    assert pockets(world.call(LONDON, 60, type="ucap_in", user=None)) == [("included", 1)]


@pytest.mark.parametrize(
    ("calling", "charge"), [(US, "0.022"), (CA, "0.025"), (LONDON, "0.3"), ("anonymous", "0.3"), (None, "0.3")]
)
def test_toll_free_is_priced_by_origin(calling: str | None, charge: str) -> None:
    """Rule 42: the rate is that of where the call came from; a withheld number gets the `*` row."""
    call = World().call("+18005550100", 60, type="ucap_in", user=None, calling=calling, toll_free=True)
    assert call.charge == charge


def test_toll_free_is_booked_on_the_organizer() -> None:
    """Rule 43: the row's user is the organizer, the tenant pays."""
    call = organizer("MCOMEETADV").call("+18005550100", 60, type="conf_in", user="olga", calling=US, toll_free=True)
    assert (call.user, call.charge, call.capability) == ("olga", "0.022", "MCOPSTNPP")


def test_an_organizer_excluded_from_toll_free() -> None:
    """Rule 43b: callers cannot join by toll-free; a record of one who did is flagged."""
    world = organizer("MCOMEETADV")
    world.configure_user("olga", "2025-03-02", toll_free_dial_in=False)
    call = world.call("+18005550100", 60, type="conf_in", user="olga", calling=US, toll_free=True)
    assert call.anomalies == ("toll_free_excluded",)


@pytest.mark.parametrize(("fallback", "expected"), [(False, "credit"), (True, "pool")])
def test_an_empty_dial_out_pool(fallback: bool, expected: str) -> None:
    """A15: it is followed by credits; a setting puts the organizer's calling plan between."""
    world = organizer("MCOMEETADV", "MCOPSTN1", "MCOPSTNPP", licences=0, conf_fallback_to_calling_plan=fallback)
    assert pockets(world.call(LONDON, 60, **CONFERENCE)) == [(expected, 1)]
