"""The HTTP server: records a second in batches, beside what limits it, in one run.

Prints JSON.  `store`: `rater serve --store`, so it rates as well.  `kafka`: `rater serve --bootstrap` in front of
one broker, with one worker that rates what arrives.
`limit_store` rates and commits the same batches without HTTP, `limit_kafka` publishes them without HTTP, in this
process.  `limit_http` is an aiohttp server that reads and splits the same bodies and answers.  Batches are sent by
`--connections` connections at a time, each waiting for its answer.  CPU seconds are those of the server's process,
so
`per_core` is what one core would take.  `authorize_p50_ms` and `_p99_ms` are answers over the server while it takes
`--authorize-at` records a second, from when the question was due.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import structlog
import yaml
from aiohttp import web

from rater.core import EVERY_TENANT, CallRecord, DeckActivated, RatingSettings, Source
from rater.dev.demo.rates import bundled_deck
from rater.dev.generate import Spec, generate_calls, generate_commands
from rater.dev.local_kafka import LocalKafka
from rater.dev.ports import free_ports
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Store
from rater.engine.batch import Record
from rater.files.deck_csv import read_deck
from rater.kafka.batch_publisher import publish
from rater.kafka.publisher import Publisher
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import apply
from rater.serve.bodies import Arrived, calls_in
from rater.serve.clients import new_token
from rater.serve.group_commit import Item
from rater.wire.codec import encode_input
from rater.wire.topics import load_topics

PARTITIONS = 4
_TICK = os.sysconf("SC_CLK_TCK")
_WAIT_S = 300.0
Figures = dict[str, Any]


class Load:
    """A month of calls, as bodies of so many records."""

    def __init__(self, records: int, batch: int, tenants: int) -> None:
        self.spec = Spec(
            tenants=tenants, users=tenants * 20, calls=records, month=f"{datetime.now(UTC):%Y-%m}", funds="1000000"
        )
        self.calls = [one for one in generate_calls(self.spec) if isinstance(one, CallRecord)][:records]
        encoded = [encode_input(one) for one in self.calls]
        self.batches = [encoded[at : at + batch] for at in range(0, len(encoded), batch)]
        self.bodies = [b"[" + b",".join(one) + b"]" for one in self.batches]

    def commands(self) -> Iterator[bytes]:
        for command in generate_commands(self.spec):
            yield encode_input(command)


async def post_all(port: int, path: str, bodies: Sequence[bytes], token: str, connections: int) -> float:
    """Seconds until every body is answered with 200."""
    waiting = iter(bodies)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    async def post(session: aiohttp.ClientSession) -> None:
        for body in waiting:
            while True:
                async with session.post(path, data=body, headers=headers) as answer:
                    await answer.read()
                    if answer.status == 200:
                        break
                    assert answer.status in (429, 503), await answer.text()
                await asyncio.sleep(0.05)

    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", connector=connector) as session:
        began = time.perf_counter()
        await asyncio.gather(*[post(session) for _ in range(connections)])
        return time.perf_counter() - began


async def latencies(port: int, token: str, load: Load, rate: int, batch: int, seconds: float) -> Figures:
    """Answers to questions while records come at a rate."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    call = load.calls[0]
    asked = {"tenant": call.tenant, "user": call.user or "", "called": "+442079460000"}
    found: list[float] = []
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:

        async def ask(due: float) -> None:
            async with session.get("/v1/authorize", params=asked, headers=headers) as answer:
                await answer.read()
                assert answer.status == 200
            found.append(time.perf_counter() - due)

        async def send(body: bytes) -> None:
            async with session.post("/v1/cdrs", data=body, headers=headers) as answer:
                await answer.read()

        began, tasks = time.perf_counter(), []
        for number in range(int(rate / batch * seconds)):
            due = began + number * batch / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(send(load.bodies[number % len(load.bodies)])))
            tasks.append(asyncio.create_task(ask(time.perf_counter())))
        await asyncio.gather(*tasks)
    found.sort()
    return {"authorize_p50_ms": _ms(found[len(found) // 2]), "authorize_p99_ms": _ms(found[int(len(found) * 0.99)])}


def server(folder: Path, words: Sequence[str]) -> tuple[subprocess.Popen[bytes], int, str]:
    """`rater serve`, when it is ready; its port and a token."""
    token, hashed = new_token()
    client = {"name": "bench", "tokens": [hashed], "records_per_s": 1_000_000}
    (folder / "clients.yaml").write_text(yaml.safe_dump({"clients": [client]}))
    port = free_ports(1)[0]
    words = [
        sys.executable,
        "-m",
        "rater",
        "serve",
        f"--clients={folder / 'clients.yaml'}",
        f"--web-port={port}",
        *words,
    ]
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    wait_for(lambda: _ready(port), "the server to be ready")
    return process, port, token


def over_http(folder: Path, words: Sequence[str], load: Load, options: argparse.Namespace) -> Figures:
    process, port, token = server(folder, words)
    try:
        half = len(load.bodies) // 2
        asyncio.run(post_all(port, "/v1/cdrs", load.bodies[: half // 5], token, options.connections))  # warm
        before = _cpu_s(process.pid)
        seconds = asyncio.run(post_all(port, "/v1/cdrs", load.bodies[half // 5 :], token, options.connections))
        cpu_s = _cpu_s(process.pid) - before
        records = sum(map(len, load.batches[half // 5 :]))
        answers = asyncio.run(latencies(port, token, load, options.authorize_at, options.batch, 10.0))
        return {
            "records_per_s": int(records / seconds),
            "per_core": int(records / cpu_s),
            "cpu_s": round(cpu_s, 2),
            "peak_mb": _peak_mb(process.pid),
            **answers,
        }
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def store(folder: Path, load: Load, options: argparse.Namespace) -> Figures:
    deck = Path(__file__).parent.parent / "rater/dev/demo/demo-rates.csv"
    (folder / "setup.jsonl").write_bytes(b"\n".join(load.commands()) + b"\n")
    words = [f"--store={folder / 'store.db'}", f"--deck={deck}", f"--commands={folder / 'setup.jsonl'}"]
    figures = over_http(folder, words, load, options)
    opened = Store(folder / "limit.db")
    rater = EmbeddedRater(opened, RatingSettings(), None)
    version = read_deck(deck)
    rater.publish(version)
    rater.apply_all(generate_commands(load.spec), datetime.now(UTC))
    rater.activate(version.version, datetime.now(UTC))
    began = time.perf_counter()
    for batch in load.batches:
        items: list[Item] = [Record("cdr", Source("bench", 0, at), raw) for at, raw in enumerate(batch)]
        rater.apply_arrived(items, datetime.now(UTC))
    figures["limit_store_records_per_s"] = int(sum(map(len, load.batches)) / (time.perf_counter() - began))
    opened.close()
    return figures


def kafka(folder: Path, load: Load, options: argparse.Namespace) -> Figures:
    broker = LocalKafka(folder / "kafka", Path(__file__).parent.parent / ".kafka" / "jars")
    broker.start()
    worker = None
    try:
        settings = KafkaSettings(bootstrap=broker.bootstrap)
        asyncio.run(apply(settings, load_topics(), PARTITIONS))
        deck = bundled_deck()
        at = next(iter(generate_commands(load.spec))).at
        everybody = DeckActivated(tenant=EVERY_TENANT, id="deck", at=at, version=deck.version)
        asyncio.run(
            publish(
                settings,
                [
                    ("rate-decks", deck.version, encode_input(deck)),
                    ("commands", EVERY_TENANT, encode_input(everybody)),
                ],
            )
        )
        commands = ((one.tenant, encode_input(one)) for one in generate_commands(load.spec))
        asyncio.run(publish(settings, [("commands", tenant, value) for tenant, value in commands]))
        log = (folder / "worker.log").open("wb")
        words = [
            sys.executable,
            "-m",
            "rater",
            "worker",
            f"--bootstrap={broker.bootstrap}",
            f"--index={folder / 'index'}",
            f"--web-port={free_ports(1)[0]}",
        ]
        worker = subprocess.Popen(words, stdout=log, stderr=log)
        figures = over_http(folder, [f"--bootstrap={broker.bootstrap}"], load, options)
        figures["limit_kafka_records_per_s"] = asyncio.run(_publish_only(settings, load))
        return figures
    finally:
        if worker is not None:
            worker.terminate()
            worker.wait()
        broker.stop()


async def _publish_only(settings: KafkaSettings, load: Load) -> int:
    publisher = Publisher(settings)
    tenants = [one.tenant for one in load.calls]
    began, at = time.perf_counter(), 0
    for batch in load.batches:
        await publisher.publish_all([("cdrs", tenants[at + number], raw) for number, raw in enumerate(batch)])
        at += len(batch)
    seconds = time.perf_counter() - began
    await publisher.close()
    return int(at / seconds)


def _split_only(port: int) -> None:
    async def answer(request: web.Request) -> web.Response:
        arrived = Arrived(None, datetime.now(UTC), lambda: Source("http", 0, 0))
        found = calls_in("application/json", await request.read(), arrived, None)
        return web.Response(body=msgspec.json.encode([{"result": "accepted"} for _ in found]))

    app = web.Application(client_max_size=16_000_000)
    app.router.add_post("/v1/cdrs", answer)
    web.run_app(app, host="127.0.0.1", port=port, print=lambda *_: None, access_log=None)


def http_only(load: Load, options: argparse.Namespace) -> int:
    port = free_ports(1)[0]
    process = get_context("spawn").Process(target=_split_only, args=(port,))
    process.start()
    try:
        wait_for(lambda: _listens(port), "the server to listen")
        seconds = asyncio.run(post_all(port, "/v1/cdrs", load.bodies, "x", options.connections))
        return int(len(load.calls) / seconds)
    finally:
        process.terminate()
        process.join()


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {_WAIT_S:.0f} s for {what}")
        time.sleep(0.05)


def _ready(port: int) -> bool:
    async def ask() -> int:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/readyz") as answer:
            return answer.status

    with contextlib.suppress(aiohttp.ClientError):
        return asyncio.run(ask()) == 200
    return False


def _listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _peak_mb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--tenants", type=int, default=200)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--authorize-at", type=int, default=1_000)
    parser.add_argument("--engine", choices=("store", "kafka", "both"), default="both")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    load = Load(options.records, options.batch, options.tenants)
    figures: Figures = {"records": len(load.calls), "batch": options.batch, "connections": options.connections}
    figures["limit_http_records_per_s"] = http_only(load, options)
    with tempfile.TemporaryDirectory() as folder:
        for name, measure in (("store", store), ("kafka", kafka)):
            if options.engine in (name, "both"):
                (place := Path(folder) / name).mkdir()
                figures[name] = measure(place, load, options)
    print(json.dumps(figures, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
