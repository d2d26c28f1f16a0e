"""Commands of `rater` in processes of their own: what takes seconds delays no request and no switch.

One runs at a time, at a lower priority (NICE), for so many seconds at most; so many wait for it
(PROCESSES_WAITING_MAX).  When the server stops, it is killed; when the server is killed, it ends by itself (child).
"""

import asyncio
import contextlib
import os
import re
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rater.serve.problems import Kind, ProblemError

#: Commands that wait for the one that runs.
PROCESSES_WAITING_MAX = 10
#: By how much its priority is lower than the server's; 19 is the lowest.
NICE, _NICE_MAX = 5, 19
_RETRY_AFTER_S = 10
#: The folders of a path from the root on, before its name.
_FOLDERS = re.compile(r"(?<![\w./:])/(?:[^\s/:'\"`]+/)+(?=[^\s/:'\"`])")


class Ended(NamedTuple):
    """How a command ended: its exit code, its standard output, and the last line that it printed for people."""

    code: int
    output: bytes
    message: str


class TookTooLong(ProblemError):
    """A command was given up; it may take less when the machine has less to do."""

    def __init__(self, within_s: float, command: str) -> None:
        detail = f"it took longer than {within_s:.0f} s; ask again later, or use rater {command}"
        super().__init__(Kind.BUSY, detail, _RETRY_AFTER_S)


class OwnProcesses:
    """Open until `close`; everything in the event loop."""

    def __init__(self) -> None:
        self._one = asyncio.Lock()
        self._waiting = 0
        self._running: Process | None = None
        self._closed = asyncio.Event()

    async def run(self, words: Sequence[str], within_s: float) -> Ended:
        """Run a command; ProblemError (BUSY): too many wait, it is given up (TookTooLong), or the server stops."""
        if self._waiting > PROCESSES_WAITING_MAX:
            raise ProblemError(
                Kind.BUSY,
                f"{PROCESSES_WAITING_MAX} others wait (PROCESSES_WAITING_MAX); ask again later",
                _RETRY_AFTER_S,
            )
        self._waiting += 1
        try:
            async with self._one:
                return await self._run(words, within_s)
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Kill what runs; nothing begins any more."""
        self._closed.set()
        if self._running is not None:
            _kill(self._running)

    async def _run(self, words: Sequence[str], within_s: float) -> Ended:
        if self._closed.is_set():
            raise _stopping()
        with _open_pipe() as watched:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "rater.serve.reading.child", *words),
                stdin=watched,
                stdout=PIPE,
                stderr=PIPE,
            )
            self._running = process
            return await self._ended(process, words, within_s)

    async def _ended(self, process: Process, words: Sequence[str], within_s: float) -> Ended:
        try:
            with contextlib.suppress(OSError):  # it has ended already
                nice = min(_NICE_MAX, os.getpriority(os.PRIO_PROCESS, 0) + NICE)
                os.setpriority(os.PRIO_PROCESS, process.pid, nice)
            if self._closed.is_set():
                _kill(process)
            output, said = await asyncio.wait_for(process.communicate(), within_s)
        except TimeoutError as late:
            raise TookTooLong(within_s, words[0]) from late
        finally:
            self._running = None
            if process.returncode is None:
                _kill(process)
                await process.wait()
        if self._closed.is_set():
            raise _stopping()
        message = _without_places(said.decode(errors="replace").strip().rpartition("\n")[2], words)
        assert process.returncode is not None, "its output ended"
        return Ended(process.returncode, output, message)


@contextlib.contextmanager
def _open_pipe() -> Iterator[int]:
    """The end of a pipe for a child to watch; the other is open until this is left, or this process has ended."""
    watched, held = os.pipe()
    try:
        yield watched
    finally:
        os.close(watched)
        os.close(held)


def _without_places(message: str, words: Sequence[str]) -> str:
    """What a command said, for people who need not know where its files are: their names alone."""
    for word in words:
        place = word.rpartition("=")[2]
        if Path(place).is_file():
            message = message.replace(f"{place}: expected", "expected").replace(place, Path(place).name)
    message = _FOLDERS.sub("", message)
    return message.removeprefix("rater: ")


def _kill(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()


def _stopping() -> ProblemError:
    return ProblemError(Kind.BUSY, "the server stops; ask again", _RETRY_AFTER_S)
