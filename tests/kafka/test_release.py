"""Two releases on one real cluster: 0.3.0, as its commit in the history has it, and this one (A51)."""

import os
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from rater.core.inputs import AnyCommand, CallRecord, DeckActivated, FundsAdded, LicenseAssigned, TenantConfigured
from rater.core.outputs import Balance, RatedCall
from rater.core.reasons import CallType
from rater.embedded.store import open_reader
from rater.files.deck_csv import read_deck
from rater.kafka.publisher import partition_of
from rater.wire.codec import encode_input
from rater.wire.commits import Commit
from tests.commands import invoke, rater
from tests.conftest import ROOT
from tests.kafka.deployment import PARTITIONS, Deployment, WorkerProcess, until
from tests.kafka.test_commands import at
from tests.world import DECK, HARARE, LONDON

RELEASE = "39a21a7"
AT = datetime(2025, 1, 1, tzinfo=UTC)
TEN = datetime(2025, 3, 3, 10, tzinfo=UTC)
#: One for each partition.
TENANTS = {partition_of(f"tenant-{number}", PARTITIONS): f"tenant-{number}" for number in range(40)}.values()


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which `python -m rater` is release 0.3.0."""
    packed = subprocess.run(["git", "archive", RELEASE], capture_output=True, check=False, cwd=ROOT)
    if packed.returncode:
        pytest.skip(f"commit {RELEASE}, which is release 0.3.0, is not in this clone's history")
    folder = tmp_path_factory.mktemp("0.3.0")
    subprocess.run(["tar", "-x", "-C", str(folder)], input=packed.stdout, check=True)
    environment = {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}
    version = subprocess.run(
        [sys.executable, "-m", "rater", "--version"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | environment,
    )
    assert version.stdout.strip() == "rater 0.3.0"
    return environment


def commands(tenant: str) -> list[AnyCommand]:
    """A tenant with money and no minutes, so that each call costs something."""
    return [
        TenantConfigured(tenant=tenant, id="setup", at=AT, currency="USD", credits="enabled"),
        DeckActivated(tenant=tenant, id="deck", at=AT, version="deck-1"),
        FundsAdded(tenant=tenant, id="funds", at=AT, amount="100"),
        LicenseAssigned(tenant=tenant, id="l", at=AT, user="ada", sku="MCOPSTNPP", country="US", since_ever=True),
    ]


STRANGER = "stranger"


def calls(first: int, last: int) -> list[CallRecord]:
    """Calls of every tenant, to two destinations; the first is by a user who has nothing to pay it with."""
    return [
        CallRecord(
            tenant=tenant, usage_id=f"c-{number}", type=CallType.USER_OUT, answered_at=TEN + timedelta(minutes=number),
            duration_s=61 + number, user="ada" if number else "Bob@Example", calling="+14255550100", called=(LONDON, HARARE)[number % 2],
        )
        for number in range(first, last)
        for tenant in TENANTS
    ]  # fmt: skip


def published(deployment: Deployment, records: list[CallRecord]) -> None:
    deployment.publish([("cdrs", record.tenant, encode_input(record)) for record in records])


def embedded(folder: Path) -> dict[str, str]:
    """The balances of a run of this release over the same records."""
    setup = [c for t in TENANTS for c in commands(t) if not isinstance(c, DeckActivated)]  # a run does that itself
    (folder / "setup.jsonl").write_bytes(b"\n".join(map(encode_input, setup)) + b"\n")
    (folder / "cdrs.jsonl").write_bytes(b"\n".join(map(encode_input, calls(0, 30))) + b"\n")
    (folder / "deck-1.csv").write_bytes(DECK.read_bytes())
    ran = rater("run", "--deck", "deck-1.csv", "--commands", "setup.jsonl", "cdrs.jsonl", cwd=folder)
    assert ran.returncode == 0, ran.stderr
    reader = open_reader(folder / "rater.db")
    found = [msgspec.json.decode(value, type=Balance) for _, value in reader.topic("balances")]
    reader.close()
    return {balance.tenant: balance.balance for balance in found}


def balances(deployment: Deployment) -> dict[str, str]:
    """The last balance of each tenant."""
    found = [msgspec.json.decode(value, type=Balance) for value in deployment.values("balances")]
    return {balance.tenant: balance.balance for balance in found}


def refusals(worker: WorkerProcess) -> list[str]:
    """Why partitions stopped at a worker; 0.3.0 has other words for the event."""
    return [line["error"] for line in worker.logged("partition") if line["level"] == "error"]


def test_a_new_worker_continues_from_release_0_3_0(
    deployment: Deployment, old: dict[str, str], tmp_path: Path
) -> None:
    """The old one comes back: it ends in one clear line for each partition and writes nothing; the money is right."""
    deck = read_deck(DECK, version="deck-1")
    deployment.publish([("rate-decks", deck.version, encode_input(deck))])
    deployment.publish([("commands", t, encode_input(command)) for t in TENANTS for command in commands(t)])
    deployment.publish([("commands", STRANGER, encode_input(command)) for command in commands(STRANGER)[2:3]])
    published(deployment, calls(0, 15))
    before = deployment.start("old", old)
    until(lambda: len(deployment.values("rated-calls")) == 15 * PARTITIONS, "the old release to rate")
    before.freeze()  # it does not know that it lost its partitions
    after = deployment.start("new")
    until(lambda: len(after.logged("partition owned")) == PARTITIONS, "the new release to upgrade every partition")
    published(deployment, calls(10, 30))  # some for the second time
    until(lambda: len(deployment.values("rated-calls")) == 30 * PARTITIONS, "the new release to rate")
    before.thaw()
    until(lambda: len(refusals(before)) > 0, "the old release to see that it is too old")
    assert all("written by a newer rater (state version 2, this one knows 1)" in line for line in refusals(before))
    before.stop()
    published(deployment, calls(29, 30))
    deployment.wait_until_rated()
    assert refusals(after) == []
    rules = defaultdict(list)
    for value in deployment.values("commits"):
        if value.startswith(b"{"):  # and no part of a migrated state
            commit = msgspec.json.decode(value, type=Commit)
            rules[commit.partition].append(commit.rules)
    assert {tuple(sorted(set(numbers))) for numbers in rules.values()} == {(1, 2)}
    assert all(numbers == sorted(numbers) for numbers in rules.values()), "never mixed"
    report = deployment.verify()
    assert report.findings == []
    assert report.outcomes["duplicate"] == 6 * PARTITIONS
    rated = [msgspec.json.decode(value, type=RatedCall) for value in deployment.values("rated-calls")]
    assert len({(call.tenant, call.usage_id) for call in rated}) == len(rated) == 30 * PARTITIONS
    assert balances(deployment) == embedded(tmp_path)
    states = deployment.values("service-states")
    assert states.count(b"") == PARTITIONS, "the keys with Bob@Example went"
    again = [state for state in states if b"key_of_user_changed" in state]
    assert len(again) == PARTITIONS
    # a command that the old release refused is not applied by a replay (A48)
    deployment.publish([("commands", STRANGER, encode_input(command)) for command in commands(STRANGER)[:1]])
    deployment.wait_until_rated()
    replayed = invoke("dlq", "replay", "--reason", "unknown_tenant", *at(deployment))
    assert (replayed.exit_code, "give it to `rater run` or `rater publish`" in replayed.stderr) == (3, True)
    assert balances(deployment).get(STRANGER, "0") == "0"
    assert invoke("consume", "service-states", *at(deployment)).exit_code == 0
