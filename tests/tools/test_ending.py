"""How commands end: full disks, readers that went away, Ctrl-C.  One line, and the exit code that scripts rely on."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from rater import __version__
from rater.embedded.store import Store, open_reader
from rater.wire.errors import Exit, RaterError
from tests.conftest import ROOT

CONFIGURED = (
    '{"command":"tenant_configured","tenant":"contoso","id":"s","at":"2025-01-01T00:00:00Z","currency":"USD"}\n'
)
CALL = (
    '{{"tenant":"contoso","usage_id":"{0}","type":"user_in","answered_at":"2025-03-10T10:00:00Z","duration_s":60,'
    '"user":"ada"}}\n'
)
CALLS = 2_000
RATER = (sys.executable, "-m", "rater")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More calls than a pipe holds."""
    folder = tmp_path_factory.mktemp("store")
    (folder / "setup.jsonl").write_text(CONFIGURED)
    (folder / "cdrs.jsonl").write_text("".join(CALL.format(number) for number in range(CALLS)))
    words = ("run", "--store", "rater.db", "--commands", "setup.jsonl", "cdrs.jsonl")
    subprocess.run(
        [*RATER, *words], check=True, cwd=folder, capture_output=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    return folder / "rater.db"


@pytest.mark.parametrize(
    "line", ["export usage", "show calls contoso --json", "show calls contoso", "dlq ls --json"]
)
def test_standard_output_finds_no_room(store: Path, line: str) -> None:
    """One line, exit 6, no traceback."""
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            [*RATER, *line.split(), "--store", str(store)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=ROOT,
        )
    assert ran.returncode == Exit.DISK_FULL
    assert ran.stderr.startswith("rater: standard output")
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize("line", ["export usage", "show calls contoso --last 2000"])
def test_a_reader_that_went_away(store: Path, line: str) -> None:
    """`rater export usage | head -1` ends quietly."""
    ran = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{' '.join(RATER)} {line} --store {store} | head -1"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert (ran.returncode, ran.stderr, ran.stdout.count("\n")) == (0, "", 1)


def test_a_person_interrupts(tmp_path: Path) -> None:
    """Ctrl-C prints the state of the work, and what to do; exit 130."""
    with subprocess.Popen(
        [*RATER, "run", "--store", str(tmp_path / "rater.db"), "--format", "cdrs", "-"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
        # Whoever runs the tests in the background has the signal ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - no threads here
    ) as run:
        assert run.stderr is not None
        while not (tmp_path / "rater.db").exists() and run.poll() is None:
            os.sched_yield()
        run.send_signal(signal.SIGINT)
        said = run.stderr.read()
        code = run.wait()
    assert said == "rater: interrupted; what was committed is kept, run the same command again\n"
    assert code == Exit.INTERRUPTED


def test_the_version() -> None:
    """Which rater is it?"""
    ran = subprocess.run([*RATER, "--version"], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stdout == f"rater {__version__}\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes somebody else, which only root can")
def test_a_reader_who_may_not_write_beside_the_store() -> None:
    """SQLite wants to write a file beside it; a store that nobody writes is read all the same."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        Store(folder / "rater.db").close()
        (folder / "rater.db").chmod(0o644)  # its owner lets others read it
        os.seteuid(65534)
        try:
            open_reader(folder / "rater.db").close()
        finally:
            os.seteuid(0)
        (folder / "rater.db-wal").write_bytes(b"left by a run that was killed")
        os.seteuid(65534)
        try:
            with pytest.raises(RaterError, match="you may not write in its folder; ask who may"):
                open_reader(folder / "rater.db")
        finally:
            os.seteuid(0)
