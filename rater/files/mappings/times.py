"""Times as switches write them: ISO, seconds since 1970 in several units, patterns; in a zone by name.

Fractions beyond microseconds are cut off (A42).  A local time that came twice, or never, is refused unless the
record's abbreviation of the zone or the mapping says which of the two instants is meant.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

from rater.core import Reason
from rater.files.mappings.durations import parts_of
from rater.files.mappings.fields import Compiler, Fields, Get
from rater.files.mappings.model import TimeFrom, TimeRules
from rater.files.mappings.patterns import Written, pattern_reader
from rater.files.mappings.results import Unmapped
from rater.files.zones import came_twice, instants_of, zone_of
from rater.wire.errors import RaterError

ReadTime = Callable[[Fields], datetime | None]
_Convert = Callable[[str], datetime | None]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: What programs write for "no time" where a time must be; no call was answered then.
_ZEROS = frozenset({datetime(1970, 1, 1), datetime(1900, 1, 1), datetime(1, 1, 1)})
_UNITS = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}
_NUMBER = re.compile(r"([0-9]{1,16})(?:\.([0-9]{1,12}))?", re.ASCII)
_ISO = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:[.,](\d{1,12}))?( ?(?:Z|[+-]\d\d:?\d\d))?", re.ASCII)
_SAY_WHICH = "write `ambiguous: earlier` or `ambiguous: later` in the mapping, or let the switch write UTC"
_UTC_NAMES = frozenset({"UTC", "GMT"})
_PARTS_A_MICROSECOND = 10**6


def time_reader(compiler: Compiler, field: str, given: str | TimeFrom, default: TimeRules) -> ReadTime:
    """A function that reads a time of a record; None of what means "never".  RaterError: no such zone."""
    own = given if isinstance(given, TimeFrom) else TimeFrom.model_validate({"from": given})
    zone = _zone(field, own.zone or default.zone)
    never = frozenset(own.never if own.never is not None else default.never or ("",))
    ambiguous = own.ambiguous or default.ambiguous
    converts = [_converter(field, written, zone, ambiguous) for written in own.as_ or default.as_ or ("iso",)]
    convert = converts[0] if len(converts) == 1 else _first_that_fits(converts)
    read = _reader(field, compiler.text(own.from_), never, lru_cache(maxsize=4096)(convert))
    return read if own.minus is None else _minus(field, read, compiler.text(own.minus))


def _reader(field: str, get: Get, never: frozenset[str], convert: _Convert) -> ReadTime:
    def read(fields: Fields) -> datetime | None:
        text = get(fields)
        if text in never:
            return None
        try:
            return convert(text)
        except (ValueError, OverflowError) as wrong:
            raise Unmapped(field, f"expected a time, got {text!r:.80}: {wrong}") from None

    return read


def _minus(field: str, read: ReadTime, get: Get) -> ReadTime:
    def earlier(fields: Fields) -> datetime | None:
        time = read(fields)
        if time is None:
            return None
        try:
            parts = parts_of(get(fields), "s", f"{field}.minus")
            return time - timedelta(microseconds=parts // _PARTS_A_MICROSECOND)
        except OverflowError:
            raise Unmapped(field, f"expected a time, got {get(fields)!r:.80} s before {time}") from None

    return earlier


def _first_that_fits(converts: list[_Convert]) -> _Convert:
    def convert(text: str) -> datetime | None:
        for one in converts:
            try:
                return one(text)
            except ValueError:
                continue
        raise ValueError(f"in none of the {len(converts)} forms of `as`")

    return convert


def _zone(field: str, name: str | None) -> tzinfo | None:
    zone = None if name is None else zone_of(name)
    if name is not None and zone is None:
        raise RaterError(f"{field}: zone: expected one of the IANA list such as Europe/Berlin, got {name!r}")
    return zone


def _converter(field: str, written: str, zone: tzinfo | None, ambiguous: str | None) -> _Convert:
    if written in _UNITS:
        unit = _UNITS[written]
        return lambda text: _unless_zero(_epoch(text, unit))
    read = _iso if written == "iso" else pattern_reader(field, written, f"iso, {', '.join(_UNITS)}")

    def convert(text: str) -> datetime | None:
        found = read(text)
        if found.time.replace(tzinfo=None) in _ZEROS:
            return None
        return _unless_zero(_instant(field, found, zone, ambiguous))

    return convert


def _unless_zero(instant: datetime) -> datetime | None:
    return None if instant == _EPOCH else instant


def _epoch(text: str, unit_us: int) -> datetime:
    """Exact: digits before and after the point, no float."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise ValueError("not a number of digits")
    whole, fraction = int(found[1]) * unit_us, (found[2] or "").ljust(12, "0")
    return _EPOCH + timedelta(microseconds=whole + int(fraction) * unit_us // 10**12)


def _iso(text: str) -> Written:
    found = _ISO.fullmatch(text)
    if found is None:
        raise ValueError("not ISO 8601 such as 2025-03-10 09:00:07")
    fraction = (found[2] or "")[:6].ljust(6, "0")
    return Written(datetime.fromisoformat(f"{found[1]}.{fraction}{(found[3] or '').strip()}"))


def _instant(field: str, written: Written, zone: tzinfo | None, ambiguous: str | None) -> datetime:
    time = written.time
    if time.tzinfo is not None:
        return time.astimezone(UTC)
    if zone is None:
        raise Unmapped(
            field, f"{time}: a local time; write `zone` in the mapping's times", Reason.TIME_WITHOUT_ZONE
        )
    before, after = instants_of(time, zone) if written.abbreviation is None else _abbreviated(field, written, zone)
    if before == after:
        return before
    if ambiguous is None:
        why = "came twice" if came_twice(time, zone) else "never came"
        message = f"expected an hour that is there once, got {time}, which {why} in {zone}; {_SAY_WHICH}"
        raise Unmapped(field, message, Reason.TIME_WITHOUT_ZONE)
    return min(before, after) if ambiguous == "earlier" else max(before, after)


def _abbreviated(field: str, written: Written, zone: tzinfo) -> tuple[datetime, datetime]:
    """The instants at which the zone shows this time with this abbreviation; both of a time that never came."""
    instants = instants_of(written.time, zone)
    names = {
        instant: str(local.tzname())
        for instant in instants
        if (local := instant.astimezone(zone)).replace(tzinfo=None) == written.time
    }
    if not names:
        return instants
    abbreviation = str(written.abbreviation).upper()
    fitting = [instant for instant, name in names.items() if abbreviation in _spellings(name)]
    if not fitting:
        known = " or ".join(dict.fromkeys(names.values()))
        message = f"expected {known}, as {zone} has it at {written.time}, got {written.abbreviation!r}"
        raise Unmapped(field, message, Reason.TIME_WITHOUT_ZONE)
    return fitting[0], fitting[-1]


def _spellings(name: str) -> frozenset[str]:
    return _UTC_NAMES if name in _UTC_NAMES else frozenset({name.upper()})
