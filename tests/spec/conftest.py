"""The specification is played on every engine."""

from collections.abc import Iterator

import pytest

from tests.engines import ENGINES, played_on


@pytest.fixture(params=ENGINES, autouse=True)
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of the engine on which this test's worlds are played."""
    with played_on(request.param):
        yield request.param


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test that puts a former release's entities into memory, or that has no world, is played once."""
    once = [item for item in items if item.get_closest_marker("in_memory") and _engine_of(item) != "memory"]
    config.hook.pytest_deselected(items=once)
    items[:] = [item for item in items if item not in set(once)]


def _engine_of(item: pytest.Item) -> str | None:
    call = getattr(item, "callspec", None)
    return call.params.get("engine") if call else None
