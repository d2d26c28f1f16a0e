"""Calendar arithmetic in UTC: months of calls, expiry of money.

Rules 69 and A4 (a call belongs to the UTC month of its start), A12 (a month stays
open for the grace period), A19 (expiry).
"""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

#: A month as one number: year * 12 + month - 1.  It orders and subtracts.
MonthIndex = int

LOT_LIFE_MONTHS = 12


def as_utc(instant: datetime) -> datetime:
    """The same instant in UTC; the instant must carry a zone."""
    return instant if instant.tzinfo is UTC else instant.astimezone(UTC)


def month_index(instant: datetime) -> MonthIndex:
    """The month that a UTC instant lies in."""
    return instant.year * 12 + instant.month - 1


@lru_cache(maxsize=4096)
def period_of(month: MonthIndex) -> str:
    """`YYYY-MM` of a month index."""
    return f"{month // 12:04d}-{month % 12 + 1:02d}"


@lru_cache(maxsize=4096)
def parse_period(text: str) -> MonthIndex:
    """The month index of `YYYY-MM`; raises ValueError for anything else."""
    instant = datetime.strptime(text, "%Y-%m")
    return instant.year * 12 + instant.month - 1


@lru_cache(maxsize=4096)
def month_start(month: MonthIndex) -> datetime:
    """00:00 UTC on the first day of the month."""
    return datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)


@lru_cache(maxsize=4096)
def first_day(month: MonthIndex) -> date:
    """The first day of the month, for allowances that change on a date."""
    return date(month // 12, month % 12 + 1, 1)


def month_closes_at(month: MonthIndex, grace_hours: int) -> datetime:
    """The instant from which a record of this month is late (A12)."""
    return month_start(month + 1) + timedelta(hours=grace_hours)


class Month(NamedTuple):
    """What calls of one month have in common: `YYYY-MM`, and the instant from which a record of it is late."""

    period: str
    closes_at: datetime


@lru_cache(maxsize=4096)
def month_of(month: MonthIndex, grace_hours: int) -> Month:
    """A month by its index."""
    return Month(period_of(month), month_closes_at(month, grace_hours))


def expiry_of(purchased_at: datetime) -> datetime:
    """When a purchase stops being usable: 00:00 UTC, 12 calendar months after its date (A19, rule 63).

    29 February becomes 28 February.
    """
    month = month_index(purchased_at) + LOT_LIFE_MONTHS
    last_day = (month_start(month + 1) - timedelta(days=1)).day
    return datetime(month // 12, month % 12 + 1, min(purchased_at.day, last_day), tzinfo=UTC)
