"""Ports that another process has: reported on one line, with the option that names another."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rater.cli.web_port import port_to_listen_on
from rater.dev.local_kafka import LocalKafka
from rater.dev.ports import free_ports
from rater.wire.errors import RaterError
from tests.commands import invoke
from tests.conftest import ROOT


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_second_worker_on_one_host(taken: int) -> None:
    """Its pages cannot be where the first one's are: the line names the option; 0 chooses a free port."""
    with pytest.raises(RaterError, match=f"127.0.0.1:{taken}: .*--web-port 0 chooses a free one"):
        port_to_listen_on(taken)
    assert port_to_listen_on(0) not in (0, taken)


def test_a_broker_that_is_not_ours_is_not_said_to_be_ours(taken: int, tmp_path: Path) -> None:
    """Somebody listens on the port of the broker that is to be started: nothing is started, and a message says it."""
    (tmp_path / "jars").mkdir()
    (tmp_path / "jars" / "kafka-clients-0.jar").touch()
    with pytest.raises(RaterError, match=f"127.0.0.1:{taken}: another process has this port"):
        LocalKafka(tmp_path).start(1, taken)
    assert LocalKafka(tmp_path).status() == [{"broker": 1, "address": f"127.0.0.1:{taken}", "pid": None}]
    assert "stopped" in invoke("dev", "kafka", "status", "--folder", str(tmp_path)).stdout


def test_a_port_is_given_once(taken: int) -> None:
    """Nobody listens on three ports yet: neither this process nor another one is given one of them again."""
    given = free_ports(3)
    assert not {*given, taken} & {*free_ports(100)}
    asking = f"from rater.dev import ports; ports.OURS = {given}; ports.free_ports(1)"
    ran = subprocess.run([sys.executable, "-c", asking], capture_output=True, text=True, check=False, cwd=ROOT)
    assert f"expected 1 free ports from {given[0]} to {given[-1]}, found 0" in ran.stderr
