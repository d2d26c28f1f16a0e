"""The parameters of the read API."""

from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from typing import Annotated, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from rater.core import IDENTIFIER_LENGTH_MAX, CallType, MoneyError, parse_ledger
from rater.embedded.lookup import FLAGS, PAGE_MAX, By, CallFilter, day_bounds, digits_of
from rater.serve.problems import Kind, ProblemError
from rater.serve.reading.cursors import CURSOR_LENGTH_MAX, CURSOR_PATTERN

LIMIT_DEFAULT = 100
#: The longest time that sums are made of.
SPEND_DAYS_MAX = 1_000
#: How far ahead forecasts go.
FORECAST_DAYS_MAX = 92
_PERIOD = r"^2[0-9]{3}-(0[1-9]|1[0-2])$"
_YEAR_MIN, _YEAR_MAX = 1970, 9998
_When = TypeVar("_When", date, datetime)


def _amount(text: str) -> str:
    try:
        parse_ledger(text)
    except MoneyError as wrong:
        raise ValueError(str(wrong)) from wrong
    return text


def _in_years(at: _When) -> _When:
    if not _YEAR_MIN <= at.year <= _YEAR_MAX:
        raise ValueError(f"expected a year from {_YEAR_MIN} to {_YEAR_MAX}")
    return at


Name = Annotated[str, Field(min_length=1, max_length=IDENTIFIER_LENGTH_MAX)]
Moment = Annotated[AwareDatetime, AfterValidator(_in_years)]
Day = Annotated[date, AfterValidator(_in_years)]
Period = Annotated[str, Field(pattern=_PERIOD, description="a month, such as 2025-03")]
#: A flag of a call; the list is the lookup's.
Flag = Enum("Flag", {name.upper(): name for name in FLAGS}, type=str)  # type: ignore[misc]  # made of a tuple


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NothingAsked(_Asked):
    """No parameters."""


class PageAsked(_Asked):
    """A page of a list."""

    limit: int = Field(default=LIMIT_DEFAULT, ge=1, le=PAGE_MAX, description="rows of a page")
    cursor: str | None = Field(
        default=None,
        min_length=1,
        max_length=CURSOR_LENGTH_MAX,
        pattern=CURSOR_PATTERN,
        description="`next` of the page before",
    )


class CallsAsked(PageAsked):
    """Which calls; what is absent means any."""

    user: Name | None = None
    day: Day | None = Field(default=None, description="the day on which calls began, in UTC; not with since, until")
    since: Moment | None = Field(default=None, description="calls that began then or later")
    until: Moment | None = Field(default=None, description="calls that began before")
    charge: Annotated[str, Field(max_length=40), AfterValidator(_amount)] | None = Field(
        default=None, description="exactly, or as exports round it, such as 4.02"
    )
    destination: Name | None = Field(default=None, description="a name of the rate deck")
    type: CallType | None = None
    flag: Flag | None = None
    number: Annotated[str, Field(max_length=40), AfterValidator(digits_of)] | None = Field(
        default=None, description="digits that the called or the calling number contains, such as +442079"
    )

    def wanted(self) -> CallFilter:
        """The filter; ProblemError for a day together with an instant."""
        since, until = self.since, self.until
        if self.day is not None:
            if since is not None or until is not None:
                raise ProblemError(Kind.UNREADABLE, "day: expected either day, or since and until")
            since, until = day_bounds(self.day)
        charge = None if self.charge is None else parse_ledger(self.charge)
        flag = None if self.flag is None else self.flag.value
        return CallFilter(self.user, since, until, charge, self.destination, self.type, flag, self.number)


class DebitsAsked(PageAsked):
    """Which debits."""

    period: Period | None = Field(default=None, description="the month in which they were debited, such as 2025-03")


class PoolsAsked(PageAsked):
    """Which pools."""

    period: Period | None = Field(default=None, description="a month, such as 2025-03; else every one")


class StatementAsked(_Asked):
    """Which month."""

    period: Period | None = Field(default=None, description="this month, in UTC; else everything")


class BalanceAsked(_Asked):
    """Which instant."""

    at: Moment | None = Field(default=None, description="an instant; else now, by the tenant's clock (`as_of`)")


class SpendAsked(_Asked):
    """Sums of what, over which days (`until` itself is not among them)."""

    by: By
    since: Day
    until: Day

    def times(self) -> tuple[datetime, datetime]:
        """The instants; ProblemError where the days are too many, or none."""
        days = (self.until - self.since).days
        if not 1 <= days <= SPEND_DAYS_MAX:
            raise ProblemError(
                Kind.UNREADABLE,
                f"until: expected 1 to {SPEND_DAYS_MAX} days (SPEND_DAYS_MAX) after since, got {days}",
            )
        start = datetime.combine(self.since, time(), UTC)
        return start, start + timedelta(days=days)


class ForecastAsked(_Asked):
    """How far ahead."""

    days: int = Field(default=60, ge=7, le=FORECAST_DAYS_MAX, description="days to come")
