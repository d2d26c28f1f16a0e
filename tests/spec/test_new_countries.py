"""Brakes on new countries (A50): what calls to a country may spend that the tenant, or the user, never called before.

A minute to Harare (ZW) costs 0.2, to London (GB) 0.05, to Paris (FR) 0.07; the tenant has 100 USD.
"""

import pytest

from rater.core.authorization import Answer, authorize
from rater.core.inputs import UserErased
from rater.core.quotes import Question, Reserved
from rater.core.reasons import CallType
from tests.spec.test_brakes import KEY, happened, spent, states
from tests.world import CA, HARARE, LONDON, PARIS, T, World, ada, at


def test_a_country_is_new_until_a_window_in_which_it_was_called_has_passed() -> None:
    """A50: 3 USD a day for each country that ada never called; after a day Zimbabwe is not new to her any more."""
    world = ada("MCOPSTNPP").user("bob", "US", "MCOPSTNPP")
    world.brake("abroad", "user", "3", "notify", measure="new_countries")
    first = world.call(HARARE, 840, "2025-03-10 09:00")  # 2.8
    assert [(one.scope, one.window, one.subject, one.over) for one in first.brakes] == [
        ("user", "day", "ZW", False)
    ]
    assert world.call(LONDON, 60, "2025-03-10 10:00").brakes[0].subject == "GB"
    assert world.call(HARARE, 3600, "2025-03-11 09:00").brakes == ()
    assert world.call(HARARE, 60, "2025-03-11 09:00", user="bob").brakes[0].subject == "ZW"
    assert spent(world, "user/ada") == [("abroad", "03-10 00:00", "0.05"), ("abroad", "03-10 00:00", "2.8")]


@pytest.mark.parametrize("mode", ["shadow", "notify"])
def test_what_only_marks_or_notifies_learns_where_people_call(mode: str) -> None:
    """A50: 15 minutes to Harare are 3 USD, what follows that day is marked; the next day it is no new country.

    What was learned stays when the brake is set to stop.
    """
    world = ada("MCOPSTNPP")
    world.brake("abroad", "tenant", "3", mode, measure="new_countries")
    world.call(HARARE, 900, "2025-03-10 09:00")
    assert happened(world) == [("brake.reached", "abroad", "3", mode)]
    assert world.call(HARARE, 60, "2025-03-10 10:00").brakes[0].over
    world.brake("abroad", "tenant", "0", "stop", measure="new_countries", at=at("2025-03-11"))
    assert world.call(HARARE, 960, "2025-03-11 09:00").brakes == ()
    assert [may_call(world, HARARE, "ada", "2025-03-11"), may_call(world, LONDON, "ada", "2025-03-11")] == [
        "credit",
        "brake_reached",
    ]


def test_who_calls_the_tenant_is_no_new_country() -> None:
    """A50: a toll-free call from Canada costs the tenant 0.025 a minute, and is no call to Canada."""
    world = ada("MCOPSTNPP")
    world.brake("abroad", "tenant", "0", "stop", measure="new_countries")
    call = world.call("+18005550100", 60, type="ucap_in", user=None, calling=CA, toll_free=True)
    assert (call.country, call.charge, call.brakes) == ("CA", "0.025", ())
    assert may_call(world, CA, "ada") == "brake_reached"


def test_a_country_that_was_stopped_stays_new() -> None:
    """A50: 15 minutes to Harare are 3 USD; so the next day counts and marks again, until a person allows the country."""
    world = ada("MCOPSTNPP")
    world.brake("abroad", "tenant", "3", "stop", measure="new_countries")
    world.call(HARARE, 900, "2025-03-10 09:00")
    assert happened(world) == [("brake.reached", "abroad", "3", "stop")]
    assert world.call(HARARE, 60, "2025-03-10 10:00").brakes[0].over
    assert [one.over for one in world.call(HARARE, 960, "2025-03-11 09:00").brakes] == [False]
    world.release("abroad", None, "2025-03-11 10:00", country="ZW")
    assert happened(world) == [("brake.released", "abroad", "3.2", "by_hand")]
    assert world.call(HARARE, 60, "2025-03-11 11:00").brakes == ()
    world.release("abroad", None, "2025-03-11 12:00", country="ZW")
    assert world.refusals == ["no_such_brake"]


def test_a_new_country_is_stopped_for_who_is_new_to_it() -> None:
    """A50: the service state names user and country; another country, and another user, go on."""
    world = ada("MCOPSTNPP").user("bob", "US", "MCOPSTNPP")
    world.brake("abroad", "user", "3", "stop", measure="new_countries")
    world.call(HARARE, 900, "2025-03-10 09:00")
    assert states(world) == [("restricted", "ada", "ZW", "03-11 00:00")]
    assert may_call(world, HARARE, "ada") == "brake_reached"
    assert [may_call(world, LONDON, "ada"), may_call(world, HARARE, "bob")] == ["credit", "credit"]
    world.release("abroad", "Ada", "2025-03-10 10:00", country="ZW")
    assert states(world) == [("allowed", "ada", "ZW", "03-11 00:00")]
    assert may_call(world, HARARE, "ada") == "credit"


def test_a_limit_of_zero_lets_no_call_to_a_new_country_begin() -> None:
    """A50: nothing has to be spent first; a person allows a country before anybody called it; known ones go on.

    A call that begins all the same, because its switch does not ask, is marked.
    """
    world = ada("MCOPSTNPP")
    world.brake("abroad", "tenant", "10", "shadow", measure="new_countries")
    world.call(LONDON, 60, "2025-03-08 09:00")  # learned while in shadow
    world.brake("abroad", "tenant", "0", "stop", measure="new_countries", at=at("2025-03-09"))
    assert [may_call(world, LONDON, "ada"), may_call(world, HARARE, "ada")] == ["credit", "brake_reached"]
    assert world.call(HARARE, 60, "2025-03-10 09:00").brakes[0].over
    world.release("abroad", None, "2025-03-10 10:00", country="FR")
    assert [may_call(world, PARIS, "ada"), may_call(world, HARARE, "ada")] == ["credit", "brake_reached"]
    assert not any(one.over for one in world.call(PARIS, 60, "2025-03-10 11:00").brakes)


def test_a_country_that_is_known_stays_so_when_its_window_is_dropped() -> None:
    """A50: 72 hours later the window of the first call is dropped; corrected to nothing before, it made nothing known."""
    world = ada("MCOPSTNPP")
    world.brake("abroad", "tenant", "3", "stop", measure="new_countries")
    world.call(HARARE, 600, "2025-03-03 09:00", id="zw")
    world.call(LONDON, 600, "2025-03-03 09:00", id="gb")
    world.call(LONDON, 0, "2025-03-03 09:00", id="gb", version=2)
    world.call(PARIS, 60, "2025-03-10 09:00")
    assert spent(world, "tenant/") == [("abroad", "03-10 00:00", "0.07")]
    assert world.call(HARARE, 60, "2025-03-10 10:00").brakes == ()
    assert world.call(LONDON, 60, "2025-03-10 10:00").brakes[0].subject == "GB"


def test_a_correction_to_another_country_is_new_there() -> None:
    """A50, A12: what was counted in one country is taken back, and counted in the other."""
    world = ada("MCOPSTNPP")
    world.brake("abroad", "user", "2", "stop", measure="new_countries")
    world.call(HARARE, 600, "2025-03-10 09:00", id="one")
    assert states(world) == [("restricted", "ada", "ZW", "03-11 00:00")]
    world.call(LONDON, 600, "2025-03-10 09:00", id="one", version=2)
    assert states(world) == [("allowed", "ada", "ZW", "03-11 00:00")]
    assert spent(world, "user/ada") == [("abroad", "03-10 00:00", "0.5"), ("abroad", "03-10 00:00", "0")]


def test_a_new_country_is_known_by_the_pseudonym_of_an_erased_user() -> None:
    """A50, the rule erasure: what ada's calls made known stays known, and her name is gone."""
    world = ada("MCOPSTNPP")
    world.brake("abroad", "user", "3", "stop", measure="new_countries")
    world.release("abroad", "ada", "2025-03-03", country="FR")
    world.call(HARARE, 60, "2025-03-09 10:00")
    world.apply(UserErased(tenant=T, id="e1", at=at("2025-03-10 11:00"), user="ada", key=KEY))
    assert spent(world, "user/ada") == []
    for called in (PARIS, HARARE):
        assert world.call(called, 60, "2025-03-10 12:00").brakes == ()


@pytest.mark.parametrize(
    ("brake", "subject", "country"),
    [
        ("abroad", "ada", None),
        ("abroad", None, "FR"),
        ("abroad", "ada", "XX"),
        ("daily", "ada", "FR"),
        ("daily", None, None),
        ("other", "ada", "FR"),
    ],
)
def test_what_cannot_be_released(brake: str, subject: str | None, country: str | None) -> None:
    """A50: a brake on new countries needs a country and its user; no other brake has one."""
    world = ada("MCOPSTNPP")
    world.brake("abroad", "user", "3", "stop", measure="new_countries")
    world.brake("daily", "user", "3", "stop")
    world.release(brake, subject, country=country)
    assert world.refusals == ["malformed" if country == "XX" else "no_such_brake"]


def answered(
    world: World, called: str, user: str, reserved: Reserved | None = None, day: str = "2025-03-10"
) -> Answer:
    """What a switch is answered at noon, beside what running calls reserve."""
    question = Question(tenant=T, type=CallType.USER_OUT, user=user, called=called)
    answer = authorize(world.engine.committed(), world.engine.rules, question, at(f"{day} 12:00"), reserved)
    assert isinstance(answer, Answer)
    return answer


def may_call(world: World, called: str, user: str, day: str = "2025-03-10") -> str:
    """Why a call may start at noon, or not."""
    return answered(world, called, user, day=day).reason.value


def test_running_calls_reserve_of_what_a_new_country_may_spend() -> None:
    """A50: of 1 USD a call to Harare has 5 minutes; beside one that reserves 0.8 one more has a minute, and Paris has all."""
    world = ada("MCOPSTNPP")
    world.brake("abroad", "user", "1", "stop", measure="new_countries")
    key = "abroad/2025-03-10T00:00:00+00:00/user/ada/ZW"
    running = Reserved(money=800_000, brakes={key: 800_000})
    assert answered(world, HARARE, "ada").seconds == 300
    assert answered(world, HARARE, "ada", running).seconds == 60
    assert answered(world, PARIS, "ada", running).seconds == 840


def test_a_new_country_is_released_when_the_brake_is_taken_away() -> None:
    """A50: Zimbabwe was stopped for ada, London only counted."""
    world = ada("MCOPSTNPP")
    world.brake("abroad", "user", "3", "stop", measure="new_countries")
    world.call(HARARE, 900, "2025-03-10 09:00")
    world.call(LONDON, 60, "2025-03-10 09:00")
    world.brake("abroad", "user", "3", "off", measure="new_countries", at=at("2025-03-10 10:00"))
    assert states(world) == [("allowed", "ada", "ZW", "03-11 00:00")]
