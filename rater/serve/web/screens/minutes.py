"""Minutes: the pools of a month, how much of each is used, and for how long the rest lasts at this pace."""

from datetime import datetime
from typing import Any, NamedTuple

from rater.core import Account, PoolUse, month_index, month_start
from rater.files.export_tables import pool_report
from rater.serve.web.screens.asked import Asked, WrongQuestion

#: Pools that are shown at a time, those used most first.
POOLS_MAX = 200
_DAY_S = 86_400


class Row(NamedTuple):
    """A pool as the list shows it; `days` are full days until it is used up, None where it will not be."""

    use: PoolUse
    percent: int
    days: int | None


def minutes(asked: Asked) -> dict[str, Any]:
    """What `minutes.html` shows."""
    account = asked.account
    names = asked.reader.names("pool", asked.tenant)
    periods = sorted({name.rpartition("/")[2] for name in names}, reverse=True)
    period = asked.query.get("period") or (periods[0] if periods else None)
    if period is not None and period not in periods:
        raise WrongQuestion("period: expected a month in which minutes were used")
    rows = [_row(account, use) for use in pool_report(asked.reader, account, period)] if period else []
    rows.sort(key=lambda row: (-row.percent, row.use.name))
    return {
        "account": account,
        "periods": periods,
        "period": period,
        "pools": rows[:POOLS_MAX],
        "pools_total": len(rows),
    }


def _row(account: Account, use: PoolUse) -> Row:
    percent = 100 * use.used // use.total if use.total else 100
    return Row(use, percent, _days_left(account.clock, use))


def _days_left(clock: datetime, use: PoolUse) -> int | None:
    """Days until the rest is used up at the pace of the month so far; None: the month ends first, or is over."""
    start, end = month_start(use.month), month_start(use.month + 1)
    if month_index(clock) != use.month or not use.used:
        return None
    gone_s = max(int((clock - start).total_seconds()), 1)
    left_s = (use.total - use.used) * gone_s // use.used
    return left_s // _DAY_S if left_s < (end - clock).total_seconds() else None
