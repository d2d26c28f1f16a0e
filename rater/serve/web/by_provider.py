"""The two paths of a sign-in by OpenID Connect: to the provider, and back from it."""

from http import HTTPStatus

import structlog
from aiohttp import web

from rater.serve.web.provider import ATTEMPT_S, BEGIN, Attempt, Provider, SignInRefused
from rater.serve.web.rendering import Pages
from rater.serve.web.sessions import Seal, Sessions

COOKIE = "rater-provider"

log = structlog.get_logger("rater.serve")


class ByProvider:
    """Signs in who comes back from the provider in the same browser.

    What was begun is in a cookie of its own, which is SameSite=Lax: the way back begins at another site.
    """

    def __init__(self, pages: Pages, sessions: Sessions, seal: Seal, provider: Provider) -> None:
        self._pages, self._sessions, self._seal, self._provider = pages, sessions, seal, provider

    async def begin(self, _: web.Request) -> web.Response:
        """To the provider."""
        try:
            address, attempt = await self._provider.begin()
        except SignInRefused as wrong:
            return self._refused(wrong)
        answer = self._pages.go_to(address)
        answer.set_cookie(
            COOKIE,
            self._seal.seal(attempt),
            max_age=ATTEMPT_S,
            path=BEGIN,
            httponly=True,
            samesite="Lax",
            secure=self._pages.secure,
        )
        return answer

    async def done(self, request: web.Request) -> web.Response:
        """Back from the provider.

        The answer is a page that leads on, and no redirection: with one, the browser would not send the new cookie,
        which is SameSite=Strict.
        """
        attempt = self._seal.open(request.cookies.get(COOKIE, ""), Attempt, ATTEMPT_S)
        if attempt is None:
            return self._refused(SignInRefused("nothing was begun in this browser"))
        try:
            session = await self._provider.finish(request.query, attempt)
        except SignInRefused as wrong:
            return self._refused(wrong)
        log.info("signed in", person=session.person, role=session.role, tenant=session.tenant, by=session.by)
        answer = self._pages.answer("signed_in.html", None, person=session.person)
        answer.del_cookie(COOKIE, path=BEGIN, httponly=True, samesite="Lax", secure=self._pages.secure)
        self._sessions.begin(answer, session)
        return answer

    def _refused(self, wrong: SignInRefused) -> web.Response:
        log.warning("a sign-in by the provider was refused", reason=str(wrong))
        return self._pages.answer("wrong.html", None, HTTPStatus.FORBIDDEN, text="wrong.provider", detail="")
