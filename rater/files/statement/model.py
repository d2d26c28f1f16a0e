"""What a statement holds: amounts in micro-units, instants in UTC, and whether it adds up."""

from datetime import date, datetime

import msgspec

from rater.core import ClosedList
from rater.files.statement.kinds import PAID, CallKind


class EntryName(ClosedList):
    """What moves a balance, in the order in which it is shown; calls have an entry for each kind that is paid."""

    PURCHASES = "purchases"
    RECHARGES = "recharges"
    PROMOTIONS = "promotions"
    CALLS_OVERFLOW = "calls_overflow"
    CALLS_INTERNATIONAL = "calls_international"
    CALLS_TOLL_FREE = "calls_toll_free"
    CALLS_CONFERENCING = "calls_conferencing"
    CALLS_PREMIUM = "calls_premium"
    CALLS_OTHER = "calls_other"
    CALLS_NOT_KEPT = "calls_not_kept"
    REVERSALS = "reversals"
    ADJUSTMENTS = "adjustments"
    REFUNDS = "refunds"
    CHARGE_BACKS = "charge_backs"
    EXPIRIES = "expiries"
    PAID_OUT = "paid_out"
    FORFEITED = "forfeited"


#: The entry of each kind of call.
ENTRY_OF_KIND = {kind: EntryName(f"calls_{kind.value}") for kind in PAID}
#: Entries that are also summed by user, by destination and by kind.
OF_CALLS = (*ENTRY_OF_KIND.values(), EntryName.REVERSALS)


class Entry(msgspec.Struct, frozen=True):
    """Movements of one kind: how many, and their sum with the sign with which it moved the balance."""

    name: EntryName
    count: int
    amount: int


class CallSum(msgspec.Struct, frozen=True):
    """Calls of one kind: how many, their minutes, those that a plan covered, and what they cost.

    A call that was corrected, or rated again, counts as it stands after it: what it was before is taken off.
    """

    kind: CallKind
    calls: int
    minutes: int
    pool_minutes: int
    amount: int


class Sum(msgspec.Struct, frozen=True):
    """The same of one user, or of one destination; `name` is None for calls that have none."""

    name: str | None
    calls: int
    minutes: int
    pool_minutes: int
    amount: int


class OtherMonth(msgspec.Struct, frozen=True):
    """Calls of another month than that in which they were debited: their month, whether they were late, and sums.

    `calls` are those that were debited, `amount` what they cost; `given_back` is what corrections gave back.
    """

    period: str
    late: bool
    calls: int
    amount: int
    given_back: int


class PoolLine(msgspec.Struct, frozen=True):
    """Minutes of a pool in one month: used, and in all."""

    pool: str
    period: str
    used: int
    total: int


class Day(msgspec.Struct, frozen=True):
    """One day: what moved the balance, by calls (their reversals included) and else, and the balance at its end."""

    day: date
    calls_amount: int
    other_amount: int
    balance: int


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's money from `since` (None: the beginning) up to `until`, not with it (None: the last record).

    `moved_since` is what moved the balance from `until` on.  `unexplained` is what the balance differs by from
    opening, entries and `moved_since`: 0, or a bug.  `kept_since` is there where older records are not kept any
    more: the instant of the oldest one; the opening is then the balance less what was moved since.
    """

    tenant: str
    currency: str
    since: datetime | None
    until: datetime | None
    as_of: datetime
    closed_since: datetime | None
    kept_since: datetime | None
    opening: int
    entries: tuple[Entry, ...]
    closing: int
    moved_since: int
    balance: int
    unexplained: int
    calls: tuple[CallSum, ...]
    users: tuple[Sum, ...]
    destinations: tuple[Sum, ...]
    pools: tuple[PoolLine, ...]
    other_months: tuple[OtherMonth, ...]
    days: tuple[Day, ...]

    @property
    def adds_up(self) -> bool:
        """Whether opening and entries give the closing, and that with what moved since the present balance."""
        summed = self.opening + sum(entry.amount for entry in self.entries) == self.closing
        return summed and not self.unexplained

    @property
    def is_partial(self) -> bool:
        """Whether the statement begins before the oldest record that is kept."""
        return self.kept_since is not None and (self.since is None or self.since < self.kept_since)
