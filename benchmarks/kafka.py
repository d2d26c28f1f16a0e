"""The worker on a real Kafka, beside its limit and beside what a user would write first, in one run.

Prints JSON: `passthrough_cdrs_per_s` (the same shell copying records in transactions, no rating: the limit),
`rater_cdrs_per_s` and their `ratio`, `faust_agent_cdrs_per_s`, restore, memory, time until ready, and latency, from
the acknowledged CDR to the debit that a consumer of committed records sees, at half of the rater's rate.
"""

import argparse
import asyncio
import json
import logging
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import orjson
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from prometheus_client import CollectorRegistry

from rater.core import EVERY_TENANT, CallRecord, DeckActivated, RatingSettings
from rater.dev.demo.rates import bundled_deck
from rater.dev.generate import Spec, generate_calls, generate_commands
from rater.dev.local_kafka import LocalKafka
from rater.dev.ports import free_ports
from rater.kafka.batch_publisher import Message, publish
from rater.kafka.changelog import META_KEY, STATE_VERSION, Meta, pack
from rater.kafka.client import AiokafkaLog, committed_reader
from rater.kafka.connect import connection
from rater.kafka.decks import DeckReader
from rater.kafka.index import DiskIndex
from rater.kafka.observe import Watch
from rater.kafka.port import Writes
from rater.kafka.publisher import partition_of
from rater.kafka.rating_task import RatingTask
from rater.kafka.settings import KafkaSettings, WorkerSettings
from rater.kafka.topics import apply
from rater.kafka.worker import Worker
from rater.ops.garbage_collection import expect_long_lives
from rater.ops.metrics.meter import Metrics
from rater.wire.codec import encode_input
from rater.wire.topics import load_topics

PARTITIONS = 4
WAIT_S = 1_200.0


class CopyingTask(RatingTask):
    """The shell without rating: every record goes to `rated-calls` as it came, in the same transactions."""

    async def step(self) -> None:
        fetched = await self._log.fetch(self._batch_records_max)
        records = [record for record in fetched if record.offset >= self.positions[record.topic]]
        if not records:
            return
        after = self.positions | {record.topic: record.offset + 1 for record in records}
        meta = Meta(STATE_VERSION, self._state.entities.meta.commits + 1, after)
        writes: Writes = {
            "rated-calls": [(record.key, record.value) for record in records if record.key is not None],
            "state": [(META_KEY, pack(meta))],
        }
        await self._log.begin()
        await self._log.send(writes)
        await self._log.tell_positions(after)
        await self._log.commit()
        self.positions = after
        self._state.entities.meta = meta


class CopyingWorker(Worker):
    task_type = CopyingTask


async def copy_forever(settings: KafkaSettings, folder: Path) -> None:
    worker = CopyingWorker(
        settings, WorkerSettings(index_folder=folder), RatingSettings(), Watch(Metrics(CollectorRegistry()))
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    await worker.run()


class Bench:
    """One broker, and one thing after the other on it."""

    def __init__(self, kafka: LocalKafka, folder: Path, spec: Spec) -> None:
        self.kafka, self.folder, self.spec = kafka, folder, spec
        self.calls = [call for call in generate_calls(spec) if isinstance(call, CallRecord)]

    def fill(self, prefix: str, calls: list[CallRecord]) -> KafkaSettings:
        settings = KafkaSettings(bootstrap=self.kafka.bootstrap, prefix=prefix)
        asyncio.run(apply(settings, load_topics(), PARTITIONS))
        asyncio.run(publish(settings, self._provisioning()))
        asyncio.run(publish(settings, (("cdrs", call.tenant, encode_input(call)) for call in calls)))
        return settings

    def _provisioning(self) -> Iterator[Message]:
        deck, commands = bundled_deck(), list(generate_commands(self.spec))
        yield "rate-decks", deck.version, encode_input(deck)
        everybody = DeckActivated(tenant=EVERY_TENANT, id="deck", at=commands[0].at, version=deck.version)
        yield "commands", EVERY_TENANT, encode_input(everybody)
        for command in commands:
            yield "commands", command.tenant, encode_input(command)

    def run(self, settings: KafkaSettings, arguments: list[str]) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "RATER_BOOTSTRAP": settings.bootstrap,
            "RATER_PREFIX": settings.prefix,
            "RATER_PARTITIONS": str(PARTITIONS),
        }
        log = (self.folder / f"{settings.prefix}{arguments[-1].replace('/', '_')}.log").open("wb")
        return subprocess.Popen([sys.executable, *arguments], stdout=log, stderr=log, env=environment)

    def rater_worker(self, settings: KafkaSettings, index: str) -> subprocess.Popen[bytes]:
        port = free_ports(1)[0]
        return self.run(settings, ["-m", "rater", "worker", f"--web-port={port}", f"--index={self.folder / index}"])


async def end_of(settings: KafkaSettings, topic: str) -> int:
    """Records of a topic, markers included."""
    reader = committed_reader(settings)
    await reader.start()
    places = [TopicPartition(settings.topic(topic), number) for number in range(PARTITIONS)]
    ends = await reader.end_offsets(places)
    await reader.stop()
    return sum(ends.values())


async def watch(
    settings: KafkaSettings, topic: str, count: Callable[[bytes], int], goal: int, process: subprocess.Popen[bytes]
) -> tuple[float, float]:
    """Seconds until the first record of a topic, and from then until it says that `goal` records were taken."""
    reader = committed_reader(settings)
    await reader.start()
    reader.assign([TopicPartition(settings.topic(topic), number) for number in range(PARTITIONS)])
    await reader.seek_to_beginning()
    began, first, taken, at_first = time.monotonic(), 0.0, 0, 0
    while taken < goal and time.monotonic() < began + WAIT_S:
        if process.poll() is not None:
            raise SystemExit(f"{process.args!r} ended with {process.returncode}")
        for records in (await reader.getmany(timeout_ms=50)).values():
            taken += sum(count(record.value) for record in records)
        if taken and not first:
            first, at_first = time.monotonic(), taken
    await reader.stop()
    return first - began, (taken - at_first) / (time.monotonic() - first)


def taken_of(commit: bytes) -> int:
    """Call records that a commit took."""
    value = orjson.loads(commit)
    return int(value["cdrs_next"] - value["cdrs_first"])


def peak_mb(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0]) // 1024


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def passthrough(bench: Bench) -> dict[str, float]:
    settings = bench.fill("copy-", bench.calls)
    process = bench.run(settings, ["benchmarks/kafka.py", "--copy", str(bench.folder / "copy")])
    try:
        _, rate = asyncio.run(watch(settings, "rated-calls", lambda _: 1, len(bench.calls), process))
    finally:
        end(process)
    return {"passthrough_cdrs_per_s": round(rate)}


def rater(bench: Bench) -> tuple[KafkaSettings, dict[str, float]]:
    settings = bench.fill("rater-", bench.calls)
    began = time.monotonic()
    process = bench.run(
        settings, ["-m", "rater", "worker", f"--web-port={free_ports(1)[0]}", f"--index={bench.folder / 'index'}"]
    )
    try:
        ready, _ = asyncio.run(watch(settings, "commits", lambda _: 1, 1, process))
        ready_s = time.monotonic() - began if ready else 0.0
        _, rate = asyncio.run(watch(settings, "commits", taken_of, len(bench.calls), process))
        memory = peak_mb(process.pid)
    finally:
        end(process)
    return settings, {"rater_cdrs_per_s": round(rate), "ready_s": round(ready_s, 1), "worker_peak_mb": memory}


def faust_agent(bench: Bench, seconds: float) -> dict[str, object]:
    sample = bench.calls[:100_000]
    settings = bench.fill("agent-", sample)
    debits = load_topics()["debits"].model_copy(update={"name": "agent-debits"})
    asyncio.run(apply(settings, {"agent-debits": debits}, PARTITIONS))
    process = bench.run(settings, ["-m", "faust", "-A", "benchmarks.faust_agent", "worker", "-l", "warn"])
    try:
        return {"faust_agent_cdrs_per_s": round(asyncio.run(_agent_rate(settings, len(sample), seconds, process)))}
    finally:
        end(process)


async def _agent_rate(
    settings: KafkaSettings, goal: int, seconds: float, process: subprocess.Popen[bytes]
) -> float:
    """Debits a second that the agent sends, from its first one on, for some seconds or until all are there."""
    first = began = 0.0
    deadline = time.monotonic() + WAIT_S
    at_first = sent = 0
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"the Faust agent ended with {process.returncode}")
        sent = await end_of(settings, "agent-debits")
        now = time.monotonic()
        if sent and not first:
            first, at_first, began = now, sent, now
        if first and (sent >= goal or now - began > seconds):
            return (sent - at_first) / (now - began)
        await asyncio.sleep(0.2)
    raise SystemExit("the Faust agent did not start")


async def restore(settings: KafkaSettings, folder: Path) -> dict[str, object]:
    """Take ownership of every partition on an empty disk, as a worker that has just started."""
    expect_long_lives()
    decks = DeckReader(settings, 0)
    await decks.start()
    records = await end_of(settings, "state") + await end_of(settings, "rated-calls")
    began = time.monotonic()
    await asyncio.gather(*(_own(settings, folder, decks, partition) for partition in range(PARTITIONS)))
    seconds = time.monotonic() - began
    await decks.stop()
    return {"restore_records_per_s": round(records / seconds), "restored_records": records}


async def _own(settings: KafkaSettings, folder: Path, decks: DeckReader, partition: int) -> None:
    log = AiokafkaLog(settings, WorkerSettings(), _NoInputs(), partition)
    index = DiskIndex(folder / str(partition))
    task = RatingTask(
        log,
        index,
        decks,
        RatingSettings(),
        partitions=PARTITIONS,
        batch_records_max=2_000,
        batch_bytes_max=16_000_000,
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

    end_offsets = beginning_offsets

    def assignment(self) -> set[TopicPartition]:
        return self._places

    def seek(self, place: TopicPartition, position: int) -> None: ...

    def resume(self, place: TopicPartition) -> None: ...


def latency(bench: Bench, rate: float, seconds: float) -> dict[str, object]:
    """Publish at a steady rate, and note when each debit is seen."""
    settings = bench.fill("latency-", bench.calls[:1_000])
    process = bench.run(
        settings, ["-m", "rater", "worker", f"--web-port={free_ports(1)[0]}", f"--index={bench.folder / 'late'}"]
    )
    try:
        asyncio.run(watch(settings, "commits", taken_of, 1_000, process))
        return asyncio.run(_latency(settings, bench.calls[1_000:], rate, seconds))
    finally:
        end(process)


async def _latency(
    settings: KafkaSettings, calls: list[CallRecord], rate: float, seconds: float
) -> dict[str, object]:
    published: dict[str, float] = {}
    seen: dict[str, float] = {}
    reader = committed_reader(settings)
    await reader.start()
    reader.assign([TopicPartition(settings.topic("debits"), number) for number in range(PARTITIONS)])
    await reader.seek_to_end()
    producer = AIOKafkaProducer(**connection(settings), enable_idempotence=True)
    await producer.start()
    stop = asyncio.Event()
    reading = asyncio.create_task(_note_debits(reader, seen, stop))
    sent = 0
    began = time.monotonic()
    while time.monotonic() < began + seconds:
        due = min(int((time.monotonic() - began) * rate), len(calls))
        for call in calls[sent:due]:
            place = partition_of(call.tenant, PARTITIONS)
            stored = await producer.send(
                settings.topic("cdrs"), encode_input(call), call.tenant.encode(), partition=place
            )
            stored.add_done_callback(
                lambda _, usage_id=call.usage_id: published.setdefault(usage_id, time.monotonic())
            )
        sent = due
        await asyncio.sleep(0.005)
    await producer.stop()
    await asyncio.sleep(3)
    stop.set()
    await reading
    await reader.stop()
    took = sorted(at - published[id] for id, at in seen.items() if id in published)
    return {
        "latency_rate_cdrs_per_s": round(sent / seconds),
        "latency_p50_ms": round(statistics.median(took) * 1e3) if took else None,
        "latency_p99_ms": round(took[len(took) * 99 // 100] * 1e3) if took else None,
        "latency_debits": len(took),
    }


async def _note_debits(reader: AIOKafkaConsumer, seen: dict[str, float], stop: asyncio.Event) -> None:
    decoder = msgspec.json.Decoder(_Debited)
    while not stop.is_set():
        for records in (await reader.getmany(timeout_ms=20)).values():
            now = time.monotonic()
            for record in records:
                if (id := decoder.decode(record.value).usage_id) is not None:
                    seen.setdefault(id, now)


class _Debited(msgspec.Struct):
    usage_id: str | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=500_000)
    parser.add_argument("--tenants", type=int, default=1_000)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="of the latency run and of the Faust agent")
    parser.add_argument("--jars", type=Path, default=Path(".kafka/jars"))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--copy", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.copy:
        settings = KafkaSettings(bootstrap=os.environ["RATER_BOOTSTRAP"], prefix=os.environ["RATER_PREFIX"])
        asyncio.run(copy_forever(settings, args.copy))
        return
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    spec = Spec(tenants=args.tenants, users=args.users, calls=args.calls, funds="1000000")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kafka = LocalKafka(folder / "kafka", args.jars)
        kafka.start()
        try:
            bench = Bench(kafka, folder, spec)
            limit = passthrough(bench)
            settings, measured = rater(bench)
            figures: dict[str, object] = {**limit, **measured}
            figures["ratio"] = round(measured["rater_cdrs_per_s"] / limit["passthrough_cdrs_per_s"], 2)
            print(figures, file=sys.stderr)
            figures |= faust_agent(bench, args.seconds)
            print(figures, file=sys.stderr)
            figures |= asyncio.run(restore(settings, folder / "restore"))
            figures |= latency(bench, measured["rater_cdrs_per_s"] / 2, args.seconds)
        finally:
            kafka.stop()
    print(json.dumps(figures | {"cdrs": len(bench.calls), "tenants": spec.tenants, "partitions": PARTITIONS}))


if __name__ == "__main__":
    main()
