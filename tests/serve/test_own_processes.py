"""Commands in processes of their own: one at a time, so many that wait, and none that outlives the server."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import stamina

from rater.embedded.store import Store
from rater.serve.problems import Kind, ProblemError
from rater.serve.reading.own_processes import PROCESSES_WAITING_MAX, Ended, OwnProcesses
from rater.wire.errors import Exit, RaterError
from tests.conftest import ROOT
from tests.serve.world import clients_file

#: Seconds after which a test has failed.
PATIENCE_S = 60.0


def endless(folder: Path) -> list[str]:
    """A command that ends only when it is killed: a server."""
    clients = clients_file(folder).path
    return ["serve", f"--store={folder / 'rater.db'}", f"--clients={clients}", "--web-port=0"]


def with_processes(test: Callable[[OwnProcesses], Awaitable[None]]) -> None:
    """Run a test in a loop; whatever it leaves is killed."""

    async def run() -> None:
        processes = OwnProcesses()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await test(processes)
        finally:
            await processes.close()

    asyncio.run(run())


async def problem_of(running: Awaitable[Ended]) -> ProblemError:
    """The problem that a command ends with."""
    with pytest.raises(ProblemError) as found:
        await running
    return found.value


def test_a_command_ends_with_its_code_its_output_and_its_message() -> None:
    """What it prints, and the one line that says what is wrong."""

    async def test(processes: OwnProcesses) -> None:
        good = await processes.run(["--version"], PATIENCE_S)
        assert (good.code, good.output.startswith(b"rater ")) == (Exit.OK, True)
        bad = await processes.run(["forecast", "contoso", "--store", "none.db"], PATIENCE_S)
        assert (bad.code, bad.output) == (Exit.USAGE, b"")
        assert bad.message == "none.db: no such store; `rater run --store none.db` makes one"

    with_processes(test)


def test_a_message_names_files_without_the_folders_of_the_server(tmp_path: Path) -> None:
    """One that is not there, and one whose path the message does not have as it was typed."""

    async def test(processes: OwnProcesses) -> None:
        missing = await processes.run(["forecast", "contoso", f"--store={tmp_path / 'none.db'}"], PATIENCE_S)
        assert missing.message == "none.db: no such store; `rater run --store none.db` makes one"
        (tmp_path / "rater.db").write_bytes(b"no database" * 100)
        words = ["what-if", "--period=2025-03", f"--store={tmp_path}/./rater.db"]
        damaged = (await processes.run(words, PATIENCE_S)).message
        assert ("rater.db" in damaged, str(tmp_path) in damaged) == (True, False)

    with_processes(test)


def test_what_takes_too_long_is_given_up(tmp_path: Path) -> None:
    """It is killed, the problem names the command to type, and the next one runs."""

    async def test(processes: OwnProcesses) -> None:
        wrong = await problem_of(processes.run(endless(tmp_path), 0.5))
        assert wrong.detail == "it took longer than 0 s; ask again later, or use rater serve"
        assert (wrong.kind, wrong.retry_after_s) == (Kind.BUSY, 10)
        assert (await processes.run(["--version"], PATIENCE_S)).code == Exit.OK

    with_processes(test)


def test_so_many_wait_and_a_stopping_server_kills_what_runs(tmp_path: Path) -> None:
    """One runs and ten wait: the next is refused at once.  Closing ends all of them, and nothing begins any more."""

    async def test(processes: OwnProcesses) -> None:
        words = endless(tmp_path)
        tasks = [asyncio.create_task(processes.run(words, PATIENCE_S)) for _ in range(PROCESSES_WAITING_MAX + 1)]
        await asyncio.sleep(0)  # each has begun to wait
        refused = await problem_of(processes.run(["--version"], PATIENCE_S))
        assert (refused.kind, "others wait" in refused.detail) == (Kind.BUSY, True)
        await processes.close()
        assert {(await problem_of(task)).detail for task in tasks} == {"the server stops; ask again"}
        assert (await problem_of(processes.run(["--version"], PATIENCE_S))).kind is Kind.BUSY

    with_processes(test)


#: What a server does to run a command.
SERVER = "import asyncio, sys; from rater.serve.reading.own_processes import OwnProcesses as P; asyncio.run(P().run(sys.argv[1:], 60))"


def test_what_runs_ends_with_a_server_that_is_killed(tmp_path: Path) -> None:
    """The server gets kill -9 while a command runs that would never end: it ends, and releases the store it has."""
    server = subprocess.Popen([sys.executable, "-c", SERVER, *endless(tmp_path)], cwd=ROOT)
    try:
        for attempt in stamina.retry_context(
            on=(OSError, AssertionError), attempts=None, timeout=PATIENCE_S, wait_max=0.2
        ):
            with attempt:
                assert (tmp_path / "rater.db.lock").read_text()
        with pytest.raises(RaterError, match="in use by process"):
            Store(tmp_path / "rater.db")
    finally:
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
    for attempt in stamina.retry_context(on=RaterError, attempts=None, timeout=PATIENCE_S, wait_max=0.2):
        with attempt:
            Store(tmp_path / "rater.db").close()
