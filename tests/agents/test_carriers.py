"""Each kind of switch ends a call in its own words; what is no answer of it is an order that was not obeyed."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rater.agents.switches.carrier import Disobeyed, Ended, Impossible
from rater.agents.switches.kinds import carrier_of
from rater.agents.switches.settings import SwitchEntry
from rater.core.call_control import CallCommand, CallHandles
from tests.agents.pretending import KINDS, order, pretending


async def ended(entry: SwitchEntry, given: CallCommand) -> Ended:
    async with carrier_of(entry, lambda: datetime.now(UTC)) as carrier:
        return await carrier.end(given)


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_that_runs_is_ended_and_one_that_does_not_is_gone(kind: str, tmp_path: Path) -> None:
    """The first order ends it; the same order again finds no such call."""

    async def play() -> list[Ended]:
        async with pretending(kind, "leg-call-1", "leg-call-2") as switch:
            found = [await ended(switch.entry(tmp_path), order()) for _ in range(2)]
            assert (switch.ordered, switch.calls) == (["leg-call-1"] * 2, {"leg-call-2"})
            return found

    assert asyncio.run(play()) == [Ended.OBEYED, Ended.GONE]


@pytest.mark.parametrize(
    ("kind", "fails"),
    # any 2xx of a webhook confirms the order
    [
        (kind, fails)
        for kind in KINDS
        for fails in ("error", "page", "silent")
        if (kind, fails) != ("webhook", "page")
    ],
)
def test_what_is_no_answer_of_the_switch_ends_nothing(kind: str, fails: str, tmp_path: Path) -> None:
    """An error of its own, a page of something else at its address, and no answer at all."""

    async def play() -> None:
        async with pretending(kind, "leg-call-1") as switch:
            switch.fails = fails
            with pytest.raises(Disobeyed, match="no answer within 0.2 s" if fails == "silent" else "it answered"):
                await ended(switch.entry(tmp_path, timeout_s=0.2 if fails == "silent" else 30), order())
            assert switch.calls == {"leg-call-1"}

    asyncio.run(play())


@pytest.mark.parametrize("kind", KINDS)
def test_a_switch_that_is_not_there_ends_nothing(kind: str, tmp_path: Path) -> None:
    """Its port is closed: the order waits."""

    async def play() -> None:
        async with pretending(kind, "leg-call-1") as switch:
            entry = switch.entry(tmp_path)
        with pytest.raises(Disobeyed, match=r"Cannot connect|ClientConnectorError"):
            await ended(entry, order())

    asyncio.run(play())


@pytest.mark.parametrize("kind", ["kamailio", "freeswitch", "asterisk"])
def test_a_wrong_secret_ends_nothing(kind: str, tmp_path: Path) -> None:
    """401 or 403: the order waits until the secret is corrected, and the answer is shown."""

    async def play() -> None:
        async with pretending(kind, "leg-call-1") as switch:
            entry = switch.entry(tmp_path)
            (tmp_path / f"{switch.name}.secret").write_text("of-another-test")
            with pytest.raises(Disobeyed, match=r"it answered 40[13]"):
                await ended(entry, order())
            assert switch.ordered == []

    asyncio.run(play())


def test_kamailio_ends_a_dialog_by_its_entry_and_id(tmp_path: Path) -> None:
    """`method: dlg.end_dlg` needs `handles.dialog`, and no tags."""

    async def play() -> list[Ended]:
        async with pretending("kamailio", "152:6681") as switch:
            entry = switch.entry(tmp_path, method="dlg.end_dlg")
            return [await ended(entry, order(handles=CallHandles(dialog="152:6681"))) for _ in range(2)]

    assert asyncio.run(play()) == [Ended.OBEYED, Ended.GONE]


@pytest.mark.parametrize(
    ("kind", "more", "expected"),
    [
        pytest.param("kamailio", {"handles": None}, "handles.from_tag and handles.to_tag", id="no tags"),
        pytest.param("kamailio", {"call_id": None}, "expected call_id", id="no call id"),
        pytest.param("freeswitch", {"call_id": "a b"}, "UUID", id="two words"),
        pytest.param("freeswitch", {"call_id": None}, "UUID", id="no uuid"),
        pytest.param("asterisk", {"call_id": None}, "unique id", id="no channel"),
        pytest.param("asterisk", {"call_id": ".."}, "unique id", id="a path"),
    ],
)
def test_an_order_without_what_the_switch_needs_is_not_given(
    kind: str, more: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    """The message names what the call's events must have; nothing reaches the switch."""

    async def play() -> None:
        async with pretending(kind) as switch:
            with pytest.raises(Impossible, match=expected):
                await ended(switch.entry(tmp_path), order(**more))
            assert switch.ordered == []

    asyncio.run(play())


@pytest.mark.parametrize("kind", ["freeswitch", "asterisk"])
def test_a_channel_of_its_own_goes_before_the_call_id(kind: str, tmp_path: Path) -> None:
    """Where `call_id` is SIP's, `handles.channel` names the leg; letters that an address has are escaped."""
    given = order(call_id="abc@10.0.0.1", handles=CallHandles(channel="1717400000.12"))

    async def play() -> Ended:
        async with pretending(kind, "1717400000.12") as switch:
            return await ended(switch.entry(tmp_path), given)

    assert asyncio.run(play()) is Ended.OBEYED


@pytest.mark.parametrize("kind", KINDS)
def test_a_look_changes_nothing(kind: str, tmp_path: Path) -> None:
    """A question of `rater doctor` ends no call; where nothing listens it fails."""

    async def play() -> str:
        async with pretending(kind, "leg-call-1") as switch:
            async with carrier_of(switch.entry(tmp_path), lambda: datetime.now(UTC)) as carrier:
                found = await carrier.look()
            assert (switch.ordered, switch.calls) == ([], {"leg-call-1"})
        async with carrier_of(switch.entry(tmp_path), lambda: datetime.now(UTC)) as carrier:
            with pytest.raises(Disobeyed):
                await carrier.look()
        return found

    assert asyncio.run(play()).startswith("it answers")
