"""A real broker for the tests of this folder, started and ended by them."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rater.dev.local_kafka import LocalKafka
from rater.dev.local_security import Guard
from tests.conftest import ROOT
from tests.kafka.deployment import Deployment

JARS = ROOT / ".kafka" / "jars"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One process runs a file's tests one after another, on the broker that it keeps for all such files."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group(f"kafka-{item.path.stem}"))


def local_kafka(folder: Path, guard: Guard | None = None) -> LocalKafka:
    """A cluster whose data lie in a folder of the test; the jars are fetched once for the checkout."""
    for tool in ("java", "mvn"):
        if shutil.which(tool) is None and not (tool == "mvn" and JARS.is_dir()):
            pytest.skip(f"no {tool} here: these tests run Apache Kafka (apt install default-jre-headless maven)")
    return LocalKafka(folder, JARS, guard)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """One broker for all tests that leave it alone."""
    kafka = local_kafka(tmp_path_factory.mktemp("kafka"))
    kafka.start()
    yield kafka
    kafka.stop()


@pytest.fixture
def deployment(broker: LocalKafka, tmp_path: Path) -> Iterator[Deployment]:
    """Topics of the test's own, and the workers that it starts; they are ended with it."""
    deployment = Deployment(broker.bootstrap, tmp_path)
    yield deployment
    deployment.end()
