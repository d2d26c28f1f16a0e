"""Times and time zones as settlement files write them."""

import contextlib
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from rater.files.zones import zone_of
from rater.wire.errors import RaterError

#: Names of zones that are in files and not in the time-zone database.
_OFFSETS_H = {
    "CEST": 2,
    "BST": 1,
    "EDT": -4,
    "CST": -6,
    "CDT": -5,
    "MDT": -6,
    "PST": -8,
    "PDT": -7,
    "AEST": 10,
    "AEDT": 11,
    "SGT": 8,
    "JST": 9,
}
#: Beside ISO 8601.  With slashes it may be the day or the month that comes first: people say which.
_TIMES = ("%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y")


def read_time(text: str, written: str | None) -> datetime | None:
    """The time, with its zone if it says one; `written` is how, as a strptime pattern; None if it is no time."""
    if written is None:
        iso = re.sub(r"^(\d{4})/(\d\d)/(\d\d)", r"\1-\2-\3", text)
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(re.sub(r" ([+-]\d{4})$", r"\1", iso))
    for one in _TIMES if written is None else (written,):
        with contextlib.suppress(ValueError):
            return datetime.strptime(text, one)
    return None


def zone_named(name: str) -> tzinfo:
    """A zone by its name in the database, or by what files call it."""
    if name.upper() in _OFFSETS_H:
        return timezone(timedelta(hours=_OFFSETS_H[name.upper()]))
    zone = UTC if name.upper() in ("UTC", "GMT", "Z") else zone_of(name)
    if zone is None:
        raise RaterError(f"time zone: expected one such as UTC or Europe/Berlin, got {name!r}")
    return zone
