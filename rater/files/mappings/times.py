"""Times as switches write them: ISO, seconds since 1970 in several units, strptime patterns; in a zone by name.

Fractions beyond microseconds are cut off (A42).  A local time that came twice, or never, is refused unless the
mapping says which of the two instants is meant.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

from rater.core import Reason
from rater.files.mappings.fields import Compiler, Fields, Get
from rater.files.mappings.model import TimeFrom, TimeRules
from rater.files.mappings.results import Unmapped
from rater.files.zones import came_twice, instants_of, says_all, zone_of
from rater.wire.errors import RaterError

ReadTime = Callable[[Fields], datetime | None]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}
_NUMBER = re.compile(r"([0-9]{1,16})(?:\.([0-9]{1,12}))?", re.ASCII)
_ISO = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:[.,](\d{1,12}))?( ?(?:Z|[+-]\d\d:?\d\d))?", re.ASCII)
#: Longer than the longest time of any format.
_TEXT_LENGTH_MAX = 80
_SAY_WHICH = "write `ambiguous: earlier` or `ambiguous: later` in the mapping, or let the switch write UTC"
#: A pattern must say all of these.
_SAMPLE = datetime(2021, 11, 23, 17, 48, 59, tzinfo=UTC)


def time_reader(compiler: Compiler, field: str, given: str | TimeFrom, default: TimeRules) -> ReadTime:
    """A function that reads a time of a record; None of what means "never".  RaterError: no such zone."""
    own = given if isinstance(given, TimeFrom) else TimeFrom.model_validate({"from": given})
    written = own.as_ or default.as_ or "iso"
    zone = _zone(field, own.zone or default.zone)
    never = frozenset(own.never if own.never is not None else default.never or ("",))
    convert = _converter(field, written, zone, own.ambiguous or default.ambiguous)
    return _reader(field, compiler.text(own.from_), never, lru_cache(maxsize=4096)(convert))


def _reader(field: str, get: Get, never: frozenset[str], convert: Callable[[str], datetime]) -> ReadTime:
    def read(fields: Fields) -> datetime | None:
        text = get(fields)
        if text in never:
            return None
        try:
            return convert(text)
        except (ValueError, OverflowError) as wrong:
            raise Unmapped(field, f"expected a time, got {text!r:.80}: {wrong}") from None

    return read


def _zone(field: str, name: str | None) -> tzinfo | None:
    zone = None if name is None else zone_of(name)
    if name is not None and zone is None:
        raise RaterError(f"{field}: zone: expected one of the IANA list such as Europe/Berlin, got {name!r}")
    return zone


def _converter(field: str, written: str, zone: tzinfo | None, ambiguous: str | None) -> Callable[[str], datetime]:
    if written in _UNITS:
        unit = _UNITS[written]
        return lambda text: _epoch(text, unit)
    if written == "iso":
        return lambda text: _instant(field, _iso(text), zone, ambiguous)
    _check_pattern(field, written)
    return lambda text: _instant(field, _parsed(text, written), zone, ambiguous)


def _check_pattern(field: str, pattern: str) -> None:
    if not says_all(pattern, _SAMPLE):
        raise RaterError(
            f"{field}: as: expected iso, {', '.join(_UNITS)}, or a pattern with day, month, year, hour, minute and"
            f" second such as '%d.%m.%Y %H:%M:%S', got {pattern!r}"
        )


def _epoch(text: str, unit_us: int) -> datetime:
    """Exact: digits before and after the point, no float."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise ValueError("not a number of digits")
    whole, fraction = int(found[1]) * unit_us, (found[2] or "").ljust(12, "0")
    return _EPOCH + timedelta(microseconds=whole + int(fraction) * unit_us // 10**12)


def _iso(text: str) -> datetime:
    found = _ISO.fullmatch(text)
    if found is None:
        raise ValueError("not ISO 8601 such as 2025-03-10 09:00:07")
    fraction = (found[2] or "")[:6].ljust(6, "0")
    return datetime.fromisoformat(f"{found[1]}.{fraction}{(found[3] or '').strip()}")


def _parsed(text: str, pattern: str) -> datetime:
    if len(text) > _TEXT_LENGTH_MAX:
        raise ValueError(f"longer than {_TEXT_LENGTH_MAX} characters")
    return datetime.strptime(text, pattern)


def _instant(field: str, time: datetime, zone: tzinfo | None, ambiguous: str | None) -> datetime:
    if time.tzinfo is not None:
        return time.astimezone(UTC)
    if zone is None:
        raise Unmapped(
            field, f"{time}: a local time; write `zone` in the mapping's times", Reason.TIME_WITHOUT_ZONE
        )
    before, after = instants_of(time, zone)
    if before == after:
        return before
    if ambiguous is None:
        why = "came twice" if came_twice(time, zone) else "never came"
        message = f"expected an hour that is there once, got {time}, which {why} in {zone}; {_SAY_WHICH}"
        raise Unmapped(field, message, Reason.TIME_WITHOUT_ZONE)
    return min(before, after) if ambiguous == "earlier" else max(before, after)
