"""Orders on their way: given again until the switch confirms or the call is over; never to two switches."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from rater.agents.switches.carriage import AGAIN_AFTER_S, Carriage
from rater.core.call_control import CallCommand, CallHandles
from rater.ops.metrics.labels import NO_SWITCH, OrderResult
from rater.ops.metrics.meter import Metrics
from tests.agents.pretending import AT, PretendedSwitch, order, pretending


class Night:
    """Switches, orders to them, and a clock that is set by hand."""

    def __init__(self, switches: list[PretendedSwitch], folder: Path, **more: dict[str, Any]) -> None:
        self.now_s = 1_000.0
        self.metrics = Metrics(CollectorRegistry())
        self.finished: list[str] = []
        entries = [switch.entry(folder, **more.get(switch.name.replace("-", "_"), {})) for switch in switches]
        self.carriage = Carriage(entries, self.metrics, lambda: AT, lambda: self.now_s, lambda: 1.0)

    def order(self, given: CallCommand) -> None:
        """An order is read; what is finished is noted by its usage id."""
        self.carriage.add(given, lambda: self.finished.append(given.usage_id))

    async def look(self, after_s: float = 0.0) -> int:
        """Time passes, and what is due is given; how many orders were."""
        self.now_s += after_s
        begun = self.carriage.look()
        await asyncio.gather(*begun, return_exceptions=True)
        return len(begun)

    def counted(self, switch: str) -> dict[str, float]:
        """The outcomes of orders to a switch."""
        found: dict[str, float] = {}
        for result in OrderResult:
            labels = {"switch": switch, "result": result.value}
            value = self.metrics.registry.get_sample_value("rater_switch_orders_total", labels)
            found |= {result.value: value} if value else {}
        return found


Play = Callable[[Night, PretendedSwitch], Awaitable[None]]


def night(play: Play, folder: Path, *calls: str, **more: Any) -> None:
    """Play with one FreeSWITCH that has these calls."""

    async def run() -> None:
        async with pretending("freeswitch", *calls) as switch:
            found = Night([switch], folder, freeswitch_1=more)
            async with found.carriage:
                await play(found, switch)

    asyncio.run(run())


def test_an_order_is_given_once_where_it_is_obeyed(tmp_path: Path) -> None:
    """The same order may come again at once, by the next heartbeat: it was confirmed just now."""

    async def play(night: Night, switch: PretendedSwitch) -> None:
        night.order(order())
        assert await night.look() == 1
        night.order(order())
        assert await night.look(1) == 0
        assert (switch.ended, night.finished) == (["leg-call-1"], ["call-1", "call-1"])
        assert night.counted(switch.name) == {"obeyed": 1}

    night(play, tmp_path, "leg-call-1")


def test_an_order_is_given_again_with_longer_waits(tmp_path: Path) -> None:
    """Waits of 0.5, 1, 2 and then 2 s, by chance at least half of each; then the switch obeys."""

    async def play(night: Night, switch: PretendedSwitch) -> None:
        switch.fails = "error"
        night.order(order())
        assert await night.look() == 1
        for wait_s in (0.5, 1, 2, 2):
            assert await night.look(wait_s - 0.1) == 0
            assert await night.look(0.1) == 1
        switch.fails = None
        assert await night.look(2) == 1
        assert switch.ordered == ["leg-call-1"] * 6
        assert night.counted(switch.name) == {"obeyed": 1}
        assert (night.carriage.waiting, night.finished) == (0, ["call-1"])

    night(play, tmp_path, "leg-call-1", retry_wait_max_s=2)


def test_an_order_that_is_never_obeyed_fails(tmp_path: Path) -> None:
    """After 10 s there is nothing more to do, but for a heartbeat of the call: it brings the order again."""

    async def play(night: Night, switch: PretendedSwitch) -> None:
        switch.fails = "error"
        night.order(order())
        await night.look()
        await night.look(10)
        assert (night.counted(switch.name), night.finished) == ({"failed": 1}, ["call-1"])
        assert await night.look(3_600) == 0
        switch.fails = None
        night.order(order())
        assert await night.look() == 1
        assert night.counted(switch.name) == {"failed": 1, "obeyed": 1}

    night(play, tmp_path, "leg-call-1", give_up_after_s=10)


def test_a_call_that_goes_on_although_the_switch_confirmed_is_ordered_again(tmp_path: Path) -> None:
    """A heartbeat after the confirmation brings the order again; the switch is asked again."""

    async def play(night: Night, switch: PretendedSwitch) -> None:
        night.order(order())
        await night.look()
        night.now_s += AGAIN_AFTER_S
        night.order(order())
        assert await night.look() == 1
        assert night.counted(switch.name) == {"obeyed": 1, "gone": 1}

    night(play, tmp_path, "leg-call-1")


@pytest.mark.parametrize("when", ["before", "while it waits", "after"])
def test_a_call_that_is_over_needs_no_order(when: str, tmp_path: Path) -> None:
    """Its end comes before the order, between two attempts, or after the switch confirmed."""

    async def play(night: Night, switch: PretendedSwitch) -> None:
        if when == "before":
            night.carriage.ended("contoso", "CALL-1".lower())
        switch.fails = "error" if when == "while it waits" else None
        night.order(order())
        await night.look()
        night.carriage.ended("contoso", "call-1")
        night.order(order())
        assert await night.look(3_600) == 0
        assert len(switch.ordered) == (0 if when == "before" else 1)
        expected = {"before": {}, "while it waits": {"ended": 1}, "after": {"obeyed": 1}}
        assert night.counted(switch.name) == expected[when]
        assert night.finished == ["call-1"] * 2

    night(play, tmp_path, "leg-call-1")


def test_an_order_that_lacks_what_the_switch_needs_fails_at_once(tmp_path: Path) -> None:
    """Giving it again would change nothing."""

    async def play(night: Night, switch: PretendedSwitch) -> None:
        night.order(order(call_id=None))
        await night.look()
        assert (night.counted(switch.name), switch.ordered) == ({"failed": 1}, [])

    night(play, tmp_path)


async def two(
    stack: AsyncExitStack, folder: Path, **more: dict[str, Any]
) -> tuple[Night, dict[str, PretendedSwitch]]:
    """Two switches that each have every call."""
    switches = [
        await stack.enter_async_context(pretending("freeswitch", "leg-a", "leg-b", name=name))
        for name in ("east", "west")
    ]
    night = Night(switches, folder, **more)
    await stack.enter_async_context(night.carriage)
    return night, {switch.name: switch for switch in switches}


@pytest.mark.parametrize(
    ("tenants", "named", "expected"),
    [
        pytest.param({}, "west", ["west"], id="the one that the call's events name"),
        pytest.param({"east": ["contoso"], "west": ["*"]}, None, ["east"], id="the one of its tenant"),
        pytest.param({"east": ["fabrikam"], "west": ["*"]}, None, ["west"], id="the one of every other tenant"),
        pytest.param({"east": ["fabrikam"], "west": ["contoso"]}, "east", ["east"], id="a name before the tenant"),
        pytest.param({}, None, [], id="none where two have its tenant"),
        pytest.param({}, "north", [], id="none where the name is unknown"),
        pytest.param({"east": ["fabrikam"], "west": ["northwind"]}, None, [], id="none where others have it"),
    ],
)
def test_a_call_has_one_switch(
    tenants: dict[str, list[str]], named: str | None, expected: list[str], tmp_path: Path
) -> None:
    """The switch that its events name, else the one of its tenant; where that is not certain, none."""

    async def run() -> None:
        async with AsyncExitStack() as stack:
            more = {name: {"tenants": found} for name, found in tenants.items()}
            night, switches = await two(stack, tmp_path, **more)
            night.order(order("a", switch=named))
            await night.look()
            assert [name for name, switch in switches.items() if switch.ordered] == expected
            assert night.finished == ["a"]
            left_to_others = not expected and "east" in tenants
            assert night.counted(NO_SWITCH) == ({} if expected or left_to_others else {"failed": 1})

    asyncio.run(run())


def test_an_order_that_comes_again_for_another_switch_is_not_given_to_it(tmp_path: Path) -> None:
    """The first switch counts, while the order is under way and afterwards."""

    async def run() -> None:
        async with AsyncExitStack() as stack:
            night, switches = await two(stack, tmp_path)
            switches["east"].fails = "error"
            night.order(order("a", switch="east"))
            await night.look()
            night.order(order("a", switch="west"))
            switches["east"].fails = None
            await night.look(60)
            night.order(order("a", switch="west"))
            await night.look(60)
            assert (switches["east"].ended, switches["west"].ordered) == (["leg-a"], [])
            assert night.counted(NO_SWITCH) == {"failed": 2}

    asyncio.run(run())


STEPS = st.one_of(
    st.tuples(st.just("order"), st.sampled_from(["a", "b", "c"]), st.sampled_from([None, "east", "west", "north"])),
    st.tuples(st.just("ended"), st.sampled_from(["a", "b", "c"]), st.none()),
    st.tuples(st.just("wait"), st.sampled_from([0.3, 1.0, 20.0, 400.0]), st.none()),
    st.tuples(st.just("fails"), st.sampled_from(["east", "west"]), st.sampled_from(["error", None])),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=14))
def test_never_two_switches_for_one_call_and_every_order_has_an_end(
    steps: list[tuple[str, Any, Any]], tmp_path: Path
) -> None:
    """Whatever comes in whatever order, each order that was read is finished once, and counted at most once."""

    async def run() -> None:
        async with AsyncExitStack() as stack:
            night, switches = await two(stack, tmp_path)
            read: list[str] = []
            for step, what, more in steps:
                if step == "order":
                    night.order(order(what, switch=more, handles=CallHandles()))
                    read.append(what)
                elif step == "ended":
                    night.carriage.ended("contoso", what)
                elif step == "fails":
                    switches[what].fails = more
                await night.look(what if step == "wait" else 0)
            for switch in switches.values():
                switch.fails = None
            await night.look(400)
            assert night.carriage.waiting == 0
            assert sorted(night.finished) == sorted(read)
            assert not set(switches["east"].ordered) & set(switches["west"].ordered)
            counted = sum(sum(night.counted(name).values()) for name in (*switches, NO_SWITCH))
            assert counted <= len(read)

    asyncio.run(run())
