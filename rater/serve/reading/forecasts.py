"""Forecasts for the read API: `rater forecast` in a process of its own, so that no other request waits for it.

What one costs is bounded: so many ratings of a tenant (FORECAST_RATINGS_MAX), so many seconds (FORECAST_WITHIN_S),
one process at a time, and so many requests that wait for it.  A forecast is kept for an hour of the tenant's clock.
"""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

import msgspec

from rater.core import Account
from rater.serve.problems import Kind, ProblemError
from rater.serve.reading.likely_answers import ForecastAnswer
from rater.wire.errors import Exit

#: Ratings of a tenant that a forecast reads; beyond that: `rater forecast`.
FORECAST_RATINGS_MAX = 200_000
#: After so many seconds a forecast is given up.
FORECAST_WITHIN_S = 60.0
#: Requests that wait for a forecast, and forecasts that are kept.
FORECASTS_WAITING_MAX, FORECASTS_KEPT_MAX = 10, 100
_RETRY_AFTER_S = 10
_decode = msgspec.json.Decoder(ForecastAnswer).decode
#: (tenant, the hour of its clock, days).
_Wanted = tuple[str, str, int]


class Forecasts:
    """Forecasts of the tenants of a store; None: what is read is a replica, which has no settings of the rules."""

    def __init__(self, store: Path | None) -> None:
        self._store = store
        self._kept: dict[_Wanted, ForecastAnswer] = {}
        self._one = asyncio.Lock()
        self._waiting = 0

    async def of(self, account: Account, days: int) -> ForecastAnswer:
        """The forecast; ProblemError: too little past, too many calls, no store, or too much to do now."""
        if self._store is None:
            raise ProblemError(
                Kind.NOT_FOUND,
                "forecasts are made from a store; over Kafka: rater forecast TENANT --bootstrap SERVERS",
            )
        if account.sequences.rated_calls > FORECAST_RATINGS_MAX:
            raise ProblemError(
                Kind.TOO_LARGE,
                f"{account.tenant}: {account.sequences.rated_calls} ratings, more than a request reads"
                f" (FORECAST_RATINGS_MAX {FORECAST_RATINGS_MAX}); use rater forecast",
            )
        wanted = (account.tenant, f"{account.clock:%Y-%m-%dT%H}", days)
        if wanted in self._kept:
            return self._kept[wanted]
        if self._waiting >= FORECASTS_WAITING_MAX:
            raise ProblemError(
                Kind.BUSY,
                f"{self._waiting} requests wait for forecasts (FORECASTS_WAITING_MAX); ask again later",
                _RETRY_AFTER_S,
            )
        self._waiting += 1
        try:
            async with self._one:
                if wanted not in self._kept:
                    self._keep(wanted, await _made(self._store, account.tenant, days))
                return self._kept[wanted]
        finally:
            self._waiting -= 1

    def _keep(self, wanted: _Wanted, found: ForecastAnswer) -> None:
        if len(self._kept) >= FORECASTS_KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        self._kept[wanted] = found


async def _made(store: Path, tenant: str, days: int) -> ForecastAnswer:
    """Run the command; ProblemError with its message where it fails."""
    words = ["forecast", "--store", str(store), "--days", str(days), "--format", "json", "--", tenant]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "rater", *words, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
    )
    try:
        made, said = await asyncio.wait_for(process.communicate(), FORECAST_WITHIN_S)
    except TimeoutError as late:
        raise ProblemError(
            Kind.BUSY,
            f"it took longer than {FORECAST_WITHIN_S:.0f} s (FORECAST_WITHIN_S); use rater forecast",
            _RETRY_AFTER_S,
        ) from late
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == 0:
        return _decode(made)
    message = said.decode(errors="replace").strip().rpartition("\n")[2].removeprefix("rater: ")
    if process.returncode == Exit.FAILED:
        raise ProblemError(Kind.NOT_FOUND, message)
    raise ProblemError(Kind.BUSY, f"no forecast could be made: {message}", _RETRY_AFTER_S)
