"""The laws of authorisation and of running calls: hypothesis looks for the history that breaks one."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rater.core.authorization import Answer, authorize
from rater.core.call_control import CallCommand
from rater.core.entities import Spent, User
from rater.core.money import format_amount, format_micros
from rater.core.outputs import RatedCall
from rater.core.quotes import Reserved
from rater.core.reasons import Outcome
from rater.core.ringing import RINGING_S
from rater.core.running_calls import SILENCE_S, RunningCalls, Standing
from rater.core.tariff import Rate, affordable_seconds, charge
from tests.agents.switch import A_DAY, LONGEST, NOON, Switch, may, question
from tests.world import GB_SPECIAL, HARARE, JAMAICA, LONDON, NOWHERE, PARIS, ROME, TOKYO, US, T, World, at

CALLED = (US, US, LONDON, PARIS, HARARE, JAMAICA, ROME, TOKYO, GB_SPECIAL, NOWHERE)
SKUS = ("MCOPSTN1", "MCOPSTN5", "MCOPSTN2", "MCOPSTN8", "MCOPSTNPP", "MCOMEETADV")
money = st.integers(1, 3_000_000)
STRADDLE = ("split", "whole_to_credits")


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A tenant after a few calls: some of its minutes are used, and some of its money, or more."""
    funds = draw(st.none() | money)
    world = World(
        funds=format_micros(funds) if funds else None,
        conferencing_licenses=1,
        straddle=draw(st.sampled_from(STRADDLE)),
        linked_caps=draw(st.booleans()),
        conf_fallback_to_calling_plan=draw(st.booleans()),
    )
    for user in ("ada", "bob"):
        world.user(user, draw(st.sampled_from(["US", "GB"])), *draw(st.sets(st.sampled_from(SKUS))))
    for seconds in draw(st.lists(st.sampled_from([60, 1000, 7000, 35_000, 170_000]), max_size=4)):
        world.cdr(draw(st.sampled_from(CALLED)), seconds, user=draw(st.sampled_from(["ada", "bob"])))
    return world


kinds = st.sampled_from(["user_out", "user_out", "conf_out", "ucap_in", "dr_out", "user_in"])


@given(worlds(), st.sampled_from(CALLED), st.sampled_from(["ada", "bob"]), kinds, st.data())
def test_what_is_authorised_is_carried(
    world: World, called: str, user: str, type: str, data: st.DataObject
) -> None:
    """A call of at most the authorised seconds never takes the balance below zero; one second more does not fit."""
    call: dict[str, Any] = {"user": user, "type": type, "toll_free": type == "ucap_in"}
    _, seconds = may(world, called, **call)
    before = world.account.balance
    more = 0 < seconds < LONGEST and data.draw(st.booleans())
    lasts = (
        seconds if more else data.draw(st.sampled_from([seconds, seconds - 1, 1]) | st.integers(1, max(1, seconds)))
    )
    if not 1 <= lasts <= seconds:
        return
    assert world.cdr(called, lasts + more, "2025-03-10 12:00", **call) is Outcome.RATED
    unfunded = [output.unfunded_charge for output in world.outputs if hasattr(output, "unfunded_charge")]
    if more:
        assert world.account.balance < 0 or unfunded != ["0"]
    else:
        assert world.account.balance >= min(0, before)
        assert unfunded == ["0"]


@given(worlds(), st.sampled_from(CALLED), st.sampled_from(["ada", "bob"]), kinds, st.integers(1, 30_000))
def test_the_price_before_a_call_is_that_of_its_record(
    world: World, called: str, user: str, type: str, seconds: int
) -> None:
    """Minutes, pockets, charge and connection fee, to the micro-unit, also where the call may not start."""
    call: dict[str, Any] = {"user": user, "type": type, "toll_free": type == "ucap_in"}
    answer = authorize(
        world.engine.committed(), world.engine.rules, question(called, **call), at(NOON), length_s=seconds
    )
    assert isinstance(answer, Answer)
    cost = answer.cost
    assert cost is not None
    assert world.cdr(called, seconds, NOON, **call) is Outcome.RATED
    (rated,) = [output for output in world.outputs if isinstance(output, RatedCall)]
    assert (cost.minutes, format_amount(cost.charge)) == (rated.minutes, rated.charge)
    assert (format_amount(cost.fee), format_amount(cost.unfunded)) == (rated.connection_fee, rated.unfunded_charge)
    assert cost.segments == tuple(msgspec.structs.replace(part, lots=()) for part in rated.segments)
    assert cost.anomalies == rated.anomalies


@given(worlds(), st.sampled_from(["911", "933"]), st.sampled_from(["ada", "zoe", None]), money)
def test_emergency_is_always_allowed(world: World, called: str, user: str | None, reserved: int) -> None:
    """Rule 23, A36: whatever happened, whoever calls, whatever runs; 933 is American (A38)."""
    ada = world.memory.load("user", (T, "ada"))
    assert isinstance(ada, User)
    if ada.timeline[-1].country == "GB":
        called = "999"
    assert may(world, called, user=user, reserved=Reserved(reserved)) == ("emergency", A_DAY)


@given(worlds(), st.sampled_from(CALLED), money, st.integers(1, 200))
def test_more_reserved_is_never_more_authorised(world: World, called: str, reserved: int, minutes: int) -> None:
    """What others may use up is not there."""
    pools = {"MCOPSTN5/US-PR/2025-03": minutes, "MCOPSTN1/US-PR/2025-03": minutes}
    assert may(world, called, reserved=Reserved(reserved, pools))[1] <= may(world, called)[1]


@given(
    worlds(),
    st.lists(st.tuples(st.sampled_from(CALLED), st.sampled_from(["ada", "bob"])), min_size=1, max_size=12),
    st.none() | st.integers(1, 3_000_000),
    st.data(),
)
def test_what_is_allowed_at_one_instant_is_carried_together(
    world: World, asked: list[tuple[str, str]], limit: int | None, data: st.DataObject
) -> None:
    """A50: each lasts as long as it reserves, or less; together they leave the balance and the limit above zero."""
    if limit is not None:
        world.brake("all", "tenant", format_micros(limit), "stop", at=at("2025-03-10 11:00"))
    switch = Switch(world, NOON)
    allowed = []
    for number, (called, user) in enumerate(asked):
        for _ in range(data.draw(st.integers(1, 2))):
            _, seconds = switch.ask(str(number), called, user=user)
        if seconds:
            allowed.append((called, user, data.draw(st.integers(1, min(seconds, SILENCE_S)))))
    before, reserved = world.account.balance, switch.ringing.reserved(T).money
    assert reserved <= max(0, before)
    for called, user, lasts in allowed:
        assert world.cdr(called, lasts, NOON, user=user) is Outcome.RATED
    assert world.account.balance >= before - reserved
    found = world.memory.load("spent", (T, "tenant/"))
    if isinstance(found, Spent):
        assert limit is not None
        assert found.windows[-1].spent <= limit
    switch.wait(RINGING_S)
    switch.may(LONDON)
    assert (len(switch.ringing), switch.ringing.reserved(T)) == (0, Reserved())


@given(
    st.integers(0, 2_000_000),
    st.integers(0, 500_000),
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(0, 50_000_000),
)
def test_affordable_seconds(price: int, fee: int, first_s: int, next_s: int, amount: int) -> None:
    """They cost at most the amount, and one second more costs more, unless nothing longer was asked for."""
    rate = msgspec.structs.replace(_ANY_RATE, price=price, fee=fee, first_s=first_s, next_s=next_s)
    seconds = affordable_seconds(rate, amount, 10_000)
    assert 0 <= seconds <= 10_000
    assert not seconds or charge(rate, seconds) + fee <= amount
    assert seconds == 10_000 or charge(rate, seconds + 1) + fee > amount


_ANY_RATE = Rate(
    deck="d", prefix="39", destination="Italy", country="IT", type="landline", price=1, price_text="", fee=0,
    first_s=60, next_s=60, increments="", valid_from=at("2025-01-01"), valid_to=at("2026-01-01"),
)  # fmt: skip

BEAT_S = 30
Planned = tuple[int, int, tuple[str, str]]
#: (starts at this beat, lasts so many beats, user, number); ada has 20 minutes and credits, bob only credits.
planned_calls = st.lists(
    st.tuples(
        st.integers(0, 12), st.integers(0, 25), st.sampled_from([("ada", US), ("bob", HARARE), ("bob", LONDON)])
    ),
    min_size=1,
    max_size=8,
)


class Exchange:
    """A switch that asks before each call, sends an event every half minute, obeys at once, and sends the record."""

    def __init__(self, funds: str) -> None:
        self.world = World(funds=funds).user("ada", "US", "MCOPSTN5", "MCOPSTNPP").user("bob", "US", "MCOPSTNPP")
        self.world.call(US, 100 * 60, user="ada")
        self.switch = Switch(self.world)
        self.began: dict[str, tuple[str, str, int]] = {}
        self.beat = 0
        self.orders: list[CallCommand] = []

    def restart(self) -> None:
        """Another process goes on from what the first wrote down."""
        written = msgspec.msgpack.encode(self.switch.running.standing())
        self.switch.running = RunningCalls(self.switch.quote, msgspec.msgpack.decode(written, type=Standing))

    def dial(self, id: str, user: str, called: str) -> None:
        """Start a call if it may."""
        if self.switch.may(called, user=user)[1]:
            self.began[id] = (user, called, self.beat)
            self.obey(self.switch.start(id, called, user=user))

    def obey(self, orders: list[CallCommand]) -> None:
        """Hang up at once."""
        self.orders += orders
        for order in orders:
            self.hang_up(order.usage_id, order.authorized_s)

    def hang_up(self, id: str, authorized_s: int | None = None) -> None:
        """The call ends, and its record arrives."""
        user, called, began = self.began.pop(id)
        self.switch.end(id, called, user=user)
        lasted = (self.beat - began) * BEAT_S
        answered = self.switch.now - timedelta(seconds=lasted)
        if lasted or authorized_s:
            self.world.cdr(
                called, lasted, f"{answered:%Y-%m-%d %H:%M:%S}", user=user, authorized_s=authorized_s, id=id
            )
        account = self.world.account
        self.obey(self.switch.running.service_changed(T, account.service, self.switch.now))

    def next_beat(self) -> None:
        """Half a minute passes; every call sends a heartbeat."""
        self.beat += 1
        self.switch.now += timedelta(seconds=BEAT_S)
        self.obey(self.switch.running.due(self.switch.now))
        for id, (user, called, _) in list(self.began.items()):
            if id in self.began:
                self.obey(self.switch.beat(id, called, user=user))


@settings(max_examples=200)
@given(planned_calls, st.integers(10_000, 2_000_000))
def test_running_calls_together_cost_no_more_than_there_is(calls: list[Planned], funds: int) -> None:
    """Switches that ask, send events and obey never take a balance below zero, however many calls run at once."""
    exchange = Exchange(format_micros(funds))
    for beat in range(40):
        for number, (start, _, (user, called)) in enumerate(calls):
            if start == beat:
                exchange.dial(f"call-{number}", user, called)
        for number, (start, lasts, _) in enumerate(calls):
            if start + lasts == beat and f"call-{number}" in exchange.began:
                exchange.hang_up(f"call-{number}")
        assert exchange.world.account.balance >= 0
        exchange.next_beat()
    assert not exchange.began
    exchange.switch.wait(120)
    assert len(exchange.switch.running) == 0
    assert exchange.switch.running.reserved(T) == Reserved()


@given(planned_calls, st.integers(10_000, 2_000_000), st.sets(st.integers(0, 39)))
def test_going_on_from_what_was_written_down(calls: list[Planned], funds: int, restarts: set[int]) -> None:
    """The same orders at the same instants, and the same reserved, whenever another process continues."""
    exchanges = Exchange(format_micros(funds)), Exchange(format_micros(funds))
    for beat in range(40):
        for exchange in exchanges:
            for number, (start, _, (user, called)) in enumerate(calls):
                if start == beat:
                    exchange.dial(f"call-{number}", user, called)
            exchange.next_beat()
        if beat in restarts:
            exchanges[1].restart()
        assert exchanges[0].switch.running.reserved(T) == exchanges[1].switch.running.reserved(T)
    assert exchanges[0].orders == exchanges[1].orders


@given(planned_calls, st.permutations(range(8)))
def test_twice_is_once(calls: list[Planned], order: list[int]) -> None:
    """Events that come again, or after newer ones of their call, change nothing."""
    once = Switch(World(funds="5").user("bob", "US", "MCOPSTNPP"))
    twice = Switch(once.world)
    events = []
    for number, (start, lasts, (_, called)) in enumerate(calls):
        for switch in (once, twice):
            switch.now = switch.now.replace(minute=start, second=number)
        events.append(once.event(f"call-{number}", "started", called, user="bob"))
        if lasts < 12:
            once.now += timedelta(seconds=20)
            events.append(once.event(f"call-{number}", "ended", called, user="bob"))
    events.sort(key=lambda event: event.at)
    latest = events[-1].at
    for event in events:
        once.running.apply(event, latest)
    for event in events:
        twice.running.apply(event, latest)
        for number in order:
            if number < len(events) and events[number].at <= event.at:
                twice.running.apply(events[number], latest)
    assert once.running.reserved(T) == twice.running.reserved(T)
    assert len(once.running) == len(twice.running)


@pytest.mark.parametrize("service", ["suspended", "active"])
@given(calls=st.lists(st.sampled_from(["emergency", "internal", "toll", "pool", "trunk"]), max_size=6))
def test_who_is_never_ended(service: str, calls: list[str]) -> None:
    """Rules 23, 40, 54: emergency, internal, toll inbound, direct routing and pool-funded calls go on."""
    world = World(funds=None).user("ada", "US", "MCOPSTN1", "MCOPSTNPP")
    world.configure("2025-03-02", domains=("contoso.example",))
    switch = Switch(world)
    what: dict[str, dict[str, Any]] = {
        "emergency": {"called": "911"},
        "internal": {"called": "bob@contoso.example"},
        "toll": {"called": "+12065550199", "type": "user_in", "calling": US},
        "pool": {"called": US},
        "trunk": {"called": US, "type": "dr_out"},
    }
    for number, kind in enumerate(calls):
        assert switch.start(f"{number}", **what[kind]) == []
    assert switch.running.service_changed(T, service, switch.now) == []
    for _ in range(4):
        assert switch.wait(30) == []
        for number, kind in enumerate(calls):
            assert switch.beat(f"{number}", **what[kind]) == []
    assert switch.running.reserved(T).money == 0
