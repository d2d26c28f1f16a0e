"""The replica of `rater serve --replica`: how fast it catches up, and how long until a call can be read.

A worker rates generated calls on a broker of this machine; a process of its own reads all topics into a new file.
Then calls come at a steady rate, and the file is looked at all the time: from a record's stamp, which its worker
gives before it commits, until a reader of the file sees it.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from prometheus_client import CollectorRegistry

from rater.core import EVERY_TENANT, CallRecord, DeckActivated
from rater.dev.demo.rates import bundled_deck
from rater.dev.generate import Spec, generate_calls, generate_commands
from rater.dev.local_kafka import LocalKafka
from rater.embedded.store import open_reader
from rater.kafka.batch_publisher import Message, publish
from rater.kafka.client import read_partition
from rater.kafka.consume import ends_of
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import apply
from rater.ops.metrics.meter import Metrics
from rater.serve.replica.following import Following
from rater.wire.codec import encode_input
from rater.wire.topics import load_topics

PARTITIONS = 4
Figures = dict[str, float]


def follow(settings: KafkaSettings, path: Path, *, once: bool) -> Figures:
    """Fill a file until it is as far as the topics (`once`), or until the process ends; wall and CPU seconds."""
    following = Following(settings, path, Metrics(CollectorRegistry()))

    async def run() -> None:
        running = asyncio.create_task(following.run())
        while not (once and following.caught_up) and not running.done():
            await asyncio.sleep(0.05)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

    began, cpu = time.perf_counter(), time.process_time()
    asyncio.run(run())
    return {"seconds": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}


def setting_up(spec: Spec) -> Iterator[Message]:
    deck = bundled_deck()
    commands = list(generate_commands(spec))
    yield "rate-decks", deck.version, encode_input(deck)
    everybody = DeckActivated(tenant=EVERY_TENANT, id="deck", at=commands[0].at, version=deck.version)
    yield "commands", EVERY_TENANT, encode_input(everybody)
    for command in commands:
        yield "commands", command.tenant, encode_input(command)


def messages(spec: Spec) -> Iterator[Message]:
    for call in generate_calls(spec):
        if isinstance(call, CallRecord):
            yield "cdrs", call.tenant, encode_input(call)


async def rated(settings: KafkaSettings) -> int:
    """The ends of `rated-calls`, summed; markers of transactions count, too."""
    return sum((await ends_of(settings, "rated-calls")).values())


async def wait_until_rated(settings: KafkaSettings) -> None:
    """Wait until nothing is rated for three seconds."""
    before = -1
    while before != (now := await rated(settings)) or not now:
        before = now
        await asyncio.sleep(3)


def count(path: Path) -> int:
    reader = open_reader(path)
    try:
        return reader.count("rated-calls")
    finally:
        reader.close()


def looked_at(path: Path, seconds: float, found: list[tuple[float, int]]) -> None:
    """When which number was first seen at the end of the rated calls, in Unix time."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    until = time.monotonic() + seconds
    last = 0
    while time.monotonic() < until:
        (now,) = connection.execute('SELECT coalesce(max(offset), 0) FROM "rated-calls"').fetchone()
        if now != last:
            found.append((time.time(), last := now))
        time.sleep(0.002)
    connection.close()


async def stamps(settings: KafkaSettings) -> dict[bytes, int]:
    """When each rated call was written, in Unix milliseconds."""
    return {
        record.value or b"": record.published_ms
        for partition in range(PARTITIONS)
        async for records in read_partition(settings, "rated-calls", partition, None)
        for record in records
    }


async def delays(settings: KafkaSettings, path: Path, calls: list[Message], rate: int) -> Figures:
    """From a rated call's stamp until a reader sees it, in milliseconds, while calls come at the rate."""
    begin, seconds = count(path), len(calls) / rate
    seen: list[tuple[float, int]] = []
    looking = asyncio.create_task(asyncio.to_thread(looked_at, path, seconds + 10, seen))
    began, given = time.monotonic(), 0
    while given < len(calls):
        due = min(len(calls), int((time.monotonic() - began) * rate))
        if due > given:
            await publish(settings, calls[given:due])
            given = due
        await asyncio.sleep(0.1)
    await looking
    when, written = iter(seen), await stamps(settings)
    at, until = next(when)
    found = []
    reader = open_reader(path)
    for number, value in reader.topic("rated-calls"):
        while number > until:
            at, until = next(when)
        if number > begin:
            found.append(at * 1e3 - written[value])
    reader.close()
    found.sort()
    return {"calls": len(found), "p50_ms": found[len(found) // 2], "p99_ms": found[len(found) * 99 // 100]}


def measure(folder: Path, options: argparse.Namespace) -> Iterator[Figures]:
    kafka = LocalKafka(folder / "kafka", options.jars)
    kafka.start()
    settings = KafkaSettings(bootstrap=kafka.bootstrap, prefix="replica-")
    asyncio.run(apply(settings, load_topics(), PARTITIONS))
    steady = options.rate * options.seconds
    spec = Spec(tenants=200, users=20_000, calls=options.calls + steady, funds="1000000")
    all_calls = messages(spec)
    where = (f"--bootstrap={kafka.bootstrap}", "--prefix=replica-", f"--index={folder / 'index'}", "--web-port=0")
    with (folder / "worker.log").open("wb") as log:
        worker = subprocess.Popen([sys.executable, "-m", "rater", "worker", *where], stdout=log, stderr=log)
    following = None
    try:
        asyncio.run(publish(settings, [*setting_up(spec), *islice(all_calls, options.calls)]))
        asyncio.run(wait_until_rated(settings))
        context, path = get_context("spawn"), folder / "replica.db"
        with context.Pool(1) as pool:
            figures = pool.apply(follow, (settings, path), {"once": True})
        calls = count(path)
        megabytes = path.stat().st_size / 1e6
        yield {"calls": calls, **figures, "calls_per_s": calls / figures["seconds"], "file_mb": megabytes}
        yield {"calls_per_cpu_s": calls / figures["cpu_s"]}
        following = context.Process(target=follow, args=(settings, path), kwargs={"once": False})
        following.start()
        yield asyncio.run(delays(settings, path, list(islice(all_calls, steady)), options.rate))
    finally:
        if following is not None:
            following.kill()
        worker.kill()
        kafka.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=60_000)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--jars", type=Path, default=Path(".kafka/jars"))
    logging.disable(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        for figures in measure(Path(folder), parser.parse_args()):
            print(json.dumps({name: round(figure, 1) for name, figure in figures.items()}), flush=True)


if __name__ == "__main__":
    main()
