"""Credits: the balance, what it is made of, how it got there, and when it will be used up."""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from rater.core import AccountEvent, EventKind, ServiceState, lots_with_money, parse_ledger, shown_lots
from rater.embedded.store import Reader
from rater.files.export_funds import fund_row
from rater.serve.web.screens.asked import Asked
from rater.serve.web.screens.movements import balance_series, crossings, movements, spent_a_day

_states = msgspec.json.Decoder(ServiceState).decode
_events = msgspec.json.Decoder(AccountEvent).decode
#: How far back the curve goes, and the days by which the pace is counted.
CURVE_DAYS, PACE_DAYS = 90, 30
#: Movements of funds that are listed.
FUNDS_MAX = 50


def credit(asked: Asked) -> dict[str, Any]:
    """What `credits.html` shows."""
    reader, account = asked.reader, asked.account
    since = account.clock - timedelta(days=CURVE_DAYS)
    moved = movements(reader, asked.tenant)
    pace = spent_a_day(reader, account, PACE_DAYS)
    series = balance_series(account, moved, since, account.clock)
    return {
        "account": account,
        "since": _service_since(reader, asked.tenant),
        "lots": shown_lots(account),
        "lots_total": lots_with_money(account),
        "pace": pace,
        "pace_days": PACE_DAYS,
        "empty_at": _empty_at(account.clock, account.balance, pace),
        "curve_days": CURVE_DAYS,
        "curve": _curve(series, crossings(account, moved, since)),
        "crossings": crossings(account, moved, since),
        "daily": series[:: len(series) // 12][::-1],
        "funds": _funds(reader, asked.tenant),
    }


def _service_since(reader: Reader, tenant: str) -> datetime | None:
    """Since when the tenant's service is as it is; None where it never changed."""
    for _, value in reader.topic("service-states", tenant, newest_first=True):
        state = _states(value)
        if state.scope == "tenant":
            return state.since
    return None


def _empty_at(clock: datetime, balance: int, pace: int) -> datetime | None:
    """When nothing is left at this pace; None where nothing is spent, or left, or within ten years used up."""
    if pace <= 0 or balance <= 0 or balance // pace > 3_650:
        return None
    return clock + timedelta(seconds=balance * 86_400 // pace)


def _curve(series: list[tuple[datetime, int]], crossed: list[tuple[datetime, str, int]]) -> dict[str, Any]:
    """Points for the chart: seconds, balances in units, and where the balance crossed zero."""
    return {
        "at": [int(when.timestamp()) for when, _ in series],
        "balance": [round(balance / 1_000_000, 6) for _, balance in series],
        "zero": [int(when.timestamp()) for when, _, _ in crossed],
    }


def _funds(reader: Reader, tenant: str) -> list[dict[str, Any]]:
    """Purchases, recharges and what people or banks moved, newest first."""
    found: list[dict[str, Any]] = []
    for _, value in reader.topic("account-events", tenant, newest_first=True):
        event = _events(value)
        row = fund_row(event)
        if row is not None or event.event is EventKind.RECHARGE_FAILED:
            amount = int(row[4].scaleb(6)) if row is not None else 0
            found.append(
                {
                    "at": event.at,
                    "kind": row[3] if row is not None else "recharge_failed",
                    "amount": amount,
                    "balance": parse_ledger(event.balance or "0"),
                    "lot": event.lot or event.recharge_id,
                    "reason": event.reason,
                    "by": event.by,
                    "usage_id": event.usage_id,
                }
            )
            if len(found) == FUNDS_MAX:
                break
    return found
