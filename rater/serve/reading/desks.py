"""Threads that read the store beside the one that writes it: each has a reader and a lookup of its own.

What a request costs is bounded: so many wait (READS_WAITING_MAX), each looks at so many rows (SCANNED_MAX), and
one that keeps its thread busy for longer than READ_WITHIN_S is given up.  Who writes, and who answers switches,
waits for no lock of theirs; answers and pages are made in these threads, too, and the event loop only sends them.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import structlog

from rater.embedded.lookup import Lookup
from rater.embedded.lookup.file import forget_lookup, is_damaged
from rater.embedded.store import Reader, open_reader
from rater.serve.problems import Kind, ProblemError
from rater.wire.errors import RaterError

#: Threads that read.
READERS = 2
#: Requests that wait for them.
READS_WAITING_MAX = 100
#: After so many seconds of a processor's work a request is given up; other programs' work is not counted.
READ_WITHIN_S = 5.0
#: A request waits so long for records that are not in the lookup yet.
CATCH_UP_WITHIN_S = 3.0
#: Between two looks at what was committed, while nobody asks.
FILL_EVERY_S = 1.0
_RETRY_AFTER_S = 1
#: SQLite's steps between two looks at the time.
_STEPS = 10_000

log = structlog.get_logger("rater.serve")
_T = TypeVar("_T")


class Books(NamedTuple):
    """What a request reads: all that was committed when it began."""

    reader: Reader
    lookup: Lookup


class Desks:
    """Open until `close`; `ask` in the event loop."""

    def __init__(self, path: Path, readers: int = READERS) -> None:
        self._desks = [_Desk(path, number) for number in range(readers)]
        self._waiting = 0
        self._filling: asyncio.Task[None] | None = None

    async def ask(self, question: Callable[[Books], _T]) -> _T:
        """Ask in a thread; ProblemError where too many wait, it takes too long, or there is no store."""
        if self._waiting >= READS_WAITING_MAX:
            raise ProblemError(
                Kind.BUSY, f"{self._waiting} requests wait (READS_WAITING_MAX); ask again later", _RETRY_AFTER_S
            )
        desk = min(self._desks, key=lambda one: one.waiting)
        self._waiting += 1
        desk.waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(desk.thread, desk.answer, question)
        finally:
            desk.waiting -= 1
            self._waiting -= 1

    def keep_filled(self) -> None:
        """From now on the lookup is filled as records come, so that no request finds many that are not in it."""
        self._filling = asyncio.create_task(self._fill())

    async def _fill(self) -> None:
        while True:
            try:
                await self.ask(lambda _: None)
            except ProblemError:
                pass  # no store yet, or more than one look has time for
            except Exception as wrong:  # whatever it is, the next look is needed
                log.warning("the lookup was not filled", reason=repr(wrong))
            await asyncio.sleep(FILL_EVERY_S)

    async def close(self) -> None:
        """Close every reader; what is being read is given up."""
        if self._filling is not None:
            self._filling.cancel()
            await asyncio.gather(self._filling, return_exceptions=True)
        loop = asyncio.get_running_loop()
        await asyncio.gather(*[loop.run_in_executor(desk.thread, desk.close) for desk in self._desks])
        for desk in self._desks:
            desk.thread.shutdown()


class _Desk:
    """One thread; all but `waiting` belongs to it."""

    def __init__(self, path: Path, number: int) -> None:
        self.waiting = 0
        self.thread = ThreadPoolExecutor(1, f"reading-{number}")
        self._path = path
        self._books: Books | None = None
        self._version: tuple[int, int] | None = None

    def answer(self, question: Callable[[Books], _T]) -> _T:
        """Answer from what is committed by now."""
        try:
            books = self._up_to_date()
            with _within(books):
                return question(books)
        except RaterError as wrong:
            self.close()
            raise ProblemError(Kind.BUSY, f"the store cannot be read: {wrong}", _RETRY_AFTER_S) from wrong
        except sqlite3.Error as wrong:
            self.close()
            if getattr(wrong, "sqlite_errorname", "") == "SQLITE_INTERRUPT":
                raise ProblemError(
                    Kind.BUSY,
                    f"it took longer than {READ_WITHIN_S:.0f} s (READ_WITHIN_S); ask for less, or again later",
                    _RETRY_AFTER_S,
                ) from wrong
            if is_damaged(wrong):
                forget_lookup(self._path)  # the store itself is read from its own file, which stays
            log.error("the store cannot be read", reason=str(wrong))
            raise ProblemError(Kind.BUSY, "the store cannot be read now; ask again", _RETRY_AFTER_S) from wrong

    def close(self) -> None:
        """Close what is open."""
        if self._books is not None:
            self._books.lookup.close()
            self._books.reader.close()
        self._books = self._version = None

    def _up_to_date(self) -> Books:
        """The store that is at the path now, and its lookup with everything in it, part by part."""
        inode = self._path.stat().st_ino if self._path.exists() else 0
        if self._books is not None and self._version is not None and self._version[0] != inode:
            self.close()
        if self._books is None:
            reader = open_reader(self._path)
            self._books = Books(reader, Lookup(reader))
        books = self._books
        version = (inode, books.reader.connection.execute("PRAGMA data_version").fetchone()[0])
        if version != self._version:
            books.reader.forget_cached()
            self._version = version
        until = time.monotonic() + CATCH_UP_WITHIN_S
        while not books.lookup.catch_up_part():
            if time.monotonic() > until:
                raise ProblemError(
                    Kind.BUSY, f"{books.lookup.behind()} records are still to be read; ask again", _RETRY_AFTER_S
                )
        return books


@contextmanager
def _within(books: Books) -> Iterator[None]:
    """Give up what takes too long, and see one snapshot of the store."""
    end = time.thread_time() + READ_WITHIN_S
    connections = (books.reader.connection, books.lookup.connection)
    for connection in connections:
        connection.set_progress_handler(lambda: time.thread_time() > end, _STEPS)
    books.reader.connection.execute("BEGIN")
    try:
        yield
    finally:
        for connection in connections:
            connection.set_progress_handler(None, 0)
        books.reader.connection.execute("COMMIT")
