"""The specification is played on every engine; on real Kafka where `-m on_kafka` asks for it."""

from collections.abc import Iterator

import pytest

from tests.engines import ENGINES, OnKafka, played_on
from tests.kafka.conftest import local_kafka


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a broker for all worlds; each has topics of its own."""
    kafka = local_kafka(tmp_path_factory.mktemp("kafka"))
    kafka.start()
    yield kafka.bootstrap
    kafka.stop()


@pytest.fixture(
    params=[pytest.param(name, marks=pytest.mark.on_kafka if name == "kafka" else ()) for name in ENGINES],
    autouse=True,
)
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of the engine on which this test's worlds are played."""
    if request.param == "kafka":
        OnKafka.bootstrap = request.getfixturevalue("kafka")
    with played_on(request.param):
        yield request.param


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test that looks into memory, or that has no world, is played once."""
    once = {item for item in items if item.get_closest_marker("in_memory") and _engine_of(item) != "memory"}
    config.hook.pytest_deselected(items=list(once))
    items[:] = [item for item in items if item not in once]


def _engine_of(item: pytest.Item) -> str | None:
    call = getattr(item, "callspec", None)
    return call.params.get("engine") if call else None
