"""Brakes before and during calls (A50): what authorisation answers, what running calls reserve, and a fraud.

A minute to Harare costs 0.2; in the fraud a minute to Kiribati costs 3 USD.
"""

import asyncio
from datetime import timedelta
from functools import cache
from typing import Any

import msgspec
import pytest

from rater.agents.call_control import OverSender
from rater.core import calls_at_once, ringing
from rater.core.call_control import CallCommand
from rater.core.calls_at_once import CallsOver
from rater.core.entities import Spent
from rater.core.inputs import DeckActivated, RateDeck, RateRow
from rater.core.money import parse_micros
from rater.core.outputs import RatedCall
from rater.core.quotes import Reserved
from rater.kafka.publisher import NotStored
from tests.agents.switch import Switch, may, shown
from tests.conftest import ROOT
from tests.world import CA, HARARE, LONDON, US, T, World, ada, at

KIRIBATI = "+68642001000"
#: Three countries that nobody of the tenant ever called: by prefix, what they are.
DEAR = {"686": ("Kiribati", "KI"), "688": ("Tuvalu", "TV"), "676": ("Tonga", "TO")}
TUVALU, TONGA = "+68820100", "+67620000"


def test_a_stop_leaves_what_is_left_of_its_limit() -> None:
    """A50: 3 USD a day for each user are 15 minutes; the next day begins anew, another user has a limit of its own."""
    world = ada("MCOPSTNPP").user("bob", "US", "MCOPSTNPP")
    world.brake("daily", "user", "3", "stop")
    assert may(world, HARARE, "2025-03-10 09:00") == ("credit", 900)
    world.call(HARARE, 600, "2025-03-10 10:00")
    assert may(world, HARARE, "2025-03-10 11:00") == ("credit", 300)
    world.call(HARARE, 300, "2025-03-10 12:00")
    assert may(world, HARARE, "2025-03-10 13:00") == ("brake_reached", 0)
    assert may(world, LONDON, "2025-03-10 13:00") == ("brake_reached", 0)
    assert may(world, HARARE, "2025-03-10 13:00", user="bob") == ("credit", 900)
    assert may(world, "911", "2025-03-10 13:00") == ("emergency", 86_400)
    assert may(world, HARARE, "2025-03-11 00:00") == ("credit", 900)


def test_the_rest_of_a_limit_is_for_no_more_than_it_pays() -> None:
    """A50: 0.1 of 3.1 pays for two minutes to London; but what was reached on a dear call is reached for all."""
    world = ada("MCOPSTNPP")
    world.brake("daily", "user", "0.1", "stop")
    assert may(world, HARARE) == ("brake_reached", 0)
    assert may(world, LONDON) == ("credit", 120)
    world.call(HARARE, 60, "2025-03-10 10:00")
    assert may(world, LONDON) == ("brake_reached", 0)


def test_shadow_and_notify_refuse_nothing() -> None:
    """A50."""
    for mode in ("shadow", "notify"):
        world = ada("MCOPSTNPP")
        world.brake("daily", "user", "2", mode)
        world.call(HARARE, 1200, "2025-03-10 10:00")
        assert may(world, HARARE)[0] == "credit"


def test_each_scope_stops_its_own() -> None:
    """A50: calls to Zimbabwe alone, and those to landlines alone, are stopped; minutes of a pool never are."""
    world = ada("MCOPSTN1", "MCOPSTNPP")
    world.brake("zw", "country", "1", "stop", only="ZW")
    world.call(HARARE, 300, "2025-03-10 10:00")
    assert (may(world, HARARE)[0], may(world, LONDON)[0]) == ("brake_reached", "credit")
    world.brake("landlines", "class", "1.1", "stop", at=at("2025-03-10 11:00"))
    world.call(LONDON, 1320, "2025-03-10 11:00")
    assert (may(world, LONDON)[0], may(world, US)[0]) == ("brake_reached", "pool")


def test_calls_from_a_country_leave_calls_to_it_their_limit() -> None:
    """A50: a country is the called one; toll-free calls from Canada cost the tenant 0.25 USD, and none goes there."""
    world = ada("MCOPSTNPP")
    world.brake("each", "country", "0.1", "stop")
    world.brake("kind", "class", "0.1", "stop")
    before = may(world, CA)
    world.call("+18005550100", 600, type="ucap_in", user=None, calling=CA, toll_free=True)
    assert (before[0], may(world, CA, "2025-03-10 12:00")) == ("credit", before)


def test_a_released_stop_refuses_nothing_in_its_window() -> None:
    """A50."""
    world = ada("MCOPSTNPP")
    world.brake("daily", "user", "3", "stop")
    world.call(HARARE, 900, "2025-03-10 10:00")
    world.release("daily", "ada", "2025-03-10 11:00")
    assert may(world, HARARE, "2025-03-10 12:00")[0] == "credit"
    world.call(HARARE, 900, "2025-03-11 10:00")
    assert may(world, HARARE, "2025-03-11 12:00") == ("brake_reached", 0)


def test_running_calls_reserve_of_a_brake() -> None:
    """A50: of 1 USD a day two calls of 90 s reserve 2 x 0.4; one more gets one minute, and then there is nothing."""
    world = ada("MCOPSTNPP")
    world.brake("daily", "user", "1", "stop")
    switch = Switch(world)
    switch.start("a", HARARE)
    switch.start("b", HARARE)
    assert switch.may(HARARE) == ("credit", 60)
    switch.start("c", HARARE)
    assert switch.may(HARARE) == ("brake_reached", 0)
    assert shown(switch.start("d", HARARE)) == [("d", "brake_reached", 0)]
    assert shown(switch.wait(60)) == [("c", "brake_reached", 60)]


def test_what_yesterdays_calls_reserve_is_of_yesterday() -> None:
    """A50: a call that began before midnight counts there; today's limit is whole."""
    world = ada("MCOPSTNPP")
    world.brake("daily", "user", "1", "stop")
    switch = Switch(world, "2025-03-10 23:59:30")
    switch.start("a", HARARE)
    assert switch.may(HARARE) == ("credit", 180)
    switch.wait(30)
    assert switch.may(HARARE) == ("credit", 300)


def test_calls_at_once_are_counted_by_authorisation() -> None:
    """A50: two of a user may run; a third is refused, another user's and one for help are not; an ended one makes room."""
    world = ada("MCOPSTNPP").user("bob", "US", "MCOPSTNPP")
    world.brake("lines", "user", "2", "stop", measure="calls_at_once")
    switch = Switch(world)
    switch.start("a", HARARE)
    assert switch.may(HARARE)[0] == "credit"
    switch.start("b", HARARE)
    assert switch.may(HARARE) == ("calls_at_once", 0)
    assert (switch.may(HARARE, user="bob")[0], switch.may("911")[0]) == ("credit", "emergency")
    switch.wait(10)
    switch.end("a", HARARE)
    assert switch.may(HARARE)[0] == "credit"


class Thief(Switch):
    """A stolen account: a switch that asks before each call, obeys each order, and writes a record of each call."""

    def __init__(self, world: World, named: bool) -> None:
        """`named`: its questions have the usage ids of the calls."""
        super().__init__(world, "2025-03-15 01:00")
        self.named = named
        #: By usage id: whom it calls, and when it began.
        self.calls: dict[str, tuple[str, str]] = {}
        self.rated: list[RatedCall] = []
        self.refused = 0

    def wave(self, number: int, called: str = KIRIBATI) -> None:
        """40 calls are asked for at one instant, and those that may begin do; ten minutes with heartbeats."""
        ids = [f"wave-{number}-{call}" for call in range(40)]
        allowed = [id for id in ids if self.ask(id if self.named else None, called)[1]]
        self.refused += 40 - len(allowed)
        for id in allowed:
            self.calls[id] = called, f"{self.now:%Y-%m-%d %H:%M:%S}"
            self._obey(self.start(id, called))
        for _ in range(20):
            self._obey(self.wait(30))
            for id in list(self.calls):
                self._obey(self.beat(id, called))
        for id in list(self.calls):
            self._finish(id)
        self.now += timedelta(minutes=2)

    def _obey(self, orders: list[CallCommand]) -> None:
        for order in orders:
            self._finish(order.usage_id, order.authorized_s)

    def _finish(self, id: str, authorized_s: int | None = None) -> None:
        if id not in self.calls:
            return
        called, began = self.calls.pop(id)
        self.end(id, called)
        seconds = (self.now - at(began)) // timedelta(seconds=1)
        self.rated.append(self.world.call(called, seconds, began, id=id, authorized_s=authorized_s))


def dear() -> World:
    """10,000 USD, and a price list with three countries at 3 USD a minute."""
    world = World(funds="10000", deck=False).user("ada", "US", "MCOPSTNPP")
    rows = [
        RateRow(
            direction="outbound",
            prefix=prefix,
            destination=destination,
            country=country,
            type="landline",
            price_per_minute="3",
        )
        for prefix, (destination, country) in DEAR.items()
    ]
    world.engine.publish(RateDeck(version="dear", currency="USD", rows=tuple(rows)))
    world.apply(DeckActivated(tenant=T, id="dear", at=at("2025-03-01"), version="dear"))
    return world


@cache
def fraud(mode: str | None, named: bool = False) -> tuple[World, Thief]:
    """40 calls at once to a destination of 3 USD a minute for ten minutes, five times within the hour."""
    world = dear()
    if mode is not None:
        world.brake("stolen", "user", "100", mode)
    thief = Thief(world, named)
    for number in range(5):
        thief.wave(number)
    return world, thief


def line_of(said: str, would_cost: int, world: World, thief: Thief) -> str:
    """A line of a table in the documentation; what it would cost without a brake is USD."""
    cost = sum(parse_micros(call.charge) for call in thief.rated)
    assert cost == 10_000_000_000 - world.account.balance
    over = [parse_micros(call.charge) for call in thief.rated if any(one.over for one in call.brakes)]
    marked = f"{len(over)} calls, {sum(over) // 1_000_000:,} USD" if over else "-"
    connected = sum(call.minutes > 0 for call in thief.rated)
    saved = would_cost - cost // 1_000_000
    return f"| {said} | {connected} | {cost // 1_000_000:,} | {marked} | {saved:,} |"


@pytest.mark.parametrize(
    ("mode", "named"), [(None, False), ("shadow", False), ("notify", False), ("stop", False), ("stop", True)]
)
def test_the_table_of_a_fraud_holds(mode: str | None, named: bool) -> None:
    """A50: what each mode does against a stolen account stands in the documentation."""
    line = line_of(mode or "no brake", 6_000, *fraud(mode, named))
    assert line in (ROOT / "docs" / "billing.md").read_text()


@pytest.mark.parametrize(("mode", "limit"), [(None, ""), ("shadow", "0"), ("stop", "10"), ("stop", "0")])
def test_the_table_of_a_fraud_in_new_countries_holds(mode: str | None, limit: str) -> None:
    """A50: a stolen account calls three countries that it never called, 40 calls at once to each, ten minutes at 3 USD."""
    world = dear()
    if mode is not None:
        world.brake("abroad", "user", limit, mode, measure="new_countries")
    thief = Thief(world, named=False)
    for number, called in enumerate([KIRIBATI, TUVALU, TONGA]):
        thief.wave(number, called)
    said = f"{mode}, limit {limit}" if mode else "no brake"
    assert line_of(said, 3_600, world, thief) in (ROOT / "docs" / "billing.md").read_text()


@pytest.mark.parametrize("named", [False, True])
def test_forty_calls_at_once_spend_no_more_than_the_limit_together(named: bool) -> None:
    """A50: 40 calls that were asked for at the same instant do not each get the whole rest."""
    world, thief = fraud("stop", named)
    found = world.engine.committed().load("spent", (T, "user/ada"))
    assert isinstance(found, Spent)
    assert 90_000_000 < found.windows[0].spent <= 100_000_000
    if not named:
        assert thief.refused == 120  # the third wave and later ones; in the second 49 USD were left


def test_of_forty_questions_at_one_instant_the_limit_is_divided() -> None:
    """A50: a call reserves its first 90 s, which are 2 x 3 USD: 100 pay for 16, and a minute of one more."""
    world = dear()
    world.brake("stolen", "user", "100", "stop")
    switch = Switch(world)
    answers = [switch.ask(f"call-{number}", KIRIBATI) for number in range(40)]
    assert [seconds > 0 for _, seconds in answers] == [True] * 17 + [False] * 23
    assert (answers[15][1] >= 90, answers[16], answers[17]) == (True, ("credit", 60), ("brake_reached", 0))
    assert switch.ringing.reserved(T).money == 99_000_000
    assert switch.ask("call-0", KIRIBATI)[0] == "credit", "the same question again reserves once"
    assert switch.ringing.reserved(T).money <= 99_000_000


def test_a_ringing_call_reserves_until_it_begins_or_its_time_is_over() -> None:
    """A50: two of a user at once; a ringing call counts, once for each call, for 60 seconds or until an event comes."""
    world = ada("MCOPSTNPP")
    world.brake("lines", "user", "2", "stop", measure="calls_at_once")
    switch = Switch(world)
    assert [switch.ask(id, HARARE)[0] for id in ("a", "a", "b", "c")] == [
        "credit",
        "credit",
        "credit",
        "calls_at_once",
    ]
    assert switch.ask("911", "911")[0] == "emergency"
    switch.start("a", HARARE)
    assert switch.ask("c", HARARE)[0] == "calls_at_once", "one runs, one rings"
    switch.end("b", HARARE)
    assert switch.ask("c", HARARE)[0] == "credit", "b was not answered, which its switch reports"
    switch.wait(59)
    assert switch.ask("d", HARARE)[0] == "calls_at_once"
    switch.wait(1)
    assert switch.ask("d", HARARE)[0] == "credit", "c rang for 60 seconds"


@pytest.mark.parametrize("mode", ["shadow", "notify", "stop"])
def test_calls_beyond_a_limit_are_counted_in_each_mode(mode: str) -> None:
    """A50: one may run; three more are asked for, each once; only `stop` refuses; calls for help are not counted."""
    world = ada("MCOPSTNPP")
    world.brake("lines", "user", "1", mode, measure="calls_at_once")
    switch = Switch(world)
    answers = [switch.ask(id, HARARE)[0] for id in ("a", "b", "c", "d")]
    switch.ask("help", "911")
    assert answers == ["credit", *(["calls_at_once"] * 3 if mode == "stop" else ["credit"] * 3)]
    if mode != "stop":
        switch.ask("d", HARARE)
        switch.start("d", HARARE)
        switch.ask("d", HARARE)
    found = switch.ringing.over.pop(switch.now, lambda: "id")
    most = 2 if mode == "stop" else 4
    assert [(one.brake, one.subject, one.calls, one.most) for one in found] == [("lines", "ada", 3, most)]
    assert switch.ringing.over.pop(switch.now, lambda: "id") == []


def test_of_so_many_subjects_calls_are_counted_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """COUNTED_MAX; those that are counted go on."""
    monkeypatch.setattr(calls_at_once, "COUNTED_MAX", 2)
    over = CallsOver()
    for subject in ("a", "b", "c", "a"):
        over.count(T, [(f"lines/now/user/{subject}", 3)])
    assert [(one.subject, one.calls) for one in over.pop(at("2025-03-10"), lambda: "id")] == [("a", 2), ("b", 1)]


def test_a_command_that_kafka_does_not_store_is_sent_again() -> None:
    """A50: with the same id, until it is stored; what is counted meanwhile comes after it."""
    sent: list[dict[str, Any]] = []
    fails = [True]

    async def publish(topic: str, tenant: str, value: bytes) -> None:
        sent.append({"topic": topic, "key": tenant, **msgspec.json.decode(value)})
        if fails[0]:
            raise NotStored(topic, TimeoutError())

    async def play() -> None:
        over = CallsOver()
        sender = OverSender(publish, over)
        over.count(T, [("lines/now/user/ada", 3)])
        await sender.send(at("2025-03-10"))
        over.count(T, [("lines/now/user/ada", 4)])
        fails[0] = False
        for _ in range(3):
            await sender.send(at("2025-03-10"))

    asyncio.run(play())
    assert [(one["topic"], one["key"], one["calls"], one["most"]) for one in sent] == [
        ("commands", T, 1, 3),
        ("commands", T, 1, 3),
        ("commands", T, 1, 4),
    ]
    assert [one["id"] == sent[0]["id"] for one in sent] == [True, True, False]


def test_what_begins_reserves_as_much_as_it_did_while_it_rang() -> None:
    """A50: nothing is free for another call between the answer and the event; then it reserves as a running call."""
    world = dear()
    world.brake("stolen", "user", "100", "stop")
    switch = Switch(world)
    for number in range(17):
        switch.ask(f"call-{number}", KIRIBATI)
    rang = switch.ringing.reserved(T).money
    for number in range(17):
        assert switch.start(f"call-{number}", KIRIBATI) == []
        assert switch.ask("other", KIRIBATI) == ("brake_reached", 0)
    assert (switch.running.reserved(T).money, len(switch.ringing)) == (rang, 0)
    assert switch.ask("call-0", KIRIBATI) == ("brake_reached", 0), "a call that runs does not ring again"


def test_credit_is_divided_like_a_limit() -> None:
    """Without brakes: 1 USD pays 5 minutes to Harare; two calls reserve 2 minutes each, a third has one."""
    switch = Switch(ada("MCOPSTNPP", funds="1"))
    answers = [switch.ask(id, HARARE) for id in ("a", "b", "c", "d")]
    assert answers == [("credit", 300), ("credit", 180), ("credit", 60), ("credit_reserved", 0)]


def test_so_many_ring_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more than RINGING_MAX calls the oldest no longer reserve; nothing is left once their time is over."""
    monkeypatch.setattr(ringing, "RINGING_MAX", 3)
    switch = Switch(ada("MCOPSTNPP"))
    for number in range(10):
        switch.ask(f"call-{number}", HARARE)
    assert (len(switch.ringing), switch.ringing.reserved(T).money) == (3, 3 * 400_000)
    switch.wait(60)
    switch.may(HARARE)
    assert (len(switch.ringing), switch.ringing.reserved(T)) == (0, Reserved())
