"""Times by pattern, with the abbreviation of a zone, and what means "never answered"."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rater.core.inputs import CallRecord
from rater.core.reasons import Reason, Refusal
from rater.files.mappings import Mapping, NotSelected, load
from rater.wire.errors import RaterError

SITE = """\
reader: {kind: csv, delimiter: ";", header: false, columns: [id, at, secs]}
times: {as: AS, zone: ZONE}
call:
  usage_id: "{id}"
  answered_at: "{at}"
  duration: {from: "{secs}", round: down}
  type: user_in
  user: ada
  tenant: contoso
"""
H323 = '"%H:%M:%S.%f %Z %a %b %d %Y"'


def site(tmp_path: Path, written: str = H323, zone: str = "Europe/Amsterdam", *more: tuple[str, str]) -> Mapping:
    text = SITE.replace("AS", written).replace("ZONE", zone)
    for old, new in more:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "site.yaml"
    path.write_text(text)
    return load(path)


def answered(mapping: Mapping, at: str) -> str:
    """When a call of a minute was answered, or why it is refused."""
    found = mapping.map_one(f"c1;{at};60".encode())
    if isinstance(found, Refusal):
        return f"{found.reason.value}: {found.message}"
    assert isinstance(found, CallRecord), found
    return found.answered_at.isoformat()


@pytest.mark.parametrize(
    ("zone", "at", "instant"),
    [
        ("Europe/Amsterdam", "10:00:07.120 CET Mon Mar 10 2025", "2025-03-10T09:00:07.120000+00:00"),
        ("Europe/Amsterdam", "10:00:07.120 CEST Mon Jun 16 2025", "2025-06-16T08:00:07.120000+00:00"),
        ("Europe/Amsterdam", "02:30:00.0 CEST Sun Oct 26 2025", "2025-10-26T00:30:00+00:00"),
        ("Europe/Amsterdam", "02:30:00.0 CET Sun Oct 26 2025", "2025-10-26T01:30:00+00:00"),
        ("America/New_York", "01:30:00.0 EST Sun Nov 2 2025", "2025-11-02T06:30:00+00:00"),
        ("Asia/Bangkok", "10:00:00.0 +07 Mon Mar 10 2025", "2025-03-10T03:00:00+00:00"),
        ("UTC", "10:00:00.0 GMT Mon Mar 10 2025", "2025-03-10T10:00:00+00:00"),
        ("Europe/London", "10:00:00.0 UTC Mon Mar 10 2025", "2025-03-10T10:00:00+00:00"),
    ],
    ids=["winter", "summer", "first-of-two", "second-of-two", "new-york-second", "no-letters", "gmt", "london"],
)  # fmt: skip
def test_an_abbreviation_is_read_as_the_zone_of_the_mapping_uses_it(
    tmp_path: Path, zone: str, at: str, instant: str
) -> None:
    """It also decides the hour that comes twice: on 26 October 02:30 CEST is an hour before 02:30 CET."""
    assert answered(site(tmp_path, H323, zone), at) == instant


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("10:00:07.120 CEST Mon Mar 10 2025", "expected CET, as Europe/Amsterdam has it at 2025-03-10 10:00:07.120000, got 'CEST'"),
        ("10:00:07.120 EST Mon Mar 10 2025", "expected CET, as"),
        ("02:30:00.0 MET Sun Oct 26 2025", "expected CEST or CET, as"),
        ("02:30:00.0 CET Sun Mar 30 2025", "which never came in Europe/Amsterdam"),
    ],
    ids=["summer-time-in-winter", "other-zone", "hour-that-came-twice", "hour-that-never-came"],
)  # fmt: skip
def test_an_abbreviation_that_the_zone_does_not_use_then_is_refused(tmp_path: Path, at: str, said: str) -> None:
    """The switch's clock and the mapping's zone contradict each other: either instant could be meant."""
    found = answered(site(tmp_path), at)
    assert found.startswith(f"{Reason.TIME_WITHOUT_ZONE.value}: ")
    assert said in found


def test_a_time_without_abbreviation_does_not_fit_a_pattern_with_one(tmp_path: Path) -> None:
    """The message names what is missing."""
    assert "without a zone such as CET" in answered(site(tmp_path), "10:00:07.120 Mon Mar 10 2025")


@pytest.mark.parametrize("text", [" ", ".", ":", "1", "a", "1 ", "1:", "a "], ids=repr)
def test_a_time_of_nothing_but_one_character_is_refused(tmp_path: Path, text: str) -> None:
    """A hostile record: it is not tried at which of 80 places each part of the time could end."""
    made = site(tmp_path, '"%a.%d.%m.%Y.%H:%M:%S %b %B %A %p %Z"')
    assert "without a zone" in answered(made, f"x{text * 39}x")
    joined = site(tmp_path, '"%Y%m%d%H%M%S%f%Z"')
    assert "without a zone" in answered(joined, f"1{text * 39}?")


@pytest.fixture
def other_machine() -> Iterator[None]:
    """A machine in New York."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "America/New_York"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.usefixtures("other_machine")
def test_a_record_means_the_same_on_every_machine(tmp_path: Path) -> None:
    """EST is a name of that machine's own zone, CET is not: neither makes a difference."""
    made = site(tmp_path)
    assert answered(made, "10:00:07.120 CET Mon Mar 10 2025") == "2025-03-10T09:00:07.120000+00:00"
    assert "expected CET" in answered(made, "10:00:07.120 EST Mon Mar 10 2025")


def test_the_first_pattern_that_fits_counts(tmp_path: Path) -> None:
    """A switch writes fractions only where they are not zero; what fits none is refused."""
    made = site(tmp_path, '["%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S.%f", iso]', "UTC")
    assert answered(made, "10.03.2025 09:00:07") == "2025-03-10T09:00:07+00:00"
    assert answered(made, "10.03.2025 09:00:07.5") == "2025-03-10T09:00:07.500000+00:00"
    assert answered(made, "2025-03-10 09:00:07") == "2025-03-10T09:00:07+00:00"
    assert "in none of the 3 forms of `as`" in answered(made, "10/03/2025")


@pytest.mark.parametrize(
    "written", ['["%d.%m.%Y", iso]', '"%Z %Z %d.%m.%Y %H:%M:%S"'], ids=["no-hour", "two-zones"]
)
def test_every_pattern_must_say_a_whole_time(tmp_path: Path, written: str) -> None:
    """The rest would be 1 January, 00:00; two abbreviations could contradict each other."""
    with pytest.raises(RaterError, match="a pattern with day, month, year, hour, minute and second"):
        site(tmp_path, written, "UTC")


@pytest.mark.parametrize("written", [H323, '["epoch_s", "%d.%m.%Y %H:%M:%S"]'], ids=["abbreviation", "one-of-two"])
def test_a_pattern_without_offset_needs_the_zone(tmp_path: Path, written: str) -> None:
    """CST is used on three continents."""
    with pytest.raises(RaterError, match=r"times\.zone: expected the zone"):
        site(tmp_path, written, "ZONE", (", zone: ZONE", ""))


@pytest.mark.parametrize(
    ("written", "zone", "at"),
    [
        (H323, "Europe/Amsterdam", "00:00:00.000 CET Thu Jan 1 1970"),
        (H323, "Europe/Amsterdam", "01:00:00.000 CET Thu Jan 1 1970"),
        ("iso", "UTC", "1970-01-01T00:00:00"),
        ("iso", "America/New_York", "1970-01-01 00:00:00"),
        ("iso", "UTC", "1970-01-01T01:00:00+01:00"),
        ("iso", "UTC", "1900-01-01 00:00:00.000"),
        ("iso", "UTC", "0001-01-01T00:00:00Z"),
        ("epoch_s", "UTC", "0"),
        ("epoch_ms", "UTC", "0.000"),
    ],
    ids=["gateway", "gateway-utc", "iso", "iso-local", "iso-offset", "sql", "year-1", "seconds", "milliseconds"],
)  # fmt: skip
def test_the_beginning_of_a_calendar_means_never_answered(tmp_path: Path, written: str, zone: str, at: str) -> None:
    """A call of 0 s is not selected, whatever `never` lists; one of 60 s contradicts itself and is refused."""
    made = site(tmp_path, written, zone, ("zone:", 'never: ["-"], zone:'))
    assert made.map_one(f"c1;{at};0".encode()) == NotSelected("not answered")
    assert answered(made, at).startswith(
        "malformed: expected the time of the answer of a call whose duration is '60'"
    )


@pytest.mark.parametrize(
    ("secs", "selected"), [("0", True), ("0.4", True), ("", True), ("NULL", True), ("0:00", True), ("1", False), ("00:03:35", False)],
    ids=["none", "rounded-down-to-none", "empty", "no-number", "no-seconds", "a-second", "another-unit"],
)  # fmt: skip
def test_a_call_without_answer_that_lasted_is_refused(tmp_path: Path, secs: str, selected: bool) -> None:
    """It may be a field that is spelled wrongly in the mapping; both values stand in the message."""
    found = site(tmp_path, "iso", "UTC").map_one(f"c1;;{secs}".encode())
    if selected:
        assert found == NotSelected("not answered")
    else:
        assert isinstance(found, Refusal)
        assert (found.reason, found.field) == (Reason.MALFORMED, "answered_at")
        assert f"duration is '{secs}', got '', which means never answered" in found.message


@pytest.mark.parametrize(
    ("secs", "instant"),
    [
        ("216", "2025-03-10T08:59:44+00:00"),
        ("0.5", "2025-03-10T09:03:19.500000+00:00"),
        ("long", "malformed: expected a number of s"),
    ],
    ids=["seconds", "fraction", "no-number"],
)
def test_an_answer_may_be_so_many_seconds_before_another_time(tmp_path: Path, secs: str, instant: str) -> None:
    """09:03:20 - 216 s = 08:59:44."""
    made = site(tmp_path, "iso", "UTC", ('answered_at: "{at}"', 'answered_at: {from: "{at}", minus: "{secs}"}'))
    found = made.map_one(f"c1;2025-03-10 09:03:20;{secs}".encode())
    shown = (
        found.answered_at.isoformat() if isinstance(found, CallRecord) else str(getattr(found, "message", found))
    )
    assert shown.startswith(instant.removeprefix("malformed: "))
