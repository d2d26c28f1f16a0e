"""The steps of an order: its form, its preview, and its outcome; over Kafka that may have to be waited for.

The id and the time are made when the form is shown, and what the preview shows is sealed; so a second press of the
button, or going back and pressing it again, is a duplicate, which changes nothing.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec
from aiohttp import web

from rater.core import AnyCommand, State, format_micros, paid_lots
from rater.engine.given_back import Creditable, credit_id
from rater.ops.metrics.labels import RecordResult
from rater.serve.reading.desks import Books
from rater.serve.results import Result
from rater.serve.web.forms import ForeignForm, fields_of
from rater.serve.web.ordering.desk import Desk, NotAppliedYet, Order, SentOrder, send
from rater.serve.web.ordering.kinds import KINDS, rows_of, typed_in
from rater.serve.web.ordering.letters import LetterOrder, preview_letter
from rater.serve.web.ordering.outcomes import Followed
from rater.serve.web.ordering.overtaken import is_overtaken
from rater.serve.web.ordering.preview import preview
from rater.serve.web.ordering.shapes import Begun, Kind, NotAllowed, NotPossible, WrongField
from rater.serve.web.rendering import Pages, path_part
from rater.serve.web.screens import SCREENS, Asked, NoSuchThing
from rater.serve.web.screens.call import call as call_screen
from rater.serve.web.screens.credits import latest_funds
from rater.serve.web.screens.refused import letter_of, row_of
from rater.serve.web.sessions import Seal, Session
from rater.wire.codec import encode_input
from rater.wire.dead_letters import SETTLED, Letter

#: A form is good for so long, and what a preview showed for so long after it.
FORM_S = 3600
#: An order that was sent can be looked at for so long; longer than a broker or a worker is away.
SENT_S = 8 * 3600
#: Who goes back after sending finds the preview again, and not the browser's question about sending a form twice.
_BACK = "private, no-cache"
#: Answers a question from the last commit on.
_Read = Callable[[Callable[[Books], Any]], Awaitable[Any]]


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

    def __init__(self, pages: Pages, seal: Seal, desk: Desk, read: _Read, now: Callable[[], datetime]) -> None:
        self._pages, self._seal, self._desk, self._read, self._now = pages, seal, desk, read, now

    async def form(self, request: web.Request, session: Session) -> web.Response:
        """The empty form; about a call, with what the call cost; about a dead letter, with the letter."""
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
            letter=asked.get("letter", "") if step.kind.letter else None,
        )
        # what a link may fill in
        linked = [field.name for field in step.kind.fields if field.shape != "file"]
        return await self._show_form(step, begun, {name: asked[name] for name in linked if name in asked}, None)

    async def preview(self, request: web.Request, session: Session) -> web.Response:
        """What it will do; the form again where something typed is wrong."""
        step = _step(request, session)
        sent = await fields_of(request, session.form_key)
        begun = self._seal.open(sent.get("begun", ""), Begun, FORM_S)
        if begun is None or (begun.tenant, begun.kind, begun.person) != (step.tenant, step.name, session.person):
            raise ForeignForm
        account = await self._read(lambda books: Asked.of(books, step.tenant, session, {}).account)
        try:
            typed = typed_in(step.kind, sent, account.currency)
            commands = step.kind.commands(begun, typed)
        except WrongField as wrong:
            return await self._show_form(step, begun, sent, wrong)
        now = step.kind.set_now(account, typed)
        order = _order(step, begun, commands, typed, now)

        def looked(books: Books) -> dict[str, Any]:
            return self._tried(books, step, begun, commands, order)

        answer = self._pages.answer(
            "preview.html",
            session,
            begun=begun,
            order=self._seal.seal(order),
            now=now,
            typed=[(field.name, typed[field.name]) for field in step.kind.fields if field.shape != "file"],
            **await self._read(looked),
            **step.values(),
        )
        answer.headers["Cache-Control"] = _BACK
        return answer

    def _tried(
        self, books: Books, step: _Step, begun: Begun, commands: Sequence[AnyCommand], order: Order
    ) -> dict[str, Any]:
        """What an order would do, and the call or the dead letter that it is about."""
        asked = Asked.of(books, step.tenant, step.session, {"id": begun.usage_id or ""})
        settings = self._desk.settings(books.reader)
        found: dict[str, Any] = {"account": asked.account, "row": None}
        found["call"] = call_screen(asked)["call"] if begun.usage_id else None
        if order.letter is None:
            found["preview"] = preview(books.reader, settings, asked.account, commands, self._now(), order.rows)
            return found
        letter = _allowed(asked, step, order.letter.dead_letter)
        found["preview"] = preview_letter(
            books.reader, settings, asked.account, letter, order.letter, begun.person, self._now()
        )
        return found | {"row": row_of(letter, step.session.role)}

    async def send(self, request: web.Request, session: Session) -> web.Response:
        """Send what the preview showed; where it is applied, or was before, the screen that it belongs to."""
        step = _step(request, session)
        sent = await fields_of(request, session.form_key)
        order = self._seal.open(sent.get("order", ""), Order, FORM_S)
        if order is None or (order.tenant, order.kind, order.person) != (step.tenant, step.name, session.person):
            raise ForeignForm
        about = order.letter

        def looked(books: Books) -> tuple[Asked, Letter | None, bool]:
            asked = Asked.of(books, step.tenant, session, {})
            letter = _allowed(asked, step, about.dead_letter) if about else None
            return asked, letter, is_overtaken(books.reader, asked.account, step.kind, order)

        asked, letter, overtaken = await self._read(looked)
        if overtaken:
            return self._refused(step, asked, [], 0)
        try:
            results = await send(self._desk, order, session, request.remote, letter)
        except NotAppliedYet as waiting:
            if not waiting.commands:
                return self._pages.go_to(_back_of(step, order, "sent"))
            published = tuple(raw.decode() for raw in waiting.commands)
            return self._waiting(step, asked, msgspec.structs.replace(order, commands=published))
        return self._outcome(step, asked, order, results)

    async def look(self, request: web.Request, session: Session) -> web.Response:
        """The outcome of an order that was sent and not applied yet; nothing is sent."""
        step = _step(request, session)
        sent = await fields_of(request, session.form_key)
        opened = self._seal.open(sent.get("sent", ""), SentOrder, SENT_S)
        order = opened.order if opened is not None else None
        if order is None or (order.tenant, order.kind, order.person) != (step.tenant, step.name, session.person):
            raise ForeignForm
        commands = [Followed.of(command.encode(), order.at) for command in order.commands]

        def looked(books: Books) -> tuple[Asked, list[Result | None]]:
            settings = self._desk.settings(books.reader)
            return Asked.of(books, step.tenant, session, {}), [
                one.outcome(books.reader, settings) for one in commands
            ]

        asked, found = await self._read(looked)
        results = [one for one in found if one is not None]
        if len(results) < len(found):
            return self._waiting(step, asked, order)
        return self._outcome(step, asked, order, results)

    def _waiting(self, step: _Step, asked: Asked, order: Order) -> web.Response:
        values = {"account": asked.account, "sent": self._seal.seal(SentOrder(order=order)), "id": order.id}
        return self._pages.answer("sent_order.html", step.session, HTTPStatus.ACCEPTED, **values, **step.values())

    def _outcome(self, step: _Step, asked: Asked, order: Order, results: Sequence[Result]) -> web.Response:
        """What is refused with its reasons; else the screen that the order belongs to."""
        places: Sequence[int | None] = order.rows or [None] * len(results)
        refused = [
            (row, f"{one.field}: {one.message}" if one.field else one.message or "")
            for row, one in zip(places, results, strict=True)
            if one.result is RecordResult.REFUSED
        ]
        if refused:
            return self._refused(step, asked, refused, len(results))
        found = {one.result for one in results}
        outcome = RecordResult.ACCEPTED if RecordResult.ACCEPTED in found else RecordResult.DUPLICATE
        return self._pages.go_to(_back_of(step, order, outcome.value))

    def _refused(
        self, step: _Step, asked: Asked, refused: Sequence[tuple[int | None, str]], count: int
    ) -> web.Response:
        """What is refused of so many commands, and why; of none: another was faster."""
        values = {"account": asked.account, "refused": refused, "all": count} | step.values()
        return self._pages.answer("refused_order.html", step.session, HTTPStatus.CONFLICT, **values)

    async def _show_form(
        self, step: _Step, begun: Begun, typed: Mapping[str, str], wrong: WrongField | None
    ) -> web.Response:
        def looked(books: Books) -> dict[str, Any]:
            asked = Asked.of(books, step.tenant, step.session, {"id": begun.usage_id or ""})
            found = call_screen(asked) if begun.usage_id else _NO_CALL
            letter = _allowed(asked, step, begun.letter) if begun.letter is not None else None
            return {
                "account": asked.account,
                "set_now": step.kind.set_now(asked.account, typed),
                "lots": paid_lots(State(books.reader), asked.account) if step.name == "refund" else (),
                "funds": latest_funds(asked) if step.kind.back == "credits" and not begun.usage_id else (),
                "call": found["call"],
                "charge": found["charge"],
                "given": found["given"],
                "may_give": found["may_give"],
                "left": format_micros(Creditable.of(found["charge"], found["given"], begun.id).left),
                "row": row_of(letter, step.session.role) if letter is not None else None,
            }

        values = await self._read(looked)
        set_now = values.pop("set_now") if wrong is None else {}
        given = {"amount": values["left"], **typed} if values["call"] is not None else typed
        return self._pages.answer(
            "order.html",
            step.session,
            HTTPStatus.OK if wrong is None else HTTPStatus.BAD_REQUEST,
            begun=begun,
            sealed=self._seal.seal(begun),
            typed={**set_now, **given},
            wrong=wrong,
            **values,
            **step.values(),
        )


def _order(
    step: _Step, begun: Begun, commands: Sequence[AnyCommand], typed: dict[str, str], now: dict[str, str]
) -> Order:
    way = step.kind.letter
    return Order(
        tenant=step.tenant,
        kind=step.name,
        id=begun.id,
        at=begun.at,
        person=begun.person,
        commands=tuple(encode_input(command).decode() for command in commands),
        rows=tuple(rows_of(typed)),
        letter=LetterOrder(dead_letter=begun.letter or "", way=way, note=typed.get("note")) if way else None,
        usage_id=begun.usage_id,
        named=typed.get("brake", ""),
        replaces=now,
    )


def _back_of(step: _Step, order: Order, outcome: str) -> str:
    """The path of the screen that shows what an order did: its call, else the screen that it belongs to."""
    about, back = "", step.kind.back
    if order.usage_id is not None:
        back, about = "call", f"id={path_part(order.usage_id)}&"
    return f"/tenants/{path_part(step.tenant)}/{back}?{about}order={outcome}"


def _allowed(asked: Asked, step: _Step, id: str) -> Letter:
    """The dead letter, if the role may do this with it; one that is settled is shown, and nothing changes."""
    letter = letter_of(asked, id)
    if letter.state not in SETTLED and step.kind.letter not in row_of(letter, step.session.role).ways:
        raise NotPossible
    return letter


#: Of an order that is about no call: what `call_screen` has of one that is.
_NO_CALL: Mapping[str, Any] = {"call": None, "charge": 0, "given": (), "may_give": True}


def _step(request: web.Request, session: Session) -> _Step:
    tenant, name = request.match_info["tenant"], request.match_info["kind"]
    kind = KINDS.get(name)
    if kind is None or not session.grant.sees(tenant):
        raise NoSuchThing
    if not session.grant.moves_money:
        raise NotAllowed
    return _Step(session, tenant, name, kind)
