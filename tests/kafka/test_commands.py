"""The commands around Kafka: topics, publish, consume, verify, and their messages when something is not there."""

import asyncio
import gzip
import json
import re
from pathlib import Path

from rater.dev.local_kafka import LocalKafka
from rater.dev.ports import free_ports
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import apply, compare
from rater.wire.errors import RaterError
from rater.wire.topics import load_topics
from tests.commands import invoke
from tests.kafka.deployment import PARTITIONS, Deployment, calls, provisioning, story, until


def at(deployment: Deployment) -> tuple[str, str]:
    return f"--bootstrap={deployment.settings.bootstrap}", f"--prefix={deployment.settings.prefix}"


def test_no_broker() -> None:
    """The error says the address, what was tried, and two ways to start one."""
    (port,) = free_ports(1)
    result = invoke("topics", "diff", f"--bootstrap=127.0.0.1:{port}")
    assert isinstance(result.exception, RaterError)
    said = str(result.exception)
    for part in (f"127.0.0.1:{port}", "PLAINTEXT", "rater dev kafka start", "docker compose"):
        assert part in said


def test_scenarios_on_no_broker(tmp_path: Path) -> None:
    """`rater check --engine kafka --broker ADDRESS`, as the scenario format names it; the same error."""
    (tmp_path / "deck.csv").write_bytes((Path(__file__).parent.parent / "fixtures" / "deck.csv").read_bytes())
    scenario = "scenario: nothing happens\nrate_deck: deck.csv\ntenant: {id: contoso}\nsteps: []\n"
    (tmp_path / "one.yaml").write_text(scenario, encoding="utf-8")
    (port,) = free_ports(1)
    result = invoke("check", str(tmp_path), "--engine=kafka", f"--broker=127.0.0.1:{port}")
    assert isinstance(result.exception, RaterError)
    assert f"127.0.0.1:{port}" in str(result.exception)


def test_topics_are_created_once(deployment: Deployment) -> None:
    """Creating again changes nothing; all stand as topics/*.yaml says."""
    again = invoke("topics", "apply", *at(deployment), f"--partitions={PARTITIONS}", "--json")
    assert again.exit_code == 0
    report = json.loads(again.stdout)
    assert report["created"] == []
    assert {topic["state"] for topic in report["topics"]} == {"as expected"}
    assert {topic["name"] for topic in report["topics"]} == set(load_topics())


def test_another_number_of_partitions(deployment: Deployment) -> None:
    """It is an error, not a silent change: it would move tenants."""
    result = invoke("topics", "apply", *at(deployment), "--partitions=6", "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)["topics"]
    assert {topic["differences"][0] for topic in report} == {f"expected 6 partitions, found {PARTITIONS}"}


def test_a_topic_that_is_missing(deployment: Deployment) -> None:
    """The worker does not start without all of its topics, and says which one is missing."""
    other = deployment.settings.model_copy(update={"prefix": f"{deployment.settings.prefix}half-"})
    topics = load_topics()
    asyncio.run(apply(other, {name: topics[name] for name in topics if name != "commits"}, 2))
    result = invoke("worker", f"--bootstrap={other.bootstrap}", f"--prefix={other.prefix}")
    assert isinstance(result.exception, RaterError)
    assert f"no topic {other.prefix}commits" in str(result.exception)
    asyncio.run(apply(other, {"commits": topics["commits"]}, 3))
    result = invoke("worker", f"--bootstrap={other.bootstrap}", f"--prefix={other.prefix}")
    assert "expected 2 partitions as cdrs has, commits has 3" in str(result.exception)


def test_another_cleanup_policy(broker: LocalKafka) -> None:
    """A balance topic that deletes would lose tenants: an error too."""
    settings = KafkaSettings(bootstrap=broker.bootstrap, prefix="policy-")
    topics = load_topics()
    wrong = {"balances": topics["balances"].model_copy(update={"cleanup_policy": "delete", "retention_hours": 1})}
    asyncio.run(apply(settings, wrong, 1))
    (state,) = asyncio.run(compare(settings, {"balances": topics["balances"]}, 1))
    assert (state.state, state.fatal) == ("differs", True)
    assert "expected cleanup.policy=compact, found delete" in state.differences


def test_from_files_to_debits(deployment: Deployment, tmp_path: Path) -> None:
    """Publish files, rate them, read the results, verify: and publishing twice changes nothing."""
    spec = story(2_000)
    deployment.publish(provisioning(spec))
    lines = [value for _, _, value in calls(spec)]
    (tmp_path / "cdrs.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    for _ in range(2):
        published = invoke("publish", str(tmp_path / "cdrs.jsonl"), *at(deployment))
        assert published.exit_code == 0, published.output
        deployment.published += len(lines)
    deployment.start("worker-0")
    deployment.wait_until_rated()
    for topic in ("rated-calls", "debits", "account-events", "rejected-cdrs", "balances", "service-states"):
        consumed = invoke("consume", topic, *at(deployment))
        assert consumed.exit_code == 0, consumed.output
        assert "0 findings" in consumed.stderr
    rated = [json.loads(line) for line in invoke("consume", "rated-calls", *at(deployment)).stdout.splitlines()]
    assert len({call["usage_id"] for call in rated}) > 1_500
    last = invoke("consume", "rated-calls", "--last", "100", *at(deployment))
    assert (last.exit_code, "0 findings" in last.stderr) == (0, True)
    assert 0 < len(last.stdout.splitlines()) <= 100 * PARTITIONS
    assert set(last.stdout.splitlines()) < set(
        invoke("consume", "rated-calls", *at(deployment)).stdout.splitlines()
    )
    verified = invoke("verify", *at(deployment), "--json")
    assert verified.exit_code == 0, verified.output
    report = json.loads(verified.stdout)
    assert (report["cdrs"], report["differences"]) == (2 * len(lines), 0)
    assert report["outcomes"]["duplicate"] >= len(lines) - report["outcomes"]["rejected"]


def test_events_of_running_calls(deployment: Deployment, tmp_path: Path) -> None:
    """A file of call events goes to `call-events`; an invalid row is named, and the others are published."""
    event = {"tenant": "contoso", "type": "user_out", "event": "started", "at": "2025-03-10T10:00:00Z"}
    rows = [event | {"usage_id": "c1"}, event, event | {"usage_id": "c2"}]
    file = tmp_path / "events.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    published = invoke("publish", str(file), *at(deployment))
    assert published.exit_code == 3
    assert f"{file}:2: usage_id: expected a value, got none" in published.stderr
    assert [json.loads(value)["usage_id"] for value in deployment.values("call-events")] == ["c1", "c2"]
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(file.read_bytes())[:-4])
    cut = invoke("publish", str(tmp_path / "cut.jsonl.gz"), "--format=call-events", *at(deployment))
    assert (cut.exit_code, "cut.jsonl.gz: " in cut.stderr) == (3, True)


def test_a_forged_debit_is_found(deployment: Deployment) -> None:
    """What somebody else wrote into a topic of ours is a finding, and the exit code says so."""
    deployment.publish(provisioning(story(50)))
    deployment.publish(list(calls(story(50))))
    deployment.start("worker-0")
    deployment.wait_until_rated()
    deployment.publish([("debits", "tenant-0000", b'{"tenant":"tenant-0000","id":"forged","sequence":99}')])
    result = invoke("verify", *at(deployment))
    assert result.exit_code == 1
    assert "no commit says where it came from" in result.stdout
    result = invoke("consume", "debits", *at(deployment))
    assert result.exit_code == 1


def test_the_worker_answers_over_http(deployment: Deployment) -> None:
    """Alive, ready with a line for each partition, and metrics that Prometheus reads."""
    deployment.publish(provisioning(story(50)))
    deployment.publish(list(calls(story(50))))
    worker = deployment.start("worker-0")
    deployment.wait_until_rated()
    until(lambda: worker.get("/readyz")[0] == 200, "readiness")
    assert worker.get("/livez")[0] == 200
    status, text = worker.get("/healthz?verbose")
    rating = re.findall(r"(?m)^partition \d: rating since \S+Z, cdrs@\d+ commands@\d+, acquired 1 times$", text)
    assert (status, len(rating)) == (200, PARTITIONS)
    status, text = worker.get("/metrics")
    assert status == 200
    assert 'rater_records_total{outcome="rated"}' in text
    assert 'rater_partitions{state="rating"} 4.0' in text
