"""Server-sent events: a browser asks for a page again when something happened to what it shows.

An event says only that; what happened is on the page, for who may see it.  One look at the store serves everybody
who waits, and it compares what decides what is shown: a tenant's account, or how many events there are in all.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Collection
from functools import partial

import msgspec
import structlog
from aiohttp import web

from rater.serve.problems import Kind, ProblemError
from rater.serve.reading.desks import Books, Desks
from rater.serve.web.rendering import Pages
from rater.serve.web.screens import NoSuchThing
from rater.serve.web.sessions import Session, Sessions

#: Between two looks at the store while somebody waits.
LOOK_EVERY_S = 0.5
#: Windows that wait at once, of all people and of one.
LISTENERS_MAX, LISTENERS_OF_ONE_MAX = 200, 20
#: A connection on which nothing is sent is closed by what stands in between; after so long a browser asks again.
_SIGN_OF_LIFE_S, _LASTS_S = 15.0, 3_600.0
_RETRY_AFTER_S = 10

log = structlog.get_logger("rater.serve")


class News:
    """The streams of a server; `serve_tenant` and `serve_all` answer requests."""

    def __init__(self, pages: Pages, sessions: Sessions, desks: Desks) -> None:
        self._pages, self._sessions, self._desks = pages, sessions, desks
        #: Of each tenant (None: of all) those who wait.
        self._waiting: dict[str | None, set[asyncio.Event]] = {}
        #: How many windows of each session wait.
        self._windows: Counter[str] = Counter()
        self._looking: asyncio.Task[None] | None = None
        self._closed = False

    async def serve_tenant(self, request: web.Request, session: Session) -> web.StreamResponse:
        """Events about one tenant; 404 for who may not see it."""
        tenant = request.match_info["tenant"]
        if not session.grant.sees(tenant):
            raise NoSuchThing
        return await self._serve(request, session, tenant)

    async def serve_all(self, request: web.Request, session: Session) -> web.StreamResponse:
        """Events about all tenants, for who sees them all."""
        if session.tenant is not None:
            raise NoSuchThing
        return await self._serve(request, session, None)

    async def close(self, _: web.Application) -> None:
        """End every stream, before the server waits for its requests."""
        self._closed = True
        for events in self._waiting.values():
            for event in events:
                event.set()

    async def _serve(self, request: web.Request, session: Session, about: str | None) -> web.StreamResponse:
        if self._windows.total() >= LISTENERS_MAX or self._windows[session.id] >= LISTENERS_OF_ONE_MAX:
            raise ProblemError(Kind.BUSY, f"{self._windows.total()} windows wait; ask again later", _RETRY_AFTER_S)
        self._windows[session.id] += 1
        try:
            return await self._stream(request, about)
        finally:
            self._windows[session.id] -= 1

    async def _stream(self, request: web.Request, about: str | None) -> web.StreamResponse:
        answer = self._pages.with_headers(web.StreamResponse())
        answer.headers["Content-Type"] = "text/event-stream"
        happened = asyncio.Event()
        self._waiting.setdefault(about, set()).add(happened)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            await answer.prepare(request)
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(_LASTS_S):
                    await self._send(request, answer, happened)
        finally:
            self._waiting[about].discard(happened)
            if not self._waiting[about]:
                del self._waiting[about]
        return answer

    async def _send(self, request: web.Request, answer: web.StreamResponse, happened: asyncio.Event) -> None:
        while not self._closed and self._sessions.of(request) is not None:
            try:
                async with asyncio.timeout(_SIGN_OF_LIFE_S):
                    await happened.wait()
                happened.clear()
                await answer.write(b"event: changed\ndata:\n\n")
            except TimeoutError:
                await answer.write(b": waiting\n\n")

    async def _look(self) -> None:
        """Until nobody waits; a store that cannot be read now is looked at again.

        The first look at a tenant says that it changed, too: what happened between the page and it is not known.
        """
        known: dict[str | None, object] = {}
        while self._waiting and not self._closed:
            asked = list(self._waiting)
            try:
                found = await self._desks.ask(partial(_standing, asked))
            except Exception as wrong:  # whatever it is, those who wait need the next look
                log.warning("nothing can be said of what changed", reason=repr(wrong))
            else:
                for about in asked:
                    if about not in known or known[about] != found[about]:
                        for event in self._waiting.get(about, ()):
                            event.set()
                known = found
            await asyncio.sleep(LOOK_EVERY_S)


def _standing(asked: Collection[str | None], books: Books) -> dict[str | None, object]:
    """What changes when what is shown does: of a tenant its account, of all tenants the number of events."""
    reader = books.reader
    find = 'SELECT coalesce(max(offset), 0) FROM "account-events"'
    return {
        about: reader.connection.execute(find).fetchone()[0]
        if about is None
        else msgspec.msgpack.encode(reader.account(about))
        for about in asked
    }
