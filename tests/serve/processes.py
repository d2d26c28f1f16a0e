"""`rater serve` as a process, which may be killed, and a switch that repeats what was not answered."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import time
import urllib.error
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rater.dev.ports import free_ports
from tests.serve.world import Answer, Given, Switch

WAIT_S = 60.0


class ServeProcess:
    """A server that can be started again on the same port."""

    def __init__(
        self, folder: Path, clients: Given, *arguments: str, environment: dict[str, str] | None = None
    ) -> None:
        self.port = free_ports(1)[0]
        self.log = folder / "serve.log"
        self._arguments = [
            *(sys.executable, "-m", "rater", "serve", f"--clients={clients.path}", f"--web-port={self.port}"),
            *arguments,
        ]
        self._environment = os.environ | (environment or {})
        self.process: subprocess.Popen[bytes] | None = None
        self.switch = Switch(f"http://127.0.0.1:{self.port}", next(iter(clients.tokens.values())))

    def start(self) -> None:
        """Start it; it may not answer yet."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._arguments, stdout=log, stderr=log, env=self._environment)

    def wait_until_ready(self) -> None:
        """Wait until it answers that it is ready."""
        deadline = time.monotonic() + WAIT_S
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.switch.ask("/readyz").status == 200:
                    return
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()[-2_000:]
            assert time.monotonic() < deadline, self.log.read_text()[-2_000:]
            time.sleep(0.05)

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout=60)


def send_until_stored(switch: Switch, records: Sequence[dict[str, Any]]) -> Answer:
    """As a switch does: the same request until it is answered with 200."""
    body = json.dumps(records).encode()
    deadline = time.monotonic() + WAIT_S
    while True:
        with contextlib.suppress(urllib.error.URLError, OSError, http.client.HTTPException):
            answer = switch.ask("/v1/cdrs", body)
            if answer.status == 200:
                return answer
            assert answer.status in (429, 503), answer
        assert time.monotonic() < deadline, "a switch gives up"
        time.sleep(0.02)
