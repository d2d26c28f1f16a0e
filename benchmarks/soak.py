"""Two hours at 2,000 records a second: whether memory, disk and latency stay what they were.

Prints one JSON object for each minute and a verdict at the end; exit 1 if something grew or was lost.
    python -m benchmarks.soak --minutes 120 --rate 2000
Its own broker, worker, agents and payment gateway; output topics keep so many bytes that the disk has a bound.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from rater.core import EVERY_TENANT, CallRecord, DeckActivated
from rater.dev.demo.rates import bundled_deck
from rater.dev.generate import Spec, generate_calls, generate_commands
from rater.dev.local_kafka import LocalKafka
from rater.dev.ports import free_ports
from rater.kafka.batch_publisher import Message, publish
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import apply
from rater.wire.codec import encode_input
from rater.wire.topics import Topic, load_topics

PARTITIONS = 4
TENANTS, USERS = 24, 1_000
CALLS_A_MONTH = 2_000_000
#: Calls are of these months, again and again: usage that is a year late would be refused.
MONTHS = 10
#: Each partition of a topic that is not compacted keeps so much: more than four minutes of call records.
KEPT_BYTES, SEGMENT_BYTES = 100_000_000, 20_000_000
#: The quarter of the run in which caches fill is not judged; medians of the second and the last are compared.
QUARTERS = 4
GROWTH_PERCENT_MAX = 10.0
#: Below so many minutes topics and index still fill, so disk and index are shown and not judged.
FILLED_AFTER_MINUTES = 60
#: The same of memory: each partition's index adds some 12 MB until it has 225,000 calls: 450 s at 500 calls of it a
#: second.  If the second quarter began before that, a run that is flat would look as if it grew.
WARM_AFTER_MINUTES = 30
P99_S_MAX = 1.0
START_S, DRAIN_S = 120.0, 120.0


class Minute(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one minute; sizes in megabytes, latencies in seconds (upper bound of their bucket)."""

    minute: int
    published: int
    applied: int
    lag_records: int
    latency_p50_s: float
    latency_p99_s: float
    worker_mb: float
    agents_mb: float
    index_mb: float
    kafka_mb: float
    state_mb: float
    conservation_difference_micros: int
    sequence_breaks: int


def verdict(minutes: Sequence[Minute]) -> dict[str, object]:
    """Whether the run was flat, and what speaks against it, each with its figures."""
    against: list[str] = []
    size = max(1, len(minutes) // QUARTERS)
    early, late = slice(size, 2 * size) if len(minutes) > size else slice(size), slice(-size, None)
    growth = {}
    for field, (values, from_minutes) in _judged(minutes).items():
        before, after = statistics.median(values[early]), statistics.median(values[late])
        growth[field] = percent = round(100 * (after - before) / before, 1) if before else 0.0
        if len(minutes) >= from_minutes and percent > GROWTH_PERCENT_MAX:
            against.append(f"{field} grew by {percent} %: {before:.0f} to {after:.0f}")
    slowest = max(minutes, key=lambda minute: minute.latency_p99_s)
    if statistics.median(minute.latency_p99_s for minute in minutes[late]) > P99_S_MAX:
        against.append(f"p99 of the last quarter is above {P99_S_MAX} s")
    if minutes[-1].lag_records:
        against.append(f"{minutes[-1].lag_records} records are unrated after the end")
    if any(minute.conservation_difference_micros for minute in minutes):
        against.append("money does not add up")
    if minutes[-1].sequence_breaks:
        against.append(f"{minutes[-1].sequence_breaks} sequences are broken")
    return {
        "flat": not against,
        "against": against,
        "growth_percent": growth,
        "judged_memory": len(minutes) >= WARM_AFTER_MINUTES,
        "judged_disk": len(minutes) >= FILLED_AFTER_MINUTES,
        "worst_p99_s": slowest.latency_p99_s,
        "kafka_mb_max": max(minute.kafka_mb for minute in minutes),
        "state_mb_max": max(minute.state_mb for minute in minutes),
        "applied": sum(minute.applied for minute in minutes),
    }


def _judged(minutes: Sequence[Minute]) -> dict[str, tuple[list[float], int]]:
    """What must not grow, minute by minute, and the length of run from which it is judged.

    The index keeps each call for 400 days, as `rated-calls` does outside of this run.  It grows with the calls, so
    its bytes for each call are judged.
    """
    judged = {
        "worker_mb": WARM_AFTER_MINUTES,
        "agents_mb": WARM_AFTER_MINUTES,
        "kafka_mb": FILLED_AFTER_MINUTES,
        "state_mb": FILLED_AFTER_MINUTES,
    }
    found = {field: ([getattr(minute, field) for minute in minutes], after) for field, after in judged.items()}
    calls = itertools.accumulate(minute.applied for minute in minutes)
    index = [minute.index_mb * 1e6 / max(1, count) for minute, count in zip(minutes, calls, strict=True)]
    return found | {"index_bytes_a_call": (index, FILLED_AFTER_MINUTES)}


def bounded(topics: dict[str, Topic]) -> dict[str, Topic]:
    """The topics, with a bound on the bytes of each partition that keeps all its records."""
    bound = {"retention.bytes": str(KEPT_BYTES), "segment.bytes": str(SEGMENT_BYTES)}
    return {
        name: topic.model_copy(update={"settings": topic.settings | bound})
        if topic.cleanup_policy == "delete" and name != "rate-decks"
        else topic
        for name, topic in topics.items()
    }


def endless() -> Iterator[Message]:
    """The deck and the tenants, then month after month of calls."""
    deck = bundled_deck()
    yield "rate-decks", deck.version, encode_input(deck)
    today = datetime.now(UTC)
    first = today.year * 12 + today.month - 1 - MONTHS
    for seed in itertools.count(1):
        year, month_index = divmod(first + (seed - 1) % MONTHS, 12)
        month = f"{year}-{month_index + 1:02d}"
        spec = Spec(tenants=TENANTS, users=USERS, calls=CALLS_A_MONTH, seed=seed, month=month)
        if seed == 1:
            commands = list(generate_commands(spec))
            everybody = DeckActivated(tenant=EVERY_TENANT, id="deck", at=commands[0].at, version=deck.version)
            yield "commands", EVERY_TENANT, encode_input(everybody)
            yield from (("commands", command.tenant, encode_input(command)) for command in commands)
        for call in generate_calls(spec):
            if isinstance(call, CallRecord):
                yield "cdrs", call.tenant, encode_input(call)


class Page:
    """The metrics of a process at one moment; counters and buckets are compared with the moment before."""

    def __init__(self, port: int) -> None:
        self._address = f"http://127.0.0.1:{port}/metrics"
        self._buckets: dict[float, float] = {}
        self._applied = 0.0

    def read(self) -> dict[str, float]:
        """Sums by name of sample; `le:BOUND` are the buckets of latency."""
        with urllib.request.urlopen(self._address, timeout=20) as answer:
            text = answer.read().decode()
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                bucket = sample.name == "rater_latency_seconds_bucket"
                name = f"le:{sample.labels['le']}" if bucket else sample.name
                found[name] = found.get(name, 0.0) + sample.value
        return found

    def since(self, found: dict[str, float]) -> tuple[int, float, float]:
        """Records applied since the moment before, and their latency at p50 and p99."""
        buckets = {float(name[3:]): value for name, value in found.items() if name.startswith("le:")}
        fresh = {bound: value - self._buckets.get(bound, 0.0) for bound, value in buckets.items()}
        applied = found.get("rater_records_total", 0.0)
        count, self._applied, self._buckets = int(applied - self._applied), applied, buckets
        return count, quantile(fresh, 0.5), quantile(fresh, 0.99)


def quantile(buckets: dict[float, float], share: float) -> float:
    """The upper bound of the bucket in which this share of all lies; 0 of nothing."""
    total = max(buckets.values(), default=0.0)
    return next((bound for bound in sorted(buckets) if total and buckets[bound] >= share * total), 0.0)


def resident_mb(pid: int) -> float:
    """Memory of a process that is in use."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def disk_mb(folder: Path) -> float:
    """Bytes of a folder's files on the disk; one that is deleted meanwhile counts as none."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_blocks * 512
        except FileNotFoundError:
            continue
    return total / 1e6


class Soak:
    """One broker with everything on it, in a folder."""

    def __init__(self, folder: Path, jars: Path, rate: int, minutes: int, disk_gb: float) -> None:
        self.folder, self.rate, self.minutes, self.disk_gb = folder, rate, minutes, disk_gb
        self.kafka = LocalKafka(folder / "kafka", jars)
        self.ports = dict(zip(("worker", "agents", "gateway"), free_ports(3), strict=True))
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.published = 0

    def start(self) -> KafkaSettings:
        """Everything, and wait until the worker answers."""
        settings = KafkaSettings(bootstrap=self.kafka.start())
        asyncio.run(apply(settings, bounded(load_topics()), PARTITIONS))
        gateway = f"--port={self.ports['gateway']}", f"--log={self.folder / 'charges.jsonl'}"
        self._run("gateway", "dev", "gateway", *gateway)
        self._run_worker()
        self._run("agents", "agents", f"--web-port={self.ports['agents']}")
        return settings

    def restart_s(self) -> float:
        """Seconds from the start of a new worker until it has restored all partitions from `state`."""
        worker = self.processes["worker"]
        worker.terminate()
        worker.wait(timeout=60)
        begun = time.monotonic()
        self._run_worker()
        page = Page(self.ports["worker"])
        while time.monotonic() < begun + START_S:
            self._must_run()
            with contextlib.suppress(OSError):
                if page.read().get("rater_restore_seconds_count", 0) >= PARTITIONS:
                    return round(time.monotonic() - begun, 1)
            time.sleep(0.1)
        raise SystemExit(f"not restored after {START_S:.0f} s; see {self.folder / 'worker.log'}")

    def _run_worker(self) -> None:
        self._run("worker", "worker", f"--web-port={self.ports['worker']}", f"--index={self.folder / 'index'}")

    def end(self) -> None:
        """End the processes, then the broker."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.kafka.stop()

    def _run(self, name: str, *words: str) -> None:
        environment = os.environ | {
            "RATER_BOOTSTRAP": self.kafka.bootstrap,
            "RATER_GATEWAY_URL": f"http://127.0.0.1:{self.ports['gateway']}",
        }
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "rater", *words], stdout=log, stderr=log, env=environment
            )

    async def run(self, settings: KafkaSettings) -> list[Minute]:
        """Publish at the rate and look once a minute; then wait until all is rated."""
        page = Page(self.ports["worker"])
        await self._until_answered(page)
        publishing = asyncio.create_task(publish(settings, endless(), self._count, self.rate))
        minutes: list[Minute] = []
        for number in range(1, self.minutes + 1):
            await asyncio.wait([publishing], timeout=60)
            if publishing.done():
                publishing.result()
            minutes.append(await asyncio.to_thread(self._look, number, page))
            print(msgspec.json.encode(minutes[-1]).decode(), flush=True)
            if minutes[-1].kafka_mb + minutes[-1].index_mb > self.disk_gb * 1000:
                raise SystemExit(f"more than {self.disk_gb} GB on the disk: ended before it is full")
        publishing.cancel()
        await asyncio.gather(publishing, return_exceptions=True)
        last = await self._drained(page)
        return [*minutes[:-1], msgspec.structs.replace(minutes[-1], lag_records=last)]

    def _count(self, more: int) -> None:
        self.published += more

    async def _until_answered(self, page: Page) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            self._must_run()
            try:
                await asyncio.to_thread(page.read)
            except (urllib.error.URLError, OSError):
                await asyncio.sleep(0.2)
            else:
                return
        raise SystemExit(f"the worker does not answer; see {self.folder / 'worker.log'}")

    def _must_run(self) -> None:
        ended = [name for name, process in self.processes.items() if process.poll() is not None]
        if ended:
            raise SystemExit(f"{', '.join(ended)} ended; see {self.folder}")

    def _look(self, number: int, page: Page) -> Minute:
        self._must_run()
        found = page.read()
        applied, p50, p99 = page.since(found)
        return Minute(
            minute=number,
            published=self.published,
            applied=applied,
            lag_records=int(found.get("rater_consumer_lag_records", 0)),
            latency_p50_s=p50,
            latency_p99_s=p99,
            worker_mb=round(resident_mb(self.processes["worker"].pid), 1),
            agents_mb=round(resident_mb(self.processes["agents"].pid), 1),
            index_mb=round(disk_mb(self.folder / "index"), 1),
            kafka_mb=round(disk_mb(self.folder / "kafka"), 1),
            state_mb=round(sum(map(disk_mb, self.folder.glob("kafka/**/state-[0-9]*"))), 1),
            conservation_difference_micros=int(found.get("rater_conservation_difference_micros", 0)),
            sequence_breaks=int(found.get("rater_sequence_breaks_total", 0)),
        )

    async def _drained(self, page: Page) -> int:
        """Records that are unrated although nothing more is published, at last."""
        deadline = time.monotonic() + DRAIN_S
        while (lag := int((await asyncio.to_thread(page.read))["rater_consumer_lag_records"])) > 0:
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.5)
        return lag


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=120)
    parser.add_argument("--rate", type=int, default=2_000, help="call records a second")
    parser.add_argument("--disk-gb", type=float, default=20, help="end before more than this is used")
    parser.add_argument("--jars", type=Path, default=Path(".kafka/jars"))
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="rater-soak-"))
    print(f"logs in {folder}", file=sys.stderr)
    soak = Soak(folder, chosen.jars, chosen.rate, chosen.minutes, chosen.disk_gb)
    try:
        found = verdict(asyncio.run(soak.run(soak.start()))) | {"restart_s": soak.restart_s()}
    finally:
        soak.end()
    print(json.dumps(found))
    if not found["flat"]:
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
