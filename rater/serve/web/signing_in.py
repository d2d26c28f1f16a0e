"""Signing in by a token, or by a link that is good once; and signing out.

A link is opened by GET, which changes nothing: the person presses a button, so that a program that looks at links
does not use it up.
"""

from datetime import UTC, datetime
from http import HTTPStatus

import structlog
from aiohttp import web

from rater.serve.web.forms import COOKIE, fields_of, key_before_sign_in, new_key
from rater.serve.web.links import LINK_MINUTES, Links
from rater.serve.web.people import Grant, People
from rater.serve.web.rendering import Pages
from rater.serve.web.sessions import Session, Sessions

SIGN_IN, SIGN_OUT, HOME = "/sign-in", "/sign-out", "/"
#: The parameter of a link.
LINK = "link"

log = structlog.get_logger("rater.serve")


class SigningIn:
    """The pages for who is not signed in; `provider` is the path of a sign-in by OpenID Connect, if any."""

    def __init__(
        self, pages: Pages, sessions: Sessions, people: People, links: Links, provider: str | None
    ) -> None:
        self._pages, self._sessions, self._people, self._links = pages, sessions, people, links
        self._provider = provider

    async def ask(self, request: web.Request) -> web.Response:
        """The form."""
        return self._form(request.query.get(LINK, ""), wrong=None)

    async def sign_in(self, request: web.Request) -> web.Response:
        """Sign in who shows a token or a link."""
        fields = await fields_of(request, key_before_sign_in(request))
        now = datetime.now(UTC)
        if link := fields.get(LINK, ""):
            used = self._links.use(link)
            if used is None:
                return self._form("", wrong="sign_in.link_used")
            name, grant = used
            return self._begin(_session(name, grant, now, by_link=True))
        found = self._people.of(fields.get("token", "").strip())
        if found is None:
            log.warning("a sign-in was refused", remote=request.remote)
            return self._form("", wrong="sign_in.no_such_token")
        person, hashed = found
        return self._begin(_session(person.name, person, now, hashed=hashed))

    async def sign_out(self, request: web.Request) -> web.Response:
        """End the session."""
        session = self._sessions.of(request)
        answer = self._pages.go_to(SIGN_IN)
        if session is not None:
            await fields_of(request, session.form_key)
            self._sessions.end(answer, session)
            answer.headers["Clear-Site-Data"] = '"cache"'
        return answer

    def _begin(self, session: Session) -> web.Response:
        log.info("signed in", person=session.person, role=session.role, tenant=session.tenant, by=session.by)
        answer = self._pages.go_to(HOME)
        self._sessions.begin(answer, session)
        return answer

    def _form(self, link: str, wrong: str | None) -> web.Response:
        owner = self._links.owner(link) if link else None
        if link and owner is None:
            wrong = "sign_in.link_used"
        key = new_key()
        answer = self._pages.answer(
            "sign_in.html",
            None,
            HTTPStatus.OK if wrong is None else HTTPStatus.FORBIDDEN,
            form_key=key,
            link=link if owner else "",
            owner=owner[0] if owner else None,
            wrong=wrong,
            provider=self._provider,
            minutes=LINK_MINUTES,
        )
        answer.set_cookie(COOKIE, key, path=SIGN_IN, httponly=True, samesite="Strict", secure=self._pages.secure)
        return answer


def link_path(secret: str) -> str:
    """The path of a link that signs in once."""
    return f"{SIGN_IN}?{LINK}={secret}"


def _session(
    name: str, grant: Grant, now: datetime, *, by_link: bool = False, hashed: str | None = None
) -> Session:
    return Session(
        person=name,
        role=grant.role,
        tenant=grant.tenant,
        by="link" if by_link else "token",
        began=now,
        hashed=hashed,
    )
