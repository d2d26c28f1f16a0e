"""`rater` as a process whose imports are done when it begins: a fork of one that has imported every command.

To start Python with all that a command imports takes a core for a second, and the tests start `rater` a thousand
times.  Streams, folder, environment, signals and exit code are those of a process of its own, as `python -m rater`
has them.  That each command imports what it needs is held by tests that start Python: `tests/tools/test_wheel.py`.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO

_ROOT = Path(__file__).parent.parent


class Forked:
    """A process of `rater`, with the names of subprocess.Popen."""

    def __init__(
        self,
        words: Sequence[object],
        *,
        cwd: Path = _ROOT,
        env: Mapping[str, str] | None = None,
        stdin: IO[bytes] | None = None,
        stdout: IO[bytes] | int | None = None,
        stderr: IO[bytes] | int | None = None,
    ) -> None:
        """`stdin` None: it is empty; `stdout` and `stderr` as Popen has them: None is that of the tests."""
        self.args = ("rater", *map(str, words))
        self.returncode: int | None = None
        self.stdout: IO[str] | None = None
        theirs, end = None, None
        if stdout == subprocess.PIPE:
            ours, end = os.pipe()
            self.stdout = open(ours, encoding="utf-8")  # noqa: PTH123, SIM115  # a number, closed by wait
            stdout = end
        with open(os.devnull, "r+b") as nothing:  # noqa: PTH123
            theirs = [_number(stream, nothing, own) for stream, own in ((stdin or nothing, 0), (stdout, 1))]
            theirs.append(theirs[1] if stderr == subprocess.STDOUT else _number(stderr, nothing, 2))
            self._report = socket.socket(socket.AF_UNIX)
            self._report.connect(_forker())
            asked = {"words": self.args, "cwd": str(cwd), "env": dict(os.environ if env is None else env)}
            line = json.dumps(asked).encode() + b"\n"
            sent = socket.send_fds(self._report, [line], theirs)
            self._report.sendall(line[sent:])
        if end is not None:
            os.close(end)
        self._lines = self._report.makefile("r")
        self.pid = int(self._lines.readline())

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends; its exit code, or the number of the signal below zero."""
        if self.returncode is None:
            if not select.select([self._report], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = int(self._lines.readline())
            self._lines.close()
            self._report.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> "Forked":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, where: TracebackType | None
    ) -> None:
        """As Popen: it is waited for."""
        if self.stdout is not None:
            self.stdout.close()
        self.wait()


def _number(stream: IO[bytes] | int | None, nothing: IO[bytes], own: int) -> int:
    if stream is None:
        return own
    if isinstance(stream, int):
        return nothing.fileno() if stream == subprocess.DEVNULL else stream
    return stream.fileno()


def run(
    words: Sequence[object],
    *,
    cwd: Path = _ROOT,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    timeout: float = 300,
) -> subprocess.CompletedProcess[bytes]:
    """Run `rater` to its end; `env` None: that of the tests."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as said:
        given.write(stdin)
        given.seek(0)
        process = Forked(words, cwd=cwd, env=env, stdin=given, stdout=out, stderr=said)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        out.seek(0)
        said.seek(0)
        return subprocess.CompletedProcess(process.args, process.wait(), out.read(), said.read())


@cache
def _forker() -> str:
    """The socket of the process that forks; it ends with this one, whose end closes its standard input."""
    folder = tempfile.mkdtemp(prefix="rater-")
    path = f"{folder}/forks"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.forks", path], cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.read() == b"ready"
    process.stdout.close()
    stdin = process.stdin

    def end() -> None:
        stdin.close()
        process.wait()

    atexit.register(end)
    return path


def _serve(path: Path) -> None:
    """Fork for whoever asks, until standard input ends; returns in the child, which goes on as `rater`."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(64)
        os.write(1, b"ready")
        os.close(1)
        os.open(os.devnull, os.O_WRONLY)
        while True:
            ready = select.select([listener.fileno(), 0], [], [])[0]
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            if listener.fileno() not in ready:
                path.unlink()
                path.parent.rmdir()
                sys.exit()
            asking, _ = listener.accept()
            if _forked(asking, listener):
                return


def _forked(asking: socket.socket, listener: socket.socket) -> bool:
    """True in the process that is to be `rater`.  Between the two stands one that waits for its exit code."""
    with asking:
        line, streams, _, _ = socket.recv_fds(asking, 65536, 3)
        while not line.endswith(b"\n"):
            line += asking.recv(65536)
        waits = os.fork() == 0
        if waits and (pid := os.fork()):
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            listener.close()
            for number in (0, 1, 2, *streams):
                os.close(number)
            asking.sendall(b"%d\n" % pid)
            ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            with contextlib.suppress(OSError):
                asking.sendall(b"%d\n" % ended)
            os._exit(0)
        if waits:
            for own, number in enumerate(streams):
                os.dup2(number, own)
        for number in streams:
            os.close(number)
    if waits:
        asked = json.loads(line)
        os.chdir(asked["cwd"])
        os.environ.clear()
        os.environ.update(asked["env"])
        time.tzset()
        sys.argv, sys.path[0] = asked["words"], asked["cwd"]
    return waits


if __name__ == "__main__":
    for module in dict.fromkeys(importlib.import_module("rater.cli").COMMANDS.values()):
        importlib.import_module(f"rater.cli.{module}")
    gc.collect()
    gc.freeze()  # a process that ends does not take apart what it did not make
    _serve(Path(sys.argv[1]))
    runpy.run_module("rater", run_name="__main__", alter_sys=True)
