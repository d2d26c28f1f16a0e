"""`rater serve` as a process, which may be killed, and a switch that repeats what was not answered."""

import contextlib
import http.client
import json
import os
import threading
import time
import urllib.error
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rater.core import CallRecord
from rater.dev.generate import Spec, generate_calls
from rater.dev.ports import free_ports
from rater.wire.codec import encode_input
from tests.forks import Forked
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
            *("serve", f"--clients={clients.path}", f"--web-port={self.port}"),
            *arguments,
        ]
        self._environment = os.environ | (environment or {})
        self.process: Forked | None = None
        self.switch = Switch(f"http://127.0.0.1:{self.port}", next(iter(clients.tokens.values())))

    def start(self) -> None:
        """Start it; it may not answer yet."""
        with self.log.open("ab") as log:
            self.process = Forked(self._arguments, stdout=log, stderr=log, env=self._environment)

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


def batches(spec: Spec, size: int) -> list[list[dict[str, Any]]]:
    """The calls of a month as a switch sends them: so many records a request."""
    calls = [json.loads(encode_input(one)) for one in generate_calls(spec) if isinstance(one, CallRecord)]
    return [calls[at : at + size] for at in range(0, len(calls), size)]


def send_through_kills(serving: ServeProcess, requests: Sequence[Sequence[dict[str, Any]]], kills: int) -> None:
    """Send everything, and kill the server so often on the way; each kill is answered by a start."""
    sent = [0]

    def send() -> None:
        for number, records in enumerate(requests):
            send_until_stored(serving.switch, records)
            sent[0] = number + 1

    switch = threading.Thread(target=send)
    switch.start()
    killed, every = 0, len(requests) // (kills or 1)
    while killed < kills and switch.is_alive():
        threading.Event().wait(0.002)
        if sent[0] >= killed * every:
            serving.kill()
            serving.start()
            killed += 1
    switch.join()
    assert (killed, sent[0]) == (kills, len(requests))
