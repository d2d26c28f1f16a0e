"""The server over Kafka: stored means that the topic has it; its outcome is the rating task's to say."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rater.core import CallCommand, RejectedCdr
from rater.dev.generate import Spec
from rater.files.deck_csv import read_deck
from rater.wire.codec import encode_input
from tests.conftest import LONG
from tests.kafka.deployment import Deployment, provisioning, until
from tests.kafka.test_calls import setting_up
from tests.serve.processes import ServeProcess, batches, send_through_kills
from tests.serve.world import MAPPING, Given, clients_file
from tests.world import DECK, HARARE, LONDON

KILLS, BATCH = 20 if LONG else 4, 20
SPEC = Spec(seed=3, tenants=4, calls=60 * KILLS, users=16, funds="20", duplicate_share=0.05)


def server(deployment: Deployment, folder: Path, clients: Given, *more: str) -> ServeProcess:
    """`rater serve` in front of a deployment."""
    where = (f"--bootstrap={deployment.settings.bootstrap}", f"--prefix={deployment.settings.prefix}")
    return ServeProcess(folder, clients, *where, *more)


@pytest.fixture
def contoso(deployment: Deployment) -> Deployment:
    """contoso with 1.00, ada and bob, a worker."""
    deck = read_deck(DECK, version="deck-1")
    commands = list(setting_up(datetime(2026, 3, 1, tzinfo=UTC)))
    deployment.publish([("rate-decks", deck.version, encode_input(deck))])
    deployment.publish([("commands", one.tenant, encode_input(one)) for one in commands])
    deployment.start("worker-0")
    return deployment


def record(id: str, called: str = LONDON, **more: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "tenant": "contoso", "usage_id": id, "type": "user_out", "answered_at": now.isoformat(), "duration_s": 60,
        "user": "ada", "called": called, **more,
    }  # fmt: skip


def letters(deployment: Deployment) -> dict[str, RejectedCdr]:
    found = [msgspec.json.decode(value, type=RejectedCdr) for value in deployment.values("rejected-cdrs")]
    return {letter.id: letter for letter in found}


def test_records_go_to_the_topic_and_are_rated(contoso: Deployment, tmp_path: Path) -> None:
    """Good ones are rated; what cannot be read is a dead letter under the id that the switch was given."""
    (tmp_path / "m.yaml").write_text(MAPPING)
    clients = clients_file(tmp_path, switch={"tenant": "contoso"})
    serving = server(contoso, tmp_path, clients, f"--map={tmp_path / 'm.yaml'}")
    serving.start()
    serving.wait_until_ready()
    switch = serving.switch
    answer = switch.send(record("a"), record("b", duration_s="long"), record("c", tenant="nobody"))
    mapped = {"id": "d", "who": "ada", "to": LONDON, "start": datetime.now(UTC).isoformat(), "secs": "60"}
    lines = b"".join(json.dumps(one).encode() + b"\n" for one in (mapped, mapped | {"id": "e", "secs": "x"}))
    by_map = switch.ask("/v1/cdrs?map=m", lines)
    no_commands = switch.ask("/v1/commands", b"{}", method="POST")
    contoso.wait_until_rated()
    until(lambda: len(letters(contoso)) == 3, "three dead letters")
    # of 1.00 two minutes at 0.05 are gone: 18 minutes of 0.05
    until(lambda: _seconds(serving) == 18 * 60, "the replica to know")
    assert serving.stop() == 0
    assert [one["result"] for one in answer.body["results"]] == ["accepted", "refused", "accepted"]
    assert [one["result"] for one in by_map.body["results"]] == ["accepted", "refused"]
    assert no_commands.status == 404
    rated = {json.loads(value)["usage_id"] for value in contoso.values("rated-calls")}
    assert rated == {"a", "d"}
    found = letters(contoso)
    malformed = found[answer.body["results"][1]["dead_letter"]]
    assert json.loads(malformed.raw)["usage_id"] == "b"
    refused = found[by_map.body["results"][1]["dead_letter"]]
    assert refused.mapping is not None
    assert (refused.format, refused.mapping.name, json.loads(refused.raw)["id"]) == ("mapping", "m", "e")
    assert refused.message == by_map.body["results"][1]["message"]
    assert contoso.verify().findings == []


def _seconds(serving: ServeProcess) -> int:
    asked = f"/v1/authorize?tenant=contoso&user=ada&called=%2B{LONDON[1:]}"
    seconds: int = serving.switch.ask(asked).body["seconds"]
    return seconds


def test_orders_of_the_agents_come_out_of_the_server(contoso: Deployment, tmp_path: Path) -> None:
    """Each process has all of them, and a cursor of one holds in the other."""
    servers = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        servers.append(server(contoso, tmp_path / name, clients_file(tmp_path / name)))
    for one in servers:
        one.start()
    for one in servers:
        one.wait_until_ready()
    first = servers[0].switch.ask("/v1/call-commands?wait=0").body["next"]
    order = {
        "tenant": "contoso", "id": "order-1", "command": "disconnect", "usage_id": "run", "at": "2026-03-10T12:00:00Z",
        "reason": "credit_used_up", "authorized_s": 300,
    }  # fmt: skip
    contoso.publish([("call-commands", "contoso", msgspec.json.encode(msgspec.convert(order, CallCommand)))])
    polled = servers[0].switch.ask(f"/v1/call-commands?wait=30&after={first}").body
    other = servers[1].switch.ask(f"/v1/call-commands?wait=30&after={first}").body
    nothing = servers[1].switch.ask(f"/v1/call-commands?wait=0&after={polled['next']}").body["orders"]
    for one in servers:
        one.stop()
    assert [one["usage_id"] for one in polled["orders"]] == ["run"]
    assert (other, nothing) == (polled, [])


def test_events_of_calls_reserve_what_they_use(contoso: Deployment, tmp_path: Path) -> None:
    """A call to Harare at 0.2 that began 150 s ago reserves 4 minutes by its next heartbeats: 0.20 is left of 1.00."""
    serving = server(contoso, tmp_path, clients_file(tmp_path))
    serving.start()
    serving.wait_until_ready()
    until(lambda: _seconds(serving) == 20 * 60, "the replica to know")
    now = datetime.now(UTC).timestamp()
    event = {
        "tenant": "contoso", "usage_id": "run", "type": "user_out", "event": "heartbeat", "user": "ada", "called": HARARE,
        "at": datetime.fromtimestamp(now, UTC).isoformat(),
        "started_at": datetime.fromtimestamp(now - 140, UTC).isoformat(),
    }  # fmt: skip
    answered = serving.switch.send(event, {"event": "none"}, path="/v1/call-events").body
    # 140 + 90 s = 4 minutes x 0.2 = 0.80; 0.20 / 0.05 = 4 minutes to London
    until(lambda: _seconds(serving) == 4 * 60, "the call to be known")
    serving.stop()
    assert [one["result"] for one in answered["results"]] == ["accepted", "refused"]
    assert "dead_letter" not in answered["results"][1]


def ledger(deployment: Deployment) -> dict[str, list[dict[str, Any]]]:
    """Calls, debits and the last balances of each tenant, in order; where and when they came is another thing."""
    found: dict[str, list[dict[str, Any]]] = {}
    for topic in ("rated-calls", "debits"):
        for value in deployment.values(topic):
            record = json.loads(value)
            kept = {name: one for name, one in record.items() if name not in ("source", "late")}
            found.setdefault(f"{topic}/{record['tenant']}", []).append(kept)
    for value in deployment.values("balances"):
        record = json.loads(value)
        found[f"balance/{record['tenant']}"] = [{"balance": record["balance"]}]
    return found


def test_killed_again_and_again(broker: Any, tmp_path: Path) -> None:
    """Nothing is lost and nothing is charged twice, with a switch that repeats what was not answered."""
    ledgers = []
    for kills in (0, KILLS):
        folder = tmp_path / str(kills)
        folder.mkdir()
        deployment = Deployment(broker.bootstrap, folder)
        try:
            deployment.publish(provisioning(SPEC))
            deployment.start("worker-0")
            serving = server(deployment, folder, clients_file(folder))
            serving.start()
            send_through_kills(serving, batches(SPEC, BATCH), kills)
            assert serving.stop() == 0
            deployment.wait_until_rated()
            ledgers.append(ledger(deployment))
            assert deployment.verify().findings == []
        finally:
            deployment.end()
    assert ledgers[0] == ledgers[1]
    assert sum(topic.startswith("balance/") for topic in ledgers[0]) == SPEC.tenants
