"""Calls in progress: what they reserve, and which are ended: rules 40, 53, 54, A5, A22.

A minute to Harare costs 0.2, to London 0.05, within the United States 0.01.
"""

from datetime import timedelta

import msgspec

from rater.core.call_control import CallCommand
from rater.core.quotes import Quote, Reserved
from rater.core.reasons import Why
from rater.core.running_calls import SETTLING_S, SILENCE_S
from tests.agents.switch import Switch, shown
from tests.world import HARARE, LONDON, US, T, World, at

POOL = "MCOPSTN5/US-PR/2025-03"


def credits_only(funds: str) -> Switch:
    """A switch of a tenant whose user has nothing but credits."""
    return Switch(World(funds=funds).user("ada", "US", "MCOPSTNPP"))


def two_minutes_left(funds: str | None) -> Switch:
    """A switch of a tenant whose pool of 120 minutes is used up to the last two."""
    world = World(funds=funds).user("ada", "US", "MCOPSTN5", "MCOPSTNPP")
    world.call(US, 118 * 60)
    return Switch(world)


def test_a_call_reserves_up_to_its_silence() -> None:
    """A call that began just now reserves 90 s, two minutes of 0.2; after a heartbeat at 60 s 150 s, three minutes."""
    switch = credits_only("10")
    switch.start("a", HARARE)
    assert switch.running.reserved(T) == Reserved(400_000)
    switch.wait(60)
    switch.beat("a", HARARE)
    assert switch.running.reserved(T) == Reserved(600_000)


def test_never_more_than_is_authorised() -> None:
    """0.2 pays for one minute: that is reserved, and another call is answered that everything is reserved."""
    switch = credits_only("0.2")
    switch.start("a", HARARE)
    assert switch.running.reserved(T) == Reserved(200_000)
    assert switch.may(HARARE) == ("credit_reserved", 0)


def test_pools_are_reserved_first() -> None:
    """Two minutes are left: the first call reserves both; the second reserves 0.02 of credit."""
    switch = two_minutes_left("1")
    switch.start("a", US)
    assert switch.running.reserved(T) == Reserved(0, {POOL: 2})
    switch.start("b", US)
    assert switch.running.reserved(T) == Reserved(20_000, {POOL: 2})
    assert switch.may(US) == ("credit", 98 * 60)


def test_a_call_that_goes_whole_to_credits_reserves_money_only() -> None:
    """A3: up to two minutes the pool covers it; three are 3 x 0.01 of credit, and no minute of the pool."""
    world = World(funds="10", straddle="whole_to_credits").user("ada", "US", "MCOPSTN5", "MCOPSTNPP")
    world.call(US, 118 * 60)
    switch = Switch(world)
    switch.start("a", US)
    assert switch.running.reserved(T) == Reserved(0, {POOL: 2})
    switch.wait(60)
    switch.beat("a", US)
    assert switch.running.reserved(T) == Reserved(30_000)


def test_only_pools_that_are_needed_are_reserved() -> None:
    """A21: two minutes are there in the first of two pools; nothing is held of the second."""
    quoted = Quote(why=Why.POOL, seconds=600, pools=(("first", 2), ("second", 8)))
    assert quoted.reservation(90) == Reserved(0, {"first": 2})
    assert quoted.reservation(121) == Reserved(0, {"first": 2, "second": 1})


def test_the_end_of_a_call_is_ordered_once() -> None:
    """An end that comes again, or of an unknown call, changes nothing."""
    switch = credits_only("10")
    assert switch.end("unknown", HARARE) == []
    switch.start("a", HARARE)
    switch.wait(30)
    switch.end("a", HARARE)
    before = msgspec.json.encode(switch.running.standing())
    switch.wait(10)
    assert switch.end("a", HARARE) == []
    assert msgspec.json.encode(switch.running.standing()) == before
    assert switch.running.service_changed(T, "suspended", switch.now) == []


def test_reservations_expire_by_themselves() -> None:
    """A call has no event for 90 s: it is dropped, and no switch is ordered to end it."""
    switch = credits_only("10")
    switch.start("a", HARARE)
    assert switch.wait(SILENCE_S - 1) == []
    assert switch.running.reserved(T) == Reserved(400_000)
    assert switch.wait(1) == []
    assert (switch.running.reserved(T), len(switch.running)) == (Reserved(), 0)


def test_what_an_ended_call_used_stays_reserved_for_a_while() -> None:
    """61 s are two minutes, 0.4; they stay until the call's record has had time to be rated."""
    switch = credits_only("10")
    switch.start("a", HARARE)
    switch.wait(61)
    switch.end("a", HARARE)
    assert switch.running.reserved(T) == Reserved(400_000)
    switch.wait(SETTLING_S)
    assert switch.running.reserved(T) == Reserved()


def test_an_ended_call_does_not_come_back() -> None:
    """The switch sends its start again, 80 s later: old events are accepted for that long, but this call is over."""
    switch = credits_only("10")
    repeated = switch.event("a", "started", HARARE)
    switch.start("a", HARARE)
    switch.wait(5)
    switch.end("a", HARARE)
    switch.wait(75)
    assert switch.running.apply(repeated, switch.now) == []
    assert switch.running.reserved(T) == Reserved()


def test_time_used_up() -> None:
    """Worked example 4: 1.0 at 0.2 is authorised for 300 s, and ended at 300 s."""
    switch = credits_only("1")
    orders = switch.start("a", HARARE)
    for _ in range(9):
        orders += switch.wait(30) + switch.beat("a", HARARE)
    assert orders == []
    assert shown(switch.wait(29)) == []
    assert shown(switch.wait(1)) == [("a", "credit_used_up", 300)]


def test_a_recharge_comes_in_time() -> None:
    """The same, and at 200 s another 0.2 is bought: one minute more."""
    switch = credits_only("1")
    switch.start("a", HARARE)
    for beat in range(10):
        assert switch.wait(30) == []
        if beat == 7:
            switch.world.fund("0.2", "2025-03-10 12:04")
        assert switch.beat("a", HARARE) == []
    switch.wait(30)
    switch.beat("a", HARARE)
    assert shown(switch.wait(30)) == [("a", "credit_used_up", 360)]


def test_credit_runs_out_longest_authorised_first() -> None:
    """Another call's record takes the balance below zero: running calls end where they are, at most so is billed."""
    switch = credits_only("10")
    switch.start("harare", HARARE)
    switch.wait(5)
    switch.start("london", LONDON)
    switch.start("911", "911")
    switch.start("inbound", "+12065550199", type="user_in", calling=US)
    switch.start("toll-free", "+18005550199", type="user_in", calling=US, toll_free=True)
    switch.wait(40)
    switch.world.call(HARARE, 50 * 60)
    assert "credits.suspended" in switch.world.events
    orders = switch.running.service_changed(T, "suspended", switch.now)
    suspended = "credits_suspended"
    assert shown(orders) == [("toll-free", suspended, 40), ("london", suspended, 40), ("harare", suspended, 45)]
    assert switch.running.service_changed(T, "suspended", switch.now) == []
    assert switch.may(LONDON) == (suspended, 0)


def test_pool_funded_calls_go_on_to_the_end_of_the_pool() -> None:
    """Rule 54: suspended, a call has its pool minutes all the same, and is ended when they are used."""
    switch = two_minutes_left("1")
    switch.start("a", US)
    switch.world.call(HARARE, 5 * 60)
    assert switch.running.service_changed(T, "suspended", switch.now) == []
    assert switch.wait(60) == switch.beat("a", US) == []
    assert shown(switch.wait(60)) == [("a", "credits_suspended", 120)]


def test_started_without_asking() -> None:
    """A switch that does not ask, or is slow: a call that nothing covers is ended at its first event."""
    assert shown(credits_only("0.1").start("a", HARARE)) == [("a", "credit_used_up", 0)]
    switch = Switch(World(funds=None).user("ada", "US", "MCOPSTNPP"))
    assert shown(switch.beat("b", HARARE, began="2025-03-10 11:58:20")) == [("b", "credits_suspended", 100)]


def test_who_may_not_spend_credits_is_left_alone() -> None:
    """No order for a call that credit never paid for: its switch has how long it may last."""
    switch = Switch(World(funds=None).user("ada", "US", "MCOPSTN5"))
    assert switch.start("a", LONDON) == switch.start("b", LONDON, user="zoe") == []
    assert switch.start("c", "no number") == []
    assert switch.running.service_changed(T, "suspended", switch.now) == []


def test_an_order_is_repeated_while_the_call_goes_on() -> None:
    """The switch may not have read it: the same order, with the same id, at each heartbeat."""
    switch = credits_only("0.2")
    switch.start("a", HARARE)
    (order,) = switch.wait(60)
    switch.wait(5)
    assert switch.beat("a", HARARE) == [order]
    switch.wait(2)
    assert switch.end("a", HARARE) == []
    assert switch.running.reserved(T) == Reserved(200_000)


def test_an_order_has_the_same_id_in_every_process() -> None:
    """Ids are made from tenant and usage id; what was ordered is what the record carries."""
    one, other = (order_given(credits_only("0.1")) for _ in range(2))
    assert one.id == other.id
    assert (one.tenant, one.user, one.command) == (T, "ada", "disconnect")


def order_given(switch: Switch) -> CallCommand:
    (order,) = switch.start("a", HARARE)
    return order


def test_a_record_with_the_authorised_seconds_costs_no_more() -> None:
    """Worked example 4 (b), A22: the hang-up took 5 s longer than the 300 authorised; 1.0 - 5 * 0.2 = 0."""
    switch = credits_only("1")
    began = switch.now
    switch.start("a", HARARE)
    orders = []
    for _ in range(10):
        orders += switch.wait(30) + switch.beat("a", HARARE)
    (order, *repeated) = orders
    assert repeated == [order]
    switch.world.call(HARARE, 305, f"{began:%Y-%m-%d %H:%M:%S}", authorized_s=order.authorized_s)
    assert switch.world.balance == "0"


def test_old_events_are_history() -> None:
    """A process that starts reads the topic from its beginning: what is older than the silence is gone."""
    switch = credits_only("10")
    event = switch.event("a", "started", HARARE)
    assert switch.running.apply(event, switch.now + timedelta(seconds=SILENCE_S)) == []
    assert len(switch.running) == 0


def test_a_clock_that_is_ahead_gains_nothing() -> None:
    """A heartbeat from the future counts as of now, so its call is forgotten as any other."""
    switch = credits_only("10")
    early = switch.now
    switch.now = at("2025-03-10 18:00")
    event = switch.event("a", "started", HARARE)
    switch.now = early
    switch.running.apply(event, switch.now)
    switch.wait(SILENCE_S)
    assert len(switch.running) == 0


def test_heartbeats_add_nothing_to_what_is_watched() -> None:
    """However many events a call has, there is one instant at which to look at it."""
    switch = credits_only("10")
    switch.start("a", HARARE)
    for _ in range(10):
        switch.wait(5)
        switch.beat("a", HARARE)
    assert len(switch.running._watch) == 1


def test_a_closed_tenant_is_left_with_no_call_but_for_help() -> None:
    """The rule closing, rule 23: whatever covers them, running calls are ended, and are billed up to the closing."""
    switch = Switch(World(funds="10").user("ada", "US", "MCOPSTN5", "MCOPSTNPP"))
    switch.start("credit", HARARE)
    switch.start("pool", US)
    switch.start("inbound", "+12065550199", type="user_in", calling=US)
    switch.start("911", "911")
    switch.wait(40)
    switch.world.close("2025-03-10 12:00:40")
    orders = switch.running.service_changed(T, switch.world.account.service, switch.now)
    assert sorted(shown(orders)) == [(call, "tenant_closed", 40) for call in ("credit", "inbound", "pool")]
    assert switch.running.service_changed(T, "closed", switch.now) == []
    assert switch.may(US) == ("tenant_closed", 0)
    assert switch.may("911") == ("emergency", 86_400)
    assert shown(switch.start("asked nobody", US)) == [("asked nobody", "tenant_closed", 0)]


def test_a_suspended_tenant_is_closed() -> None:
    """The rule closing: its calls were looked at when the credit ran out; now those with minutes end, too."""
    switch = Switch(World(funds=None).user("ada", "US", "MCOPSTN5"))
    switch.start("pool", US)
    assert switch.running.service_changed(T, "suspended", switch.now) == []
    switch.wait(20)
    switch.world.close("2025-03-10 12:00:20")
    assert shown(switch.running.service_changed(T, "closed", switch.now)) == [("pool", "tenant_closed", 20)]
