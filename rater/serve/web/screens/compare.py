"""Compare: the form by which a month is replayed with another price list, or with another licence."""

from datetime import datetime
from typing import Any

from rater.core import SKUS, Account
from rater.serve.web.people import Role
from rater.serve.web.screens.asked import Asked, WrongQuestion
from rater.serve.web.screens.statement import periods_of


def compare(asked: Asked) -> dict[str, Any]:
    """What `compare.html` shows; versions that are known are for operators."""
    return form_of(asked.account, versions_for(asked))


def form_of(account: Account, versions: list[str], period: str = "", wrong: str | None = None) -> dict[str, Any]:
    """The form, with the month that was chosen, and what is wrong with it."""
    periods = periods_of(account.clock)
    return {
        "account": account,
        "periods": periods,
        "period": period if period in periods else periods[1],
        "versions": versions,
        "licences": [(code, known.title) for code, known in sorted(SKUS.items())],
        "wrong": wrong,
    }


def versions_for(asked: Asked) -> list[str]:
    """The versions of price lists in the tenant's currency, for operators; others would be in force for no call."""
    return asked.reader.deck_versions(asked.account.currency) if asked.session.role is Role.OPERATOR else []


def check_period(clock: datetime, period: str) -> str:
    """The month; WrongQuestion: it is none that can be chosen."""
    periods = periods_of(clock)
    if period not in periods:
        raise WrongQuestion(f"period: expected a month from {periods[-1]} to {periods[0]}")
    return period
