"""A declined card on a waiting page: from the gateway's acknowledged answer until the page is red.  Prints JSON.

Windows of many tenants wait, each for its tenant's events.  At uneven times a payment of one of them fails: over a
store by `POST /v1/commands`, over Kafka by a record of `commands`, behind which stand a worker and a replica.  The
clock starts when the answer is acknowledged (200, or every in-sync replica has it).  `event_ms` ends when a window
reads its event; `red_ms` when the page that the window asks for then, after the 250 ms that its script waits, says
that the payment fails.  `limit_ms` beside it is what was promised.
"""

import argparse
import asyncio
import json
import logging
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from benchmarks.page import Asked, Figures, percentiles, signed_in, wait_until_open
from rater.core import FundsAdded, PaymentFailed, RechargeSettings, TenantConfigured
from rater.dev.local_kafka import LocalKafka
from rater.dev.ports import free_ports
from rater.embedded.store import open_reader
from rater.kafka.publisher import Publisher
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import apply
from rater.serve.clients import new_token
from rater.serve.web.news import LISTENERS_OF_ONE_MAX
from rater.serve.web.people import add_token
from rater.wire.codec import encode_input
from rater.wire.errors import RaterError
from rater.wire.topics import load_topics

LIMIT_MS = 2_000
#: What `news.js` waits for, so that what changed together is shown at once.
SOON_S = 0.25
PARTITIONS = 4
SET_UP_WITHIN_S = 60.0
#: Between two declined cards.
PAUSE_S = (0.2, 0.9)
Decline = Callable[[PaymentFailed], Awaitable[None]]


def setting_up(tenant: str) -> list[bytes]:
    """20 USD, and a recharge below 50: a payment is asked for at once."""
    recharge, at = RechargeSettings(enabled=True, trigger="50", amount="100"), datetime.now(UTC)
    setup = TenantConfigured(tenant=tenant, id="setup", at=at, currency="USD", credits="enabled", recharge=recharge)
    return [encode_input(setup), encode_input(FundsAdded(tenant=tenant, id="funds", at=at, amount="20"))]


def started(folder: Path, *where: str) -> tuple[subprocess.Popen[bytes], Asked]:
    """`rater serve` with the page."""
    program, hashed = new_token()
    client = {"name": "gateway", "tokens": [hashed], "may": ["commands"]}
    (folder / "clients.yaml").write_text(yaml.safe_dump({"clients": [client]}))
    person, hashed = new_token()
    add_token(folder / "people.yaml", "olga", "operator", None, hashed)
    port = free_ports(1)[0]
    words = [f"--clients={folder / 'clients.yaml'}", f"--people={folder / 'people.yaml'}"]
    words += [f"--page-key={folder / 'page.key'}", f"--web-port={port}", "--loglevel=warning", *where]
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "rater", "serve", *words], stdout=log, stderr=log)
    return process, Asked(f"http://127.0.0.1:{port}", program, person)


async def open_payments(path: Path, tenants: Sequence[str]) -> dict[str, str]:
    """The recharge of each tenant that is in flight, when there is one of each."""
    until = time.monotonic() + SET_UP_WITHIN_S
    while time.monotonic() < until:
        try:
            reader = open_reader(path)
        except RaterError:  # it is not there yet
            await asyncio.sleep(0.2)
            continue
        accounts = [account for name in tenants if (account := reader.account(name))]
        reader.close()
        found = {one.tenant: one.recharge.in_flight.recharge for one in accounts if one.recharge.in_flight}
        if len(found) == len(tenants):
            return found
        await asyncio.sleep(0.2)
    raise AssertionError("no payment of some tenants was asked for")


class Window:
    """A page that waits: its stream of events."""

    def __init__(self, session: aiohttp.ClientSession, tenant: str) -> None:
        self.tenant, self._session = tenant, session
        self._stream: aiohttp.ClientResponse | None = None

    async def open(self) -> None:
        """Wait until the server looks."""
        timeout = aiohttp.ClientTimeout(total=None)
        self._stream = await self._session.get(f"/tenants/{self.tenant}/news", timeout=timeout)
        assert self._stream.status == 200, await self._stream.text()
        await self.event()

    async def event(self) -> float:
        """When the next event was read."""
        assert self._stream is not None, "it was opened"
        async for line in self._stream.content:
            if line.startswith(b"event:"):
                return time.perf_counter()
        raise AssertionError("the stream ended")

    async def is_red(self) -> bool:
        """Whether the page says that the payment fails."""
        async with self._session.get(f"/tenants/{self.tenant}/credits") as page:
            return page.status == 200 and "need-payment_failing" in await page.text()


async def measure(asked: Asked, store: Path, tenants: Sequence[str], decline: Decline) -> dict[str, Any]:
    """Decline one payment after the other; what each window saw."""
    await wait_until_open(asked)
    open_ones = await open_payments(store, tenants)
    events, red = [], []
    async with AsyncExitStack() as stack:
        windows = []
        for first in range(0, len(tenants), LISTENERS_OF_ONE_MAX):
            session = await stack.enter_async_context(signed_in(asked))
            windows += [Window(session, name) for name in tenants[first : first + LISTENERS_OF_ONE_MAX]]
        await asyncio.gather(*[window.open() for window in windows])
        uneven = random.Random(1)
        for window in windows:
            await asyncio.sleep(uneven.uniform(*PAUSE_S))
            failed = PaymentFailed(
                tenant=window.tenant, id="declined", at=datetime.now(UTC), recharge_id=open_ones[window.tenant]
            )
            await decline(failed)
            acknowledged = time.perf_counter()
            events.append(await window.event() - acknowledged)
            await asyncio.sleep(SOON_S)
            while not await window.is_red():
                await window.event()
            red.append(time.perf_counter() - acknowledged)
    return {"declined": len(events), "event_ms": _of(events), "red_ms": _of(red), "limit_ms": LIMIT_MS}


def _of(seconds: Sequence[float]) -> Figures:
    return percentiles(seconds) | {"max": round(max(seconds) * 1e3, 1)}


def over_store(folder: Path, tenants: Sequence[str]) -> dict[str, Any]:
    """One process with everything."""
    store = folder / "rater.db"
    (folder / "setup.jsonl").write_bytes(b"\n".join(line for name in tenants for line in setting_up(name)))
    process, asked = started(folder, f"--store={store}", f"--commands={folder / 'setup.jsonl'}")

    async def run() -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {asked.program}", "Content-Type": "application/json"}
        async with aiohttp.ClientSession(asked.base, headers=headers) as session:

            async def decline(failed: PaymentFailed) -> None:
                async with session.post("/v1/commands", data=encode_input(failed)) as answer:
                    assert answer.status == 200, await answer.text()

            return await measure(asked, store, tenants, decline)

    with ended(process):
        return asyncio.run(run())


def over_kafka(folder: Path, tenants: Sequence[str], jars: Path) -> dict[str, Any]:
    """A broker of this machine, a worker, and a server with a replica."""
    kafka = LocalKafka(folder / "kafka", jars)
    kafka.start()
    settings = KafkaSettings(bootstrap=kafka.bootstrap, prefix="news-")
    where = (f"--bootstrap={kafka.bootstrap}", "--prefix=news-")
    try:
        asyncio.run(apply(settings, load_topics(), PARTITIONS))
        with (folder / "worker.log").open("wb") as log:
            worker_words = [sys.executable, "-m", "rater", "worker", *where, f"--index={folder / 'index'}"]
            worker = subprocess.Popen([*worker_words, "--web-port=0"], stdout=log, stderr=log)
        process, asked = started(folder, *where, f"--replica={folder / 'replica.db'}")

        async def run() -> dict[str, Any]:
            publisher = Publisher(settings)

            async def decline(failed: PaymentFailed) -> None:
                await publisher.publish("commands", failed.tenant, encode_input(failed))

            await publisher.publish_all([("commands", name, one) for name in tenants for one in setting_up(name)])
            try:
                return await measure(asked, folder / "replica.db", tenants, decline)
            finally:
                await publisher.close()

        with ended(process), ended(worker):
            return asyncio.run(run())
    finally:
        kafka.stop()


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End a process after the block."""
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--declined", type=int, default=100)
    parser.add_argument("--jars", type=Path, default=Path(".kafka/jars"))
    options = parser.parse_args()
    logging.disable(logging.ERROR)
    tenants = [f"tenant-{number:04d}" for number in range(options.declined)]
    for name in ("store", "kafka"):
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            figures = over_store(folder, tenants) if name == "store" else over_kafka(folder, tenants, options.jars)
        print(json.dumps({"over": name} | figures), flush=True)


if __name__ == "__main__":
    main()
