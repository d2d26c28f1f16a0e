"""What is likely, as the page shows it: the band of the balance, the first zero, recharges, pools; the advice."""

from datetime import timedelta
from typing import Any

from rater.core import parse_ledger
from rater.engine.forecast import spared_pools
from rater.serve.reading.likely_answers import AdviceAnswer, ForecastAnswer, LikelyAmount

#: How far ahead the page looks.
DAYS = 60
#: The table beside the chart has the end of every so many days.
_EVERY = 7
_DAY = timedelta(days=1)


def likely_shown(found: ForecastAnswer) -> dict[str, Any]:
    """What `part_forecast.html` shows; money in micro-units."""
    balances = [_micros(day) for day in found.balances]
    at = [found.now + day * _DAY for day in range(1, found.days + 1)]
    now = parse_ledger(found.balance)
    seconds = [int(one.timestamp()) for one in (found.now, *at)]
    lines = [list(line) for line in zip((now, now, now), *balances, strict=True)]
    rows = [*zip(at, balances, strict=True)][_EVERY - 1 :: _EVERY]
    pools = {pool: times for pool, times in found.pools.items() if times.p10}
    return {
        "answer": found,
        "rows": rows,
        "pools": pools,
        "spared": spared_pools(found.pools, pools),
        "chart": {"at": seconds, "band": lines},
    }


def advice_shown(found: AdviceAnswer) -> dict[str, Any]:
    """What `part_recommendation.html` shows; money in micro-units."""
    return {
        "answer": found,
        "spent_while_paying": parse_ledger(found.spent_while_paying),
        "spent_in_a_month": parse_ledger(found.spent_in_a_month),
        "buy_first": parse_ledger(found.buy_first),
    }


def _micros(day: LikelyAmount) -> tuple[int, int, int]:
    return parse_ledger(day.p10), parse_ledger(day.p50), parse_ledger(day.p90)
