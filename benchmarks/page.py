"""The page and the read API over a store of many calls: time to the first byte, weight of a page, and what reading
costs switches.  Prints JSON.

`ms` is the time until the first byte of each screen, asked again and again by one person; `limit` beside it is the
server's answer to `/healthz`, which reads no store.  `kb` is what a browser that was never there gets for the
screen: the page with its styles and scripts; `kb_gzip` the same, as gzip would send it.  `authorize` asks whether
calls may start, at a steady rate: alone, then while `--readers` connections page through all calls without a pause,
half over the read API, half on the page; from when the question was due.
"""

import argparse
import asyncio
import gzip
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin

import aiohttp
import msgspec
import yaml

from benchmarks.reading import write_store
from rater.core import month_start, parse_period
from rater.dev.generate import Spec
from rater.dev.ports import free_ports
from rater.serve.clients import new_token
from rater.serve.web.people import add_token

TENANT = "tenant-0000"
#: The month before this one: the page shows statements of the last months.
MONTH = f"{datetime.now(UTC).replace(day=1) - timedelta(days=1):%Y-%m}"
SCREENS = (
    "usage",
    f"usage?day={MONTH}-12",
    "usage?flag=premium",
    "usage?user=user000007%40tenant-0000.example",
    "credits",
    "recharge",
    "minutes",
    "licences",
    "refused",
    f"statement?period={MONTH}",
)
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')
_LINKED = re.compile(r'(?:href|src)="(/static/[^"]*)"')
_OLDER = re.compile(r'rel="next" href="(usage\?[^"]*)"')
Figures = dict[str, float]


class Asked(NamedTuple):
    """A server over a store, and the tokens of a program and of a person."""

    base: str
    program: str
    person: str


def started(folder: Path, store: Path) -> tuple[subprocess.Popen[bytes], Asked]:
    """`rater serve` with the page, when it answers."""
    program, hashed = new_token()
    client = {"name": "bench", "tokens": [hashed], "may": ["authorize", "read"], "role": "operator"}
    (folder / "clients.yaml").write_text(yaml.safe_dump({"clients": [client | {"reads_per_s": 100_000}]}))
    person, hashed = new_token()
    add_token(folder / "people.yaml", "olga", "operator", None, hashed)
    port = free_ports(1)[0]
    words = [f"--store={store}", f"--clients={folder / 'clients.yaml'}", f"--people={folder / 'people.yaml'}"]
    words += [f"--page-key={folder / 'page.key'}", f"--web-port={port}", "--loglevel=warning"]
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "rater", "serve", *words], stdout=log, stderr=log)
    return process, Asked(f"http://127.0.0.1:{port}", program, person)


@asynccontextmanager
async def signed_in(asked: Asked) -> AsyncIterator[aiohttp.ClientSession]:
    """A person's browser."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(asked.base, cookie_jar=jar) as session:
        async with session.get("/sign-in") as page:
            fields = dict(_HIDDEN.findall(await page.text()))
        async with session.post("/sign-in", data=fields | {"token": asked.person}, allow_redirects=False) as page:
            assert page.status == 303, await page.text()
        yield session


async def wait_until_read(session: aiohttp.ClientSession) -> float:
    """Seconds until the store's calls can be asked for."""
    began = time.perf_counter()
    while True:
        async with session.get(f"/tenants/{TENANT}/usage") as page:
            if page.status == 200:
                return time.perf_counter() - began
        await asyncio.sleep(0.05)


async def wait_until_open(asked: Asked) -> None:
    """Wait for the server's port."""
    async with aiohttp.ClientSession(asked.base) as session:
        while True:
            try:
                async with session.get("/healthz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


async def first_bytes(session: aiohttp.ClientSession, path: str, times: int) -> tuple[Figures, str]:
    """Milliseconds until the first byte of the body, and the body."""
    found, text = [], ""
    for _ in range(times):
        began = time.perf_counter()
        async with session.get(path) as page:
            first = await page.content.readany()
            found.append(time.perf_counter() - began)
            text = (first + await page.read()).decode()
            assert page.status == 200, f"{path}: {page.status} {text}"
    return percentiles(found), text


async def weight(session: aiohttp.ClientSession, text: str) -> Figures:
    """Kilobytes of a page with everything that it names."""
    bodies = [text.encode()]
    for path in sorted(set(_LINKED.findall(text))):
        async with session.get(path) as answer:
            bodies.append(await answer.read())
    packed = sum(len(gzip.compress(body)) for body in bodies)
    return {"kb": round(sum(map(len, bodies)) / 1e3, 1), "kb_gzip": round(packed / 1e3, 1)}


def percentiles(seconds: Sequence[float]) -> Figures:
    """In milliseconds."""
    found = sorted(seconds)
    places = {"p50": 50, "p95": 95, "p99": 99}
    return {name: round(found[len(found) * place // 100] * 1e3, 1) for name, place in places.items()}


async def page_of_calls(session: aiohttp.ClientSession, asked: Asked) -> AsyncIterator[int]:
    """Page through all calls again and again over the read API; rows of each page."""
    path, headers = f"/v1/tenants/{TENANT}/calls", {"Authorization": f"Bearer {asked.program}"}
    cursor: str | None = None
    while True:
        words = {"limit": "1000"} | ({"cursor": cursor} if cursor else {})
        async with session.get(path, params=words, headers=headers) as answer:
            body = json.loads(await answer.read())
            assert answer.status == 200, body
        cursor = body["next"]
        yield len(body["calls"])


async def page_of_usage(session: aiohttp.ClientSession) -> AsyncIterator[int]:
    """Go from page to page on the Usage screen, again and again; rows of each page."""
    path = first = f"/tenants/{TENANT}/usage"
    while True:
        async with session.get(path) as page:
            text = await page.text()
            assert page.status == 200, text
        found = _OLDER.search(text)
        path = urljoin(first, found[1].replace("&amp;", "&")) if found else first
        yield text.count("call?id=")


async def read_all(asked: Asked, readers: int, rows: "Synchronized[int]") -> None:
    """Read with so many connections until the process ends, and count the rows."""

    async def count(pages: AsyncIterator[int]) -> None:
        async for read in pages:
            rows.value += read

    async with signed_in(asked) as session:
        pages = [page_of_calls(session, asked) if n % 2 else page_of_usage(session) for n in range(readers)]
        await asyncio.gather(*map(count, pages))


def read_forever(asked: Asked, readers: int, rows: "Synchronized[int]") -> None:
    """In a process of its own, so that it does not delay who measures."""
    asyncio.run(read_all(asked, readers, rows))


async def authorizing(asked: Asked, rate: int, seconds: float) -> Figures:
    """Answers to whether calls may start, from when each question was due."""
    words = {"tenant": TENANT, "user": f"user000007@{TENANT}.example", "called": "+442079460000"}
    headers, found = {"Authorization": f"Bearer {asked.program}"}, []
    async with aiohttp.ClientSession(asked.base) as session:

        async def ask(due: float) -> None:
            async with session.get("/v1/authorize", params=words, headers=headers) as answer:
                assert answer.status == 200, await answer.text()
                await answer.read()
            found.append(time.perf_counter() - due)

        began, tasks = time.perf_counter(), []
        for number in range(int(rate * seconds)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(ask(due)))
        await asyncio.gather(*tasks)
    return percentiles(found)


async def with_readers(asked: Asked, options: argparse.Namespace) -> dict[str, object]:
    """What reading costs who asks whether a call may start."""
    await authorizing(asked, options.rate, 2)  # warm
    alone = await authorizing(asked, options.rate, options.seconds)
    context = get_context("spawn")
    rows = context.Value("q", 0)
    reading = context.Process(target=read_forever, args=(asked, options.readers, rows))
    reading.start()
    try:
        while not rows.value:
            await asyncio.sleep(0.1)
        before, began = rows.value, time.perf_counter()
        read = await authorizing(asked, options.rate, options.seconds)
        rows_per_s = round((rows.value - before) / (time.perf_counter() - began))
    finally:
        reading.kill()
    return {"alone": alone, "with_readers": read, "readers": options.readers, "rows_read_per_s": rows_per_s}


def months(calls: int, count: int) -> list[Spec]:
    """So many calls of one tenant, over so many months up to MONTH."""
    names = [f"{month_start(parse_period(MONTH) - back):%Y-%m}" for back in reversed(range(count))]
    spec = Spec(tenants=1, users=600, calls=calls // count, funds="1000000")
    return [msgspec.structs.replace(spec, month=month, seed=n) for n, month in enumerate(names, 1)]


async def measure(asked: Asked, options: argparse.Namespace) -> None:
    """Print each figure as it is known."""

    def show(**figures: object) -> None:
        print(json.dumps(figures), flush=True)

    await wait_until_open(asked)
    async with signed_in(asked) as session:
        show(
            calls=options.calls, months=options.months, seconds_until_read=round(await wait_until_read(session), 2)
        )
        limit, _ = await first_bytes(session, "/healthz", options.times)
        for path in ("/tenants", *(f"/tenants/{TENANT}/{screen}" for screen in SCREENS)):
            # a statement is added up from all records of its month
            times = max(1, options.times // 4) if "statement" in path else options.times
            ms, text = await first_bytes(session, path, times)
            show(screen=path.rpartition("/")[2], ms=ms, limit=limit, **await weight(session, text))
    show(authorize=await with_readers(asked, options))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--months", type=int, default=1, help="over so many months, the last one ends before this")
    parser.add_argument("--times", type=int, default=60)
    parser.add_argument("--readers", type=int, default=4)
    parser.add_argument("--rate", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=15.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "rater.db"
        write_store(store, *months(options.calls, options.months))
        process, asked = started(Path(folder), store)
        try:
            asyncio.run(measure(asked, options))
        except AssertionError:
            print((Path(folder) / "serve.log").read_text()[-2_000:], file=sys.stderr)
            raise
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


if __name__ == "__main__":
    main()
