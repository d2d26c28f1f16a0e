"""A mirror of a deployment's topics under another prefix, as far as a test says; and MirrorMaker 2 itself."""

import asyncio
import itertools
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from rater.dev.kafka_jars import fetch_jars
from rater.dev.ports import free_ports
from rater.kafka.client import read_partition
from rater.kafka.move.writer import SetWriter, Written
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import apply
from rater.wire.topics import load_topics
from tests.conftest import ROOT
from tests.kafka.deployment import PARTITIONS

MIRROR = ROOT / "deploy/kafka/mirror"
MAIN = ("-Dlog4j2.level=WARN", "org.apache.kafka.connect.mirror.MirrorMaker")
#: What a worker needs for itself is not mirrored: it is computed again.
MIRRORED = sorted(load_topics().keys() - {"state"})


def mirror(
    source: KafkaSettings,
    target: KafkaSettings,
    lacks: Mapping[str, int] | None = None,
    begins: Mapping[str, int] | None = None,
    twice: str | None = None,
) -> None:
    """Copy each topic's partitions in order, with their times; offsets differ, because transactions leave markers.

    Of each partition the last records that `lacks` says are missing, and those before the offset that `begins`
    says; the record before the last of topic `twice` is there twice.
    """

    async def copy() -> None:
        await apply(target, load_topics(), PARTITIONS)
        async with SetWriter(target, f"{target.prefix}mirror") as writer:
            for topic, number in itertools.product(MIRRORED, range(PARTITIONS)):
                first = (begins or {}).get(topic)
                records = [one async for some in read_partition(source, topic, number, first) for one in some]
                kept = records[: len(records) - (lacks or {}).get(topic, 0)]
                written = [Written(record.key, record.value, record.published_ms) for record in kept]
                if topic == twice and len(written) > 1:
                    written.insert(-1, written[-2])
                place = (target.topic(topic), number)
                half = len(written) // 2
                for part in (written[:half], written[half:]):
                    if part:
                        await writer.commit({place: part})

    asyncio.run(copy())


class MirrorMaker:
    """MirrorMaker 2 from Maven's jars, with the properties that operators get, between two clusters."""

    def __init__(self, folder: Path, site_a: str, site_b: str) -> None:
        jars = _fetched()
        changes = {
            "A.bootstrap.servers": site_a,
            "B.bootstrap.servers": site_b,
            "listeners": f"http://127.0.0.1:{free_ports(1)[0]}",
            "refresh.topics.interval.seconds": "1",
            "replication.policy.separator": ".",
        }
        lines = (MIRROR / "mirror-maker.properties").read_text().splitlines()
        found = dict(line.split(" = ", 1) for line in lines if " = " in line and not line.startswith("#")) | changes
        found |= {name: "1" for name in found if name.endswith("replication.factor")}
        properties = folder / "mirror-maker.properties"
        properties.write_text("".join(f"{name} = {value}\n" for name, value in found.items()))
        self.log = folder / "mirror-maker.log"
        command = ["java", "-Xmx512m", "-XX:+UseSerialGC", "-cp", f"{jars}/*", *MAIN, str(properties)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def end(self) -> None:
        """SIGTERM; what does not end within a while is killed: its site A may be gone."""
        self.process.terminate()
        try:
            self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _fetched() -> Path:
    """The folder of the jars, which are fetched once for the checkout."""
    jars = ROOT / ".kafka" / "mirror-jars"
    if any(jars.glob("connect-mirror-*.jar")):
        return jars
    for tool in ("java", "mvn"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool} here: this test runs MirrorMaker 2 (apt install default-jre-headless maven)")
    fetch_jars(jars, MIRROR / "pom.xml")
    return jars
