"""Whether a switch's records all come: numbers that are missing, and when the last record came."""

import pytest
from prometheus_client import CollectorRegistry

from rater.agents.switches.completeness import (
    FORGOTTEN_AFTER_S,
    MISSING_AFTER_S,
    MISSING_MAX,
    SHOWN_EVERY_S,
    Completeness,
    SeenRecord,
    seen_in,
)
from rater.ops.metrics.meter import Metrics


class Watched:
    """A switch's records, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.metrics = Metrics(CollectorRegistry())
        self.completeness = Completeness(["east"], self.metrics, lambda: self.now_s)

    def come(self, *numbers: int | None, switch: str | None = "east") -> None:
        """Records with these numbers come now."""
        for number in numbers:
            self.completeness.record(SeenRecord("contoso", f"call-{number}", switch, number), self.now_s)

    def missing(self, after_s: float) -> float | None:
        """How many are shown as missing, so long after."""
        self.now_s += after_s
        self.completeness.show()
        return self.value("rater_switch_missing_records")

    def value(self, name: str, switch: str = "east") -> float | None:
        return self.metrics.registry.get_sample_value(name, {"switch": switch})


@pytest.mark.parametrize(
    ("numbers", "missing"),
    [
        pytest.param([7, 8, 9], 0, id="none"),
        pytest.param([7, 9, 10, 12], 2, id="8 and 11"),
        pytest.param([7, 9, 8], 0, id="one that was overtaken"),
        pytest.param([7, 8, 8, 7, 9], 0, id="numbers that come again"),
        pytest.param([7, 8, 5], 0, id="older than the first"),
        pytest.param([7, 7 + MISSING_MAX, 8], MISSING_MAX - 2, id="all between but one"),
        pytest.param([5_000, 1, 2, 3], 0, id="a numbering that began anew"),
        pytest.param([7, 9, 5_000], 0, id="a step that no gap has"),
        pytest.param([None, None], 0, id="no numbers"),
    ],
)
def test_numbers_that_are_missing_are_shown(numbers: list[int | None], missing: int) -> None:
    """Five minutes after a higher one came, and not before."""
    watched = Watched()
    watched.come(*numbers)
    assert watched.missing(MISSING_AFTER_S - 1) == 0
    assert watched.missing(SHOWN_EVERY_S) == missing


def test_a_record_that_comes_late_fills_its_gap() -> None:
    """An hour later; a number that never comes is forgotten after a day."""
    watched = Watched()
    watched.come(1, 3, 5)
    assert watched.missing(3_600) == 2
    watched.come(2)
    assert watched.missing(SHOWN_EVERY_S) == 1
    assert watched.missing(FORGOTTEN_AFTER_S) == 0


def test_what_is_kept_is_bounded() -> None:
    """A switch that only sends every second number."""
    watched = Watched()
    watched.come(*range(0, 20_000, 2))
    assert watched.missing(MISSING_AFTER_S) == MISSING_MAX


def test_records_are_counted_by_their_switch() -> None:
    """A name that switches.yaml lacks, or none, counts as none: series cannot grow with what records have."""
    watched = Watched()
    assert watched.value("rater_switch_records_total") == 0
    watched.come(1, 2)
    watched.come(1, switch="somewhere")
    watched.come(None, switch=None)
    watched.completeness.show()
    assert watched.value("rater_switch_records_total") == 2
    assert watched.value("rater_switch_records_total", "none") == 2
    assert watched.value("rater_switch_records_total", "somewhere") is None
    assert watched.value("rater_switch_last_record_timestamp_seconds") == 1_000


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"\xff", b'{"usage_id": "a"}', b'{"tenant": "contoso", "usage_id": "a", "switch_sequence": "7"}'],
    ids=["nothing", "an array", "no text", "no tenant", "a text as number"],
)
def test_what_is_no_record_is_left_to_the_rules(raw: bytes) -> None:
    """The rules reject it; here it is passed over."""
    assert seen_in(raw) is None


def test_a_record_in_its_own_bytes() -> None:
    """Other fields are not looked at."""
    raw = b'{"tenant": "contoso", "usage_id": "a", "type": "user_out", "switch": "east", "switch_sequence": 7}'
    assert seen_in(raw) == SeenRecord("contoso", "a", "east", 7)
