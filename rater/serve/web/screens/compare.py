"""Compare: the form by which a month is replayed with another price list."""

from datetime import datetime
from typing import Any

from rater.serve.web.people import Role
from rater.serve.web.screens.asked import Asked, WrongQuestion
from rater.serve.web.screens.statement import periods_of


def compare(asked: Asked) -> dict[str, Any]:
    """What `compare.html` shows; versions that are known are for operators."""
    periods = periods_of(asked.account.clock)
    versions = versions_for(asked)
    return {
        "account": asked.account,
        "periods": periods,
        "period": periods[1],
        "versions": versions,
        "wrong": None,
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
