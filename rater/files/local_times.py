"""Times as people's programs write them: in which order, local to which zone.

RFC 3339 is read as it is.  All else needs an option, because 05/03 is two days and a local time two instants:
`--times` says the order, `--zone` the zone.
"""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

import msgspec

from rater.core import Reason
from rater.files.zones import came_twice, instants_of, says_all, zone_of
from rater.wire.errors import RaterError

DAY_FIRST, MONTH_FIRST, ISO = "day-first", "month-first", "iso"
_SAY_ZONE = "give --zone UTC for an export of a portal, also if a spreadsheet saved it, or a switch's own zone"
_SAY_ORDER = "give --times day-first or --times month-first"
#: What everybody reads alike: fast to recognise, and passed on as it is.
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)", re.ASCII)
_ZONE = re.compile(r" ?(?:(?P<utc>[Zz]|UTC|GMT)|(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d))\Z", re.ASCII)
_CLOCK = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?(?: ?(?P<half>[AaPp][Mm]))?"
)
_ISO = re.compile(rf"(?P<year>\d{{4}})-(?P<month>\d\d)-(?P<day>\d\d)(?:(?:[T ]| +){_CLOCK})?", re.ASCII)
_NAMED = re.compile(
    rf"(?P<first>\d{{1,2}})(?P<by>[/.-])(?P<second_part>\d{{1,2}})(?P=by)(?P<year>\d{{4}})(?:,? +{_CLOCK})?",
    re.ASCII,
)
_SERIAL = re.compile(r"[1-9]\d{4}(?:[.,]\d+)?", re.ASCII)
_EPOCH = re.compile(r"\d{10}(?:\d{3})?", re.ASCII)
_FRACTION_DIGITS = 6
_OFFSET_HOURS_MAX = 24


class UnreadableTime(ValueError):
    """Text that is no time, or not one only; the message says why."""

    def __init__(self, message: str, reason: Reason = Reason.MALFORMED) -> None:
        super().__init__(message)
        self.reason = reason


class LocalTimes(msgspec.Struct, frozen=True):
    """How to read times: `times` is their order or a strptime pattern, `zone` where those without one are local."""

    times: str | None = None
    zone: str | None = None

    def check(self) -> None:
        """That both are understood; RaterError names the option."""
        if self.zone is not None and zone_of(self.zone) is None:
            raise _no_zone(self.zone)
        if self.times is not None and self.times not in (DAY_FIRST, MONTH_FIRST, ISO):
            _check_pattern(self.times)

    def read(self, text: str) -> str:
        """The instant in RFC 3339; a date alone is its first instant.  Raises UnreadableTime."""
        if self.times is None and _RFC_3339.fullmatch(text):
            return text  # one of an impossible day is refused by whoever decodes it; `converted` says why
        return self.converted(text)

    def converted(self, text: str) -> str:
        """The same, each part looked at."""
        found = _ZONE.search(text)
        # The offset of a date such as 05-03-2025 would be its year.
        if found and ":" in text[: found.start()]:
            return _at_offset(self._local(text[: found.start()], text), found, text)
        local = self._local(text, text)
        if self.zone is None:
            raise UnreadableTime(f"{_expected(text)}, which has no zone; {_SAY_ZONE}", Reason.TIME_WITHOUT_ZONE)
        zone = zone_of(self.zone)
        if zone is None:
            raise _no_zone(self.zone)
        return _text(_in_zone(local, zone, self.zone, text))

    def _local(self, text: str, shown: str) -> datetime:
        """The time without its zone."""
        if self.times is not None and "%" in self.times:
            try:
                return datetime.strptime(text, self.times).replace(tzinfo=None)
            except ValueError as wrong:
                raise UnreadableTime(
                    f"expected a time such as --times {self.times} says, got {shown!r:.80}"
                ) from wrong
        if found := _ISO.fullmatch(text):
            return _made(found, found["month"], found["day"], shown)
        if found := _NAMED.fullmatch(text):
            if self.times not in (DAY_FIRST, MONTH_FIRST):
                say = _SAY_ORDER if self.zone else f"{_SAY_ORDER}, and {_SAY_ZONE}"
                raise UnreadableTime(
                    f"{_expected(shown)}, where either the day or the month may come first; {say}",
                    Reason.TIME_WITHOUT_ZONE,
                )
            parts = (found["second_part"], found["first"])
            month, day = parts if self.times == DAY_FIRST else parts[::-1]
            return _made(found, month, day, shown)
        raise _unknown(text, shown)


def _no_zone(zone: str) -> RaterError:
    return RaterError(f"--zone: expected a zone of the IANA list such as Europe/Berlin or UTC, got {zone!r}")


def _check_pattern(pattern: str) -> None:
    """That a pattern says day, month, year, hour and minute; a time may have no seconds."""
    if not says_all(pattern, datetime(2021, 11, 23, 17, 48)):
        raise RaterError(
            f"--times: expected {DAY_FIRST}, {MONTH_FIRST}, {ISO}, or a pattern with day, month, year, hour and"
            f" minute such as '%d.%m.%Y %H:%M:%S', got {pattern!r}"
        )


def _made(found: re.Match[str], month: str, day: str, shown: str) -> datetime:
    """The time of the parts of a match; each part that is impossible is named."""
    year, hour, minute = int(found["year"]), int(found["hour"] or 0), int(found["minute"] or 0)
    second, fraction = int(found["second"] or 0), (found["fraction"] or "")[:_FRACTION_DIGITS]
    if found["half"]:
        if not 1 <= hour <= 12:
            raise UnreadableTime(f"{_expected(shown)}, whose hour is not 1 to 12 before {found['half']}")
        hour = hour % 12 + (12 if found["half"] in {"pm", "PM", "Pm", "pM"} else 0)
    if (hour, minute, second) == (24, 0, 0):
        raise UnreadableTime(f"{_expected(shown)}, whose hour is 24; write 00:00:00 of the next day")
    if second == 60:
        raise UnreadableTime(
            f"{_expected(shown)}, whose second is 60; a leap second is written as the second before it"
        )
    try:
        date = datetime(year, int(month), int(day))
    except ValueError as wrong:
        raise UnreadableTime(
            f"{_expected(shown)}; there is no day {year:04}-{int(month):02}-{int(day):02}"
        ) from wrong
    try:
        return date.replace(hour=hour, minute=minute, second=second, microsecond=int(fraction.ljust(6, "0")))
    except ValueError as wrong:
        raise UnreadableTime(f"{_expected(shown)}; there is no time {hour:02}:{minute:02}:{second:02}") from wrong


def _at_offset(local: datetime, found: re.Match[str], shown: str) -> str:
    if found["utc"]:
        return _text(local.replace(tzinfo=UTC))
    hours, minutes = int(found["hours"]), int(found["minutes"])
    if hours >= _OFFSET_HOURS_MAX or minutes >= 60:
        raise UnreadableTime(f"{_expected(shown)}, whose offset is a day or more, or has over 59 minutes")
    offset = timedelta(hours=hours, minutes=minutes) * (-1 if found["sign"] == "-" else 1)
    return _text(local.replace(tzinfo=timezone(offset)))


def _in_zone(local: datetime, zone: tzinfo, name: str, shown: str) -> datetime:
    """The one instant of a local time; UnreadableTime where clocks were turned back or forward over it."""
    try:
        before, after = instants_of(local, zone)
        if before == after:
            return before
        twice = came_twice(local, zone)
    except OverflowError as wrong:
        raise UnreadableTime(f"{_expected(shown)}, which is outside of the years 1 to 9999 in UTC") from wrong
    if twice:
        why = f"which came twice in {name}, when clocks were turned back"
    else:
        why = f"which {name} never had, because clocks were turned forward over it"
    offsets = " or ".join(local.isoformat() + _offset(local.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    raise UnreadableTime(
        f"{_expected(shown)}, {why}; if the file's times are UTC, give --zone UTC, else write it with its offset:"
        f" {offsets}",
        Reason.TIME_WITHOUT_ZONE,
    )


def _offset(instant: datetime) -> str:
    return instant.strftime("%z")[:3] + ":" + instant.strftime("%z")[3:5]


def _text(instant: datetime) -> str:
    try:
        return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except OverflowError as wrong:
        raise UnreadableTime(f"expected a year from 1 to 9999 in UTC, got {instant.isoformat()}") from wrong


def _unknown(text: str, shown: str) -> UnreadableTime:
    """What text is that is no time as any program writes it."""
    if _SERIAL.fullmatch(text):
        why = ", the days that a spreadsheet counts; show the column as yyyy-mm-dd hh:mm:ss there, save it again"
        return UnreadableTime(f"{_expected(shown)}{why}, and {_SAY_ZONE}", Reason.TIME_WITHOUT_ZONE)
    if _EPOCH.fullmatch(text):
        unit = "seconds" if len(text) == 10 else "milliseconds"
        return UnreadableTime(f"{_expected(shown)}, which may be {unit} since 1970; write it as a date and a time")
    if re.fullmatch(r"\d{8}T\d{6}.*", text):
        return UnreadableTime(f"{_expected(shown)}; write it with dashes and colons")
    return UnreadableTime(_expected(shown))


def _expected(shown: str) -> str:
    return f"expected a time with zone such as 2025-03-01T10:00:00Z, got {shown!r:.80}"
