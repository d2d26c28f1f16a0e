"""The HTTP server: its pages over an engine, which is a store or Kafka.

The engine stores records, answers switches, and gives orders to end calls; the server checks who asks, reads
bodies, bounds what waits, and says what is wrong.
"""

import asyncio
import time
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Protocol

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

from rater.core import Answer, Question, Refusal
from rater.ops.metrics.labels import HttpResult, Route
from rater.ops.metrics.meter import Metrics
from rater.serve import authorize_page, openapi, orders_page, records_page
from rater.serve.access import Access
from rater.serve.authorize_page import answer_response, answered, counted_as, question_of, wants_text
from rater.serve.clients import BODY_BYTES_MAX, Clients
from rater.serve.group_commit import GroupCommit, Keeper
from rater.serve.maps import Maps
from rater.serve.orders import OrderLog
from rater.serve.orders_page import OrdersPage
from rater.serve.problems import Kind, ProblemError, problem_response
from rater.serve.reading.pages import TENANTS, ReadingPages
from rater.serve.records_page import RecordsPage

#: How often the clients' file and the tables of mappings are looked at.
_LOOK_S = 1.0
_ROUTES = {
    records_page.CDRS: Route.CDRS,
    records_page.CALL_EVENTS: Route.CALL_EVENTS,
    records_page.COMMANDS: Route.COMMANDS,
    authorize_page.PATH: Route.AUTHORIZE,
    orders_page.PATH: Route.CALL_COMMANDS,
}

log = structlog.get_logger("rater.serve")


class Engine(Keeper, Protocol):
    """What stands behind the server."""

    #: Whether commands (money, users, licences) may be given here, too.
    accepts_commands: bool
    orders: OrderLog

    def ask(
        self, question: Question, at: datetime, length_s: int | None = None, usage_id: str | None = None
    ) -> Answer | Refusal:
        """Whether a call may start; with its usage id, what it may cost is reserved until it begins."""

    def waiting_for(self) -> list[str]:
        """What is missing until it is ready."""


class Server:
    """`app` answers requests as long as `run` runs; with `reading` those who read the store, too."""

    def __init__(
        self,
        engine: Engine,
        clients: Clients,
        maps: Maps,
        metrics: Metrics,
        reading: ReadingPages | None = None,
    ) -> None:
        self._engine, self._clients, self._maps, self._metrics = engine, clients, maps, metrics
        self._access = Access(clients)
        self._commits = GroupCommit(engine, metrics)
        self.app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[self._answer])
        self._add_pages()
        if reading is not None:
            reading.add_to(self.app.router, self._access)
            self.app.on_shutdown.append(reading.close)

    async def run(self) -> None:
        """Store what comes, and look at files that may change, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._commits.run())
            group.create_task(self._look())

    def _add_pages(self) -> None:
        records = RecordsPage(self._access, self._commits, self._maps, self._metrics)
        orders = OrdersPage(self._access, self._engine.orders)
        router = self.app.router
        router.add_post(records_page.CDRS, records.cdrs)
        router.add_post(records_page.CALL_EVENTS, records.call_events)
        if self._engine.accepts_commands:
            router.add_post(records_page.COMMANDS, records.commands)
        router.add_get(authorize_page.PATH, self._authorize, allow_head=False)
        router.add_get(orders_page.PATH, orders.respond, allow_head=False)
        router.add_get(openapi.PATH, _openapi)
        router.add_get("/livez", _livez)
        for path in ("/readyz", "/healthz"):
            router.add_get(path, self._readyz)
        router.add_get("/metrics", self._show_metrics)

    async def _authorize(self, request: web.Request) -> web.Response:
        began = time.perf_counter()
        self._access.check(request, "authorize")
        asked = question_of(request)
        if isinstance(asked, str):
            raise ProblemError(Kind.UNREADABLE, asked)
        answer = answered(self._engine.ask, asked, datetime.now(UTC))
        if isinstance(answer, str):
            raise ProblemError(Kind.UNREADABLE, answer)
        self._metrics.authorization(counted_as(answer), time.perf_counter() - began)
        return answer_response(answer, as_text=wants_text(request))

    async def _readyz(self, _: web.Request) -> web.Response:
        waiting = self._engine.waiting_for()
        text = f"waiting for {', '.join(waiting)}\n" if waiting else "ready\n"
        return web.Response(text=text, status=HTTPStatus.SERVICE_UNAVAILABLE if waiting else HTTPStatus.OK)

    async def _show_metrics(self, _: web.Request) -> web.Response:
        body = generate_latest(self._metrics.registry)  # type: ignore[no-untyped-call]  # the library's own gap
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    @web.middleware
    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Whatever goes wrong is a problem with one line; every answer is counted."""
        result = HttpResult.OK
        try:
            answer = await handler(request)
            if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
                result = HttpResult.BUSY
            return answer
        except ProblemError as wrong:
            result = wrong.kind.counted_as
            return problem_response(wrong)
        except web.HTTPException as wrong:
            found = _problem_of(request, wrong)
            result = found.kind.counted_as
            return problem_response(found)
        except Exception as wrong:
            result = HttpResult.FAILED
            log.exception("a request failed", path=request.path)
            what = f"answering raised {type(wrong).__name__}, which the log shows; nothing was stored"
            return problem_response(ProblemError(Kind.FAILED, what))
        finally:
            self._metrics.http_request(_route_of(request.path), result)

    async def _look(self) -> None:
        said: set[str] = set()
        while True:
            await asyncio.sleep(_LOOK_S)
            self._clients.refresh()
            for line in await asyncio.to_thread(self._maps.refresh):
                if line not in said:
                    said.add(line)
                    log.error("a table of a mapping stays as it was", reason=line)


def _route_of(path: str) -> Route:
    if path == TENANTS or path.startswith(f"{TENANTS}/"):
        return Route.READ
    return _ROUTES.get(path, Route.OTHER)


def _problem_of(request: web.Request, wrong: web.HTTPException) -> ProblemError:
    match wrong:
        case web.HTTPNotFound():
            return ProblemError(Kind.NO_SUCH_PATH, f"{request.path[:80]}: no such path; {openapi.PATH} lists them")
        case web.HTTPMethodNotAllowed():
            methods = ", ".join(sorted(wrong.allowed_methods))
            said = f"{request.path[:80]}: expected {methods}, got {wrong.method}"
            return ProblemError(Kind.WRONG_METHOD, said, allow=methods)
        case web.HTTPRequestEntityTooLarge():
            return ProblemError(Kind.TOO_LARGE, f"expected at most {BODY_BYTES_MAX} bytes of body")
        case _:
            return ProblemError(Kind.UNREADABLE, f"{wrong.status}: {wrong.reason}")


async def _livez(_: web.Request) -> web.Response:
    return web.Response(text="alive\n")


async def _openapi(_: web.Request) -> web.Response:
    return web.Response(text=openapi.text(), content_type="application/json")
