"""The three steps of an order: its form, its preview, and its outcome.

The id and the time are made when the form is shown, and what the preview shows is sealed; so a second press of the
button, or going back and pressing it again, is a duplicate, which changes nothing.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from http import HTTPStatus
from typing import Any, NamedTuple
from uuid import uuid4

from aiohttp import web

from rater.core import shown_lots
from rater.engine.given_back import credit_id
from rater.ops.metrics.labels import RecordResult
from rater.serve.reading.desks import Books
from rater.serve.web.forms import ForeignForm, fields_of
from rater.serve.web.ordering.desk import Desk, Order, send
from rater.serve.web.ordering.kinds import KINDS, Begun, Kind, WrongField, typed_in
from rater.serve.web.ordering.preview import Preview, preview
from rater.serve.web.rendering import Pages, path_part
from rater.serve.web.screens import SCREENS, Asked, NoSuchThing
from rater.serve.web.screens.call import call as call_screen
from rater.serve.web.sessions import Seal, Session
from rater.wire.codec import encode_input

#: A form is good for so long, and what a preview showed for so long after it.
FORM_S = 3600
#: Who goes back after sending finds the preview again, and not the browser's question about sending a form twice.
_BACK = "private, no-cache"
#: Answers a question from the last commit on.
_Read = Callable[[Callable[[Books], Any]], Awaitable[Any]]


class NotAllowed(Exception):
    """The role may look and not order."""


class _Step(NamedTuple):
    """A request about an order: whose, of which tenant and kind."""

    session: Session
    tenant: str
    name: str
    kind: Kind

    def values(self) -> dict[str, Any]:
        """What every template of an order shows."""
        return {
            "tenant": self.tenant,
            "screen": self.kind.back,
            "screens": SCREENS,
            "name": self.name,
            "kind": self.kind,
        }


class Orders:
    """The pages of orders; `read` answers from the store, `now` is when an order is begun."""

    def __init__(
        self,
        pages: Pages,
        seal: Seal,
        desk: Desk,
        read: _Read,
        now: Callable[[], datetime],
    ) -> None:
        self._pages, self._seal, self._desk, self._read, self._now = pages, seal, desk, read, now

    async def form(self, request: web.Request, session: Session) -> web.Response:
        """The empty form; about a call, with what the call cost."""
        step = _step(request, session)
        asked = dict(request.query)
        usage_id = asked.get("call") if step.name == "adjust" else None
        begun = Begun(
            tenant=step.tenant,
            kind=step.name,
            id=credit_id(usage_id) if usage_id else f"page-{uuid4().hex}",
            at=self._now(),
            person=session.person,
            usage_id=usage_id,
        )
        return await self._show_form(step, begun, {"lot": asked.get("lot", "")}, None)

    async def preview(self, request: web.Request, session: Session) -> web.Response:
        """What it will do; the form again where something typed is wrong."""
        step = _step(request, session)
        sent = await fields_of(request, session.form_key)
        begun = self._seal.open(sent.get("begun", ""), Begun, FORM_S)
        if begun is None or (begun.tenant, begun.kind, begun.person) != (step.tenant, step.name, session.person):
            raise ForeignForm
        try:
            command = step.kind.command(begun, typed_in(step.kind, sent))
        except WrongField as wrong:
            return await self._show_form(step, begun, sent, wrong)

        def looked(books: Books) -> tuple[Asked, Preview]:
            asked = Asked.of(books, step.tenant, session, {})
            return asked, preview(books.reader, command, self._now())

        asked, shown = await self._read(looked)
        order = Order(
            tenant=step.tenant,
            kind=step.name,
            id=begun.id,
            person=session.person,
            command=encode_input(command).decode(),
        )
        answer = self._pages.answer(
            "preview.html",
            session,
            account=asked.account,
            begun=begun,
            order=self._seal.seal(order),
            preview=shown,
            **step.values(),
        )
        answer.headers["Cache-Control"] = _BACK
        return answer

    async def send(self, request: web.Request, session: Session) -> web.Response:
        """Send what the preview showed; where it is applied, or was before, the screen that it belongs to."""
        step = _step(request, session)
        sent = await fields_of(request, session.form_key)
        order = self._seal.open(sent.get("order", ""), Order, FORM_S)
        if order is None or (order.tenant, order.kind, order.person) != (step.tenant, step.name, session.person):
            raise ForeignForm
        result = await send(self._desk, order, session, request.remote)
        if result.result is RecordResult.REFUSED:
            account = (await self._read(lambda books: Asked.of(books, step.tenant, session, {}))).account
            reason = f"{result.field}: {result.message}" if result.field else result.message or ""
            return self._pages.answer(
                "refused_order.html", session, HTTPStatus.CONFLICT, account=account, reason=reason, **step.values()
            )
        path = f"/tenants/{path_part(step.tenant)}/{step.kind.back}"
        return self._pages.go_to(f"{path}?order={result.result.value}")

    async def _show_form(
        self, step: _Step, begun: Begun, typed: dict[str, str], wrong: WrongField | None
    ) -> web.Response:
        def looked(books: Books) -> dict[str, Any]:
            asked = Asked.of(books, step.tenant, step.session, {"id": begun.usage_id or ""})
            found = call_screen(asked) if begun.usage_id else {"call": None, "charge": None}
            return {
                "account": asked.account,
                "lots": [lot for lot in shown_lots(asked.account) if not lot.promotion],
                "call": found["call"],
                "charge": found["charge"],
            }

        values = await self._read(looked)
        if values["call"] is not None:
            typed = {"amount": values["call"].charge} | typed
        return self._pages.answer(
            "order.html",
            step.session,
            HTTPStatus.OK if wrong is None else HTTPStatus.BAD_REQUEST,
            begun=begun,
            sealed=self._seal.seal(begun),
            typed=typed,
            wrong=wrong,
            **values,
            **step.values(),
        )


def _step(request: web.Request, session: Session) -> _Step:
    tenant, name = request.match_info["tenant"], request.match_info["kind"]
    kind = KINDS.get(name)
    if kind is None or not session.grant.sees(tenant):
        raise NoSuchThing
    if not session.grant.moves_money:
        raise NotAllowed
    return _Step(session, tenant, name, kind)
