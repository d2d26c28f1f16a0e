"""A replica of the topics answers as a store does in which the same inputs were rated."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from rater.dev.generate import Spec
from rater.embedded.replicas import as_of
from rater.embedded.store import open_reader
from rater.kafka.batch_publisher import Message
from rater.kafka.connect import connection, reachable
from rater.kafka.topics import apply
from rater.wire.topics import load_topics
from tests.conftest import LONG
from tests.kafka.deployment import Deployment, calls, provisioning, until
from tests.kafka.test_serve import server
from tests.serve.processes import ServeProcess
from tests.serve.replicas import answers, embedded
from tests.serve.world import clients_file

KILLS = 20 if LONG else 4
SPEC = Spec(seed=5, tenants=6, calls=100 * KILLS, users=60, funds="20", duplicate_share=0.05, poison_share=0.02)


@pytest.fixture
def replica(deployment: Deployment, tmp_path: Path) -> Iterator[ServeProcess]:
    """`rater serve --bootstrap ... --replica ...`; not started yet, and ended with the test."""
    serving = server(deployment, tmp_path, clients_file(tmp_path), f"--replica={tmp_path / 'replica.db'}")
    yield serving
    if serving.process is not None and serving.process.poll() is None:
        serving.kill()


def wait_until_read(path: Path) -> None:
    """Wait until everything that was committed by now is in the file."""
    now = datetime.now(UTC)

    def read() -> bool:
        reader = open_reader(path)
        try:
            until = as_of(reader.connection)
        finally:
            reader.close()
        return until is not None and until > now

    until(read, "the replica to be as far as the topics")


def numbers(path: Path, topic: str) -> list[int]:
    """The numbers of a topic's rows."""
    reader = open_reader(path)
    try:
        return [number for number, _ in reader.topic(topic)]
    finally:
        reader.close()


def test_killed_again_and_again(deployment: Deployment, replica: ServeProcess, tmp_path: Path) -> None:
    """While a worker rates the replica is killed; then it answers as a store of the same inputs, nothing twice."""
    path, setting_up, traffic = tmp_path / "replica.db", provisioning(SPEC), list(calls(SPEC))
    deployment.start("worker-0")
    deployment.publish(setting_up)
    replica.start()
    replica.wait_until_ready()
    size = len(traffic) // KILLS + 1
    for number in range(KILLS):
        before = len(numbers(path, "rated-calls"))  # all of these calls may be there as soon as they are published
        deployment.publish(traffic[number * size : (number + 1) * size])
        until(partial(_has_more, path, before), "one more call")
        replica.kill()
        replica.start()
    deployment.wait_until_rated()
    replica.wait_until_ready()
    wait_until_read(path)
    metrics = str(replica.switch.ask("/metrics").body)
    assert answers(path) == answers(embedded([*setting_up, *traffic], tmp_path))
    assert replica.stop() == 0
    assert "rater_replica_lag_records 0.0" in metrics


def _has_more(path: Path, before: int) -> bool:
    return len(numbers(path, "rated-calls")) > before


async def _make_anew(deployment: Deployment, topic: str) -> None:
    settings = deployment.settings
    async with reachable(settings, AIOKafkaAdminClient(**connection(settings))) as admin:
        await admin.delete_topics([settings.topic(topic)])
    await apply(settings, {topic: load_topics()[topic]}, deployment.partitions)


async def _delete_records(deployment: Deployment, topic: str) -> None:
    """What retention does with old segments: every record so far."""
    settings = deployment.settings
    places = [TopicPartition(settings.topic(topic), number) for number in range(deployment.partitions)]
    async with reachable(settings, AIOKafkaAdminClient(**connection(settings))) as admin:
        await admin.delete_records({place: RecordsToDelete(before_offset=-1) for place in places})


def few() -> list[Message]:
    """A few calls of two tenants."""
    spec = Spec(seed=7, tenants=2, calls=40, users=8, funds="20")
    return [*provisioning(spec), *calls(spec)]


def test_what_topics_lose_the_replica_loses(deployment: Deployment, replica: ServeProcess, tmp_path: Path) -> None:
    """Records that a topic deleted, at once; a topic that is made anew has all of them read again, and it is reported."""
    path = tmp_path / "replica.db"
    deployment.start("worker-0")
    deployment.publish(few())
    deployment.wait_until_rated()
    replica.start()
    replica.wait_until_ready()
    wait_until_read(path)
    before = {topic: numbers(path, topic) for topic in ("rated-calls", "debits", "account-events")}
    asyncio.run(_delete_records(deployment, "debits"))
    until(lambda: not numbers(path, "debits"), "debits to be deleted")
    asyncio.run(_make_anew(deployment, "rejected-cdrs"))
    until(lambda: "deleted and created again: rejected-cdrs" in replica.log.read_text(), "the topic to be noticed")
    until(lambda: len(numbers(path, "rated-calls")) == len(before["rated-calls"]), "all to be read again")
    wait_until_read(path)
    after = {topic: numbers(path, topic) for topic in before}
    assert replica.stop() == 0
    assert before["debits"]
    assert after["debits"] == []
    # read a second time, they have other numbers than before
    assert len(after["account-events"]) == len(before["account-events"])
    assert not set(after["rated-calls"]) & set(before["rated-calls"])


def test_a_store_is_refused(deployment: Deployment, tmp_path: Path) -> None:
    """The server ends with one line, and nothing is changed."""
    path = embedded(few(), tmp_path)
    before = path.read_bytes()
    serving = server(deployment, tmp_path, clients_file(tmp_path), f"--replica={path}")
    serving.start()
    assert serving.process is not None
    assert serving.process.wait(60) == 2
    assert "expected a replica of Kafka's topics, got a store" in serving.log.read_text()
    assert path.read_bytes() == before


def test_a_newer_state_stops_it(deployment: Deployment, replica: ServeProcess) -> None:
    """The server ends with one line."""
    newer = {"version": 99, "commits": 1, "positions": {}, "rules": 99}
    deployment.publish([("state", "meta", msgspec.msgpack.encode(newer))])
    replica.start()
    assert replica.process is not None
    code = replica.process.wait(60)
    assert (code, "written by a newer rater" in replica.log.read_text()) == (2, True)
