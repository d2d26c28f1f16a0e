"""Forecasts and recommendations: `rater forecast` and `rater recommend` over the file that the server reads.

Each is kept for an hour of the tenant's clock, until money comes in or goes out by hand, or auto-recharge changes;
so is what it could not be made for, but not that it took too long.  What it costs is bounded: see OwnProcesses,
RATINGS_MAX and WITHIN_S.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import msgspec

from rater.core import Account
from rater.serve.problems import Kind, ProblemError
from rater.serve.reading.likely_answers import AdviceAnswer, ForecastAnswer
from rater.serve.reading.own_processes import OwnProcesses, TookTooLong
from rater.wire.errors import Exit

#: Ratings of a tenant that are read; beyond that: the command itself.
RATINGS_MAX = 200_000
#: After so many seconds it is given up.
WITHIN_S = 60.0
#: Answers of a kind that are kept.
KEPT_MAX = 100
_RETRY_AFTER_S = 10
_Answer = TypeVar("_Answer", bound=msgspec.Struct)


class Nothing(NamedTuple):
    """Why there is no answer; `for_now`: it took too long, and may take less when the server has less to do."""

    kind: Kind
    detail: str
    for_now: bool = False


#: What decides whether an answer still stands: tenant, hour, events of the account, recharge, what was asked.
_Wanted = tuple[object, ...]


class Computed(Generic[_Answer]):
    """Answers of one command about tenants; everything in the event loop."""

    def __init__(
        self, processes: OwnProcesses, store: Path, command: str, read: Callable[[bytes], _Answer], within_s: float
    ) -> None:
        """`command` prints on standard output what `read` reads; it is given up after so many seconds."""
        self._processes, self._store, self._command, self._read = processes, store, command, read
        self._within_s = within_s
        self._kept: dict[_Wanted, _Answer | Nothing] = {}
        self._making: dict[_Wanted, asyncio.Task[_Answer | Nothing]] = {}

    def known(self, account: Account, *options: str) -> _Answer | Nothing | None:
        """What was answered before and stands."""
        return self._kept.get(_wanted(account, options))

    async def of(self, account: Account, *options: str) -> _Answer | Nothing:
        """The answer, or why there is none; ProblemError: too much to do now.

        Who asks for the same at the same time waits for one process.
        """
        wanted = _wanted(account, options)
        if wanted in self._kept:
            return self._kept[wanted]
        task = self._making.get(wanted)
        if task is None:
            task = self._making[wanted] = asyncio.create_task(self._make(wanted, account, options))
        return await asyncio.shield(task)

    async def _make(self, wanted: _Wanted, account: Account, options: tuple[str, ...]) -> _Answer | Nothing:
        try:
            found = await self._made(account, options)
            if isinstance(found, Nothing) and found.for_now:
                return found
            if len(self._kept) >= KEPT_MAX:
                del self._kept[next(iter(self._kept))]
            self._kept[wanted] = found
            return found
        finally:
            del self._making[wanted]

    async def _made(self, account: Account, options: tuple[str, ...]) -> _Answer | Nothing:
        if account.sequences.rated_calls > RATINGS_MAX:
            return Nothing(
                Kind.TOO_LARGE,
                f"{account.sequences.rated_calls} ratings, more than are read here (RATINGS_MAX {RATINGS_MAX}); use"
                f" rater {self._command}",
            )
        words = [self._command, *options, "--store", str(self._store), "--", account.tenant]
        try:
            ended = await self._processes.run(words, self._within_s)
        except TookTooLong as late:
            return Nothing(late.kind, late.detail, for_now=True)
        if ended.output and ended.code in (Exit.OK, Exit.FAILED):
            return self._read(ended.output)
        if ended.code == Exit.FAILED:
            return Nothing(Kind.NOT_FOUND, ended.message)
        raise ProblemError(Kind.BUSY, f"rater {self._command} failed: {ended.message}", _RETRY_AFTER_S)


class Forecasts:
    """What is likely, and what is recommended, of the tenants of a store or of a replica."""

    def __init__(self, processes: OwnProcesses, store: Path, within_s: float = WITHIN_S) -> None:
        self._likely = Computed(processes, store, "forecast", _printed(ForecastAnswer), within_s)
        self._advice = Computed(processes, store, "recommend", _printed(AdviceAnswer), within_s)

    async def likely(self, account: Account, days: int) -> ForecastAnswer | Nothing:
        """What is likely in the days to come; see Computed.of."""
        return await self._likely.of(account, *_days(days))

    def known_likely(self, account: Account, days: int) -> ForecastAnswer | Nothing | None:
        """The same, if it is known."""
        return self._likely.known(account, *_days(days))

    async def advice(self, account: Account) -> AdviceAnswer | Nothing:
        """Which recharge is recommended; see Computed.of."""
        return await self._advice.of(account, "--json")

    def known_advice(self, account: Account) -> AdviceAnswer | Nothing | None:
        """The same, if it is known."""
        return self._advice.known(account, "--json")


def answered(found: _Answer | Nothing) -> _Answer:
    """The answer; ProblemError says why there is none."""
    if isinstance(found, Nothing):
        raise ProblemError(found.kind, found.detail, _RETRY_AFTER_S if found.for_now else None)
    return found


def _printed(answer: type[_Answer]) -> Callable[[bytes], _Answer]:
    """Reads what a command prints; `now` is the tenant's clock, which answers over HTTP call `as_of`, too."""

    def read(output: bytes) -> _Answer:
        facts = msgspec.json.decode(output)
        return msgspec.convert(facts | {"as_of": facts["now"]}, answer)

    return read


def _days(days: int) -> tuple[str, ...]:
    return "--days", str(days), "--format", "json"


def _wanted(account: Account, options: tuple[str, ...]) -> _Wanted:
    terms = account.recharge
    recharge = (terms.state, terms.trigger, terms.amount, terms.failures)
    hour = f"{account.clock:%Y-%m-%dT%H}"
    return account.tenant, hour, account.sequences.account_events, recharge, options
