"""Compare: the form by which a month is replayed with another price list, or another licence."""

from datetime import datetime
from typing import Any

from rater.core import SKUS
from rater.serve.web.people import Role
from rater.serve.web.screens.asked import Asked, WrongQuestion
from rater.serve.web.screens.statement import periods_of

#: Licences that may be held, and what they are called.
LICENCES = [(one.code, one.title) for one in SKUS.values()]


def compare(asked: Asked) -> dict[str, Any]:
    """What `compare.html` shows; versions that are known are for operators."""
    periods = periods_of(asked.account.clock)
    versions = versions_for(asked)
    return {
        "account": asked.account,
        "periods": periods,
        "period": periods[1],
        "versions": versions,
        "licences": LICENCES,
        "wrong": None,
    }


def versions_for(asked: Asked) -> list[str]:
    """The versions of price lists that are offered to who asks."""
    return asked.reader.deck_versions() if asked.session.role is Role.OPERATOR else []


def read_instead(held: str, instead: str) -> str | None:
    """Which licence is held instead of which, as `rater what-if` reads it; WrongQuestion says what was expected."""
    if not held and not instead:
        return None
    if held not in SKUS or instead not in SKUS or held == instead:
        raise WrongQuestion("licence: expected one that is held and another one instead, of those that are offered")
    return f"{held}={instead}"


def check_period(clock: datetime, period: str) -> str:
    """The month; WrongQuestion: it is none that can be chosen."""
    periods = periods_of(clock)
    if period not in periods:
        raise WrongQuestion(f"period: expected a month from {periods[-1]} to {periods[0]}")
    return period
