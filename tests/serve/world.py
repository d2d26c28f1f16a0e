"""A server over a store in this process, on a free port, and a switch that asks it."""

import asyncio
import base64
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from aiohttp import web
from prometheus_client import CollectorRegistry

from rater.agents.switches.carriage import Carriage
from rater.agents.switches.settings import SwitchEntry
from rater.core import (
    EVERY_TENANT,
    AccountEvent,
    AnyCommand,
    CallRecord,
    CallType,
    DeckActivated,
    FundsAdded,
    LicenseAssigned,
    RatingSettings,
    RechargeSettings,
    TenantConfigured,
)
from rater.embedded.run import EmbeddedRater
from rater.engine.gateway import LocalGateway, PaymentGateway
from rater.files.deck_csv import read_deck
from rater.ops.metrics.meter import Metrics
from rater.serve.clients import Clients, new_token
from rater.serve.maps import Maps
from rater.serve.pages import Server
from rater.serve.reading.computing import Computing
from rater.serve.reading.desks import Desks
from rater.serve.reading.pages import ReadingPages
from rater.serve.shells.over_store import StoreEngine
from rater.serve.shells.store_writer import StoreWriter
from rater.serve.web.site import Site, WebPage
from rater.wire.codec import encode_input
from tests.world import DECK, LONDON

JSON = "application/json"
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
#: Reads a switch's own names of fields; whose calls they are is for each test to say.
MAPPING = """\
reader: {kind: json}
times: {as: iso, zone: UTC}
call:
  usage_id: "{id}"
  type: user_out
  user: "{who}"
  called: "{to}"
  answered_at: "{start}"
  duration: {from: "{secs}", unit: s, round: up}
"""


class Answer(NamedTuple):
    """What came back: status, headers, and the body (decoded, where it is JSON)."""

    status: int
    headers: dict[str, str]
    body: Any


def call(id: str, seconds: int = 61, called: str = LONDON, **more: Any) -> dict[str, Any]:
    """A call of ada's to London, as a switch writes it: 0.05 a minute."""
    record = CallRecord(
        tenant="contoso", usage_id=id, type=CallType.USER_OUT, answered_at=NOON, duration_s=seconds, user="ada", called=called
    )  # fmt: skip
    found: dict[str, Any] = json.loads(encode_input(record)) | more
    return found


def setting_up(funds: str = "100", recharge: tuple[str, str] | None = None) -> Iterator[AnyCommand]:
    """contoso with money, and ada who may spend it."""
    at = NOON - timedelta(days=1)
    settings = RechargeSettings(enabled=True, trigger=recharge[0], amount=recharge[1]) if recharge else None
    yield TenantConfigured(
        tenant="contoso", id="setup", at=at, currency="USD", credits="enabled", recharge=settings
    )
    yield FundsAdded(tenant="contoso", id="funds", at=at, amount=funds)
    yield LicenseAssigned(
        tenant="contoso", id="ada", at=at, user="ada", sku="MCOPSTNPP", country="US", since_ever=True
    )


class Switch:
    """Asks a server with its token."""

    def __init__(self, base: str, token: str) -> None:
        self.base, self.token = base, token

    def ask(
        self, path: str, body: bytes | None = None, type: str = JSON, method: str | None = None, **headers: str
    ) -> Answer:
        """One request."""
        shown = {"Authorization": f"Bearer {self.token}"} | ({"Content-Type": type} if body is not None else {})
        shown |= {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.base + path, body, shown, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return _answer(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as refused:
            return _answer(refused.code, dict(refused.headers), refused.read())

    def send(self, *calls: dict[str, Any], path: str = "/v1/cdrs") -> Answer:
        """Records as an array."""
        return self.ask(path, json.dumps(calls).encode())

    def basic(self, path: str) -> Answer:
        """A request as FreeSWITCH's `cred` makes it."""
        pair = base64.b64encode(f"switch:{self.token}".encode()).decode()
        return self.ask(path, Authorization=f"Basic {pair}")


def _answer(status: int, headers: dict[str, str], body: bytes) -> Answer:
    is_json = headers.get("Content-Type", "").split(";")[0] in (JSON, "application/problem+json")
    return Answer(status, headers, json.loads(body) if is_json else body.decode())


class Given(NamedTuple):
    """The clients' file, and the token of each client."""

    path: Path
    tokens: dict[str, str]


def clients_file(folder: Path, **clients: dict[str, Any]) -> Given:
    """A file with these clients, each with a token of its own."""
    path, tokens, written = folder / "clients.yaml", {}, []
    for name, more in (clients or {"switch": {}}).items():
        tokens[name], hashed = new_token()
        written.append({"name": name, "tokens": [hashed], **more})
    path.write_text(yaml.safe_dump({"clients": written}))
    return Given(path, tokens)


class Serving:
    """A server over a store while the block runs."""

    def __init__(
        self,
        folder: Path,
        clients: Given | None = None,
        *,
        commands: list[AnyCommand] | None = None,
        maps: list[str] | None = None,
        of_switches: dict[str, str] | None = None,
        gateway: PaymentGateway | None = None,
        settings: RatingSettings | None = None,
        switches: Sequence[SwitchEntry] = (),
        page: WebPage | None = None,
        arrived_at: datetime = NOON,
        port: int = 0,
    ) -> None:
        self.store = folder / "store.db"
        self._page = page
        self.clients = clients or clients_file(folder)
        self.metrics = Metrics(CollectorRegistry())
        self.noted: list[AccountEvent] = []
        given = list(setting_up()) if commands is None else commands

        def prepare(rater: EmbeddedRater) -> None:
            rater.publish(read_deck(DECK, version="d"))
            at = NOON - timedelta(days=1)
            rater.apply_all([*given, DeckActivated(tenant=EVERY_TENANT, id="d", at=at, version="d")], arrived_at)

        writer = StoreWriter(
            self.store,
            lambda _: settings or RatingSettings(),
            lambda _: gateway,
            prepare,
            self.metrics,
            self.noted.extend,
        )
        self.carriage = Carriage(switches, self.metrics) if switches else None
        self.engine = StoreEngine(writer, self.carriage)
        self._maps = Maps(maps or [], of_switches)
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._stop: asyncio.Event | None = None
        self._wrong: BaseException | None = None
        self.port = port

    def switch(self, name: str = "switch") -> Switch:
        """The client of this name."""
        return Switch(f"http://127.0.0.1:{self.port}", self.clients.tokens[name])

    def __enter__(self) -> "Serving":
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._started.wait(30), "the server opens"
        if self._wrong is not None:
            raise self._wrong
        return self

    def __exit__(self, *_: object) -> None:
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as wrong:
            self._wrong = wrong
            self._started.set()

    async def _serve(self) -> None:
        async with self.carriage or AsyncExitStack():
            await self._serve_engine()

    async def _serve_engine(self) -> None:
        self._stop = asyncio.Event()
        await self.engine.start()
        # in the loop's thread: what stands behind `orders` belongs to it
        desks = Desks(self.store)
        computing = Computing.over(self.store)
        reading = ReadingPages(desks, computing)
        server = Server(self.engine, Clients(self.clients.path), self._maps, self.metrics, reading)
        if self._page is not None:
            Site(desks, self.engine, self._page, computing, self.engine.ask).add_to(server.app)
        runner = web.AppRunner(server.app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port)
        await site.start()
        self.port = runner.addresses[0][1]
        work = [asyncio.ensure_future(server.run()), asyncio.ensure_future(self.engine.run())]
        self._started.set()
        await self._stop.wait()
        self.engine.orders.close()
        await runner.cleanup()
        for one in work:
            one.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        await desks.close()
        await self.engine.close()


@contextmanager
def serving(folder: Path, **given: Any) -> Iterator[tuple[Serving, Switch]]:
    """A server, and its first client."""
    with Serving(folder, **given) as server:
        yield server, server.switch(next(iter(server.clients.tokens)))


PRETENDING = LocalGateway()
