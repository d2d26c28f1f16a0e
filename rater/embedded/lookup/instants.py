"""Instants, days and months as the lookup keeps them: whole numbers, in UTC."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
DAY_US = 86_400_000_000
_MONTHS_A_YEAR = 12


def micros_of(at: datetime) -> int:
    """Microseconds of Unix time; the instant must have a zone."""
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def instant_of(micros: int) -> datetime:
    """The instant, in UTC."""
    return _EPOCH + micros * _MICROSECOND


def day_text(day: int) -> str:
    """A day's number since 1970 as 2025-03-12."""
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


def month_of_micros(micros: int) -> int:
    """The number of an instant's month, in UTC."""
    return _month_of_day(micros // DAY_US)


@lru_cache(4_096)
def _month_of_day(day: int) -> int:
    found = date(1970, 1, 1) + timedelta(days=day)
    return found.year * _MONTHS_A_YEAR + found.month


def month_of_period(period: str) -> int:
    """The number of a month that is written as 2025-03."""
    return int(period[:4]) * _MONTHS_A_YEAR + int(period[5:])
