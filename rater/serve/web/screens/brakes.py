"""Limits on spending (A50): each brake, what it counted, and the balances that people are notified of."""

from itertools import islice
from typing import Any, NamedTuple

from rater.core import alerts_of, brakes_of, counting_window, window_of
from rater.engine.brake_report import BrakeWindow, brake_knowledge, brake_windows, in_its_measure, is_money
from rater.serve.web.screens.asked import Asked

#: Windows that are shown of one brake: those of now first, then those that were used most; and who knows countries.
WINDOWS_MAX = 100


class Row(NamedTuple):
    """A window as the list shows it; `is_now` is whether the tenant's clock is in it."""

    one: BrakeWindow
    counted: str
    percent: int
    is_now: bool

    @property
    def may_be_released(self) -> bool:
        """Whether it refuses calls now, until a person releases it."""
        reached = self.one.reached_at is not None and not self.one.released
        return self.is_now and reached and self.one.brake.mode == "stop" and is_money(self.one.brake)


def brakes(asked: Asked) -> dict[str, Any]:
    """What `brakes.html` shows."""
    account = asked.account
    rows: dict[str, list[Row]] = {}
    for one in brake_windows(asked.reader, account):
        rows.setdefault(one.brake.name, []).append(_row(one, asked))
    for found in rows.values():
        found.sort(key=lambda row: (row.is_now, row.percent, row.one.counted.start), reverse=True)
    return {
        "account": account,
        "brakes": [
            (brake, in_its_measure(brake, brake.limit), is_money(brake), rows.get(brake.name, ()))
            for brake in brakes_of(account)
        ],
        "known": list(islice(brake_knowledge(asked.reader, account), WINDOWS_MAX)),
        "windows_max": WINDOWS_MAX,
        "alerts": alerts_of(account),
    }


def _row(one: BrakeWindow, asked: Asked) -> Row:
    window, limit = one.counted, one.brake.limit
    percent = 100 * window.spent // limit if limit else 100
    is_now = (window.start, window.end) == window_of(counting_window(one.brake.window), asked.account.clock)
    return Row(one, in_its_measure(one.brake, window.spent), percent, is_now)
