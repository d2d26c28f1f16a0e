"""Recharge: the settings of auto-recharge, and the outcome of each attempt."""

from typing import Any

from rater.core import parse_ledger
from rater.serve.web.screens.asked import Asked

#: The newest attempts are shown.
ATTEMPTS_MAX = 100


def recharge(asked: Asked) -> dict[str, Any]:
    """What `recharge.html` shows."""
    page = asked.lookup.recharges(asked.tenant, None, ATTEMPTS_MAX)
    attempts = [(event, parse_ledger(event.amount) if event.amount else None) for event in page.events]
    return {"account": asked.account, "terms": asked.account.recharge, "attempts": attempts}
