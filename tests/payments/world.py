"""A recharge to collect, the sandbox gateway as a process, and gateways that answer whatever a test sets."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from rater.agents.payments.answers import GatewayAnswer
from rater.agents.payments.http_gateway import HttpGateway
from rater.agents.payments.settings import GatewaySettings
from rater.core.inputs import Source
from rater.core.outputs import RechargeRequest
from tests.forks import Forked

AT = datetime(2025, 3, 10, 10, 1, tzinfo=UTC)
REQUEST = RechargeRequest(
    tenant="contoso",
    id="376b42902d5597f81d7284cb597dc3b2",
    sequence=1,
    source=Source("cdrs", 0, 10),
    at=AT,
    amount="100",
    currency="USD",
    attempt=1,
    low_since=3,
    balance="49.86",
)
SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


def request(**changes: Any) -> RechargeRequest:
    return msgspec.structs.replace(REQUEST, **changes)


def settings(url: str, **changes: Any) -> GatewaySettings:
    """Waits of no length, so that a test does not wait."""
    return GatewaySettings(url=url, **{"retry_wait_initial_s": 0, "retry_wait_max_s": 0, **changes})


async def ask(url: str, *requests: RechargeRequest, **changes: Any) -> list[GatewayAnswer]:
    async with HttpGateway(settings(url, **changes)) as gateway:
        return [await gateway.collect(request) for request in requests or (REQUEST,)]


class SandboxProcess:
    """`rater dev gateway`, ready to be asked."""

    def __init__(self, process: Forked, url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self.log = log

    def kill(self) -> None:
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def sandbox(log: Path, *options: str, **environment: str) -> Iterator[SandboxProcess]:
    """The sandbox gateway on a free port; ended by its pid."""
    process = Forked(
        ["dev", "gateway", "--port", "0", "--log", log, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )
    assert process.stdout is not None
    try:
        yield SandboxProcess(process, process.stdout.readline().strip(), log)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
        process.stdout.close()


@asynccontextmanager
async def gateway_that_sends(*answers: bytes | None) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that reads a request and sends these bytes, one entry for each, the last for ever; None: never answers.

    Yields its address and the requests it read.
    """
    read: list[bytes] = []
    waiting = asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(next(line.split(b":")[1] for line in head.lower().splitlines() if b"content-length" in line))
        read.append(head + await reader.readexactly(length))
        answer = answers[min(len(read), len(answers)) - 1]
        if answer is None:
            await waiting.wait()
        else:
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", read
    finally:
        waiting.set()
        server.close()
        await server.wait_closed()


def http(status: int, body: bytes = b"", type: str = "application/json", *headers: str) -> bytes:
    """The bytes of an HTTP answer."""
    head = [f"HTTP/1.1 {status} X", f"content-type: {type}", f"content-length: {len(body)}", "connection: close"]
    return "\r\n".join([*head, *headers, "", ""]).encode() + body


def payment(**changes: Any) -> bytes:
    """The body of a payment that answers REQUEST."""
    body = {
        "recharge_id": REQUEST.id,
        "tenant": "contoso",
        "status": "succeeded",
        "amount": "100",
        "currency": "USD",
        **changes,
    }
    return msgspec.json.encode({name: value for name, value in body.items() if value is not None})
