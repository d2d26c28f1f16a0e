"""A deployment on a real broker: its own topics, workers as processes, and what an operator would look at."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from rater.core.inputs import EVERY_TENANT, CallRecord, DeckActivated
from rater.core.outputs import RatedCall
from rater.core.settings import RatingSettings
from rater.dev.demo.rates import bundled_deck
from rater.dev.generate import Spec, generate_calls, generate_commands
from rater.dev.ports import free_ports
from rater.kafka.audit_report import Report
from rater.kafka.batch_publisher import Message, publish
from rater.kafka.connect import connection, reachable
from rater.kafka.consume import read_topic
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import apply
from rater.kafka.verify import verify
from rater.wire.codec import encode_input
from rater.wire.commits import Commit, part_of
from rater.wire.errors import RaterError
from rater.wire.topics import load_topics
from tests.forks import Forked

PARTITIONS = 4
TENANTS = 24
WAIT_S = 120.0
SESSION_TIMEOUT_MS = 6_000


class WorkerProcess:
    """`rater worker` as its own process."""

    def __init__(
        self, deployment: "Deployment", name: str, settings: dict[str, str] | None = None, program: str = "rater"
    ) -> None:
        self.name = name
        self.log = deployment.folder / f"{name}.log"
        self.web_port = free_ports(1)[0]
        environment = os.environ | {"RATER_SESSION_TIMEOUT_MS": str(SESSION_TIMEOUT_MS)} | (settings or {})
        arguments = [
            "worker",
            f"--bootstrap={(settings or {}).get('RATER_BOOTSTRAP', deployment.settings.bootstrap)}",
            f"--prefix={deployment.settings.prefix}",
            f"--index={deployment.folder / name}",
            f"--instance={name}",
            f"--web-port={self.web_port}",
        ]
        with self.log.open("ab") as log:
            self.process: Forked | subprocess.Popen[bytes] = (
                Forked(arguments, stdout=log, stderr=log, env=environment)
                if program == "rater" and "PYTHONPATH" not in (settings or {})  # which is that of another release
                else subprocess.Popen(
                    [sys.executable, "-m", program, *arguments], stdout=log, stderr=log, env=environment
                )
            )

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The lines of its log with this event."""
        lines = self.log.read_bytes().splitlines()
        entries = [orjson.loads(line) for line in lines if line.startswith(b"{") and line.endswith(b"}")]
        return [entry for entry in entries if event in entry.get("event", "")]

    @property
    def was_fenced(self) -> bool:
        """Whether something that it wrote was refused because another owned the partition."""
        return any(doubt["fenced"] for doubt in self.logged("partition is reacquired"))

    def assigned(self) -> set[int]:
        """The partitions that it was assigned last."""
        found = self.logged("partitions assigned")
        return set(found[-1]["partitions"]) if found else set()

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of one of its pages; 0 when it does not listen yet."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()
        except OSError:
            return 0, ""

    def kill(self) -> None:
        """As a machine that loses power would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> tuple[int, float]:
        """SIGTERM; the exit code and how many seconds it took."""
        began = time.monotonic()
        self.process.terminate()
        return self.process.wait(timeout=30), time.monotonic() - began

    def freeze(self) -> None:
        """SIGSTOP: it is gone for the group, and does not know."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)


class Deployment:
    """Topics under a prefix of their own, and the workers on them."""

    def __init__(
        self,
        bootstrap: str,
        folder: Path,
        *,
        topics: bool = True,
        prefix: str | None = None,
        partitions: int = PARTITIONS,
    ) -> None:
        self.folder = folder
        self.partitions = partitions
        own = f"t{uuid4().hex[:8]}-" if prefix is None else prefix
        self.settings = KafkaSettings(bootstrap=bootstrap, prefix=own)
        self.workers: list[WorkerProcess] = []
        self.published = 0
        if topics:
            asyncio.run(apply(self.settings, load_topics(), partitions))

    def start(self, name: str, settings: dict[str, str] | None = None, program: str = "rater") -> WorkerProcess:
        """Start a worker, with more settings in its environment; it owns partitions a little later."""
        worker = WorkerProcess(self, name, settings, program)
        self.workers.append(worker)
        return worker

    def end(self) -> None:
        """End every worker that still runs."""
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.kill()

    def publish(self, messages: list[Message]) -> None:
        """Publish and wait until it is stored."""
        self.published += sum(topic == "cdrs" for topic, _, _ in messages)
        asyncio.run(publish(self.settings, messages))

    def lag(self) -> dict[tuple[str, int], int]:
        """Records that the group has not committed, by topic and partition, where there are any."""
        return asyncio.run(self._lag())

    async def _lag(self) -> dict[tuple[str, int], int]:
        places = [
            TopicPartition(self.settings.topic(topic), number)
            for topic in ("cdrs", "commands")
            for number in range(self.partitions)
        ]
        async with reachable(self.settings, AIOKafkaAdminClient(**connection(self.settings))) as admin:
            committed = await admin.list_consumer_group_offsets(self.settings.group)
        async with reachable(self.settings, AIOKafkaConsumer(**connection(self.settings))) as consumer:
            ends = await consumer.end_offsets(places)
        lag = {
            (place.topic, place.partition): ends[place] - (committed[place].offset if place in committed else 0)
            for place in places
        }
        return {place: behind for place, behind in lag.items() if behind > 0}

    def values(self, topic: str) -> list[bytes]:
        """What a topic holds."""
        return asyncio.run(self._values(topic))

    async def _values(self, topic: str) -> list[bytes]:
        """Without the parts of snapshots, which stand among the commits."""
        return [
            record.value or b""
            async for records in read_topic(self.settings, topic)
            for record in records
            if topic != "commits" or part_of(record.key) is None
        ]

    def rated(self) -> int:
        """Call records that commits have consumed."""
        return asyncio.run(self._rated())

    async def _rated(self) -> int:
        taken: dict[int, int] = {}
        for value in await self._values("commits"):
            commit = msgspec.json.decode(value, type=Commit)
            taken[commit.partition] = commit.cdrs_next
        return sum(taken.values())

    def wait_until_rated(self) -> None:
        """Wait until nothing that was published is left."""
        until(lambda: not self.lag(), "everything to be rated")

    def verify(self) -> Report:
        """What `rater verify` finds."""
        return asyncio.run(verify(self.settings, RatingSettings()))

    def evidence(self) -> list[str]:
        """What to look at when the audit is not clean: the commits, calls that were rated twice, and who owned when."""
        lines = [value.decode() for value in self.values("commits")]
        rated: dict[tuple[str, str, int], list[RatedCall]] = {}
        for value in self.values("rated-calls"):
            call = msgspec.json.decode(value, type=RatedCall)
            rated.setdefault((call.tenant, call.usage_id, call.version), []).append(call)
        for twice in (calls for calls in rated.values() if len(calls) > 1):
            lines += [f"rated twice: {call.id} {call.source} {call.sequence}" for call in twice]
        for worker in self.workers:
            lines += [f"{worker.name}: {line}" for line in worker.logged("partition")]
        return lines


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something that another process does; AssertionError when it does not happen.

    A cluster that does not answer yet is waited for, too.
    """
    deadline = time.monotonic() + WAIT_S
    while True:
        with contextlib.suppress(RaterError):
            if condition():
                return
        assert time.monotonic() < deadline, f"waited {WAIT_S:.0f} s for {what}"
        time.sleep(0.05)


def provisioning(spec: Spec) -> list[Message]:
    """The deck, for every tenant, and what sets the tenants up."""
    deck = bundled_deck()
    commands = list(generate_commands(spec))
    everybody = DeckActivated(tenant=EVERY_TENANT, id="deck", at=commands[0].at, version=deck.version)
    return [
        ("rate-decks", deck.version, encode_input(deck)),
        ("commands", EVERY_TENANT, encode_input(everybody)),
        *(("commands", command.tenant, encode_input(command)) for command in commands),
    ]


def calls(spec: Spec) -> Iterator[Message]:
    """Call records of the spec; poison goes where its tenant would."""
    for number, call in enumerate(generate_calls(spec)):
        if isinstance(call, CallRecord):
            yield "cdrs", call.tenant, encode_input(call)
        else:
            yield "cdrs", f"tenant-{number % TENANTS:04d}", call


def story(count: int, seed: int = 1) -> Spec:
    """5 % duplicates and 1 % poison among so many records."""
    return Spec(
        tenants=TENANTS, users=TENANTS * 10, calls=count, seed=seed, duplicate_share=0.05, poison_share=0.01
    )
