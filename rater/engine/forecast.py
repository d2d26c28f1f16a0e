"""What is likely of a tenant's money in the days to come: what one, five and nine of ten runs do not exceed.

See rater.engine.future_runs for what a run is.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from random import Random
from typing import Any, Generic, NamedTuple, TypeVar

from rater.engine.future_runs import Player, Run
from rater.engine.likely_future import DrawnCall, drawn

_T = TypeVar("_T")


class Likely(NamedTuple, Generic[_T]):
    """One run of ten is at or before `p10`, one of two `p50`, nine of ten `p90`; None: not within the days."""

    p10: _T | None
    p50: _T | None
    p90: _T | None


class Forecast(NamedTuple):
    """The days to come from `now`, by weeks of the past; money in micro-units, an entry for the end of each day."""

    now: datetime
    days: int
    runs: int
    first_zero: Likely[datetime]
    next_recharge: Likely[datetime]
    recharges: Likely[int]
    spent: list[Likely[int]]
    balances: list[Likely[int]]
    used_up: dict[str, Likely[datetime]]  # each pool that is drawn on, by month


def runs_of(
    player: Player,
    weeks: Sequence[list[DrawnCall]],
    now: datetime,
    days: int,
    runs: int,
    seed: int,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Run]:
    """So many runs; each has a chance of its own that follows from the seed."""
    chances = [Random(f"{seed}/{number}") for number in range(runs)]  # noqa: S311  # they draw weeks, and no secrets
    return _each((player.play(drawn(weeks, now, days, chance), now, days) for chance in chances), progress)


def charged_again(
    player: Player, runs: Sequence[Run], now: datetime, days: int, progress: Callable[[int], None] = lambda _: None
) -> list[Run]:
    """Runs once more with what their calls cost; see Player.play_charges."""
    return _each((player.play_charges(run, now, days) for run in runs), progress)


def _each(played: Iterable[Run], progress: Callable[[int], None]) -> list[Run]:
    found = []
    for run in played:
        found.append(run)
        progress(1)
    return found


def forecast(found: Sequence[Run], now: datetime, days: int, pools_now: Mapping[str, bool]) -> Forecast:
    """The percentiles of runs.

    `pools_now` are the pools of the present month that were drawn on: whether each is used up already.
    """
    pools = sorted({pool for run in found for pool in run.pools} | {*pools_now})
    already = {pool: now for pool, is_used_up in pools_now.items() if is_used_up}
    return Forecast(
        now,
        days,
        len(found),
        likely([run.first_zero for run in found]),
        likely([run.next_recharge for run in found]),
        likely([run.recharges for run in found]),
        [likely([run.spent[day] for run in found]) for day in range(days)],
        [likely([run.balances[day] for run in found]) for day in range(days)],
        {pool: likely([(already | run.used_up).get(pool) for run in found]) for pool in pools},
    )


def spared_pools(pools: Iterable[str], used_up: Collection[str]) -> list[str]:
    """The pools that are not used up; without their month where that is so of each month."""
    spared = [name for name in pools if name not in used_up]
    drained = {name.rpartition("/")[0] for name in used_up}
    return list(dict.fromkeys(name if (pool := name.rpartition("/")[0]) in drained else pool for name in spared))


def likely(values: Sequence[_T | None]) -> Likely[_T]:
    """The percentiles by nearest rank; what did not happen comes after all that did."""
    ordered: list[Any] = sorted(value for value in values if value is not None)
    ordered += [None] * (len(values) - len(ordered))
    return Likely(*(ordered[-(-percent * len(ordered) // 100) - 1] for percent in (10, 50, 90)))
