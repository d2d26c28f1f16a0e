"""What is likely, on the page: in Credits and Recharge if it is known, and on pages of its own that wait for it.

A script asks for those pages and shows their part of it in the screen; without scripts a link leads to them.
"""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from rater.core import Account
from rater.serve.reading.desks import Desks
from rater.serve.reading.forecasts import Forecasts, Nothing
from rater.serve.web.rendering import Pages
from rater.serve.web.screens import Asked, frame
from rater.serve.web.screens.likely import DAYS, advice_shown, likely_shown
from rater.serve.web.sessions import Session

_Answer = msgspec.Struct | Nothing | None


class _Part(NamedTuple):
    """A part of a screen that a process computes: its name is that of its template, and in the path."""

    name: str
    known: Callable[[Account], _Answer]
    computed: Callable[[Account], Awaitable[_Answer]]
    shown: Callable[[Any], dict[str, Any]]


class LikelyPages:
    """The parts, each below a screen."""

    def __init__(self, pages: Pages, desks: Desks, forecasts: Forecasts) -> None:
        self._pages, self._desks = pages, desks
        self._parts = {
            "credits": _Part(
                "forecast",
                lambda account: forecasts.known_likely(account, DAYS),
                lambda account: forecasts.likely(account, DAYS),
                likely_shown,
            ),
            "recharge": _Part("recommendation", forecasts.known_advice, forecasts.advice, advice_shown),
        }

    def known(self, screen: str, account: Account) -> dict[str, Any]:
        """What the template of a screen shows of its part: what is known now."""
        part = self._parts.get(screen)
        if part is None:
            return {}
        found = part.known(account) if account.credits else None
        return {"likely": _values(part, found)}

    async def forecast(self, request: web.Request, session: Session) -> web.Response:
        """The forecast of a tenant; it is waited for."""
        return await self._part("credits", request, session)

    async def recommendation(self, request: web.Request, session: Session) -> web.Response:
        """The recommended recharge of a tenant; it is waited for."""
        return await self._part("recharge", request, session)

    async def _part(self, screen: str, request: web.Request, session: Session) -> web.Response:
        tenant, part = request.match_info["tenant"], self._parts[screen]
        asked = await self._desks.ask(lambda books: Asked.of(books, tenant, session, {}))
        found = await part.computed(asked.account)
        values = frame(tenant, screen) | {"account": asked.account, "likely": _values(part, found)}
        return self._pages.answer(f"{part.name}.html", session, **values)


def _values(part: _Part, found: _Answer) -> dict[str, Any] | None:
    """For the template: `why_not` where there is no answer; None where it is not known yet."""
    if found is None:
        return None
    if isinstance(found, Nothing):
        return {"why_not": found.detail, "for_now": found.for_now}
    return {"why_not": None, **part.shown(found)}
