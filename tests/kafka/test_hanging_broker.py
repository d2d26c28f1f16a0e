"""A broker that hangs: it accepts connections and answers nothing.  Commands end with a message."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rater.dev.local_kafka import LocalKafka
from rater.wire.errors import Exit
from tests.conftest import ROOT
from tests.kafka.conftest import local_kafka
from tests.kafka.deployment import Deployment, calls, provisioning, story, until

ENDS_WITHIN_S = 120


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """A broker of this module's own: others must not wait for it."""
    kafka = local_kafka(tmp_path_factory.mktemp("hanging"))
    kafka.start()
    yield kafka
    kafka.stop()


@contextmanager
def hanging(kafka: LocalKafka) -> Iterator[None]:
    """SIGSTOP: its sockets stay open, and are not read."""
    pid = kafka.pid(1)
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


class Commands:
    """Commands that run beside the test, and that end with it."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self._running: list[subprocess.Popen[str]] = []

    def start(self, *words: str) -> subprocess.Popen[str]:
        settings = self.deployment.settings
        where = [f"--bootstrap={settings.bootstrap}", f"--prefix={settings.prefix}"]
        process = subprocess.Popen(
            [sys.executable, "-m", "rater", *words, *where],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self._running.append(process)
        return process

    def end(self) -> None:
        for process in self._running:
            process.kill()
            process.communicate()


@pytest.fixture
def commands(own_broker: LocalKafka, tmp_path: Path) -> Iterator[Commands]:
    """On topics of the test's own."""
    made: list[Deployment] = []

    def make() -> bool:
        made.append(Deployment(own_broker.bootstrap, tmp_path))
        return True

    until(make, "the broker to be one of its cluster again")
    commands = Commands(made[0])
    yield commands
    commands.end()


def test_commands_say_what_they_wait_for_and_end(
    own_broker: LocalKafka, commands: Commands, tmp_path: Path
) -> None:
    """Each says after a few seconds what it waits for, and ends with one line and exit code 7: no right is missing."""
    lines = (
        ("topics", "diff"),
        ("consume", "debits"),
        ("verify",),
        ("worker", "--web-port=0", f"--index={tmp_path}"),
        ("tenant", "add", "contoso", "--currency=USD"),
    )
    with hanging(own_broker):
        running = [commands.start(*words) for words in lines]
        doctor = commands.start("doctor", "--json")
        ended = [process.communicate(timeout=ENDS_WITHIN_S) for process in running]
        found, said = doctor.communicate(timeout=ENDS_WITHIN_S)
    waiting = f"waiting for Kafka at {own_broker.bootstrap}, which does not answer"
    for words, process, (_, errors) in zip(lines, running, ended, strict=True):
        assert process.returncode == Exit.UNREACHABLE, (words, errors)
        assert waiting in errors, (words, errors)
        assert f"rater: no Kafka broker answers at {own_broker.bootstrap}" in errors, (words, errors)
        assert "right" not in errors, (words, errors)
        assert "Traceback" not in errors, (words, errors)
    checks = {check["name"]: check for check in json.loads(found)}
    assert waiting in said
    assert doctor.returncode == Exit.FAILED
    assert [name for name, check in checks.items() if check["state"] == "fail"] == ["broker"]
    assert "no Kafka broker answers" in checks["broker"]["cause"]
    assert checks["rights"]["cause"] == "the broker does not answer"


def test_a_broker_that_begins_to_hang_while_commands_work(
    own_broker: LocalKafka, commands: Commands, tmp_path: Path
) -> None:
    """In the middle of publishing, and of a picture that is drawn again and again: the same line, the same exit code."""
    deployment = commands.deployment
    spec = story(2_000)
    deployment.publish([*provisioning(spec), *calls(spec)])
    records = tmp_path / "calls.jsonl"
    records.write_bytes(b"".join(value + b"\n" for _, _, value in calls(spec) if value.startswith(b'{"tenant')))
    follows = commands.start("top", "--json", "--every=0.2")
    publishes = commands.start("publish", str(records), "--rate=50")
    assert follows.stdout is not None
    assert json.loads(follows.stdout.readline())["tenants"] == 0
    until(lambda: len(deployment.values("cdrs")) > len(list(calls(spec))), "the first records to be published")
    with hanging(own_broker):
        ended = [process.communicate(timeout=ENDS_WITHIN_S)[1] for process in (follows, publishes)]
    for process, errors in zip((follows, publishes), ended, strict=True):
        assert process.returncode == Exit.UNREACHABLE, errors
        assert f"waiting for Kafka at {own_broker.bootstrap}, which does not answer" in errors
        assert f"no Kafka broker answers at {own_broker.bootstrap}" in errors, errors
        assert "Traceback" not in errors, errors


def test_a_short_hang_is_waited_for(own_broker: LocalKafka, commands: Commands) -> None:
    """The command says that it waits; the broker goes on, and so does the command."""
    with hanging(own_broker):
        command = commands.start("topics", "diff", "--partitions=4")
        assert command.stderr is not None
        assert command.stderr.readline().startswith("waiting for Kafka at")
    _, errors = command.communicate(timeout=ENDS_WITHIN_S)
    assert (command.returncode, errors) == (Exit.OK, "")
