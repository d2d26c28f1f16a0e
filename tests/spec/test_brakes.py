"""Brakes on money (A50): what is counted where, what a correction takes back, and when a stop begins and ends.

A minute to Harare (ZW, a landline) costs 0.2, to London 0.05; the tenant has 100 USD.
"""

from typing import Any

import pytest

from rater.core.brake_stops import listed_as_stopped
from rater.core.entities import Brakes, Spent
from rater.core.identity import pseudonym_of
from rater.core.inputs import CallsOverBrake, UserConfigured, UserErased
from rater.core.money import format_micros
from rater.core.outputs import AccountEvent, Output, ServiceState
from rater.core.state import State
from tests.world import CA, HARARE, LONDON, US, T, World, ada, at

KEY = "0123456789abcdef0123456789abcdef"


def spent(world: World, key: str) -> list[tuple[str, str, str]]:
    """The windows of a user, country, class or the tenant: brake, when it begins, what was spent."""
    found = world.engine.committed().load("spent", (T, key))
    windows = found.windows if isinstance(found, Spent) else ()
    return [(one.brake, f"{one.start:%m-%d %H:%M}", format_micros(one.spent)) for one in windows]


def happened(world: World) -> list[tuple[str, str | None, str | None, str | None]]:
    """Events of brakes in the last step: event, brake, amount, reason."""
    return [
        (output.event.value, output.brake, output.amount, output.reason)
        for output in world.outputs
        if isinstance(output, AccountEvent) and output.brake is not None
    ]


def events_of_brakes(world: World) -> list[AccountEvent]:
    """The events of brakes in the last step."""
    return [output for output in world.outputs if isinstance(output, AccountEvent) and output.brake is not None]


def states(world: World) -> list[tuple[str, str | None, str | None, str]]:
    """Service states of brakes in the last step: state, user, subject, until when."""
    return [
        (output.state, output.user, output.subject, f"{output.until:%m-%d %H:%M}")
        for output in world.outputs
        if isinstance(output, ServiceState) and output.scope == "brake"
    ]


def test_each_scope_and_window_counts_what_calls_cost_by_their_start() -> None:
    """A50: 10 minutes to Harare cost 10 x 0.2 = 2 USD; they count where the call began."""
    world = ada("MCOPSTN1", "MCOPSTNPP")
    world.brake("all", "tenant", "100", "notify", window="hour")
    world.brake("each", "user", "100", "notify", window="day")
    world.brake("zw", "country", "100", "notify", window="month", only="ZW")
    world.brake("kind", "class", "100", "notify", window="day")
    call = world.call(HARARE, 600, "2025-03-10 10:55")
    world.call(HARARE, 60, "2025-03-10 11:05")
    world.call(LONDON, 60, "2025-03-10 11:05")
    world.call(US, 600, "2025-03-10 11:05")  # a pool pays
    world.call("911", 600, "2025-03-10 11:05")
    assert spent(world, "tenant/") == [("all", "03-10 10:00", "2"), ("all", "03-10 11:00", "0.25")]
    assert spent(world, "user/ada") == [("each", "03-10 00:00", "2.25")]
    assert spent(world, "country/ZW") == [("zw", "03-01 00:00", "2.2")]
    assert spent(world, "country/GB") == []
    assert spent(world, "class/landline") == [("kind", "03-10 00:00", "2.25")]
    assert [(one.brake, one.scope, one.window, one.subject, one.over) for one in call.brakes] == [
        ("all", "tenant", "hour", None, False),
        ("each", "user", "day", None, False),
        ("kind", "class", "day", "landline", False),
        ("zw", "country", "month", "ZW", False),
    ]


def test_inbound_calls_count_for_no_called_country_and_no_class() -> None:
    """A50: from Canada to a toll-free number, 10 x 0.025 = 0.25 USD; the tenant pays, and calls nobody."""
    world = ada("MCOPSTNPP")
    for name, scope in (("all", "tenant"), ("each", "country"), ("kind", "class")):
        world.brake(name, scope, "0.1", "stop")
    call = world.call("+18005550100", 600, type="ucap_in", user=None, calling=CA, toll_free=True)
    assert (call.charge, [one.brake for one in call.brakes]) == ("0.25", ["all"])
    assert (spent(world, "country/CA"), spent(world, "class/landline"), spent(world, "class/toll_free")) == (
        [],
        [],
        [],
    )
    assert states(world) == [("restricted", None, None, "03-11 00:00")]


def test_a_stop_begins_when_the_limit_is_reached_and_holds_until_the_window_is_over() -> None:
    """A50: 3 USD a day for each user; 15 minutes x 0.2 = 3 USD reach it; what calls cost does not change."""
    world = ada("MCOPSTNPP").user("bob", "US", "MCOPSTNPP")
    world.brake("daily", "user", "3", "stop")
    world.call(HARARE, 840, "2025-03-10 09:00")
    assert (happened(world), states(world)) == ([], [])  # 2.8: another minute is paid for
    world.call(HARARE, 60, "2025-03-10 10:00")
    assert happened(world) == [("brake.reached", "daily", "3", "stop")]
    assert states(world) == [("restricted", "ada", None, "03-11 00:00")]
    call = world.call(HARARE, 60, "2025-03-10 12:00")
    assert (call.charge, call.brakes[0].over, happened(world), states(world)) == ("0.2", True, [], [])
    assert not world.call(HARARE, 60, "2025-03-10 12:00", user="bob").brakes[0].over
    assert not world.call(HARARE, 60, "2025-03-11 00:00").brakes[0].over


def test_a_rest_that_pays_for_no_minute_reaches_the_limit() -> None:
    """A50: of 3.1 USD 3 are spent; a minute costs 0.2, so that nothing more can begin: the stop is reported."""
    world = ada("MCOPSTNPP")
    world.brake("daily", "user", "3.1", "stop")
    world.call(HARARE, 900, "2025-03-10 10:00", id="one")
    assert happened(world) == [("brake.reached", "daily", "3", "stop")]
    assert states(world) == [("restricted", "ada", None, "03-11 00:00")]
    world.call(HARARE, 840, "2025-03-10 10:00", id="one", version=2)  # 0.3 are left
    assert states(world) == [("allowed", "ada", None, "03-11 00:00")]


def test_shadow_and_notify_say_what_would_have_been_stopped() -> None:
    """A50: the second call began after 2 USD were reached; nothing is stopped."""
    for mode in ("shadow", "notify"):
        world = ada("MCOPSTNPP")
        world.brake("daily", "tenant", "2", mode)
        world.call(HARARE, 600, "2025-03-10 10:00")
        assert (happened(world), states(world)) == ([("brake.reached", "daily", "2", mode)], [])
        assert world.call(HARARE, 300, "2025-03-10 12:00").brakes[0].over
        found = world.engine.committed().load("spent", (T, "tenant/"))
        assert isinstance(found, Spent)
        (window,) = found.windows
        assert (window.over_calls, window.over_money, window.stopped) == (1, 1_000_000, False)


def test_where_the_limit_never_pays_for_a_first_minute_every_call_is_marked() -> None:
    """A50: three calls at once to Harare, at 0.2 a minute; also those that began before the first was rated."""
    world = ada("MCOPSTNPP")
    world.brake("daily", "user", "0.1", "shadow")
    calls = [world.call(HARARE, 600, f"2025-03-10 10:0{minute}") for minute in range(3)]
    assert [call.brakes[0].over for call in calls] == [True, True, True]


def test_a_correction_takes_back_what_was_counted_and_ends_the_stop() -> None:
    """A50, A12: the first version reached the limit, the second does not; of another day it moves to its day."""
    world = ada("MCOPSTNPP")
    world.brake("daily", "user", "3", "stop")
    world.call(HARARE, 900, "2025-03-10 10:00", id="one")
    world.call(HARARE, 600, "2025-03-10 10:00", id="one", version=2)
    assert spent(world, "user/ada") == [("daily", "03-10 00:00", "2")]
    assert happened(world) == [("brake.released", "daily", "2", "corrected")]
    assert states(world) == [("allowed", "ada", None, "03-11 00:00")]
    world.call(HARARE, 600, "2025-03-09 10:00", id="one", version=3)
    assert spent(world, "user/ada") == [("daily", "03-09 00:00", "2"), ("daily", "03-10 00:00", "0")]
    world.cdr(HARARE, 600, "2025-03-09 10:00", id="one", version=3)  # a duplicate
    assert spent(world, "user/ada") == [("daily", "03-09 00:00", "2"), ("daily", "03-10 00:00", "0")]
    world.call(HARARE, 60, "2025-03-09 10:00", id="one", version=4, user="bob")
    assert spent(world, "user/ada") == [("daily", "03-09 00:00", "0"), ("daily", "03-10 00:00", "0")]


def test_a_correction_takes_back_what_was_over_as_well() -> None:
    """A50: of two calls after the limit one turns out to have been shorter."""
    world = ada("MCOPSTNPP")
    world.brake("daily", "tenant", "2", "shadow")
    world.call(HARARE, 600, "2025-03-10 10:00")
    world.call(HARARE, 600, "2025-03-10 12:00", id="two")
    world.call(HARARE, 600, "2025-03-10 13:00")
    world.call(HARARE, 60, "2025-03-10 12:00", id="two", version=2)
    found = world.engine.committed().load("spent", (T, "tenant/"))
    assert isinstance(found, Spent)
    assert (found.windows[0].over_calls, found.windows[0].over_money) == (2, 2_200_000)


def test_windows_that_are_over_for_longer_than_late_calls_may_be_are_dropped() -> None:
    """A50: after 72 hours (grace_hours) an hour is dropped, and neither counted nor taken back any more."""
    world = ada("MCOPSTNPP", grace_hours=10)
    world.brake("hourly", "tenant", "100", "notify", window="hour")
    for hour in range(14):
        world.call(HARARE, 60, f"2025-03-10 {hour:02}:30", id=f"call-at-{hour}")
    kept = spent(world, "tenant/")
    assert kept == [("hourly", f"03-10 {hour:02}:00", "0.2") for hour in range(3, 14)]
    late = world.call(HARARE, 120, "2025-03-10 00:30", id="call-at-0", version=2)
    assert (spent(world, "tenant/"), late.brakes) == (kept, ())


def test_a_person_ends_a_stop_for_the_rest_of_its_window() -> None:
    """A50: what is not reached cannot be released; a released window stops nothing more."""
    world = ada("MCOPSTNPP")
    world.brake("daily", "user", "3", "stop")
    world.release("daily", "Ada")
    assert world.refusals == ["no_such_brake"]
    world.call(HARARE, 900, "2025-03-10 10:00")
    world.release("daily", "Ada")
    assert states(world) == [("allowed", "ada", None, "03-11 00:00")]
    assert happened(world) == [("brake.released", "daily", "3", "by_hand")]
    assert not world.call(HARARE, 60, "2025-03-10 19:00").brakes[0].over
    world.release("daily", "Ada")
    assert world.refusals == ["no_such_brake"]
    world.call(HARARE, 900, "2025-03-11 10:00")
    assert states(world) == [("restricted", "ada", None, "03-12 00:00")]


def test_a_new_limit_holds_at_once() -> None:
    """A50: shadow becomes stop, the limit rises, the brake is taken away; of the tenant each is reported at once."""
    world = ada("MCOPSTNPP")
    world.brake("daily", "tenant", "3", "shadow")
    world.call(HARARE, 900, "2025-03-10 10:00")
    world.brake("daily", "tenant", "3", "stop", at=at("2025-03-10 12:00"))
    assert states(world) == [("restricted", None, None, "03-11 00:00")]
    world.brake("daily", "tenant", "5", "stop", at=at("2025-03-10 13:00"))
    assert states(world) == [("allowed", None, None, "03-11 00:00")]
    world.brake("daily", "tenant", "2", "stop", at=at("2025-03-10 14:00"))
    assert states(world) == [("restricted", None, None, "03-11 00:00")]
    world.brake("daily", "tenant", "2", "off", at=at("2025-03-10 15:00"))
    assert states(world) == [("allowed", None, None, "03-11 00:00")]


def test_of_each_user_by_itself_a_lower_limit_is_reported_with_the_next_call() -> None:
    """A50: nobody goes through all users; authorisation follows at once."""
    world = ada("MCOPSTNPP")
    world.brake("daily", "user", "5", "stop")
    world.call(HARARE, 900, "2025-03-10 10:00")
    world.brake("daily", "user", "3", "stop", at=at("2025-03-10 12:00"))
    assert states(world) == []
    assert world.call(HARARE, 60, "2025-03-10 13:00").charge == "0.2"
    assert states(world) == [("restricted", "ada", None, "03-11 00:00")]


@pytest.mark.parametrize("scope", ["tenant", "user", "country", "class"])
@pytest.mark.parametrize(("limit", "over"), [("4", True), ("6.1", True), ("6.2", False), ("10", False)])
def test_a_new_limit_that_is_spent_already_marks_the_next_call(scope: str, limit: str, over: bool) -> None:
    """A50: 6 USD of 3 are spent, then the limit is another; a minute costs 0.2, so that 6.1 pay for none."""
    world = ada("MCOPSTNPP")
    world.brake("daily", scope, "3", "shadow")
    world.call(HARARE, 1800, "2025-03-10 10:00")
    world.brake("daily", scope, limit, "shadow", at=at("2025-03-10 12:00"))
    assert world.call(HARARE, 60, "2025-03-10 13:00").brakes[0].over == over
    assert world.call(HARARE, 60, "2025-03-10 14:00").brakes[0].over == (over or limit == "6.2")


@pytest.mark.parametrize("scope", ["tenant", "user", "class"])
def test_a_new_limit_of_which_too_little_is_left_marks_the_next_call(scope: str) -> None:
    """A50: 3.05 USD of 10 are spent, then the limit is 3.1; a call for 0.05 turns out to be of yesterday."""
    world = ada("MCOPSTNPP")
    world.brake("daily", scope, "10", "shadow")
    world.call(HARARE, 900, "2025-03-10 10:00")
    world.call(LONDON, 60, "2025-03-10 10:00", id="one")
    world.brake("daily", scope, "3.1", "shadow", at=at("2025-03-10 12:00"))
    world.call(LONDON, 60, "2025-03-09 10:00", id="one", version=2)
    assert world.call(HARARE, 60, "2025-03-10 13:00").brakes[0].over


def test_a_new_limit_is_reached_when_it_is_set() -> None:
    """A50: calls that began before are not marked; it is emitted with the first call, once; a new day begins anew."""
    world = ada("MCOPSTNPP")
    world.brake("daily", "user", "10", "notify")
    world.call(HARARE, 900, "2025-03-09 10:00")
    world.call(HARARE, 900, "2025-03-10 10:00", id="one")
    world.brake("daily", "user", "3.1", "notify", at=at("2025-03-10 12:00"))
    assert not world.call(HARARE, 60, "2025-03-10 11:59").brakes[0].over
    assert happened(world) == [("brake.reached", "daily", "3", "notify")]
    assert world.call(HARARE, 60, "2025-03-10 12:00").brakes[0].over
    assert happened(world) == []
    assert not world.call(HARARE, 60, "2025-03-09 13:00").brakes[0].over
    assert not world.call(HARARE, 60, "2025-03-11 13:00").brakes[0].over
    world.call(HARARE, 60, "2025-03-10 10:00", id="one", version=2)
    assert happened(world) == [("brake.released", "daily", "0.6", "corrected")]


def test_what_a_new_limit_stops_can_be_released_before_the_next_call() -> None:
    """A50: of each user by itself, too; and what a correction leaves of the sum counts, not what it was."""
    world = ada("MCOPSTNPP")
    world.brake("daily", "user", "10", "stop")
    world.call(HARARE, 900, "2025-03-10 10:00", id="one")
    world.brake("daily", "user", "2", "stop", at=at("2025-03-10 12:00"))
    world.release("daily", "ada", "2025-03-10 12:30")
    assert (happened(world), states(world)) == ([("brake.released", "daily", "3", "by_hand")], [])
    assert not world.call(HARARE, 60, "2025-03-10 13:00").brakes[0].over
    world.brake("daily", "user", "1", "stop", at=at("2025-03-10 14:00"))
    world.call(HARARE, 60, "2025-03-10 10:00", id="one", version=2)
    assert not world.call(HARARE, 60, "2025-03-10 15:00").brakes[0].over


def test_a_brake_that_is_off_leaves_the_tenant_as_one_that_never_had_any() -> None:
    """A50: nothing is kept in the account, nothing is counted."""
    world = ada("MCOPSTNPP")
    world.brake("daily", "user", "3", "stop")
    world.brake("daily", "user", "3", "off")
    assert not isinstance(world.account.brakes, Brakes)
    assert world.call(HARARE, 900, "2025-03-10 10:00").brakes == ()
    assert (spent(world, "user/ada"), world.events) == ([], [])


def test_alerts_come_once_for_each_fall_below_an_amount() -> None:
    """A50: 100 USD; amounts 99 and 98; two fall at once, a purchase makes room for the next."""
    world = ada("MCOPSTNPP")
    world.configure("2025-03-02", balance_alerts=("98", "99"))
    world.call(HARARE, 900)
    assert (world.balance, alerts(world.outputs)) == ("97", ["99", "98"])
    world.call(HARARE, 300)
    assert world.events == []
    world.fund("10", "2025-03-11")
    world.call(HARARE, 3600, "2025-03-12 10:00")
    assert (world.balance, alerts(world.outputs)) == ("94", ["99", "98"])
    world.configure("2025-03-13", balance_alerts=())
    assert not isinstance(world.account.brakes, Brakes)


def alerts(outputs: list[Output]) -> list[str | None]:
    """The amounts of the alerts among outputs."""
    return [one.amount for one in outputs if isinstance(one, AccountEvent) and one.event.value == "balance.alert"]


def test_brakes_forget_the_name_of_an_erased_user() -> None:
    """A50, the rule erasure: the sums go on under the pseudonym, corrections of calls before it included."""
    world = ada("MCOPSTNPP")
    world.brake("daily", "user", "3", "stop", only="Ada")
    world.call(HARARE, 600, "2025-03-10 10:00", id="one")
    world.apply(UserErased(tenant=T, id="e1", at=at("2025-03-10 11:00"), user="ada", key=KEY))
    name = pseudonym_of(KEY, "ada")
    assert spent(world, "user/ada") == []
    assert spent(world, f"user/{name}") == [("daily", "03-10 00:00", "2")]
    assert isinstance(world.account.brakes, Brakes)
    assert [one.only for one in world.account.brakes.table] == [name]
    world.call(HARARE, 300, "2025-03-10 12:00")
    assert states(world) == [("restricted", name, None, "03-11 00:00")]
    world.call(HARARE, 60, "2025-03-10 10:00", id="one", version=2)
    assert spent(world, f"user/{name}") == [("daily", "03-10 00:00", "1.2")]
    assert states(world) == [("allowed", name, None, "03-11 00:00")]


def test_names_of_one_person_are_one_sum_after_an_erasure() -> None:
    """A50, the rule erasure: calls that came under another name, before it was linked."""
    world = ada("MCOPSTNPP").user("lovelace", "US", "MCOPSTNPP")
    world.brake("daily", "user", "3", "stop")
    world.call(HARARE, 300, "2025-03-10 10:00")
    world.call(HARARE, 300, "2025-03-10 10:00", user="lovelace")
    world.apply(UserErased(tenant=T, id="e1", at=at("2025-03-10 11:00"), user="ada", also=("lovelace",), key=KEY))
    assert spent(world, f"user/{pseudonym_of(KEY, 'ada')}") == [("daily", "03-10 00:00", "2")]
    assert (spent(world, "user/ada"), spent(world, "user/lovelace")) == ([], [])


def test_a_user_is_meant_by_any_name() -> None:
    """A50, A40: `only` and the subject of a release are names of users."""
    world = ada("MCOPSTNPP")
    world.apply(UserConfigured(tenant=T, id="k", at=at("2025-03-01"), user="ada", object_id="4b1c"))
    world.brake("hers", "user", "2", "stop", only="4B1C")
    world.call(HARARE, 600, "2025-03-10 10:00")
    assert states(world) == [("restricted", "ada", None, "03-11 00:00")]
    world.release("hers", "4b1c")
    assert states(world) == [("allowed", "ada", None, "03-11 00:00")]


def asked_beyond(world: World, calls: int, most: int, when: str, subject: str | None = "ada") -> None:
    """Who answers switches says how many calls were asked for beyond the limit."""
    id = f"{when} {calls} {most} {subject}"
    world.apply(
        CallsOverBrake(tenant=T, id=id, at=at(when), brake="lines", subject=subject, calls=calls, most=most)
    )


def over(world: World, key: str = "calls_user/ada") -> list[tuple[str, int, int]]:
    """Of each day of calls at once: how many would have run with the most, how many were beyond the limit."""
    found = world.engine.committed().load("spent", (T, key))
    windows = found.windows if isinstance(found, Spent) else ()
    return [(f"{one.start:%m-%d}", one.spent, one.over_calls) for one in windows]


@pytest.mark.parametrize("mode", ["shadow", "notify", "stop"])
def test_calls_beyond_a_limit_of_calls_at_once_are_counted_by_day(mode: str) -> None:
    """A50: the first of a day is reported, later ones add up; another setting and another day begin anew."""
    world = ada("MCOPSTNPP")
    world.brake("lines", "user", "2", mode, measure="calls_at_once")
    asked_beyond(world, 3, 5, "2025-03-10 10:00")
    assert [(one.used, one.total, one.user, one.amount) for one in events_of_brakes(world)] == [(5, 2, "ada", None)]
    assert happened(world) == [("brake.reached", "lines", None, mode)]
    asked_beyond(world, 4, 4, "2025-03-10 10:05")
    assert (happened(world), states(world), over(world)) == ([], [], [("03-10", 5, 7)])
    asked_beyond(world, 1, 3, "2025-03-11 00:00")
    assert (happened(world), over(world)[1]) == ([("brake.reached", "lines", None, mode)], ("03-11", 3, 1))
    world.brake("lines", "user", "1", mode, measure="calls_at_once", at=at("2025-03-11 01:00"))
    asked_beyond(world, 1, 2, "2025-03-11 02:00")
    assert (happened(world), over(world)[1]) == ([("brake.reached", "lines", None, mode)], ("03-11", 3, 2))


def test_calls_beyond_a_limit_of_the_tenant_and_of_none() -> None:
    """A50: of the tenant there is no subject; of a brake that was taken away, or counts money, nothing is counted."""
    world = ada("MCOPSTNPP")
    world.brake("lines", "tenant", "2", "shadow", measure="calls_at_once")
    asked_beyond(world, 1, 3, "2025-03-10 10:00", None)
    assert over(world, "calls_tenant/") == [("03-10", 3, 1)]
    world.brake("lines", "tenant", "2", "shadow", at=at("2025-03-10 11:00"))
    asked_beyond(world, 1, 3, "2025-03-10 12:00", None)
    world.brake("lines", "tenant", "2", "off", at=at("2025-03-10 13:00"))
    asked_beyond(world, 1, 3, "2025-03-10 14:00", None)
    assert (world.refusals, happened(world), over(world, "calls_tenant/")) == ([], [], [("03-10", 3, 1)])
    assert spent(world, "tenant/") == []


def test_an_erased_user_s_calls_at_once_are_a_pseudonym_s() -> None:
    """A50, the rule erasure: what was counted under the name goes on under the pseudonym."""
    world = ada("MCOPSTNPP")
    world.brake("lines", "user", "2", "shadow", measure="calls_at_once")
    asked_beyond(world, 3, 5, "2025-03-10 10:00")
    world.apply(UserErased(tenant=T, id="erase", at=at("2025-03-10 11:00"), user="ada", key=KEY))
    assert over(world) == []
    assert over(world, f"calls_user/{pseudonym_of(KEY, 'ada')}") == [("03-10", 5, 3)]


def test_what_no_brake_can_be_is_refused() -> None:
    """A50: and nothing is changed; at most 20 brakes."""
    world = ada("MCOPSTNPP")
    for wrong in (
        {"scope": "tenant", "only": "ada"},
        {"scope": "country", "only": "Zimbabwe"},
        {"scope": "class", "only": "dear"},
        {"measure": "calls_at_once", "limit": "2.5"},
        {"measure": "new_countries", "scope": "country"},
        {"measure": "new_countries", "scope": "class"},
        {"measure": "new_countries", "limit": "-1"},
        {"measure": "calls_at_once", "limit": "0"},
        {"limit": "-1"},
        {"limit": "much"},
    ):
        said: dict[str, Any] = {"scope": "user", "limit": "3", "mode": "stop"} | wrong
        world.brake("x", said.pop("scope"), said.pop("limit"), said.pop("mode"), **said)
        assert len(world.refusals) == 1, wrong
    assert not isinstance(world.account.brakes, Brakes)
    for number in range(20):
        world.brake(f"b{number}", "user", "3", "stop")
    assert world.refusals == []
    world.brake("b20", "user", "3", "stop")
    assert world.refusals == ["too_many"]
    world.brake("b19", "tenant", "4", "stop")
    assert world.refusals == []


def test_a_brake_that_is_taken_away_stops_nobody() -> None:
    """A50: each user that it stopped may call at once, and so may the user whose limit is higher now.

    Ada spent 3 USD, bob 5.
    """
    for mode, limit, allowed in [
        ("off", "3", ["ada", "bob"]),
        ("notify", "3", ["ada", "bob"]),
        ("stop", "4", ["ada"]),
    ]:
        world = ada("MCOPSTNPP").user("bob", "US", "MCOPSTNPP")
        world.brake("daily", "user", "3", "stop")
        world.call(HARARE, 900, "2025-03-10 09:00")
        world.call(HARARE, 1500, "2025-03-10 09:00", user="bob")
        world.brake("daily", "user", limit, mode, at=at("2025-03-10 10:00"))
        assert states(world) == [("allowed", user, None, "03-11 00:00") for user in allowed]
        world.brake("daily", "user", limit, mode, at=at("2025-03-10 10:01"))
        assert states(world) == []


def test_a_limit_that_is_set_again_stops_whom_it_stopped() -> None:
    """A50: of 3.1 USD 3 are spent, the rest pays for no minute at 0.2; a window that is over is not spoken of."""
    world = ada("MCOPSTNPP")
    world.brake("daily", "user", "3.1", "stop")
    world.call(HARARE, 900, "2025-03-10 09:00")
    world.brake("daily", "user", "3.1", "stop", at=at("2025-03-10 10:00"))
    assert (happened(world)[0], states(world)) == (("brake.reached", "daily", "3", "stop"), [])
    world.brake("daily", "user", "3.1", "off", at=at("2025-03-11 00:00"))
    assert states(world) == []


def test_another_scope_of_a_brake_releases_whom_the_former_stopped() -> None:
    """A50: each country instead of each user: the user may call; the country is counted from the next call on."""
    world = ada("MCOPSTNPP")
    world.brake("daily", "user", "3", "stop")
    world.call(HARARE, 900, "2025-03-10 09:00")
    world.brake("daily", "country", "3", "stop", at=at("2025-03-10 10:00"))
    assert states(world) == [("allowed", "ada", None, "03-11 00:00")]


def test_an_erased_user_may_call_when_the_brake_is_taken_away() -> None:
    """A50, the rule erasure: the service state names the pseudonym."""
    world = ada("MCOPSTNPP")
    world.brake("daily", "user", "3", "stop")
    world.call(HARARE, 900, "2025-03-10 09:00")
    world.apply(UserErased(tenant=T, id="erase", at=at("2025-03-10 10:00"), user="ada", key=KEY))
    world.brake("daily", "user", "3", "off", at=at("2025-03-10 11:00"))
    assert states(world) == [("allowed", pseudonym_of(KEY, "ada"), None, "03-11 00:00")]


@pytest.mark.in_memory
def test_no_list_of_whom_brakes_stop_names_an_erased_user() -> None:
    """The rule erasure: also where the brake stops nobody any more."""
    world = ada("MCOPSTNPP")
    world.brake("daily", "user", "3", "stop")
    world.call(HARARE, 900, "2025-03-10 09:00")
    world.release("daily", "ada", "2025-03-10 10:00")
    world.apply(UserErased(tenant=T, id="erase", at=at("2025-03-10 11:00"), user="ada", key=KEY))
    keys = listed_as_stopped(State(world.memory), T, "daily")
    assert list(keys) == [f"user/{pseudonym_of(KEY, 'ada')}"]
