"""The worker on a real Kafka, beside its limits and beside what a user would write first, in one run.

Prints JSON.  `consuming` reads the same records and does nothing; `copying` is the same shell, which copies records
in the same transactions and rates nothing: these are the limits of `rater`.  `faust_agent` is a plain agent, at
least once.  `latency` is measured at a steady rate, from the acknowledged record to the debit that a consumer of
committed records sees, after a warm-up; for `copying` to the copy.  `restore` acquires every partition on
an empty disk; `reading` only reads what it reads.  CPU seconds and memory are those of the worker processes.
"""

import argparse
import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import count, islice
from pathlib import Path

import msgspec
import orjson
import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from prometheus_client import CollectorRegistry

from rater.core import EVERY_TENANT, CallRecord, DeckActivated, RatingSettings, normal_usage_id
from rater.dev.demo.rates import bundled_deck
from rater.dev.generate import Spec, generate_calls, generate_commands
from rater.dev.local_kafka import LocalKafka
from rater.dev.ports import free_ports
from rater.kafka.batch_publisher import Message, publish
from rater.kafka.changelog import META_KEY, STATE_VERSION, Meta, pack
from rater.kafka.client import AiokafkaLog, committed_reader, consumed, unread
from rater.kafka.connect import connection
from rater.kafka.decks import DeckReader
from rater.kafka.index import DiskIndex
from rater.kafka.observe import Watch
from rater.kafka.port import Writes
from rater.kafka.publisher import partition_of
from rater.kafka.rating_task import RatingTask
from rater.kafka.records import positions_after
from rater.kafka.settings import KafkaSettings, WorkerSettings
from rater.kafka.topics import apply
from rater.kafka.worker import Worker
from rater.ops.garbage_collection import expect_long_lives
from rater.ops.metrics.meter import Metrics
from rater.wire.codec import encode_input
from rater.wire.commits import part_of
from rater.wire.topics import load_topics

PARTITIONS = 4
#: No topic is longer: whatever was committed is there.
OFFSET_MAX = 2**63 - 1
WAIT_S = 1_200.0
#: How long a reader waits for a last record once nothing is published any more.
QUIET_S = 5.0
_TICK = os.sysconf("SC_CLK_TCK")

Figures = dict[str, object]


class CopyingTask(RatingTask):
    """The shell without rating: every record goes to `rated-calls` as it came, in the same transactions."""

    async def step(self) -> None:
        records = await self.arrived()
        if not records:
            return
        after = positions_after(self.positions, records)
        meta = Meta(STATE_VERSION, self._state.entities.meta.commits + 1, after)
        writes: Writes = {
            "rated-calls": [(record.key, record.value) for record in records if record.key is not None],
            "state": [(META_KEY, pack(meta))],
        }
        await self._log.begin()
        await self._log.send(writes)
        await self._log.commit_offsets(after)
        await self._log.commit()
        self.positions = after
        self._state.entities.meta = meta


class CopyingWorker(Worker):
    task_type = CopyingTask


async def copy_forever(settings: KafkaSettings, folder: Path) -> None:
    """Copy until SIGTERM; the file `ready` is there once every assigned partition is owned."""
    expect_long_lives()
    worker = CopyingWorker(
        settings, WorkerSettings(index_folder=folder), RatingSettings(), Watch(Metrics(CollectorRegistry()))
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    running = asyncio.create_task(worker.run())
    while not worker.ready and not running.done():
        await asyncio.sleep(0.1)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ready").touch()
    await running


class Workers:
    """Processes that share a group's partitions, and what they use."""

    def __init__(self, processes: Sequence[subprocess.Popen[bytes]], ready: Callable[[], bool]) -> None:
        self._processes = processes
        self.ready = ready

    def check(self) -> None:
        for process in self._processes:
            if process.poll() is not None:
                raise SystemExit(f"{process.args!r} ended with {process.returncode}")

    def cpu_s(self) -> float:
        return sum(_cpu_s(process.pid) for process in self._processes)

    def peak_mb(self) -> int:
        """Of the largest of them."""
        return max(_peak_mb(process.pid) for process in self._processes)

    def end(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _peak_mb(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0]) // 1024


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


class Bench:
    """One broker, and one thing after the other on it."""

    def __init__(self, bootstrap: str, folder: Path, spec: Spec, workers: int) -> None:
        #: Before the names of topics, so that a broker can be used again.
        self.prefix = f"bench{os.getpid()}-"
        self.bootstrap, self.folder, self.spec, self.workers = bootstrap, folder, spec, workers
        self.calls = [call for call in generate_calls(spec) if isinstance(call, CallRecord)]

    def fill(self, prefix: str, calls: Sequence[CallRecord]) -> KafkaSettings:
        settings = KafkaSettings(bootstrap=self.bootstrap, prefix=self.prefix + prefix)
        asyncio.run(apply(settings, load_topics(), PARTITIONS))
        asyncio.run(publish(settings, self._provisioning()))
        asyncio.run(publish(settings, (("cdrs", call.tenant, encode_input(call)) for call in calls)))
        return settings

    def endless_calls(self) -> Iterator[CallRecord]:
        """The calls, and then the same ones under other ids, again and again."""
        yield from self.calls
        for round in count(1):
            for call in self.calls:
                yield msgspec.structs.replace(call, usage_id=f"again-{round}-{call.usage_id}")

    def _provisioning(self) -> Iterator[Message]:
        deck, commands = bundled_deck(), list(generate_commands(self.spec))
        yield "rate-decks", deck.version, encode_input(deck)
        everybody = DeckActivated(tenant=EVERY_TENANT, id="deck", at=commands[0].at, version=deck.version)
        yield "commands", EVERY_TENANT, encode_input(everybody)
        for command in commands:
            yield "commands", command.tenant, encode_input(command)

    def run(self, settings: KafkaSettings, name: str, arguments: list[str]) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "RATER_BOOTSTRAP": settings.bootstrap,
            "RATER_PREFIX": settings.prefix,
            "RATER_PARTITIONS": str(PARTITIONS),
        }
        with (self.folder / f"{settings.prefix}{name}.log").open("wb") as log:
            return subprocess.Popen([sys.executable, *arguments], stdout=log, stderr=log, env=environment)

    def raters(self, settings: KafkaSettings) -> Workers:
        ports = free_ports(self.workers)
        processes = []
        for number, port in enumerate(ports):
            index = self.folder / f"{settings.prefix}index-{number}"
            arguments = ["-m", "rater", "worker", f"--web-port={port}", f"--index={index}"]
            processes.append(self.run(settings, f"worker-{number}", arguments))
        return Workers(processes, lambda: all(map(_answers, ports)))

    def copiers(self, settings: KafkaSettings) -> Workers:
        folders = [self.folder / f"{settings.prefix}{number}" for number in range(self.workers)]
        processes = [self.run(settings, folder.name, [__file__, "--copy", str(folder)]) for folder in folders]
        return Workers(processes, lambda: all((folder / "ready").exists() for folder in folders))


async def end_of(settings: KafkaSettings, *topics: str) -> int:
    """Records of topics, markers included."""
    reader = committed_reader(settings)
    await reader.start()
    ends = await reader.end_offsets(_places(settings, *topics))
    await reader.stop()
    return sum(ends.values())


def _places(settings: KafkaSettings, *topics: str) -> list[TopicPartition]:
    return [TopicPartition(settings.topic(topic), number) for topic in topics for number in range(PARTITIONS)]


async def throughput(
    settings: KafkaSettings, topic: str, worth: Callable[[bytes, bytes], int], goal: int, workers: Workers
) -> Figures:
    """From the moment that every worker rates until the topic says that `goal` records were consumed.

    `worth` is how many records a record of the topic stands for.
    """
    began = time.monotonic()
    reader = committed_reader(settings)
    await reader.start()
    reader.assign(_places(settings, topic))
    await reader.seek_to_beginning()
    taken, first = 0, None
    while taken < goal and time.monotonic() < began + WAIT_S:
        workers.check()
        for records in (await reader.getmany(timeout_ms=50)).values():
            taken += sum(worth(record.key or b"", record.value) for record in records)
        if first is None and taken and workers.ready():
            first = time.monotonic(), taken, workers.cpu_s()
    await reader.stop()
    if taken < goal or first is None or taken == first[1]:
        raise SystemExit(f"{settings.prefix}: {taken} of {goal} records were consumed; are there enough --calls?")
    records = taken - first[1]
    return {
        "records_per_s": round(records / (time.monotonic() - first[0])),
        "cpu_s_per_million": round((workers.cpu_s() - first[2]) / records * 1e6, 1),
        "peak_mb": workers.peak_mb(),
        "ready_s": round(first[0] - began, 1),
        "records": records,
    }


def rated_in(key: bytes, commit: bytes) -> int:
    """Call records of a commit; none in a part of a snapshot, which stands among the commits."""
    if part_of(key) is not None:
        return 0
    value = orjson.loads(commit)
    return int(value["cdrs_next"] - value["cdrs_first"])


def copying(bench: Bench) -> Figures:
    settings = bench.fill("copy-", bench.calls)
    workers = bench.copiers(settings)
    try:
        goal = asyncio.run(end_of(settings, "cdrs"))
        commands = asyncio.run(end_of(settings, "commands"))
        return asyncio.run(throughput(settings, "rated-calls", lambda _key, _value: 1, goal + commands, workers))
    finally:
        workers.end()


def rating(bench: Bench) -> tuple[KafkaSettings, Figures]:
    settings = bench.fill("rater-", bench.calls)
    workers = bench.raters(settings)
    try:
        return settings, asyncio.run(throughput(settings, "commits", rated_in, len(bench.calls), workers))
    finally:
        workers.end()


async def reading(settings: KafkaSettings, *topics: str) -> Figures:
    """Read topics from their beginning to their end, as the port hands records on, and do nothing with them."""
    reader = committed_reader(settings)
    await reader.start()
    places = _places(settings, *topics)
    reader.assign(places)
    for place, first in (await reader.beginning_offsets(places)).items():
        reader.seek(place, first)
    began, cpu, read = time.monotonic(), time.process_time(), 0
    async for _, records in unread(reader):
        read += len(consumed("", records))
    seconds, used = time.monotonic() - began, time.process_time() - cpu
    await reader.stop()
    return {"records_per_s": round(read / seconds), "cpu_s_per_million": round(used / read * 1e6, 1)}


def faust_agent(bench: Bench, seconds: float) -> Figures:
    sample = bench.calls[:100_000]
    settings = bench.fill("agent-", sample)
    debits = load_topics()["debits"].model_copy(update={"name": "agent-debits"})
    asyncio.run(apply(settings, {"agent-debits": debits}, PARTITIONS))
    process = bench.run(settings, "agent", ["-m", "faust", "-A", "benchmarks.faust_agent", "worker", "-l", "warn"])
    agent = Workers([process], lambda: True)
    try:
        return asyncio.run(_agent_rate(settings, len(sample), seconds, agent))
    finally:
        agent.end()


async def _agent_rate(settings: KafkaSettings, goal: int, seconds: float, agent: Workers) -> Figures:
    """Debits a second that the agent sends, from its first ones on, for some seconds or until all are there."""
    first: tuple[float, int, float] | None = None
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        agent.check()
        sent, now = await end_of(settings, "agent-debits"), time.monotonic()
        if first is None:
            if sent:
                first = now, sent, agent.cpu_s()
        elif sent >= goal or now - first[0] > seconds:
            return {
                "records_per_s": round((sent - first[1]) / (now - first[0])),
                "cpu_s_per_million": round((agent.cpu_s() - first[2]) / max(1, sent - first[1]) * 1e6, 1),
                "peak_mb": agent.peak_mb(),
                "records": sent - first[1],
            }
        await asyncio.sleep(0.2)
    raise SystemExit("the Faust agent did not start")


async def restore(settings: KafkaSettings, folder: Path) -> Figures:
    """Acquire every partition on an empty disk, as a worker that has just started."""
    decks = DeckReader(settings, 0)
    await decks.start()
    state, calls = await end_of(settings, "state"), await end_of(settings, "rated-calls")
    began, cpu = time.monotonic(), time.process_time()
    await asyncio.gather(*(_own(settings, folder, decks, partition) for partition in range(PARTITIONS)))
    seconds, used = time.monotonic() - began, time.process_time() - cpu
    await decks.stop()
    return {
        "records_per_s": round((state + calls) / seconds),
        "cpu_s_per_million": round(used / (state + calls) * 1e6, 1),
        "state_records": state,
        "rated_calls": calls,
    }


async def _own(settings: KafkaSettings, folder: Path, decks: DeckReader, partition: int) -> None:
    worker = WorkerSettings()
    log = AiokafkaLog(settings, worker, _NoInputs(), partition)
    index = DiskIndex(folder / str(partition))
    task = RatingTask(
        log,
        index,
        decks,
        RatingSettings(),
        partitions=PARTITIONS,
        batch_records_max=worker.batch_records_max,
        backlog_records_max=worker.backlog_records_max,
        batch_bytes_max=worker.batch_bytes_max,
        observer=Watch(Metrics(CollectorRegistry())),
    )
    await task.own()
    await log.close()
    index.close()


class _NoInputs:
    """Stands for the group's consumer, of which only the positions are asked here."""

    def __init__(self) -> None:
        self._places: set[TopicPartition] = set()

    async def beginning_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        self._places |= set(places)
        return dict.fromkeys(places, 0)

    async def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, OFFSET_MAX)

    def assignment(self) -> set[TopicPartition]:
        return self._places

    def seek(self, place: TopicPartition, position: int) -> None: ...

    def resume(self, place: TopicPartition) -> None: ...


class Pace(msgspec.Struct, frozen=True):
    """Records a second, for how many seconds, and how many of these are a warm-up."""

    rate: float
    seconds: float
    warm_s: float


def latency(
    bench: Bench, prefix: str, start: Callable[[KafkaSettings], Workers], topic: str, pace: Pace
) -> Figures:
    """Publish at a steady rate, and note when each record's output is seen."""
    settings = bench.fill(prefix, bench.calls[:1_000])
    workers = start(settings)
    try:
        return asyncio.run(_latency(settings, bench, workers, topic, pace))
    finally:
        workers.end()


async def _latency(settings: KafkaSettings, bench: Bench, workers: Workers, topic: str, pace: Pace) -> Figures:
    run = _SteadyRun(settings, topic, pace)
    messages = run.messages(islice(bench.endless_calls(), 1_000, None))
    await _come_to_rest(settings, workers)
    reading = asyncio.create_task(run.note_outputs())
    await run.reads.wait()
    await run.publish(messages, workers)
    await reading
    return run.figures() | {"peak_mb": workers.peak_mb()}


async def _come_to_rest(settings: KafkaSettings, workers: Workers) -> None:
    """Wait until every worker rates and nothing more comes out."""
    before, end = -1, 0
    while not end or end != before or not workers.ready():
        workers.check()
        await asyncio.sleep(1)
        before, end = end, await end_of(settings, "rated-calls")


class _SteadyRun:
    """Publishes at a pace and sees the outputs."""

    def __init__(self, settings: KafkaSettings, topic: str, pace: Pace) -> None:
        self.reads = asyncio.Event()
        self._settings, self._topic, self._pace = settings, topic, pace
        self._stored: dict[str, float] = {}
        self._seen: dict[str, float] = {}
        self._warm_at = self._ends_at = 0.0
        self._steady_records = 0
        self._cpu_s = 0.0

    def messages(self, calls: Iterator[CallRecord]) -> list[tuple[int, bytes, bytes, str]]:
        """Partition, key, value and normal usage id, as outputs have it, of all that is going to be published."""
        return [
            (
                partition_of(call.tenant, PARTITIONS),
                call.tenant.encode(),
                encode_input(call),
                normal_usage_id(call.usage_id),
            )
            for call in islice(calls, int(self._pace.rate * self._pace.seconds))
        ]

    async def publish(self, messages: Sequence[tuple[int, bytes, bytes, str]], workers: Workers) -> None:
        producer = AIOKafkaProducer(**connection(self._settings), enable_idempotence=True)
        await producer.start()
        began = time.monotonic()
        self._warm_at = began + self._pace.warm_s
        sent, at_warm = 0, None
        while sent < len(messages):
            workers.check()
            now = time.monotonic()
            if at_warm is None and now >= self._warm_at:
                at_warm = now, sent, workers.cpu_s()
            due = min(int((now - began) * self._pace.rate), len(messages))
            await self._send(producer, messages[sent:due])
            sent = due
            await asyncio.sleep(0.005)
        assert at_warm is not None, "the warm-up is shorter than the run"
        self._ends_at = time.monotonic()
        self._steady_records = sent - at_warm[1]
        self._warm_at, self._cpu_s = at_warm[0], workers.cpu_s() - at_warm[2]
        await producer.stop()

    async def _send(self, producer: AIOKafkaProducer, messages: Sequence[tuple[int, bytes, bytes, str]]) -> None:
        by_partition: defaultdict[int, list[tuple[int, bytes, bytes, str]]] = defaultdict(list)
        for message in messages:
            by_partition[message[0]].append(message)
        for partition, some in by_partition.items():
            for first in range(0, len(some), 20):  # a batch of the producer takes 16 KB
                part = some[first : first + 20]
                batch = producer.create_batch()
                for _, key, value, _ in part:
                    assert batch.append(key=key, value=value, timestamp=None) is not None
                stored = await producer.send_batch(batch, self._settings.topic("cdrs"), partition=partition)
                stored.add_done_callback(lambda _, part=part: self._note_stored(part))

    def _note_stored(self, messages: Sequence[tuple[int, bytes, bytes, str]]) -> None:
        now = time.monotonic()
        for _, _, _, usage_id in messages:
            self._stored.setdefault(usage_id, now)

    async def note_outputs(self) -> None:
        """Until nothing was seen for some seconds after the last record was published."""
        reader = committed_reader(self._settings)
        await reader.start()
        places = _places(self._settings, self._topic)
        reader.assign(places)
        for place, end in (await reader.end_offsets(places)).items():
            reader.seek(place, end)
        self.reads.set()
        decoder, last = msgspec.json.Decoder(_OfCall), time.monotonic()
        while not self._ends_at or time.monotonic() < max(last, self._ends_at) + QUIET_S:
            found = await reader.getmany(timeout_ms=20)
            now = time.monotonic()
            for record in (record for records in found.values() for record in records):
                last = now
                if (usage_id := decoder.decode(record.value).usage_id) is not None:
                    self._seen.setdefault(normal_usage_id(usage_id), now)
        await reader.stop()

    def figures(self) -> Figures:
        took = sorted(
            at - stored
            for usage_id, at in self._seen.items()
            if (stored := self._stored.get(usage_id)) is not None and stored >= self._warm_at
        )
        if not took:
            raise SystemExit(f"no {self._topic} of the {self._steady_records} records after the warm-up were seen")
        return {
            "records_per_s": round(self._steady_records / (self._ends_at - self._warm_at)),
            "p50_ms": round(took[len(took) // 2] * 1e3),
            "p99_ms": round(took[len(took) * 99 // 100] * 1e3),
            "seen": len(took),
            "cpu_s_per_million": round(self._cpu_s / self._steady_records * 1e6, 1),
        }


class _OfCall(msgspec.Struct):
    usage_id: str | None = None


def measure(bench: Bench, args: argparse.Namespace) -> Iterator[Figures]:
    """Every figure beside its limit."""
    pace = Pace(args.rate, args.seconds, args.warm)
    limit = copying(bench)
    settings, rated = rating(bench)
    yield {"copying": limit, "consuming": asyncio.run(reading(settings, "cdrs")), "rater": rated}
    yield {"rater_of_copying": round(_per_s(rated) / _per_s(limit), 2)}
    yield {"reading": asyncio.run(reading(settings, "state", "rated-calls"))}
    yield {"restore": asyncio.run(restore(settings, bench.folder / "restore"))}
    if args.agent_seconds:
        yield {"faust_agent": faust_agent(bench, args.agent_seconds)}
    if args.seconds:
        copied = latency(bench, "slow-copy-", bench.copiers, "rated-calls", pace)
        yield {"latency": {"copying": copied, "rater": latency(bench, "slow-", bench.raters, "debits", pace)}}


def _per_s(figures: Figures) -> int:
    found = figures["records_per_s"]
    assert isinstance(found, int)
    return found


def machine(workers: int) -> Figures:
    """What the figures depend on."""
    cores = len(os.sched_getaffinity(0))
    found: Figures = {"cores": cores, "workers": workers, "load": round(os.getloadavg()[0], 1)}
    if cores < workers + 1:
        found["remark"] = f"{workers} workers and the broker share {cores} cores: no measure of how workers scale"
    return found


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=500_000)
    parser.add_argument("--tenants", type=int, default=1_000)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=1, choices=range(1, PARTITIONS + 1))
    parser.add_argument("--rate", type=float, default=5_000, help="records a second of the latency run")
    parser.add_argument("--seconds", type=float, default=40, help="of the latency run; 0: none")
    parser.add_argument("--warm", type=float, default=15, help="seconds of it that are not counted")
    parser.add_argument("--agent-seconds", type=float, default=20, help="of the Faust agent; 0: none")
    parser.add_argument("--bootstrap", help="a broker that runs; by default one is started")
    parser.add_argument("--jars", type=Path, default=Path(".kafka/jars"))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--copy", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.seconds and args.warm >= args.seconds:
        parser.error("--warm: expected less than --seconds")
    return args


def main() -> None:
    args = options()
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    if args.copy:
        settings = KafkaSettings(bootstrap=os.environ["RATER_BOOTSTRAP"], prefix=os.environ["RATER_PREFIX"])
        asyncio.run(copy_forever(settings, args.copy))
        return
    spec = Spec(tenants=args.tenants, users=args.users, calls=args.calls, funds="1000000")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kafka = None if args.bootstrap else LocalKafka(folder / "kafka", args.jars)
        try:
            bench = Bench(args.bootstrap or (kafka.start() if kafka else ""), folder, spec, args.workers)
            expect_long_lives()
            figures = machine(args.workers) | {"calls": len(bench.calls), "tenants": spec.tenants}
            for more in measure(bench, args):
                print(json.dumps(more), file=sys.stderr, flush=True)
                figures |= more
        finally:
            if kafka:
                kafka.stop()
    print(json.dumps(figures | {"partitions": PARTITIONS}))


if __name__ == "__main__":
    main()
