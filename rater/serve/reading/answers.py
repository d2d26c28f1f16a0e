"""What the read API answers.  Money is decimal strings in major units, times RFC 3339 in UTC.

`as_of` is the tenant's clock: the time of the last record or command that the figures include.
"""

from datetime import datetime

import msgspec

from rater.core import CallType, DebitKind, EventKind, LotShare, LotState, Outcome, Pocket, Reason
from rater.wire.dead_letters import LetterState


class TenantLine(msgspec.Struct, frozen=True):
    """A tenant in the list of all."""

    tenant: str
    currency: str
    balance: str
    service: str
    as_of: datetime


class Tenants(msgspec.Struct, frozen=True):
    """Tenants in the order of their names; `next` is the cursor of those behind, null where there are none."""

    tenants: list[TenantLine]
    next: str | None
    as_of: datetime | None


class Recharge(msgspec.Struct, frozen=True):
    """Whether money is added by itself (`on`, `off`, `stopped`), below which balance, how much, and how it went."""

    state: str
    trigger: str
    amount: str
    failures: int
    in_flight: str | None


class TenantNow(msgspec.Struct, frozen=True):
    """A tenant as it is: `lots` are those that are used next, of `lots_total` with money left.

    `service_since` is when credit-funded calls were last allowed or suspended, null if that never changed.
    """

    tenant: str
    as_of: datetime
    currency: str
    balance: str
    debt: str
    lots: list[LotState]
    lots_total: int
    credits: str
    service: str
    service_since: datetime | None
    recharge: Recharge
    closed_since: datetime | None
    country: str | None


class PoolLine(msgspec.Struct, frozen=True):
    """Minutes of a pool."""

    pool: str
    period: str
    used: int
    total: int
    available: int


class Pools(msgspec.Struct, frozen=True):
    """The pools that were drawn on, by name; `next` as in Calls."""

    pools: list[PoolLine]
    next: str | None
    as_of: datetime


class SegmentLine(msgspec.Struct, frozen=True):
    """Minutes that one pocket covered, and what was charged for them."""

    pocket: Pocket
    minutes: int
    charge: str | None
    pool: str | None


class CallLine(msgspec.Struct, frozen=True):
    """A rating of a call; `stands` is false where a later one replaced it."""

    usage_id: str
    version: int
    rating: int
    stands: bool
    outcome: Outcome
    type: CallType
    answered_at: datetime
    period: str
    duration_s: int
    minutes: int
    user: str | None
    calling: str | None
    called: str | None
    destination: str | None
    charge: str
    unfunded_charge: str
    balance: str
    currency: str
    rule: str
    flags: list[str]
    segments: list[SegmentLine]


class Calls(msgspec.Struct, frozen=True):
    """Ratings of calls, the last to begin first.  A page with a `next` may hold fewer than asked for, or none."""

    calls: list[CallLine]
    next: str | None
    as_of: datetime


class RatingExplained(msgspec.Struct, frozen=True):
    """A rating, and the sentences that say why it cost what it did."""

    stands: bool
    lines: list[str]
    call: CallLine


class Explanation(msgspec.Struct, frozen=True):
    """Every rating of a call, the oldest first."""

    usage_id: str
    ratings: list[RatingExplained]
    as_of: datetime


class DebitLine(msgspec.Struct, frozen=True):
    """Money that left the balance; a reversal is negative."""

    id: str
    sequence: int
    kind: DebitKind
    at: datetime
    amount: str
    balance: str
    currency: str
    usage_id: str | None
    version: int | None
    user: str | None
    period: str | None
    lots: list[LotShare]
    command_id: str | None


class Debits(msgspec.Struct, frozen=True):
    """Debits, the newest first; `next` as in Calls."""

    debits: list[DebitLine]
    next: str | None
    as_of: datetime


class FundLine(msgspec.Struct, frozen=True):
    """Money that is no call's, with the sign with which it moved the balance."""

    sequence: int
    at: datetime
    event: EventKind
    kind: str
    amount: str
    balance: str
    currency: str | None
    lot: str | None
    command_id: str | None
    usage_id: str | None
    reason: str | None
    by: str | None


class Funds(msgspec.Struct, frozen=True):
    """Purchases, recharges, adjustments, refunds, charge-backs, expiries, the newest first; `next` as in Calls."""

    funds: list[FundLine]
    next: str | None
    as_of: datetime


class BalanceAt(msgspec.Struct, frozen=True):
    """The balance at an instant: credits less debits up to and including it.

    Where no instant was asked for, it is the present balance, and `at` is `as_of`.
    """

    at: datetime
    balance: str
    currency: str
    as_of: datetime


class SpendLine(msgspec.Struct, frozen=True):
    """The sums of the calls of one day, destination or user; `key` is null for calls without one."""

    key: str | None
    calls: int
    minutes: int
    charge: str


class SpendAnswer(msgspec.Struct, frozen=True):
    """Sums of the ratings that stand; days in order, else the dearest first."""

    by: str
    currency: str
    spend: list[SpendLine]
    as_of: datetime


class RefusedLine(msgspec.Struct, frozen=True):
    """A refused record, with phone numbers and addresses masked; `raw` is its beginning."""

    id: str
    reason: Reason
    message: str
    state: LetterState
    field: str | None
    usage_id: str | None
    place: str
    raw: str


class Refused(msgspec.Struct, frozen=True):
    """Dead letters, the newest first; `next` as in Calls."""

    refused: list[RefusedLine]
    next: str | None
    as_of: datetime
