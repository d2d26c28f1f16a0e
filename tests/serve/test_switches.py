"""Orders to end calls go to the switch of the call, over a store: at once, again until it obeys, after a restart."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rater.core import EVERY_TENANT, DeckActivated
from rater.files.deck_csv import read_deck
from rater.wire.codec import encode_input
from rater.wire.errors import Exit
from tests.agents.pretending import KINDS, beside, written
from tests.commands import rater
from tests.serve.processes import ServeProcess
from tests.serve.test_calls import event
from tests.serve.world import NOON, Serving, call, clients_file, serving, setting_up
from tests.waiting import until
from tests.world import DECK

SINCE = timedelta(seconds=299)
HANDLES = {"handles": {"from_tag": "from", "to_tag": "to"}}


def started(id: str, **more: Any) -> dict[str, Any]:
    """A call to Harare that began so long ago that a dollar of credit covers one second more: 5 minutes of 0.2."""
    return event(id, started=datetime.now(UTC) - SINCE) | HANDLES | more


def counted(server: Serving, switch: str, result: str) -> float | None:
    return server.metrics.registry.get_sample_value(
        "rater_switch_orders_total", {"switch": switch, "result": result}
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_whose_credit_is_used_is_ended_on_its_switch(kind: str, tmp_path: Path) -> None:
    """The order names call id, tags and reason; it is still offered to those who read orders themselves."""
    with (
        beside(kind, "leg-run", "leg-other") as switch,
        serving(tmp_path, commands=[*setting_up("1")], switches=[switch.entry(tmp_path)]) as (server, client),
    ):
        client.send(started("run"), path="/v1/call-events")
        until(lambda: switch.ended == ["leg-run"], "the end of the call")
        until(lambda: counted(server, switch.name, "obeyed") == 1, "the count")
        polled = client.ask("/v1/call-commands?wait=0&after=").body["orders"]
    assert [(order["usage_id"], order["handles"]) for order in polled] == [("run", HANDLES["handles"])]
    assert switch.calls == {"leg-other"}


def test_the_switch_that_an_event_names_has_the_call(tmp_path: Path) -> None:
    """Two switches have every tenant; the call's first event names the second."""
    with beside("asterisk", "leg-run", name="east") as east, beside("asterisk", "leg-run", name="west") as west:
        switches = [east.entry(tmp_path), west.entry(tmp_path)]
        with serving(tmp_path, commands=[*setting_up("1")], switches=switches) as (_, client):
            client.send(started("run", switch="west"), path="/v1/call-events")
            until(lambda: west.ended == ["leg-run"], "the end of the call")
    assert east.ordered == []


@pytest.mark.parametrize("over", [False, True], ids=["it goes on", "it is over"])
def test_an_order_survives_a_restart_unless_its_call_is_over(over: bool, tmp_path: Path) -> None:
    """A switch that does not answer; the server is restarted; then the switch answers."""
    clients = clients_file(tmp_path)
    with beside("freeswitch", "leg-run") as switch:
        given: dict[str, Any] = {"clients": clients, "switches": [switch.entry(tmp_path)]}
        switch.fails = "silent"
        with serving(tmp_path, commands=[*setting_up("1")], **given) as (_, client):
            client.send(started("run"), path="/v1/call-events")
            polled = client.ask("/v1/call-commands?wait=20&after=").body["orders"]
            if over:
                client.send(event("run", "ended"), path="/v1/call-events")
        switch.fails = None
        with serving(tmp_path, commands=[], **given) as (server, _):
            assert server.carriage is not None
            if over:
                assert server.carriage.waiting == 0
            else:
                until(lambda: switch.ended == ["leg-run"], "the end of the call")
    assert [order["usage_id"] for order in polled] == ["run"]
    assert switch.ordered == ([] if over else ["leg-run"])


def test_the_record_of_a_call_ends_its_order(tmp_path: Path) -> None:
    """The switch fails for ever; the call's record comes, and the order is not given again."""
    with beside("freeswitch") as switch:
        switch.fails = "error"
        switches = [switch.entry(tmp_path)]
        with serving(tmp_path, commands=[*setting_up("1")], switches=switches) as (server, client):
            client.send(started("run"), path="/v1/call-events")
            until(lambda: switch.ordered, "an order")
            client.send(call("run", seconds=300))
            until(lambda: counted(server, switch.name, "ended") == 1, "the end")


def test_the_doctor_says_when_a_switch_last_sent_a_record(tmp_path: Path) -> None:
    """A record names its switch; the server over the store counted it."""
    with beside("freeswitch") as switch:
        file = written(tmp_path, switch.entry(tmp_path))
        words = ("doctor", "--switches", file, "--json")
        with serving(tmp_path, switches=[switch.entry(tmp_path)]) as (server, client):
            asked = (*words, "--store", server.store, "--server", f"http://127.0.0.1:{server.port}")

            def cause() -> str:
                checks = json.loads(rater(*asked, code=Exit.OK).stdout)
                (found,) = [one["cause"] for one in checks if one["name"] == f"switch {switch.name}"]
                return str(found)

            assert "no record since the server started" in cause()
            client.send(call("a", switch=switch.name))
            until(lambda: "the last record " in cause(), "the record to be counted")


def test_a_server_that_is_killed_orders_again(tmp_path: Path) -> None:
    """`rater serve --switches` as a process: a switch that does not answer, kill -9, another start; the call is ended."""
    clients = clients_file(tmp_path)
    in_force = DeckActivated(
        tenant=EVERY_TENANT, id="deck", at=NOON - timedelta(days=1), version=read_deck(DECK).version
    )
    commands = tmp_path / "setup.jsonl"
    commands.write_bytes(b"".join(encode_input(one) + b"\n" for one in (*setting_up("1"), in_force)))
    with beside("freeswitch", "leg-run") as switch:
        switch.fails = "silent"
        given = {"--store": tmp_path / "r.db", "--deck": DECK, "--commands": commands}
        words = [f"{option}={path}" for option, path in given.items()]
        environment = {"RATER_SWITCHES_FILE": str(written(tmp_path, switch.entry(tmp_path)))}
        server = ServeProcess(tmp_path, clients, *words, environment=environment)
        try:
            server.start()
            server.wait_until_ready()
            server.switch.send(started("run"), path="/v1/call-events")
            polled = server.switch.ask("/v1/call-commands?wait=20&after=").body["orders"]
            assert [order["usage_id"] for order in polled] == ["run"], server.log.read_text()[-2_000:]
            server.kill()
            switch.fails = None
            server.start()
            until(lambda: switch.ended == ["leg-run"], "the end of the call")
            assert server.stop() == 0
        finally:
            server.kill()
    assert switch.ordered == ["leg-run"]
