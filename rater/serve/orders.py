"""Orders to end running calls, as those who pass them on to switches read them: after a cursor, waiting for more.

A cursor says for each partition which orders were read.  It holds in any process of a deployment, and after a
restart.  The last orders are kept; older ones are no use, since their calls have ended.
"""

import asyncio
import re
from collections import deque
from typing import NamedTuple

from rater.core import CallCommand

#: Orders that are kept in memory.
KEPT_MAX = 10_000
_CURSOR = re.compile(r"|[0-9]{1,5}\.[0-9]{1,19}(?:-[0-9]{1,5}\.[0-9]{1,19})*")
#: With the rest of a request's first line it stays below what the web server reads of one.
CURSOR_LENGTH_MAX = 4_000


class Given(NamedTuple):
    """An order, and the cursor after which the next one comes."""

    order: CallCommand
    next: str


class _Kept(NamedTuple):
    partition: int
    offset: int
    order: CallCommand


class OrderLog:
    """The orders of a process's memory: `add` as they come, `after` for whoever asks."""

    def __init__(self) -> None:
        self._kept: deque[_Kept] = deque(maxlen=KEPT_MAX)
        self._positions: dict[int, int] = {}
        self._changed = asyncio.Event()
        self._closed = False

    def add(self, partition: int, offset: int, order: CallCommand) -> None:
        """The next order of a partition."""
        self._kept.append(_Kept(partition, offset, order))
        self._positions[partition] = offset + 1
        self._changed.set()
        self._changed = asyncio.Event()

    def close(self) -> None:
        """The process ends: nobody waits any more."""
        self._closed = True
        self._changed.set()

    @property
    def closed(self) -> bool:
        """Whether the process ends."""
        return self._closed

    @property
    def cursor(self) -> str:
        """After every order that was given so far."""
        return _written(self._positions)

    async def after(self, cursor: str, tenant: str | None, wait_s: float) -> list[Given]:
        """Orders after a cursor, as soon as there is one; none when none came within the time.

        ValueError for a text that is no cursor.
        """
        read = _read(cursor)
        try:
            async with asyncio.timeout(wait_s):
                while not (found := self._after(read, tenant)) and not self._closed:
                    await self._changed.wait()
        except TimeoutError:
            return []
        return found

    def _after(self, read: dict[int, int], tenant: str | None) -> list[Given]:
        found, positions = [], dict(read)
        for partition, offset, order in self._kept:
            if offset >= positions.get(partition, 0):
                positions[partition] = offset + 1
                if tenant is None or order.tenant == tenant:
                    found.append(Given(order, _written(positions)))
        return found


def _read(cursor: str) -> dict[int, int]:
    if len(cursor) > CURSOR_LENGTH_MAX or _CURSOR.fullmatch(cursor) is None:
        raise ValueError("expected a cursor as an answer has it in `next`")
    pairs = [part.partition(".") for part in cursor.split("-") if part]
    return {int(partition): int(offset) for partition, _, offset in pairs}


def _written(positions: dict[int, int]) -> str:
    return "-".join(f"{partition}.{offset}" for partition, offset in sorted(positions.items()))
