"""What is asked of a lookup, and what it answers."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, NamedTuple

from rater.core import AccountEvent, Anomaly, CallType, Debit, RatedCall
from rater.wire.dead_letters import Letter

#: Flags of a call besides its anomalies.
LATE, UNFUNDED, PREMIUM = "late", "unfunded", "premium"
#: The flag of every call that has an anomaly.
ANOMALY = "anomaly"
#: Every flag, in the order of its number in the file.
FLAGS: tuple[str, ...] = (LATE, UNFUNDED, PREMIUM, ANOMALY, *[one.value for one in Anomaly])
#: Rows of one page.
PAGE_MAX = 1_000
#: Rows that one page looks at; where that is not enough, the page ends early and its `next` goes on from there.
SCANNED_MAX = 50_000
#: Calls of one page whose numbers are read: they are in the records alone.
NUMBERS_READ_MAX = 20_000
#: Keys of one answer of `spend`; what the others sum up to is added as one row.
SPEND_MAX = 1_000
#: Points of one series of balances.
POINTS_MAX = 1_000


#: A part of a telephone number as people write it: three digits or more, with or without blanks, + or 00.
_PART = re.compile(r"(?:\+|00)?[ (]*((?:[0-9][ ./()-]*){3,20})", re.ASCII)


class CallFilter(NamedTuple):
    """Which calls; what is absent means any.  `since` and `until` are when calls began: [since, until), aware.

    `charge` is in micro-units: exactly that, or what exports round to it (A18).  `destination` is a name of the
    rate deck; `flag` is one of FLAGS; `number` are digits that the called or the calling number contains.
    """

    user: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    charge: int | None = None
    destination: str | None = None
    type: CallType | None = None
    flag: str | None = None
    number: str | None = None


def digits_of(text: str) -> str:
    """The digits of a part of a number, for a filter; ValueError says what was expected."""
    found = _PART.fullmatch(text.strip().replace("(0)", ""))  # +44 (0)20 is +44 20
    if found is None:
        raise ValueError("expected 3 to 20 digits of a telephone number, such as +44 20 79")
    return re.sub("[^0-9]", "", found[1])


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """When a day begins and ends, in UTC: `since` and `until` of a filter.  OverflowError for 9999-12-31."""
    since = datetime.combine(day, time(), UTC)
    return since, since + timedelta(days=1)


class CallPlace(NamedTuple):
    """Where a rating is in the order of calls: when the call began, in microseconds of Unix time; its offset."""

    at: int
    offset: int


class CallPage(NamedTuple):
    """Ratings, each with whether it stands (no later one replaced it).

    The call that began last is the first; of several ratings of one call the latest.

    `next` is what to give as `after` for those before; None where there are none.  A page with a `next` may hold
    fewer rows than asked for, or none: it looked at SCANNED_MAX rows, or read the numbers of NUMBERS_READ_MAX.
    """

    calls: list[tuple[RatedCall, bool]]
    next: CallPlace | None


class DebitPage(NamedTuple):
    """Debits, the newest first; `next` is the offset to give as `after` for those before."""

    debits: list[Debit]
    next: int | None


class FundPage(NamedTuple):
    """Events that moved money that is no call's, the newest first; `next` as in DebitPage."""

    events: list[AccountEvent]
    next: int | None


class RefusedPage(NamedTuple):
    """Dead letters that are about a tenant, the newest first; `next` as in DebitPage."""

    letters: list[Letter]
    next: int | None


By = Literal["day", "destination", "user"]


class Spend(NamedTuple):
    """The sums of the calls of one day, destination or user: standing ratings, minutes, micro-units.

    `key` is a day as 2025-03-12, a destination of the rate deck, or a user in the spelling that is compared; None
    for calls without one.
    """

    key: str | None
    calls: int
    minutes: int
    charge_micros: int
