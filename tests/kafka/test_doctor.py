"""`rater doctor` on a real broker: what is broken is found, with its cause and what to type."""

import asyncio
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink

from rater.core.inputs import EVERY_TENANT, DeckActivated, TenantConfigured
from rater.dev.demo.rates import bundled_deck
from rater.dev.ports import free_ports
from rater.kafka.connect import connection, reachable
from rater.ops.doctor import outside, partitions
from rater.ops.doctor.check import State
from rater.ops.doctor.cluster import skew
from rater.wire.codec import encode_input
from tests.forks import run
from tests.kafka.deployment import Deployment, until
from tests.payments.world import sandbox

AT = datetime(2025, 1, 1, tzinfo=UTC)


def doctor(
    bootstrap: str, prefix: str = "", *words: str, code: int = 0, **environment: str
) -> dict[str, dict[str, Any]]:
    """Check name to check."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RATER_")}
    ran = run(
        [
            "doctor",
            "--json",
            f"--bootstrap={bootstrap}",
            f"--prefix={prefix}",
            *words,
        ],
        env=clean | environment,
    )
    assert ran.returncode == code, ran.stdout + ran.stderr
    return {check["name"]: check for check in json.loads(ran.stdout)}


def states(checks: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: check["state"] for name, check in checks.items()}


@contextmanager
def mail_server() -> Iterator[int]:
    controller = Controller(Sink(), hostname="127.0.0.1", port=free_ports(1)[0])
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def test_everything_is_well(deployment: Deployment, tmp_path: Path) -> None:
    """A deck is published and in force, a gateway and a mail server answer: nothing fails."""
    deck = bundled_deck()
    worker = deployment.start("worker-0")
    deployment.publish(
        [
            ("rate-decks", deck.version, encode_input(deck)),
            ("commands", "contoso", encode_input(TenantConfigured(tenant="contoso", id="1", at=AT, currency="USD"))),
            ("commands", EVERY_TENANT, encode_input(DeckActivated(tenant=EVERY_TENANT, id="2", at=AT, version=deck.version))),
            ("cdrs", "contoso", b"{}"),
        ]
    )  # fmt: skip
    until(lambda: len(worker.logged("partition owned")) == 4 and not deployment.lag(), "everything to be rated")
    with sandbox(tmp_path / "charges") as gateway, mail_server() as port:
        config = tmp_path / "agents.yaml"
        config.write_text(
            f"gateway: {{url: {gateway.url}}}\n"
            f"notify: {{outbox: x.db, email: {{host: 127.0.0.1, port: {port}, security: none,"
            " sender: rater@carrier.example, recipients: {}}}\n"
        )
        checks = doctor(deployment.settings.bootstrap, deployment.settings.prefix, "--config", str(config))
    expected = dict.fromkeys(checks, "ok") | {
        "certificates": "skipped",
        "workers": "skipped",
        "server": "skipped",
        "disk": "skipped",
    }
    assert states(checks) == expected, checks
    assert "1 published, 1 in force" in checks["decks"]["cause"]


def test_what_is_missing_is_named_with_what_to_type(deployment: Deployment, tmp_path: Path) -> None:
    """No deck; a gateway and a mail server where nobody listens; topics of another deployment that are not there."""
    settings = deployment.settings
    (port,) = free_ports(1)
    config = tmp_path / "agents.yaml"
    config.write_text(
        f"gateway: {{url: 'http://127.0.0.1:{port}'}}\n"
        f"notify: {{outbox: x.db, email: {{host: 127.0.0.1, port: {port}, sender: r@c.example, recipients: {{}}}}}}\n"
    )
    checks = doctor(settings.bootstrap, settings.prefix, "--config", str(config), code=1)
    failed = {name: check["fix"] for name, check in checks.items() if check["state"] == "fail"}
    assert failed == {
        "decks": "rater publish --deck prices.csv",
        "owners": f"rater worker --bootstrap {settings.bootstrap}",
        "gateway": f"curl -v http://127.0.0.1:{port}",
        "smtp": f"openssl s_client -connect 127.0.0.1:{port} -starttls smtp",
    }
    checks = doctor(settings.bootstrap, "nowhere-", code=1)
    assert (checks["topics"]["state"], checks["topics"]["fix"]) == ("fail", "rater topics apply")
    assert "no topic nowhere-" in checks["partitions"]["cause"]


def test_a_deck_that_is_awaited_and_unrated_records(deployment: Deployment, tmp_path: Path) -> None:
    """No worker runs, a command names an unpublished deck: each message has what to do."""
    everybody = DeckActivated(tenant="contoso", id="2", at=AT, version="2025-07")
    deployment.publish([("commands", "contoso", encode_input(everybody)), ("cdrs", "contoso", b"{}")])
    checks = doctor(deployment.settings.bootstrap, deployment.settings.prefix, f"--index={tmp_path}", code=1)
    assert checks["owners"]["cause"].startswith(
        "0 workers own 0 of 4 partitions; no worker owns partitions 0, 1, 2, 3"
    )
    assert "2025-07 by partition" in checks["decks awaited"]["cause"]
    assert checks["decks awaited"]["fix"].startswith("rater publish --deck")
    assert "2 records are unrated" in checks["progress"]["cause"]
    assert "last commit none ever" in checks["progress"]["cause"]
    assert checks["retention"]["state"] == "ok"
    assert "GiB are free" in checks["disk"]["cause"]


def test_agents_that_are_set_differently_are_reported(tmp_path: Path) -> None:
    """Two processes show different names of their settings."""
    servers = []
    try:
        for settings in ("settings: aaaa", "settings: bbbb"):
            folder = tmp_path / settings[-1]
            folder.mkdir()
            (folder / "healthz").write_text(f"ready\n{settings}\n")
            server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
            threading.Thread(target=server.serve_forever).start()
            servers.append(server)
        addresses = [f"http://127.0.0.1:{server.server_port}" for server in servers]
        check = asyncio.run(partitions.workers(addresses))
        alone = asyncio.run(partitions.workers(addresses[:1]))
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
    assert (check.state, alone.state) == (State.WARN, State.OK)
    assert "agents are set differently" in check.cause


def test_a_worker_that_hangs_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """It accepts the connection and does not answer, as a process that is frozen."""
    monkeypatch.setattr(partitions, "_WORKER_TIMEOUT_S", 0.2)
    with socket.socket() as frozen:
        frozen.bind(("127.0.0.1", 0))
        frozen.listen()
        address = f"http://127.0.0.1:{frozen.getsockname()[1]}"
        check = asyncio.run(partitions.workers([address]))
    assert (check.state, check.cause) == (State.FAIL, f"{address}: no answer in time")
    assert check.fix == f"curl -m 0.2 '{address}/healthz?verbose'"


def test_tenants_that_look_alike_are_reported(deployment: Deployment) -> None:
    """A remark: two tenants whose names differ in a digit that looks like a letter, in any partitions."""
    worker = deployment.start("worker-0")
    deployment.publish(
        [
            ("commands", name, encode_input(TenantConfigured(tenant=name, id="1", at=AT, currency="USD")))
            for name in ("contoso", "c0ntoso", "fabrikam")
        ]
    )
    until(lambda: len(worker.logged("partition owned")) == 4 and not deployment.lag(), "everything to be rated")
    check = doctor(deployment.settings.bootstrap, deployment.settings.prefix, code=1)["tenants"]
    assert check["state"] == "warn"
    assert "tenant 'c0ntoso' looks like 'contoso': they are different tenants" in check["cause"]
    assert "fabrikam" not in check["cause"]


def test_topics_that_differ(deployment: Deployment) -> None:
    """One topic of the rating task has more partitions than the others: tenants would land in two places."""
    settings = deployment.settings

    async def delete() -> None:
        async with reachable(settings, AIOKafkaAdminClient(**connection(settings))) as admin:
            await admin.delete_topics([settings.topic("debits")])

    async def create() -> None:
        async with reachable(settings, AIOKafkaAdminClient(**connection(settings))) as admin:
            await admin.create_topics([NewTopic(settings.topic("debits"), 7, 1)])

    async def known() -> int:
        async with reachable(settings, AIOKafkaAdminClient(**connection(settings))) as admin:
            (topic,) = await admin.describe_topics([settings.topic("debits")])
        return len(topic["partitions"])

    asyncio.run(delete())
    until(lambda: asyncio.run(create()) is None and asyncio.run(known()) == 7, "the topic to be there anew")
    checks = doctor(settings.bootstrap, settings.prefix, code=1)
    assert "debits has 7" in checks["partitions"]["cause"]
    entity = f"--entity-type topics --entity-name {settings.topic('debits')}"
    typed = f"kafka-configs.sh --bootstrap-server {settings.bootstrap} --alter {entity} --add-config retention.ms=34560000000"
    assert (checks["topics"]["state"], checks["topics"]["fix"]) == ("warn", typed)


def test_nobody_answers() -> None:
    """The broker fails, what lies on it is not looked at; wrong settings end the look at once."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        checks = doctor(f"127.0.0.1:{probe.getsockname()[1]}", code=1)
    assert [name for name, state in states(checks).items() if state == "fail"] == ["broker"]
    assert states(checks)["decks"] == "skipped"
    checks = doctor("127.0.0.1:1", code=1, RATER_SECURITY="TLS", RATER_PASWORD_FILE="x")
    assert list(checks) == ["settings"]
    assert (
        "RATER_PASWORD_FILE: nothing reads this variable; did you mean RATER_PASSWORD_FILE?"
        in checks["settings"]["cause"]
    )
    assert checks["settings"]["fix"] == "rater config check"


@pytest.mark.parametrize(
    ("broker", "state", "said"),
    [
        (100.0, State.OK, "differ by at most"),
        (101.05, State.WARN, "1.050 s ahead of"),
        (98.0, State.WARN, "1.999 s behind"),
        (140.0, State.FAIL, "40.000 s ahead of"),
        (0.0, State.FAIL, "behind"),
    ],
)
def test_clocks(broker: float, state: State, said: str) -> None:
    """The broker's time lies between two of ours, 100.00 and 100.00 plus the time of the request, or clocks differ."""
    check = skew(broker, 100.0, 100.0)
    assert (check.state, said in check.cause) == (state, True), check.cause


def test_a_worker_that_is_gone_is_reported() -> None:
    """Nothing listens on its port: in plain words, for a server and a gateway, too."""
    address = f"http://127.0.0.1:{free_ports(1)[0]}"
    checks = [asyncio.run(partitions.workers([address])), asyncio.run(outside.server(address))]
    assert [(check.state, check.cause) for check in checks] == [
        (State.FAIL, f"{address}: nothing listens there")
    ] * 2
