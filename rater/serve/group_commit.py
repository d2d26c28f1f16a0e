"""Requests that arrive together are stored together: one commit for many.

While one group is being stored the next one gathers, so a single request does not wait for others, and many share
the cost of a commit.  What waits is bounded, in records and bytes: beyond it a request is refused (503), and the
switch sends it again.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import structlog

from rater.core import CallEvent
from rater.engine.batch import Record
from rater.ops.metrics.meter import Metrics
from rater.serve.problems import Kind, ProblemError
from rater.serve.results import Result

#: Records that are stored together; a request with more is stored by itself.
GROUP_RECORDS_MAX = 1_000
#: Records and bytes that wait at most.
WAITING_RECORDS_MAX = 20_000
WAITING_BYTES_MAX = 64_000_000
#: When a switch may come back.
_RETRY_AFTER_S = 1

log = structlog.get_logger("rater.serve")

#: A record, or an event of a running call.
Item = Record | CallEvent


class NotKept(Exception):
    """Whether the records were stored is not known; the same ones may be sent again."""


class Keeper(Protocol):
    """What stores records, all or none of those that it is given at once."""

    async def keep(self, items: Sequence[Item]) -> Sequence[Result]:
        """The result of each record, in order, once all of them are stored; raises NotKept."""


class _Waiting(NamedTuple):
    """The records of one request, their bytes, and who waits for their results."""

    items: Sequence[Item]
    size: int
    results: "asyncio.Future[Sequence[Result]]"


class GroupCommit:
    """One for a process: `add` from any number of requests, `run` as a task."""

    def __init__(self, keeper: Keeper, metrics: Metrics) -> None:
        self._keeper, self._metrics = keeper, metrics
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._records = self._bytes = 0

    async def add(self, items: Sequence[Item], size: int) -> Sequence[Result]:
        """The result of each record once it is stored; ProblemError where too much waits, or it was not stored."""
        if not items:
            return ()
        if self._records + len(items) > WAITING_RECORDS_MAX or self._bytes + size > WAITING_BYTES_MAX:
            raise ProblemError(
                Kind.BUSY,
                f"{self._records} records wait to be stored (WAITING_RECORDS_MAX {WAITING_RECORDS_MAX},"
                f" WAITING_BYTES_MAX {WAITING_BYTES_MAX}); nothing of this request was stored, send it again later",
                _RETRY_AFTER_S,
            )
        waiting = _Waiting(items, size, asyncio.get_running_loop().create_future())
        self._count(len(items), size)
        self._queue.put_nowait(waiting)
        try:
            return await waiting.results
        finally:
            self._count(-len(items), -size)

    async def run(self) -> None:
        """Store what waits, until cancelled."""
        while True:
            group = [await self._queue.get()]
            records = len(group[0].items)
            while not self._queue.empty() and records < GROUP_RECORDS_MAX:
                group.append(self._queue.get_nowait())
                records += len(group[-1].items)
            await self._keep(group)

    async def _keep(self, group: Sequence[_Waiting]) -> None:
        """Store a group; where that fails for a bug, each request by itself, so that it fails no other."""
        began = time.perf_counter()
        try:
            results = await self._keeper.keep([item for waiting in group for item in waiting.items])
        except NotKept as wrong:
            log.error("records were not stored", reason=str(wrong))
            _fail(group, ProblemError(Kind.BUSY, f"{wrong}; send the same records again", _RETRY_AFTER_S))
            return
        except Exception as wrong:
            log.exception("records were not stored", requests=len(group))
            if len(group) > 1:
                for waiting in group:
                    await self._keep([waiting])
                return
            what = f"storing these records raised {type(wrong).__name__}, which the log shows; nothing was stored"
            _fail(group, ProblemError(Kind.FAILED, what))
            return
        self._metrics.http_stored(time.perf_counter() - began)
        at = 0
        for waiting in group:
            if not waiting.results.done():
                waiting.results.set_result(results[at : at + len(waiting.items)])
            at += len(waiting.items)

    def _count(self, records: int, size: int) -> None:
        self._records += records
        self._bytes += size
        self._metrics.http_waiting(self._records)


def _fail(group: Sequence[_Waiting], wrong: ProblemError) -> None:
    for waiting in group:
        if not waiting.results.done():
            waiting.results.set_exception(wrong)
