"""The page's paths: who asks is checked first, then the tenant, then a screen answers from the store.

Whoever may see one tenant gets the same 404 for every other one, whether it is there or not, before anything is
read.
"""

import traceback
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import structlog
from aiohttp import web

from rater.serve.authorize_page import Ask
from rater.serve.group_commit import NotKept
from rater.serve.problems import ProblemError
from rater.serve.reading.computing import Computing
from rater.serve.reading.desks import Books, Desks
from rater.serve.web.by_provider import ByProvider
from rater.serve.web.comparing import Comparing
from rater.serve.web.ended import EndedSessions
from rater.serve.web.forms import ForeignForm
from rater.serve.web.likely import LikelyPages
from rater.serve.web.links import Links
from rater.serve.web.news import News
from rater.serve.web.ordering.desk import Desk
from rater.serve.web.ordering.pages import Orders
from rater.serve.web.ordering.shapes import NotAllowed, NotPossible
from rater.serve.web.people import People
from rater.serve.web.price import PricePage
from rater.serve.web.provider import BEGIN, DONE, Provider
from rater.serve.web.rendering import Pages
from rater.serve.web.screens import SCREENS, Asked, File, NoSuchThing, WrongQuestion, frame
from rater.serve.web.screens.statement import statement_file
from rater.serve.web.screens.tenants import tenants
from rater.serve.web.screens.usage import usage_file
from rater.serve.web.sessions import SESSION_H, Seal, Session, Sessions
from rater.serve.web.signing_in import HOME, SIGN_IN, SIGN_OUT, SigningIn
from rater.serve.web.texts import Texts

TENANTS = "/tenants"
#: A page that could not be read now is asked for again, such as while a large store is read for the first time.
_AGAIN_S = "2"
ORDERS = TENANTS + "/{tenant}/orders/{kind}"
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_SignedIn = Callable[[web.Request, Session], Awaitable[web.StreamResponse]]

log = structlog.get_logger("rater.serve")


class WebPage(NamedTuple):
    """What a page needs: who may sign in and by what, the key of sessions, the folder of those that were ended,
    and the clock of orders."""

    people: People
    key: bytes
    ended: Path
    links: Links
    secure: bool
    provider: Provider | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


class Site:
    """The page over a store or a replica; `add_to` puts its paths into an application."""

    def __init__(self, desks: Desks, desk: Desk, page: WebPage, computing: Computing, ask: Ask) -> None:
        """`desk` applies orders, `computing` runs what takes seconds, `ask` answers as switches are answered."""
        self._desks, self._people, self._links = desks, page.people, page.links
        self._settings = desk.settings
        seal = Seal(page.key)
        self._pages = Pages(Texts(), secure=page.secure)
        self._sessions = Sessions(seal, page.people, EndedSessions(page.ended, SESSION_H), secure=page.secure)
        provider = page.provider
        self._by_provider = ByProvider(self._pages, self._sessions, seal, provider) if provider else None
        self._news = News(self._pages, self._sessions, desks)
        self._orders = Orders(self._pages, seal, desk, desks.ask, page.now)
        self._likely = LikelyPages(self._pages, desks, computing.forecasts)
        self._comparing = Comparing(self._pages, desks, computing.comparisons)
        self._price = PricePage(self._pages, desks, ask, page.now)

    def add_to(self, app: web.Application) -> None:
        """Add every path."""
        by_provider = self._by_provider
        path = BEGIN if by_provider is not None else None
        signing_in = SigningIn(self._pages, self._sessions, self._people, self._links, path)
        routes: list[tuple[str, str, _Handler]] = [
            ("GET", HOME, self._home),
            ("GET", SIGN_IN, signing_in.ask),
            ("POST", SIGN_IN, signing_in.sign_in),
            ("POST", SIGN_OUT, signing_in.sign_out),
            ("GET", TENANTS, self._tenants),
            ("GET", TENANTS + "/news", self._signed_in(self._news.serve_all)),
            ("GET", TENANTS + "/{tenant}/news", self._signed_in(self._news.serve_tenant)),
            *self._computed(),
            ("GET", TENANTS + "/{tenant}/{screen}", self._screen),
            ("GET", TENANTS + "/{tenant}/statement/{format}", self._signed_in(self._download(statement_file))),
            ("GET", TENANTS + "/{tenant}/usage/{format}", self._signed_in(self._download(usage_file))),
            ("GET", ORDERS, self._signed_in(self._orders.form)),
            ("POST", ORDERS + "/preview", self._signed_in(self._orders.preview)),
            ("POST", ORDERS + "/send", self._signed_in(self._orders.send)),
            ("POST", ORDERS + "/look", self._signed_in(self._orders.look)),
            ("GET", TENANTS + "/{rest:.*}", self._nothing),
            ("GET", "/static/{name}", self._static),
        ]
        if by_provider is not None:
            routes += [("GET", BEGIN, by_provider.begin), ("GET", DONE, by_provider.done)]
        app.on_shutdown.append(self._news.close)
        for method, path, handler in routes:
            app.router.add_route(method, path, self._answering(handler))

    def _computed(self) -> list[tuple[str, str, _Handler]]:
        """The paths of what is computed when it is asked for."""
        of_tenant = TENANTS + "/{tenant}"
        return [
            ("GET", of_tenant + "/forecast", self._signed_in(self._likely.forecast)),
            ("GET", of_tenant + "/recommendation", self._signed_in(self._likely.recommendation)),
            ("GET", of_tenant + "/price", self._signed_in(self._price.show)),
            ("POST", of_tenant + "/compare", self._signed_in(self._comparing.begin)),
            ("GET", of_tenant + "/compare/{id}", self._signed_in(self._comparing.show)),
            ("GET", of_tenant + "/compare/{id}/csv", self._signed_in(self._comparing.download)),
        ]

    def _answering(self, handler: _Handler) -> _Handler:
        """Whatever goes wrong is a page that says so."""

        async def answer(request: web.Request) -> web.StreamResponse:
            self._people.refresh()
            session = self._sessions.of(request)
            try:
                return await handler(request)
            except NoSuchThing:
                return self._wrong(session, HTTPStatus.NOT_FOUND, "wrong.not_found")
            except NotAllowed:
                return self._wrong(session, HTTPStatus.FORBIDDEN, "wrong.not_allowed")
            except NotPossible:
                return self._wrong(session, HTTPStatus.FORBIDDEN, "wrong.not_possible")
            except NotKept as wrong:
                log.error("an order was not sent", reason=str(wrong))
                return self._wrong(session, HTTPStatus.SERVICE_UNAVAILABLE, "wrong.busy")
            except ForeignForm:
                return self._wrong(session, HTTPStatus.FORBIDDEN, "wrong.form")
            except WrongQuestion as wrong:
                return self._wrong(session, HTTPStatus.BAD_REQUEST, "wrong.question", str(wrong))
            except ProblemError as wrong:
                log.warning("a page cannot be shown now", path=request.path, reason=str(wrong))
                busy = self._wrong(session, HTTPStatus.SERVICE_UNAVAILABLE, "wrong.store", str(wrong))
                if request.method == "GET":
                    busy.headers["Refresh"] = _AGAIN_S
                return busy
            except web.HTTPRequestEntityTooLarge:
                return self._wrong(session, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "wrong.too_large")
            except Exception as wrong:
                # without the values of variables: tokens and sessions are among them
                trace = "".join(traceback.format_exception(wrong))
                log.error("a page failed", path=request.path, trace=trace)
                return self._wrong(session, HTTPStatus.INTERNAL_SERVER_ERROR, "wrong.failed")

        return answer

    def _wrong(self, session: Session | None, status: HTTPStatus, text: str, detail: str = "") -> web.Response:
        return self._pages.answer("wrong.html", session, status, text=text, detail=detail)

    async def _home(self, request: web.Request) -> web.Response:
        session = self._sessions.of(request)
        if session is None:
            return self._pages.go_to(SIGN_IN)
        return self._pages.go_to(TENANTS if session.tenant is None else first_screen(session.tenant))

    async def _tenants(self, request: web.Request) -> web.Response:
        session = self._sessions.of(request)
        if session is None:
            return self._pages.go_to(SIGN_IN)
        if session.tenant is not None:
            raise NoSuchThing
        text = await self._desks.ask(
            lambda books: self._pages.text("tenants.html", session, **tenants(books, dict(request.query)))
        )
        return self._pages.answer_of(text)

    async def _screen(self, request: web.Request) -> web.Response:
        session = self._sessions.of(request)
        if session is None:
            return self._pages.go_to(SIGN_IN)
        tenant, name = request.match_info["tenant"], request.match_info["screen"]
        screen = SCREENS.get(name)
        if screen is None:
            raise NoSuchThing

        def shown(books: Books) -> tuple[str, HTTPStatus]:
            asked = Asked.of(books, tenant, session, dict(request.query))
            values = screen.answer(asked._replace(settings=self._settings(books.reader)))
            values |= self._likely.known(name, asked.account)
            values |= frame(tenant, name, request.query.get("order"))
            status = HTTPStatus.BAD_REQUEST if values.get("wrong") else HTTPStatus.OK
            return self._pages.text(f"{name}.html", session, **values), status

        return self._pages.answer_of(*await self._desks.ask(shown))

    def _download(self, made: Callable[[Asked, str], File]) -> _SignedIn:
        """What a screen gives as a file."""

        async def answer(request: web.Request, session: Session) -> web.Response:
            tenant, format = request.match_info["tenant"], request.match_info["format"]
            query = dict(request.query)
            file = await self._desks.ask(lambda books: made(Asked.of(books, tenant, session, query), format))
            return self._pages.answer_file(file.name, file.media_type, file.content)

        return answer

    def _signed_in(self, handler: _SignedIn) -> _Handler:
        """A page for who is signed in; others go to the sign-in."""

        async def answer(request: web.Request) -> web.StreamResponse:
            session = self._sessions.of(request)
            return self._pages.go_to(SIGN_IN) if session is None else await handler(request, session)

        return answer

    async def _nothing(self, request: web.Request) -> web.Response:
        if self._sessions.of(request) is None:
            return self._pages.go_to(SIGN_IN)
        raise NoSuchThing

    async def _static(self, request: web.Request) -> web.Response:
        return self._pages.static(request.match_info["name"])


def first_screen(tenant: str) -> str:
    """The path of the screen that is shown first of a tenant."""
    return f"{TENANTS}/{quote(tenant, safe='')}/credits"
