"""A switch that publishes to a topic of its own: each record is mapped and published once, whatever is killed."""

import asyncio
import json
import os
from collections import Counter
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from rater.kafka.connect import connection, reachable
from rater.kafka.not_mapped import BEGINNING
from rater.wire.errors import Exit, RaterError
from tests.commands import invoke
from tests.conftest import LONG
from tests.forks import Forked
from tests.kafka.deployment import Deployment, until
from tests.serve.world import MAPPING

KILLS = 8 if LONG else 3
RECORDS = 500 * KILLS
RAW_PARTITIONS = 2
#: Records whose seconds are none, and one that is not selected.
BAD = (7, 1_007)


def raw(number: int) -> bytes:
    """A switch's record."""
    seconds = "x" if number in BAD else "60"
    record = {"id": f"call-{number:05}", "who": "ada", "to": "+442079460000", "start": "2026-03-10T12:00:00Z"}
    return json.dumps(record | {"secs": seconds, "tenant": f"tenant-{number % 5}"}).encode()


async def publish_raw(deployment: Deployment, topic: str) -> None:
    """Make the raw topic, and publish to it as a switch does: its own keys, its own partitioner."""
    async with reachable(deployment.settings, AIOKafkaAdminClient(**connection(deployment.settings))) as admin:
        await admin.create_topics([NewTopic(topic, RAW_PARTITIONS, 1)])
    producer = AIOKafkaProducer(**connection(deployment.settings))
    async with reachable(deployment.settings, producer):
        for number in range(RECORDS):
            await producer.send(topic, raw(number), partition=number % RAW_PARTITIONS)
        await producer.flush()


class BridgeProcess:
    """`rater publish --from-topic` as a process."""

    def __init__(self, deployment: Deployment, topic: str, mapping: Path, name: str) -> None:
        where = (f"--bootstrap={deployment.settings.bootstrap}", f"--prefix={deployment.settings.prefix}")
        words = ["publish", f"--from-topic={topic}", f"--map={mapping}", *where]
        self.log = deployment.folder / f"{name}.log"
        with self.log.open("ab") as log:
            self.process = Forked(words, stdout=log, stderr=log, env=os.environ)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    path = tmp_path / "m.yaml"
    path.write_text(MAPPING + '  tenant: "{tenant}"\n')
    return path


def published(deployment: Deployment) -> Counter[str]:
    """How often each id stands in `cdrs`; frames of refused records by what they are."""
    found: Counter[str] = Counter()
    for value in deployment.values("cdrs"):
        found["refused" if value.startswith(BEGINNING) else json.loads(value)["usage_id"]] += 1
    return found


def test_each_record_once_though_bridges_are_killed(deployment: Deployment, mapping: Path) -> None:
    """Two bridges share the raw topic's partitions; one after the other is killed while it works."""
    topic = f"{deployment.settings.prefix}acc"
    asyncio.run(publish_raw(deployment, topic))
    bridges = [BridgeProcess(deployment, topic, mapping, f"bridge-{number}") for number in range(2)]
    try:
        for number in range(KILLS):
            before = published(deployment).total()
            if before >= RECORDS:
                break
            until(lambda before=before: published(deployment).total() > before, "something to be published")  # type: ignore[misc]
            bridges[number % 2].kill()
            bridges[number % 2] = BridgeProcess(deployment, topic, mapping, f"bridge-{number + 2}")
        until(lambda: published(deployment).total() >= RECORDS, "everything to be published")
    finally:
        for bridge in bridges:
            bridge.kill()
    found = published(deployment)
    assert found.pop("refused") == len(BAD)
    assert set(found.values()) == {1}
    assert len(found) == RECORDS - len(BAD)


def test_a_bridge_goes_on_and_says_what_it_did(deployment: Deployment, mapping: Path) -> None:
    """SIGTERM: exit 0, with what was published; the next one begins behind it."""
    topic = f"{deployment.settings.prefix}acc"
    asyncio.run(publish_raw(deployment, topic))
    for name in ("first", "second"):
        bridge = BridgeProcess(deployment, topic, mapping, name)
        until(lambda: published(deployment).total() >= RECORDS, "everything to be published")
        until(lambda log=bridge.log: "publishing what comes" in log.read_text(), "the bridge to start")  # type: ignore[misc]
        bridge.process.terminate()
        assert bridge.process.wait(timeout=60) == 0, bridge.log.read_text()
    first, second = ((deployment.folder / f"{name}.log").read_text() for name in ("first", "second"))
    assert f"{RECORDS - len(BAD)} published\n{len(BAD)} refused" in first
    assert "published\n" not in second
    assert published(deployment).total() == RECORDS


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--from-topic=raw"], "--from-topic: expected --map, too"),
        (["--from-topic=raw", "--map=cisco-cucm-cdr", "--tenant=contoso"], "a record of a topic has no header"),
    ],
)
def test_what_a_bridge_needs(words: list[str], says: str) -> None:
    """Said before anything is connected."""
    ran = invoke("publish", *words, "--bootstrap=127.0.0.1:1")
    assert isinstance(ran.exception, RaterError)
    assert ran.exception.exit is Exit.USAGE
    assert says in str(ran.exception)
