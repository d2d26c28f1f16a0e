"""Credits: the balance, what it is made of, how it got there, and when it will be used up."""

from datetime import UTC, datetime, timedelta
from typing import Any

from rater.core import AccountEvent, EventKind, lots_with_money, parse_ledger, shown_lots
from rater.embedded.lookup import CallFilter
from rater.files.export_funds import fund_row
from rater.serve.web.screens.asked import Asked, number_in
from rater.serve.web.screens.outlook import outlook

#: How far back the curve goes, its points, and the days by which the pace is counted.
CURVE_DAYS, POINTS, PACE_DAYS = 90, 361, 30
#: Movements of funds of a page.
FUNDS_PER_PAGE = 50
#: Movements of funds beside the form of another one.
LATEST_FUNDS = 5
#: How many times at which the balance went through zero are shown, the newest.
CROSSINGS_MAX = 200
#: What says that the balance went through zero.
_CROSSED = {EventKind.BALANCE_DEPLETED: "fell", EventKind.CREDITS_RESUMED: "rose"}


def credit(asked: Asked) -> dict[str, Any]:
    """What `credits.html` shows."""
    account, clock = asked.account, asked.account.clock
    since = clock - timedelta(days=CURVE_DAYS)
    last_call = _last_call(asked)
    pace = 0 if last_call is None else _spent_a_day(asked, last_call)
    series = asked.lookup.balance_series(asked.tenant, since, clock, POINTS)
    state = asked.lookup.service_state(asked.tenant)
    page = asked.lookup.funds(asked.tenant, number_in(asked.query, "after"), FUNDS_PER_PAGE)
    return {
        "account": account,
        "since": state.since if state is not None else None,
        "lots": shown_lots(account),
        "lots_total": lots_with_money(account),
        "pace": pace,
        "pace_days": PACE_DAYS,
        "last_call": last_call,
        "outlook": outlook(account, pace, asked.settings),
        "curve_days": CURVE_DAYS,
        "curve": _curve(series),
        "crossings": _crossings(asked, since),
        "daily": series[:: POINTS // 12][::-1],
        "funds": [_fund(event) for event in page.events],
        "older": page.next,
    }


def latest_funds(asked: Asked) -> list[dict[str, Any]]:
    """What came in or went out last, so that nobody moves it once more."""
    return [_fund(event) for event in asked.lookup.funds(asked.tenant, None, LATEST_FUNDS).events]


def _last_call(asked: Asked) -> datetime | None:
    """When the call that began last did; None: no call is known."""
    page = asked.lookup.calls(asked.tenant, CallFilter(), None, 1)
    return page.calls[0][0].answered_at.astimezone(UTC) if page.calls else None


def _spent_a_day(asked: Asked, last_call: datetime) -> int:
    """What the calls of the last days cost a day, in micro-units; days after the last known call do not count."""
    next_day = last_call.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    end = min(asked.account.clock, next_day)
    found = asked.lookup.spend(asked.tenant, "day", end - timedelta(days=PACE_DAYS), end)
    return sum(one.charge_micros for one in found) // PACE_DAYS


def _curve(series: list[tuple[datetime, int]]) -> dict[str, list[int]]:
    """Points for the chart: seconds, and balances in micro-units."""
    return {
        "at": [int(when.timestamp()) for when, _ in series],
        "micros": [balance for _, balance in series],
    }


def _crossings(asked: Asked, since: datetime) -> list[tuple[datetime, str, int]]:
    """When the balance fell to zero or below, or calls on credit were possible again, and the balance."""
    events = asked.lookup.crossings(asked.tenant, None, CROSSINGS_MAX).events
    return [
        (event.at, _CROSSED[event.event], parse_ledger(event.balance or "0"))
        for event in events
        if event.at >= since
    ]


def _fund(event: AccountEvent) -> dict[str, Any]:
    """A purchase, a recharge, or what people or banks moved."""
    row = fund_row(event)
    assert row is not None, "the lookup lists what moved money"
    return {
        "at": row.at,
        "kind": row.kind,
        "amount": row.micros,
        "balance": parse_ledger(event.balance or "0"),
        "lot": row.lot,
        "reason": row.reason,
        "by": row.by,
        "usage_id": row.usage_id,
    }
