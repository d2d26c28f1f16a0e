"""Recharge: the settings of auto-recharge, and the outcome of each attempt."""

from typing import Any

import msgspec

from rater.core import AccountEvent, EventKind, parse_ledger
from rater.serve.web.screens.asked import Asked

_events = msgspec.json.Decoder(AccountEvent).decode
_ATTEMPTS = (
    EventKind.RECHARGE_REQUESTED,
    EventKind.RECHARGE_SUCCEEDED,
    EventKind.RECHARGE_FAILED,
    EventKind.RECHARGE_SUPPRESSED,
    EventKind.PAYMENT_CONFLICT,
)
ATTEMPTS_MAX = 100


def recharge(asked: Asked) -> dict[str, Any]:
    """What `recharge.html` shows."""
    attempts: list[tuple[AccountEvent, int | None]] = []
    for _, value in asked.reader.topic("account-events", asked.tenant, newest_first=True):
        event = _events(value)
        if event.event in _ATTEMPTS:
            attempts.append((event, parse_ledger(event.amount) if event.amount else None))
            if len(attempts) == ATTEMPTS_MAX:
                break
    return {"account": asked.account, "terms": asked.account.recharge, "attempts": attempts}
