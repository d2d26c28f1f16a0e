"""Price: what a call would cost now, who would pay it, and whether it may start.

It is asked as switches ask: what `rater quote` answers, less what calls that run have reserved.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from aiohttp import web
from multidict import MultiDict

from rater.core import Why
from rater.serve.authorize_page import Ask as AskAsSwitch
from rater.serve.authorize_page import Asked, Authorization, Query, answered, authorization_of
from rater.serve.problems import ProblemError
from rater.serve.queries import parameters_of
from rater.serve.reading.desks import Desks
from rater.serve.web.rendering import Pages
from rater.serve.web.screens import Asked as AskedByPerson
from rater.serve.web.screens import frame
from rater.serve.web.screens.price import MINUTES_MAX, number_hint, price
from rater.serve.web.sessions import Session


class PricePage:
    """The form and its answer; a GET, so that it can be linked to."""

    def __init__(self, pages: Pages, desks: Desks, ask: AskAsSwitch, now: Callable[[], datetime]) -> None:
        self._pages, self._desks, self._ask, self._now = pages, desks, ask, now

    async def show(self, request: web.Request, session: Session) -> web.Response:
        """The form; with a number or a user the answer, too."""
        tenant, query = request.match_info["tenant"], dict(request.query)
        values = await self._desks.ask(lambda books: price(AskedByPerson.of(books, tenant, session, query)))
        typed: Mapping[str, str] = values["typed"]
        if typed["called"] or typed["user"] or typed["calling"]:
            found = self._priced(tenant, typed)
            if isinstance(found, str):
                values["wrong"] = found
            elif found.reason is Why.UNKNOWN_USER:
                values["unknown"] = True
            else:
                values["answer"] = found
        values["hints"] = {} if values["wrong"] is None else _hints(typed)
        values |= frame(tenant, "price")
        return self._pages.answer("price.html", session, **values)

    def _priced(self, tenant: str, typed: Mapping[str, str]) -> Authorization | str:
        """The answer, or in one line what is wrong with the question."""
        minutes = typed["minutes"]
        if not (minutes.isascii() and minutes.isdigit() and len(minutes) < 6 and 0 < int(minutes) <= MINUTES_MAX):
            return f"minutes: expected 1 to {MINUTES_MAX}, got {minutes:.20}"
        given = {name: text for name, text in typed.items() if text and name != "minutes"}
        try:
            query = parameters_of(MultiDict(given | {"tenant": tenant}), Query)
        except ProblemError as wrong:
            return wrong.detail
        answer = answered(self._ask, Asked(query.question(), 60 * int(minutes)), self._now())
        return answer if isinstance(answer, str) else authorization_of(answer)


def _hints(typed: Mapping[str, str]) -> dict[str, str]:
    """How each number is to be written that was typed in another way."""
    found = {name: number_hint(typed[name]) for name in ("called", "calling")}
    return {name: meant for name, meant in found.items() if meant is not None and meant != typed[name]}
