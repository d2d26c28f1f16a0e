"""The bytes of outputs, as version 0.3.0 wrote them: what is equal to a default is left out by its value.

Which fields are written may not depend on whether two equal values are one object: another Python or msgspec would
write other bytes for the same outputs.
"""

from collections.abc import Callable

import pytest

from rater.contracts.codec import encode
from tests.conftest import ROOT
from tests.world import GB_SPECIAL, HARARE, LONDON, NOWHERE, US, World

#: For each story below a line `# its name`, then every output that it causes, one a line.
FIXTURE = ROOT / "tests" / "fixtures" / "outputs-0.3.0.jsonl"


class Recorded(World):
    """A world that keeps the bytes of every output, its setup's included."""

    def _submit(self, kind: str, raw: bytes, arrived: str | None = None) -> list[str]:
        events = super()._submit(kind, raw, arrived)
        self.lines = [*getattr(self, "lines", ()), *[encode(output).decode() for output in self.outputs]]
        return events


def free_call() -> Recorded:
    """An internal call: nobody pays."""
    world = Recorded().user("ada", "US", "MCOPSTN2")
    world.call(US, type="internal")
    return world


def call_with_a_price_of_zero() -> Recorded:
    """The deck says that it costs nothing: priced all the same."""
    world = Recorded().user("ada", "US", "MCOPSTNPP")
    world.call("+448001234567", 61)
    return world


def emergency_call() -> Recorded:
    """911 is free, whoever calls it."""
    world = Recorded().user("ada", "US", "MCOPSTN1")
    world.call("911", 300)
    return world


def call_that_was_not_connected() -> Recorded:
    """No second, no minute, no charge."""
    world = Recorded().user("ada", "US", "MCOPSTN2")
    world.call(US, 0)
    return world


def pool_call() -> Recorded:
    """Minutes of a pool."""
    world = Recorded().user("ada", "US", "MCOPSTN1")
    world.call(US, 61)
    return world


def call_without_fee() -> Recorded:
    """Paid from credit, by the minute alone."""
    world = Recorded().user("ada", "US", "MCOPSTNPP")
    world.call(LONDON, 61)
    return world


def call_with_fee() -> Recorded:
    """Paid from credit, with a connection fee."""
    world = Recorded().user("ada", "US", "MCOPSTNPP")
    world.call(HARARE, 61)
    world.call(GB_SPECIAL, 61)
    return world


def unfunded_call() -> Recorded:
    """Priced, and nobody may pay for it: the user is restricted, and allowed again at the start of the month."""
    world = Recorded(credits="not_set_up", funds=None).user("ada", "US", "MCOPSTN1")
    world.call(LONDON, 61)
    world.tick("2025-04-01")
    return world


def call_without_a_rate() -> Recorded:
    """No row of the deck fits: free, with an anomaly."""
    world = Recorded().user("ada", "US", "MCOPSTNPP")
    world.call(NOWHERE)
    return world


def call_of_several_lots_and_debt() -> Recorded:
    """Two purchases and a debt pay one call; a correction gives it back; the next purchase pays what is owed."""
    world = Recorded(funds="0.1").user("ada", "US", "MCOPSTNPP")
    world.fund("0.2", "2025-03-02", id="second")
    world.call(HARARE, 600, id="long")
    world.fund("5", "2025-03-11", id="third")
    world.cdr(HARARE, 60, "2025-03-10 10:00", id="long", version=2)
    return world


def expiry() -> Recorded:
    """What is left after twelve months is forfeited."""
    world = Recorded(funds="12.5").user("ada", "US", "MCOPSTNPP")
    world.tick("2026-03-01 00:00:00")
    return world


def recharge() -> Recorded:
    """A recharge is asked for, fails, is asked for again and is paid."""
    world = Recorded(funds="1", recharge=("5", "20")).user("ada", "US", "MCOPSTNPP")
    world.call(LONDON, 61)
    world.declined("2025-03-10 11:00")
    world.tick("2025-03-10 12:00")
    world.paid("2025-03-10 12:30")
    return world


STORIES: tuple[Callable[[], Recorded], ...] = (
    free_call,
    call_with_a_price_of_zero,
    emergency_call,
    call_that_was_not_connected,
    pool_call,
    call_without_fee,
    call_with_fee,
    unfunded_call,
    call_without_a_rate,
    call_of_several_lots_and_debt,
    expiry,
    recharge,
)


def written() -> dict[str, list[str]]:
    """What the fixture says."""
    stories: dict[str, list[str]] = {}
    for line in FIXTURE.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            stories[line[2:]] = lines = []
        else:
            lines.append(line)
    return stories


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_every_output_has_the_bytes_that_version_0_3_0_wrote(story: Callable[[], Recorded]) -> None:
    """Field for field, in its order: what is written, and what is left out because it is the default."""
    assert story().lines == written()[story.__name__]


def test_every_story_is_pinned() -> None:
    """None is in the fixture alone, and none is missing there."""
    assert list(written()) == [story.__name__ for story in STORIES]
