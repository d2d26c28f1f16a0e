"""How late decisions are: a real Kafka, one worker, one process of agents that serves switches.

Prints JSON.  `cdr_to_suspend_p50_ms` and `_p99_ms`: from the broker's acknowledgement of the call record that takes
a balance to zero until a consumer of committed records sees the tenant suspended, at `rate_cdrs_per_s` (the rate
asked for, or the highest below it that this machine holds; 2 % of the records are such ones).  The first seconds at
that rate are not counted, because a broker that was just started still compiles itself.
`cdr_to_disconnect_p50_ms` and `_p99_ms`: until the order to end that tenant's running call is seen.
`authorize_p50_ms` and `_p99_ms`: answers over HTTP at `authorize_per_s` on one core, from the instant at which the
question was due, so that waiting behind a slow answer counts.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import structlog
from aiokafka import AIOKafkaProducer, TopicPartition

from rater.core import (
    EVERY_TENANT,
    CallCommand,
    CallEvent,
    CallProgress,
    CallRecord,
    CallType,
    DeckActivated,
    FundsAdded,
    LicenseAssigned,
    ServiceState,
    TenantConfigured,
)
from rater.dev.demo.rates import bundled_deck
from rater.dev.generate import Spec, generate_calls, generate_commands
from rater.dev.local_kafka import LocalKafka
from rater.dev.ports import free_ports
from rater.kafka.batch_publisher import Message, publish
from rater.kafka.client import committed_reader
from rater.kafka.connect import connection
from rater.kafka.publisher import partition_of
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import apply
from rater.wire.codec import encode_input
from rater.wire.topics import load_topics

PARTITIONS = 4
TOKEN = "of-the-benchmark"
WAIT_S = 300.0
#: Of the records, those that bring a tenant's balance to zero.
POOR_SHARE = 0.02
TICK_S = 0.005
#: A machine holds a rate if what it has not rated at the end is less than this much of it.
HELD_S = 0.5
#: How long before its credit runs out a poor tenant's call has its first event.
RUNNING_S = 3.0
HARARE = "+263242700000"
CONNECTIONS = 64


def poor(number: int) -> str:
    return f"poor-{number:05d}"


class Load:
    """Tenants with plenty of money and many calls, and tenants with little whose next call takes it."""

    def __init__(self, rate: int, warm_up_s: float, counted_s: float, tenants: int, users: int) -> None:
        self.now = datetime.now(UTC)
        self.rate, self.warm_up_s, self.seconds = rate, warm_up_s, warm_up_s + counted_s
        self.poor = int(rate * self.seconds * POOR_SHARE)
        self.spec = Spec(
            tenants=tenants, users=users, calls=int(rate * self.seconds), month=f"{self.now:%Y-%m}", funds="1000000"
        )
        self.rich = [call for call in generate_calls(self.spec) if isinstance(call, CallRecord)]

    def provisioning(self) -> Iterator[Message]:
        deck = bundled_deck()
        at = self.now - timedelta(days=1)
        yield "rate-decks", deck.version, encode_input(deck)
        everybody = DeckActivated(tenant=EVERY_TENANT, id="deck", at=at, version=deck.version)
        yield "commands", EVERY_TENANT, encode_input(everybody)
        for command in generate_commands(self.spec):
            yield "commands", command.tenant, encode_input(command)
        for number in range(self.poor):
            tenant = poor(number)
            for command in (
                TenantConfigured(tenant=tenant, id="setup", at=at, currency="USD", credits="enabled"),
                FundsAdded(tenant=tenant, id="funds", at=at, amount="5"),
                LicenseAssigned(
                    tenant=tenant, id="ada", at=at, user="ada", sku="MCOPSTNPP", country="US", since_ever=True
                ),
            ):
                yield "commands", tenant, encode_input(command)

    def last_call(self, number: int) -> CallRecord:
        """A call of an hour to Harare: 5 is not enough for it."""
        return CallRecord(
            tenant=poor(number),
            usage_id="last",
            type=CallType.USER_OUT,
            answered_at=datetime.now(UTC) - timedelta(hours=1),
            duration_s=3_600,
            user="ada",
            called=HARARE,
        )

    def running(self, number: int) -> bytes:
        """A poor tenant's other call, which runs."""
        return msgspec.json.encode(
            CallEvent(
                tenant=poor(number),
                usage_id="running",
                type=CallType.USER_OUT,
                event=CallProgress.STARTED,
                at=datetime.now(UTC),
                user="ada",
                called=HARARE,
            )
        )


class Publisher:
    """Publishes at a steady rate, and notes when the broker acknowledged what takes a balance to zero."""

    def __init__(self, settings: KafkaSettings, load: Load) -> None:
        self.settings, self.load = settings, load
        self.acknowledged: dict[str, float] = {}
        self.started = self.ended = self.warming_up = 0
        self._random = random.Random(1)

    async def run(self) -> float:
        """Publish everything; the rate, in records a second."""
        producer = AIOKafkaProducer(**connection(self.settings), enable_idempotence=True)
        await producer.start()
        began, sent = time.monotonic(), 0
        stored: list[asyncio.Future[object]] = []
        total = int(self.load.rate * self.load.seconds)
        while sent < total:
            now = time.monotonic() - began
            await self._publish_events(
                producer, min(int((now + RUNNING_S) * self.load.rate * POOR_SHARE), self.load.poor)
            )
            due = min(int(now * self.load.rate), total)
            stored += await self._publish(producer, due - sent, now)
            sent = due
            await asyncio.sleep(TICK_S)
        took = time.monotonic() - began
        await asyncio.gather(*stored)
        await producer.stop()
        return sent / took

    async def _publish_events(self, producer: AIOKafkaProducer, until: int) -> None:
        """Calls of poor tenants start some seconds before their credit runs out."""
        topic = self.settings.topic("call-events")
        for number in range(self.started, until):
            key = poor(number)
            await producer.send(topic, self.load.running(number), key.encode(), partition_of(key, PARTITIONS))
        self.started = max(self.started, until)

    async def _publish(self, producer: AIOKafkaProducer, count: int, now: float) -> list[asyncio.Future[object]]:
        batches = {number: producer.create_batch() for number in range(PARTITIONS)}
        ending: dict[int, list[str]] = {number: [] for number in range(PARTITIONS)}
        poor_due = min(int(max(0.0, now - RUNNING_S) * self.load.rate * POOR_SHARE), self.load.poor)
        for position in range(count):
            if self.ended < poor_due and position % 10 == 0:
                self.warming_up += now < self.load.warm_up_s
                call = self.load.last_call(self.ended)
                self.ended += 1
                ending[partition_of(call.tenant, PARTITIONS)].append(call.tenant)
            else:
                call = self.load.rich.pop()
            place = partition_of(call.tenant, PARTITIONS)
            batches[place].append(key=call.tenant.encode(), value=encode_input(call), timestamp=None)
        stored = []
        for place, batch in batches.items():
            if batch.record_count():
                future = await producer.send_batch(batch, self.settings.topic("cdrs"), partition=place)
                future.add_done_callback(lambda _, tenants=ending[place]: self._acknowledge(tenants))
                stored.append(future)
        return stored

    def _acknowledge(self, tenants: list[str]) -> None:
        now = time.monotonic()
        for tenant in tenants:
            self.acknowledged[tenant] = now


async def note(
    settings: KafkaSettings,
    topic: str,
    type: type[ServiceState | CallCommand],
    seen: dict[str, float],
    begun: asyncio.Event,
) -> None:
    """When each tenant's record is seen by a consumer of committed records."""
    decode = msgspec.json.Decoder(type).decode
    reader = committed_reader(settings)
    await reader.start()
    try:
        reader.assign([TopicPartition(settings.topic(topic), number) for number in range(PARTITIONS)])
        await reader.seek_to_end()
        for place in reader.assignment():
            await reader.position(place)
        begun.set()
        while True:
            found = await reader.getmany(timeout_ms=100)
            now = time.monotonic()
            for records in found.values():
                for record in records:
                    value = decode(record.value)
                    if getattr(value, "state", "suspended") == "suspended":
                        seen.setdefault(value.tenant, now)
    finally:
        await reader.stop()


async def behind(settings: KafkaSettings) -> int:
    """Call records that the worker has not consumed, by its commits."""
    reader = committed_reader(settings)
    await reader.start()
    places = [TopicPartition(settings.topic("cdrs"), number) for number in range(PARTITIONS)]
    commits = [TopicPartition(settings.topic("commits"), number) for number in range(PARTITIONS)]
    ends = await reader.end_offsets(places)
    last = await reader.end_offsets(commits)
    reader.assign(commits)
    taken = dict.fromkeys(range(PARTITIONS), 0)
    for place in commits:
        reader.seek(place, max(0, last[place] - 6))
    while [True for place in commits if await reader.position(place) < last[place]]:
        for found, records in (await reader.getmany(timeout_ms=100)).items():
            for record in records:
                taken[found.partition] = json.loads(record.value)["cdrs_next"]
    await reader.stop()
    return sum(ends[place] - taken[place.partition] for place in places)


def percentile(milliseconds: list[float], percent: int) -> float:
    return round(sorted(milliseconds)[len(milliseconds) * percent // 100], 1)


async def decide(settings: KafkaSettings, load: Load) -> tuple[dict[str, object], bool]:
    """The figures at one rate, and whether the machine held it."""
    suspended: dict[str, float] = {}
    ordered: dict[str, float] = {}
    begun = [asyncio.Event(), asyncio.Event()]
    reading = [
        asyncio.create_task(note(settings, "service-states", ServiceState, suspended, begun[0])),
        asyncio.create_task(note(settings, "call-commands", CallCommand, ordered, begun[1])),
    ]
    await asyncio.gather(*(event.wait() for event in begun))
    publisher = Publisher(settings, load)
    rate = await publisher.run()
    left = await behind(settings)
    deadline = time.monotonic() + 30
    while len(ordered) < publisher.ended and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    for task in reading:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    figures: dict[str, object] = {"rate_cdrs_per_s": round(rate), "behind_at_the_end_cdrs": left}
    for name, seen in (("suspend", suspended), ("disconnect", ordered)):
        counted = [poor(number) for number in range(publisher.warming_up, publisher.ended)]
        took = [1e3 * (seen[tenant] - publisher.acknowledged[tenant]) for tenant in counted if tenant in seen]
        figures |= {f"cdr_to_{name}_p50_ms": percentile(took, 50), f"cdr_to_{name}_p99_ms": percentile(took, 99)}
        figures[f"{name}s"] = len(took)
    return figures, left < HELD_S * load.rate and rate > 0.95 * load.rate


class Asker(asyncio.Protocol):
    """One connection that asks one question after the other."""

    def __init__(self, free: "asyncio.Queue[Asker]", took: list[float], refused: list[bytes]) -> None:
        self._free, self._took, self._refused = free, took, refused
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._free.put_nowait(self)

    def ask(self, request: bytes, due: float) -> None:
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """An answer is one small segment."""
        self._took.append(1e3 * (time.perf_counter() - self._due))
        if not data.startswith(b"HTTP/1.1 200"):
            self._refused.append(data[:200])
        self._free.put_nowait(self)


def questions(load: Load, count: int) -> list[bytes]:
    """Requests as a switch makes them, of the calls of the load."""
    draw = random.Random(2)
    made = []
    for call in draw.sample(load.rich, min(count, len(load.rich))):
        asked = {"tenant": call.tenant, "type": call.type.value, "number_type": call.number_type.value}
        asked |= {name: value for name in ("user", "called", "calling") if (value := getattr(call, name))}
        made.append(
            f"GET /v1/authorize?{urlencode(asked)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {TOKEN}\r\n\r\n".encode()
        )
    return made


async def authorize(port: int, asked: list[bytes], rate: int, seconds: float) -> dict[str, object]:
    """Ask at a steady rate, however long the answers take."""
    took: list[float] = []
    refused: list[bytes] = []
    free: asyncio.Queue[Asker] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for _ in range(CONNECTIONS):
        await loop.create_connection(lambda: Asker(free, took, refused), "127.0.0.1", port)
    began, sent = time.perf_counter(), 0
    while (now := time.perf_counter() - began) < seconds:
        while sent < int(now * rate):
            (await free.get()).ask(asked[sent % len(asked)], began + sent / rate)
            sent += 1
        await asyncio.sleep(0.0005)
    while free.qsize() < CONNECTIONS:
        await asyncio.sleep(0.01)
    if refused:
        raise SystemExit(f"{len(refused)} of {sent} questions were not answered: {refused[0]!r}")
    took = took[rate:]  # the first second warms up
    return {
        "authorize_per_s": round(sent / seconds),
        "authorize_p50_ms": round(percentile(took, 50), 2),
        "authorize_p99_ms": round(percentile(took, 99), 2),
        "authorize_max_ms": round(max(took), 2),
        "authorize_answers": len(took),
    }


class Processes:
    """What runs beside: ended by their ids."""

    def __init__(self, settings: KafkaSettings, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, *arguments: str, core: int | None = None, **environment: str) -> None:
        log = (self.folder / f"{name}.log").open("wb")
        words = [sys.executable, *arguments]
        if core is not None:
            words = ["taskset", "-c", str(core), *words]
        process = subprocess.Popen(words, stdout=log, stderr=log, env=os.environ | environment)
        self.started.append(process)

    def check(self) -> None:
        """SystemExit when one of them has ended."""
        for process in self.started:
            if process.poll() is not None:
                raise SystemExit(f"{process.args!r} ended with {process.returncode}; logs are in {self.folder}")

    def end(self) -> None:
        for process in self.started:
            process.terminate()
        for process in self.started:
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


async def answered(port: int, tenant: str, beside: Processes) -> None:
    """Wait until the process knows the tenant that was set up last."""
    request = (
        f"GET /v1/authorize?tenant={tenant}&user=ada&called=%2B263242700000 HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
    )
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        beside.check()
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request.encode())
            body = await reader.read()
            writer.close()
            if b'"allowed":true' in body:
                return
        await asyncio.sleep(0.2)
    raise SystemExit("the agents do not know the tenants")


def run_at(kafka: LocalKafka, folder: Path, args: argparse.Namespace, rate: int) -> tuple[dict[str, object], bool]:
    """Everything at one rate, on topics of its own."""
    settings = KafkaSettings(bootstrap=kafka.bootstrap, prefix=f"at-{rate}-")
    folder = folder / str(rate)
    folder.mkdir()
    asyncio.run(apply(settings, load_topics(), PARTITIONS))
    load = Load(rate, args.warm_up, args.seconds, args.tenants, args.users)
    asked = questions(load, 20_000)
    asyncio.run(publish(settings, load.provisioning()))
    beside = Processes(settings, folder)
    port = free_ports(1)[0]
    try:
        beside.start(
            "worker",
            *("-m", "rater", "worker", f"--bootstrap={settings.bootstrap}", f"--prefix={settings.prefix}"),
            *(f"--web-port={free_ports(1)[0]}", f"--index={folder / 'index'}"),
        )
        beside.start(
            "agents",
            *("-m", "rater", "agents", f"--bootstrap={settings.bootstrap}", f"--prefix={settings.prefix}"),
            f"--web-port={port}",
            core=args.core,
            RATER_SWITCHES_TOKEN=TOKEN,
        )
        asyncio.run(answered(port, poor(load.poor - 1), beside))
        time.sleep(2)
        figures = asyncio.run(authorize(port, asked, args.questions, args.seconds))
        decided, held = asyncio.run(decide(settings, load))
        return decided | figures, held
    finally:
        beside.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", type=int, nargs="+", default=[5_000, 4_000, 3_000, 2_000, 1_000])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--warm-up", type=float, default=20.0, help="seconds that are not counted")
    parser.add_argument("--tenants", type=int, default=1_000)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--questions", type=int, default=1_000, help="questions a second over HTTP")
    parser.add_argument("--core", type=int, help="the core on which the agents run")
    parser.add_argument("--jars", type=Path, default=Path(".kafka/jars"))
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what runs beside is ended by a time-out, too
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory() as name:
        kafka = LocalKafka(Path(name) / "kafka", args.jars)
        try:
            kafka.start()
            for rate in args.rates:
                figures, held = run_at(kafka, Path(name), args, rate)
                print(figures, "held" if held else "not held", file=sys.stderr)
                if held:
                    break
        finally:
            kafka.stop()
    print(json.dumps(figures | {"held": held, "partitions": PARTITIONS, "tenants": args.tenants}))


if __name__ == "__main__":
    main()
