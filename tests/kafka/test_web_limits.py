"""The web port of worker and agents, asked with raw sockets: limits, time-outs, and no pages but their own."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from rater.dev.ports import free_ports
from rater.serve.limited_web import BODY_BYTES_MAX, HEAD_WITHIN_S, HEADER_BYTES_MAX, HEADERS_MAX, LINE_BYTES_MAX
from tests.kafka.agents_world import SECRET, AgentsProcess
from tests.kafka.deployment import Deployment, until

#: How long a test waits for a server that has to close a connection by itself.
PATIENCE_S = 120


def answered(port: int, *parts: bytes) -> bytes:
    """All that comes until the server closes the connection; an empty answer if it only closes."""
    return all_of(opened(port, *parts))


def opened(port: int, *parts: bytes) -> socket.socket:
    """A connection on which this was sent."""
    connection = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
    for part in parts:
        connection.sendall(part)
    return connection


def all_of(connection: socket.socket) -> bytes:
    """What comes until the other side closes."""
    with closing(connection):
        received = b""
        try:
            while some := connection.recv(65_536):
                received += some
        except ConnectionResetError:
            pass  # closed while something was still to be read
        return received


def status(answer: bytes) -> int:
    return int(answer.split(b" ")[1])


def asked(port: int, target: str, *headers: str) -> int:
    lines = [f"GET {target} HTTP/1.1", "Host: rater", "Connection: close", *headers, "", ""]
    return status(answered(port, "\r\n".join(lines).encode()))


@pytest.fixture(params=["worker", "agents"])
def port(request: pytest.FixtureRequest, deployment: Deployment) -> Iterator[int]:
    """The web port of each."""
    if request.param == "worker":
        worker = deployment.start("worker-0")
        until(lambda: worker.get("/livez")[0] == 200, "the worker's pages")
        yield worker.web_port
        return
    given = {
        "RATER_GATEWAY_URL": "http://127.0.0.1:9",
        "RATER_GATEWAY_WEBHOOK_SECRETS": "[{env: RATER_WEBHOOK_SECRET}]",
        "RATER_WEBHOOK_SECRET": SECRET,
    }
    agents = AgentsProcess(deployment, "agents-0", free_ports(1)[0], given)
    try:
        until(lambda: agents.ready, "the agents' pages")
        yield agents.web_port
    finally:
        agents.kill()


def test_limits(port: int) -> None:
    """Each limit is one that a request of ours never meets; what is beyond gets a status, and the port goes on."""
    assert asked(port, "/livez") == 200
    for faust in ("/", "/router/", "/table/", "/graph/", "/performance/"):
        assert asked(port, faust) == 404, faust
    assert asked(port, f"/livez?{'x' * LINE_BYTES_MAX}") == 400
    assert asked(port, "/livez", f"X: {'x' * (HEADER_BYTES_MAX + 1)}") == 400
    assert asked(port, "/livez", *(f"X-{number}: x" for number in range(HEADERS_MAX + 1))) == 400
    assert asked(port, "/livez", f"Content-Length: {BODY_BYTES_MAX + 1}") == 413
    assert asked(port, "/livez") == 200


def test_half_open_requests_end(port: int) -> None:
    """Nothing, half a line, half a head: each connection is closed by the server, without an answer."""
    assert HEAD_WITHIN_S < PATIENCE_S
    halves = (b"", b"GET /li", b"GET /livez HTTP/1.1\r\nHost: rater\r\nX: ")
    connections = [opened(port, half) for half in halves]
    assert [all_of(connection) for connection in connections] == [b"", b"", b""]
    assert asked(port, "/livez") == 200


def test_a_body_that_does_not_come(deployment: Deployment) -> None:
    """A webhook whose body stops half way gets 408, one without end 413: neither holds the port up."""
    given = {
        "RATER_GATEWAY_URL": "http://127.0.0.1:9",
        "RATER_GATEWAY_WEBHOOK_SECRETS": "[{env: RATER_WEBHOOK_SECRET}]",
        "RATER_WEBHOOK_SECRET": SECRET,
    }
    agents = AgentsProcess(deployment, "agents-0", free_ports(1)[0], given)
    head = b"POST /v1/webhooks/payments HTTP/1.1\r\nHost: rater\r\n"
    try:
        until(lambda: agents.ready, "the agents")
        slow = answered(agents.web_port, head + b"Content-Length: 100\r\n\r\n", b"{")
        endless = answered(
            agents.web_port,
            head + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"10000\r\n" + b"x" * 65_536 + b"\r\n10000\r\n" + b"x" * 65_536 + b"\r\n",
        )
        assert (status(slow), status(endless)) == (408, 413)
    finally:
        agents.kill()
