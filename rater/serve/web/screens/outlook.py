"""How long the credit lasts at the pace of the last days, and what comes next: a recharge, or nothing is left.

Where auto-recharge works, the credit is recharged before it is used up.  It does not where it is off, stopped or
failing, and it is not enough where its limits (A7, A32) let in less than is spent.  What is likely by chance is
for the forecast.
"""

from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from rater.core import Account, RatingSettings

#: Later than this is never.
_DAYS_MAX = 3_650
_DAY_S, _MONTH_DAYS = 86_400, 30


class Outlook(NamedTuple):
    """What comes next, and when; None: not within ten years.

    `weak` says why auto-recharge does not keep the credit above zero, though it is on.
    """

    next: Literal["empty", "recharge", "asked", "is_empty"]
    at: datetime | None = None
    weak: Literal["failing", "not_enough"] | None = None


def outlook(account: Account, pace: int, settings: RatingSettings) -> Outlook:
    """What comes next at a pace of so many micro-units a day."""
    terms = account.recharge
    weak = _weakness(account, pace, settings)
    if account.balance <= 0:
        return Outlook("is_empty", None, weak)
    if terms.state != "on" or weak is not None:
        return Outlook("empty", _used(account, account.balance, pace), weak)
    if account.balance < terms.trigger:
        return Outlook("asked")
    return Outlook("recharge", _used(account, account.balance - terms.trigger, pace))


def _weakness(account: Account, pace: int, settings: RatingSettings) -> Literal["failing", "not_enough"] | None:
    terms = account.recharge
    if terms.state != "on":
        return None
    if terms.failures or terms.suppressed:
        return "failing"
    recharges = min(_MONTH_DAYS * settings.recharges_per_day_max, settings.recharges_per_month_max)
    return "not_enough" if terms.amount * recharges < pace * _MONTH_DAYS else None


def _used(account: Account, micros: int, pace: int) -> datetime | None:
    """When so much of the balance is used at this pace."""
    if pace <= 0 or micros // pace > _DAYS_MAX:
        return None
    return account.clock + timedelta(seconds=micros * _DAY_S // pace)
