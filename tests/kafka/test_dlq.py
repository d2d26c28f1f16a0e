"""Dead letters on a real Kafka: listed, shown, replayed through the same deduplication, dropped, audited."""

import json
import subprocess
from typing import Any

import pytest

from rater.core.inputs import TenantConfigured
from rater.wire.codec import encode_input
from tests.commands import rater
from tests.forks import run
from tests.kafka.deployment import Deployment
from tests.world import at

AT = "2025-03-10T12:00:00Z"
STRANGER = b'{"tenant":"stranger","usage_id":"s-1","type":"user_in","answered_at":"2025-03-10T12:00:00Z","duration_s":61,"user":"u"}'
BROKEN = b'{"tenant":"stranger","usage_id":"s-2","type":"user_in"}'
NO_JSON = b"\xff\xfe no JSON"


def dlq(deployment: Deployment, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """`rater dlq` of a deployment."""
    options = [f"--bootstrap={deployment.settings.bootstrap}", f"--prefix={deployment.settings.prefix}"]
    return rater("dlq", *words, *options, code=code)


def listed(deployment: Deployment, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(dlq(deployment, "ls", "--json", "--reveal", *words).stdout)
    return found


def states(deployment: Deployment, *words: str) -> dict[str, str]:
    """Raw bytes to state."""
    return {letter["raw"][:40]: letter["state"] for letter in listed(deployment, *words)}


@pytest.fixture
def refused(deployment: Deployment) -> Deployment:
    """A worker that has refused three records: two of an unconfigured tenant, and bytes that do not decode."""
    deployment.start("worker-0")
    deployment.publish([("cdrs", "stranger", STRANGER), ("cdrs", "stranger", BROKEN), ("cdrs", "-", NO_JSON)])
    deployment.wait_until_rated()
    return deployment


def test_replay_after_a_fix(refused: Deployment) -> None:
    """A tenant is configured afterwards: its record is rated, once; what is still broken stays listed."""
    assert {letter["reason"] for letter in listed(refused)} == {"unknown_tenant", "malformed"}
    dry = dlq(refused, "replay", "--dry-run", "--reason", "unknown_tenant")
    assert dry.stderr == "1 record would be tried\n"
    again = dlq(refused, "replay", "--reason", "unknown_tenant", code=3)
    assert again.stderr.endswith("\n0 of 1 records accepted\n")
    assert states(refused)[STRANGER[:40].decode()] == "refused_again"
    configured = TenantConfigured(tenant="stranger", id="1", at=at("2025-01-01"), currency="USD")
    refused.publish([("commands", "stranger", encode_input(configured))])
    refused.wait_until_rated()
    again = json.loads(dlq(refused, "replay", "--by", "maria", "--json", code=3).stdout)
    assert [(audit["by"], audit["accepted"]) for audit in again].count(("maria", True)) == 1
    assert set(states(refused).values()) == {"refused_again"}
    assert len(listed(refused)) == 2
    accepted = [letter for letter in listed(refused, "--all") if letter["state"] == "accepted"]
    assert [audit["accepted"] for audit in accepted[0]["history"]] == [False, True]
    assert accepted[0]["raw"].encode() == STRANGER
    refused.published += 4
    report = refused.verify()
    assert report.findings == []
    assert report.outcomes["rated"] == 2


def test_what_was_rated_before_counts_as_accepted(refused: Deployment) -> None:
    """The switch sent the record again after the fix: the replay is a duplicate, and the letter is settled."""
    configured = TenantConfigured(tenant="stranger", id="1", at=at("2025-01-01"), currency="USD")
    refused.publish([("commands", "stranger", encode_input(configured))])
    refused.wait_until_rated()
    refused.publish([("cdrs", "stranger", STRANGER)])
    refused.wait_until_rated()
    assert dlq(refused, "replay", "--reason", "unknown_tenant").stderr == "1 of 1 records accepted\n"
    refused.published += 1
    assert refused.verify().outcomes["duplicate"] == 1


def test_no_worker_rates(refused: Deployment) -> None:
    """Without a worker a replay is published, and stays listed until its outcome is known."""
    refused.workers[0].stop()
    ran = dlq(refused, "replay", "--reason", "unknown_tenant", "--wait", "0")
    assert ran.stderr == "0 of 1 records accepted, 1 published and not applied yet: is a worker running?\n"
    assert states(refused)[STRANGER[:40].decode()] == "replayed"


def test_drop(refused: Deployment) -> None:
    """Dropped letters are listed no more; who did it, when and why is kept."""
    assert "expected ids, --reason" in dlq(refused, "drop", code=2).stderr
    (broken,) = [letter for letter in listed(refused) if letter["raw"].encode() == BROKEN]
    shown = dlq(refused, "show", broken["id"][:10])
    assert BROKEN.decode() in shown.stdout
    assert "expected a value, got none" in shown.stdout
    assert "--note: expected why" in dlq(refused, "drop", broken["id"], code=2).stderr
    done = dlq(refused, "drop", broken["id"], "--note", "a test", "--by", "maria")
    assert done.stderr == "1 record dropped\n"
    assert broken["id"] not in {letter["id"] for letter in listed(refused)}
    kept = json.loads(dlq(refused, "show", broken["id"], "--json", "--reveal").stdout)
    assert kept["state"] == "dropped"
    assert [(audit["by"], audit["note"]) for audit in kept["history"]] == [("maria", "a test")]


def test_which_letters_are_meant(refused: Deployment) -> None:
    """Filters: tenant, reason, since, limit; bytes that are no text come out as they went in."""
    assert len(listed(refused, "--tenant", "stranger")) == 2
    assert len(listed(refused, "--since", "2199-01-01T00:00:00Z")) == 0
    assert len(listed(refused, "--since", "2020-01-01T00:00:00Z")) == 3
    assert len(listed(refused, "--limit", "2")) == 2
    assert "expected one of malformed" in dlq(refused, "ls", "--reason", "odd", code=2).stderr
    (letter,) = [letter for letter in listed(refused) if letter["raw_encoding"] == "base64"]
    ran = run(
        ["dlq", "show", letter["id"], "--raw"],
        env={"RATER_BOOTSTRAP": refused.settings.bootstrap, "RATER_PREFIX": refused.settings.prefix},
    )
    assert (ran.returncode, ran.stdout) == (0, NO_JSON + b"\n")


def test_a_held_record_is_let_through_by_a_person(refused: Deployment) -> None:
    """A44: the acceptance is committed before the record comes again; then it is rated, and replays are equal."""
    configured = TenantConfigured(tenant="stranger", id="1", at=at("2025-01-01"), currency="USD")
    refused.publish([("commands", "stranger", encode_input(configured))])
    refused.wait_until_rated()
    refused.publish([("cdrs", "stranger", STRANGER.replace(b'"duration_s":61', b'"duration_s":50000'))])
    refused.wait_until_rated()
    (letter,) = listed(refused, "--reason", "implausible_duration")
    assert dlq(refused, "replay", letter["id"], code=3).stderr.endswith('--note "why"\n0 of 1 records accepted\n')
    assert dlq(refused, "replay", letter["id"], "--accept").stderr == "1 of 1 records accepted\n"
    refused.published += 3
    report = refused.verify()
    assert report.findings == []


def test_the_brokers_stamp_says_which_clocks_run_ahead(refused: Deployment) -> None:
    """A43: a record and a command of the year 2199 are rejected; verify, which reads the same stamps, agrees."""
    configured = TenantConfigured(tenant="stranger", id="1", at=at("2025-01-01"), currency="USD")
    ahead = TenantConfigured(tenant="stranger", id="2", at=at("2199-01-01"), credits="enabled")
    refused.publish([("commands", "stranger", encode_input(command)) for command in (configured, ahead)])
    refused.wait_until_rated()
    refused.publish([("cdrs", "stranger", STRANGER.replace(b"2025-03", b"2199-03"))])
    refused.wait_until_rated()
    assert len(listed(refused, "--reason", "impossible_time")) == 2
    assert refused.verify().findings == []
