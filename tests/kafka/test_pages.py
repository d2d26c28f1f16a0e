"""The examples of topics/README.md, run as they stand there."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rater.core.inputs import CallRecord, FundsAdded, FundsAdjusted, TenantClosed, TenantConfigured
from rater.core.reasons import CallType
from rater.wire.codec import encode_input
from tests.conftest import ROOT
from tests.kafka.deployment import Deployment, calls, provisioning, story, until

AT = datetime(2025, 1, 1, tzinfo=UTC)


def example(language: str, holding: str) -> str:
    """The one block of a language that holds a text."""
    blocks: list[str] = re.findall(
        rf"```{language}\n(.*?)```", (ROOT / "topics" / "README.md").read_text("utf-8"), re.DOTALL
    )
    (found,) = [block for block in blocks if holding in block]
    return found


def environment(deployment: Deployment) -> dict[str, str]:
    """What the page asks to export; `rater` is the one of this checkout."""
    folder = deployment.folder / "bin"
    folder.mkdir(exist_ok=True)
    command = folder / "rater"
    command.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m rater "$@"\n')
    command.chmod(0o755)
    settings = deployment.settings
    named = {"RATER_BOOTSTRAP": settings.bootstrap, "RATER_PREFIX": settings.prefix}
    return os.environ | named | {"PATH": f"{folder}:{os.environ['PATH']}"}


def ran(deployment: Deployment, *words: str) -> str:
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, cwd=deployment.folder, env=environment(deployment)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def rating(deployment: Deployment) -> Deployment:
    """A worker that rates for contoso."""
    deployment.start("worker-0")
    configured = TenantConfigured(tenant="contoso", id="1", at=AT, currency="USD")
    deployment.publish([("commands", "contoso", encode_input(configured))])
    return deployment


def rated(deployment: Deployment, published: int) -> list[dict[str, Any]]:
    """What the page says to look at, once everything is rated."""
    deployment.published += published
    deployment.wait_until_rated()
    shown = ran(deployment, "sh", "-e", "-c", example("sh", "rater consume rated-calls"))
    return [json.loads(line) for line in shown.splitlines() if line.startswith("{")]


def test_publish_in_python(rating: Deployment) -> None:
    """The example twice: aiokafka's default partitioner is right, and the second time changes nothing."""
    script = rating.folder / "publish_cdr.py"
    script.write_text(example("python", "AIOKafkaProducer"))
    for _ in range(2):
        assert "stored in partition" in ran(rating, sys.executable, str(script))
    (call,) = rated(rating, 2)
    assert (call["usage_id"], call["minutes"]) == ("8d344131-a97e-ea41-d7e9-d48a832febc2", 5)
    explained = ran(
        rating, "sh", "-c", "rater consume rated-calls --tenant contoso | grep 8d344131 | rater explain -"
    )
    assert "248 s = 5 minutes" in explained


def test_publish_with_kcat(rating: Deployment) -> None:
    """The example; without the partitioner, which kcat needs as an option, a tenant's records land elsewhere."""
    if shutil.which("kcat") is None:
        pytest.skip("no kcat here: this test runs the page's kcat command (apt install kcat)")
    names = [f"contoso-{number}" for number in range(8)]
    configured = [TenantConfigured(tenant=name, id="1", at=AT, currency="USD") for name in names]
    rating.publish([("commands", command.tenant, encode_input(command)) for command in configured])
    command = example("sh", "kcat -P")
    for name in ["contoso", *names]:
        record = CallRecord(
            tenant=name, usage_id=f"k-{name}", type=CallType.USER_IN, answered_at=AT, duration_s=60, user="u"
        )
        (rating.folder / "calls.jsonl").write_bytes(encode_input(record) + b"\n")
        ran(rating, "sh", "-e", "-c", command.replace("-k contoso", f"-k {name}"))
        assert "murmur2_random" in command
        ran(
            rating,
            "sh",
            "-e",
            "-c",
            command.replace("-X topic.partitioner=murmur2_random", "").replace("-k contoso", f"-k {name}"),
        )
    (call,) = rated(rating, 2 * 9)
    assert call["usage_id"] == "k-contoso"
    report = rating.verify()
    assert (report.findings, report.outcomes["rated"]) == ([], 9 + 9)  # commands count as well
    assert report.outcomes["rejected"] > 0


@pytest.fixture
def billing(deployment: Deployment) -> Iterator[subprocess.Popen[bytes]]:
    """The example of the billing engineers, running; it is ended with the test."""
    script = deployment.folder / "book_debits.py"
    script.write_text(example("python", "AIOKafkaConsumer"))
    process = start(deployment)
    yield process
    if process.poll() is None:
        process.kill()
        process.wait()


def start(deployment: Deployment) -> subprocess.Popen[bytes]:
    script = deployment.folder / "book_debits.py"
    log = deployment.folder / "billing.log"
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, str(script)],
            cwd=deployment.folder,
            env=environment(deployment),
            stdout=out,
            stderr=out,
        )


def booked(folder: Path) -> dict[tuple[str, str], Decimal]:
    """The sum of each tenant's debits of each kind in the books."""
    sums: dict[tuple[str, str], Decimal] = {}
    with closing(sqlite3.connect(folder / "billing.db")) as books, books:
        for tenant, kind, amount in books.execute("SELECT tenant, kind, amount FROM debits"):
            sums[tenant, kind] = sums.get((tenant, kind), Decimal(0)) + Decimal(amount)
    books.close()
    return sums


def by_hand(tenant: str) -> Iterator[tuple[str, str, bytes]]:
    """A purchase of 5,000, 1 taken off, and the tenant is closed."""
    bought = FundsAdded(tenant=tenant, id="hand-1", at=AT, amount="5000")
    taken = FundsAdjusted(tenant=tenant, id="hand-2", at=AT, amount="-1", reason="paid twice", by="kim")
    ended = TenantClosed(tenant=tenant, id="hand-3", at=AT, remainder="pay_out", reason="ended", by="kim")
    for command in (bought, taken, ended):
        yield "commands", tenant, encode_input(command)


def test_book_debits(deployment: Deployment, billing: subprocess.Popen[bytes]) -> None:
    """Killed in the middle and started again, the books agree with the topic to the micro-unit."""
    messages = list(calls(story(3_000)))
    deployment.publish(provisioning(story(3_000)))
    deployment.start("worker-0")
    deployment.publish(messages[:1_500])
    until(lambda: (deployment.folder / "billing.db").exists() and bool(booked(deployment.folder)), "a first debit")
    billing.kill()
    billing.wait()
    again = start(deployment)
    try:
        deployment.publish(messages[1_500:])
        deployment.wait_until_rated()
        deployment.publish(list(by_hand("tenant-0000")))
        deployment.wait_until_rated()
        shown = ran(deployment, "rater", "consume", "debits").splitlines()
        expected: dict[tuple[str, str], Decimal] = {}
        for debit in map(json.loads, shown):
            place = debit["tenant"], debit["kind"]
            expected[place] = expected.get(place, Decimal(0)) + Decimal(debit["amount"])
        assert len(shown) > 100
        assert {kind for _, kind in expected} >= {"call", "adjustment", "pay_out"}
        until(lambda: booked(deployment.folder) == expected, "the books to agree with the topic")
        assert again.poll() is None
    finally:
        again.kill()
        again.wait()
