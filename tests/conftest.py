"""What all tests share: how hypothesis runs, and where the reference material is."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"

#: `make chaos`: tests that take minutes, and the long form of those that kill processes and brokers.
LONG = os.environ.get("RATER_CHAOS") == "long"

#: So much of the tests that compute has begun when the last group that waits begins; the rest fills up the end.
_WAITING_BEGINS_UNTIL = 0.75

#: Settings of whoever runs the tests must not reach the commands under test.
for name in [name for name in os.environ if name.startswith("RATER_") and name != "RATER_CHAOS"]:
    del os.environ[name]

settings.register_profile(
    "default", deadline=None, derandomize=True, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("long", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In one of several processes: tests that share what their file makes once run in one of them."""
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        if isinstance(item, pytest.Function) and item.get_closest_marker("xdist_group") is None:
            found = item._fixtureinfo.name2fixturedefs.values()
            if any(fixture.scope == "module" for fixtures in found for fixture in fixtures):
                item.add_marker(pytest.mark.xdist_group(f"shared-{item.path.stem}"))
    items[:] = _mixed(items)


def _mixed(items: list[pytest.Item]) -> list[pytest.Item]:
    """Groups that wait for brokers and browsers most of their time, evenly among those that compute."""
    waiting: dict[str, list[pytest.Item]] = {}
    computing = []
    for item in items:
        group = item.get_closest_marker("xdist_group")
        name = "shared-" if group is None else group.args[0]
        if name.startswith("shared-"):
            computing.append(item)
        else:
            waiting.setdefault(name, []).append(item)
    apart = int(len(computing) * _WAITING_BEGINS_UNTIL / max(1, len(waiting)))
    mixed: list[pytest.Item] = []
    for number, group_items in enumerate(waiting.values()):
        mixed += [*group_items, *computing[number * apart : (number + 1) * apart]]
    return mixed + computing[len(waiting) * apart :]


@pytest.fixture
def shared() -> Path:
    """The folder of reference material beside the project; a plain clone does not have it."""
    if not SHARED.is_dir():
        pytest.skip("../shared is not here: this test reads the reference scenarios and the real price list")
    return SHARED
