"""Time zones by name, and what a local time means in one."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo


def zone_of(name: str) -> tzinfo | None:
    """The zone of this name in the IANA list; None if there is none."""
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        return None


def instants_of(local: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """The instant of a local time by the offset before and after a change of clocks, in UTC; mostly the same one.

    Raises OverflowError where it is outside of the years 1 to 9999.
    """
    before, after = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return before, after


def came_twice(local: datetime, zone: tzinfo) -> bool:
    """Of a time with two instants: whether clocks showed it twice; else they were turned forward over it."""
    return instants_of(local, zone)[0].astimezone(zone).replace(tzinfo=None) == local


def says_all(pattern: str, sample: datetime) -> bool:
    """Whether a strptime pattern says every part of a time; what is left out would be 1 January 1900, 00:00.

    A sample without zone says that the pattern has none either.
    """
    try:
        read = datetime.strptime(sample.strftime(pattern), pattern)
    except ValueError:
        return False
    return "%" in pattern and read.replace(tzinfo=None) == sample.replace(tzinfo=None)
