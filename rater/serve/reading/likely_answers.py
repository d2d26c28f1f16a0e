"""What the read API answers of the days to come; see rater.serve.reading.answers for money and times."""

from datetime import datetime

import msgspec


class LikelyTime(msgspec.Struct, frozen=True):
    """When it happens at the latest in one, five and nine of ten runs; null: not within the days."""

    p10: datetime | None
    p50: datetime | None
    p90: datetime | None


class LikelyCount(msgspec.Struct, frozen=True):
    """What one, five and nine of ten runs do not exceed."""

    p10: int
    p50: int
    p90: int


class LikelyAmount(msgspec.Struct, frozen=True):
    """What one, five and nine of ten runs do not exceed, in major units."""

    p10: str
    p50: str
    p90: str


class ForecastAnswer(msgspec.Struct, frozen=True):
    """What is likely from `now` on, by `weeks` whole weeks of the tenant's own past that end at `until`.

    `balances` and `spent` (by calls, since now) have an entry for the end of each of the `days`; `pools` says when
    each pool's month is used up.  `now` and `as_of` are the tenant's clock when the forecast was made.
    """

    tenant: str
    currency: str
    now: datetime
    days: int
    weeks: int
    until: datetime
    runs: int
    seed: int
    balance: str
    first_zero: LikelyTime
    next_recharge: LikelyTime
    recharges: LikelyCount
    balances: list[LikelyAmount]
    spent: list[LikelyAmount]
    pools: dict[str, LikelyTime]
    as_of: datetime


class PublishedAdvice(msgspec.Struct, frozen=True):
    """What was published in 2017 for so many licensed users, in whole USD: once, and the trigger."""

    users: int
    once: int
    trigger: int


class AdviceAnswer(msgspec.Struct, frozen=True):
    """A recommended recharge: whole amounts of `currency`, and why.

    In nine of ten likely months no `payment_delay` minutes cost more than `spent_while_paying`, and the month no
    more than `spent_in_a_month`.  `confirmed`: played again with it, nine of ten months have no zero and at most
    `recharges_max` recharges; `recharges` is what nine of ten then have.  That holds from a balance of
    `trigger` on: `buy_first` is what is missing to it now.  `now` and `as_of` are the tenant's clock when the
    recommendation was made.
    """

    tenant: str
    currency: str
    now: datetime
    trigger: int
    amount: int
    payment_delay: int
    recharges_max: int
    spent_while_paying: str
    spent_in_a_month: str
    recharges: int | None
    confirmed: bool
    buy_first: str
    published: PublishedAdvice
    as_of: datetime
