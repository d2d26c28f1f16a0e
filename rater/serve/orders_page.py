"""`GET /v1/call-commands`: orders to end running calls, by long poll or as server-sent events.

A long poll answers as soon as there is an order after the cursor, or with none when the time is over.  With
`Accept: text/event-stream` the answer goes on: an event for each order, whose id is the cursor after it.
"""

import asyncio
import contextlib

import msgspec
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from rater.core import IDENTIFIER_LENGTH_MAX, CallCommand
from rater.serve.access import Access
from rater.serve.orders import CURSOR_LENGTH_MAX, Given, OrderLog
from rater.serve.problems import Kind, ProblemError
from rater.serve.queries import parameters_of

PATH = "/v1/call-commands"
WAIT_S_DEFAULT, WAIT_S_MAX = 25, 60
_EVENT_STREAM = "text/event-stream"
#: A comment line, so that proxies keep the connection.
_SIGN_OF_LIFE_S = 15.0


class OrdersQuery(BaseModel):
    """The parameters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: str | None = Field(
        default=None,
        max_length=CURSOR_LENGTH_MAX,
        pattern=r"^[0-9.-]*$",
        description="`next` of the last answer; if absent: from now on",
    )
    tenant: str | None = Field(default=None, min_length=1, max_length=IDENTIFIER_LENGTH_MAX)
    wait: int = Field(default=WAIT_S_DEFAULT, ge=0, le=WAIT_S_MAX, description="seconds")


class Orders(msgspec.Struct, frozen=True):
    """Orders after a cursor; `next` is the cursor to ask with again."""

    orders: list[CallCommand]
    next: str


class OrdersPage:
    """Answers those who pass orders on to switches."""

    def __init__(self, access: Access, orders: OrderLog) -> None:
        self._access, self._orders = access, orders

    async def respond(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        self._access.check(request, "call-commands")
        query = parameters_of(request.query, OrdersQuery)
        after = request.headers.get("Last-Event-ID") if query.after is None else query.after
        cursor = self._orders.cursor if after is None else after
        if request.headers.get("Accept", "").startswith(_EVENT_STREAM):
            return await self._stream(request, cursor, query.tenant)
        given = await self._after(cursor, query.tenant, query.wait)
        answer = Orders([one.order for one in given], given[-1].next if given else cursor)
        return web.Response(body=msgspec.json.encode(answer), content_type="application/json")

    async def _after(self, cursor: str, tenant: str | None, wait_s: float) -> list[Given]:
        try:
            return await self._orders.after(cursor, tenant, wait_s)
        except ValueError as wrong:
            raise ProblemError(Kind.UNREADABLE, f"after: {wrong}") from wrong

    async def _stream(self, request: web.Request, cursor: str, tenant: str | None) -> web.StreamResponse:
        await self._after(cursor, tenant, 0)  # a wrong cursor is a problem, and not an empty stream
        answer = web.StreamResponse(headers={"Content-Type": _EVENT_STREAM, "Cache-Control": "no-store"})
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while not self._orders.closed:
                given = await self._after(cursor, tenant, _SIGN_OF_LIFE_S)
                for order, after in given:
                    cursor = after
                    data = msgspec.json.encode(order).decode()
                    await answer.write(f"id: {cursor}\nevent: {order.command}\ndata: {data}\n\n".encode())
                if not given:
                    await answer.write(b": waiting\n\n")
        return answer
