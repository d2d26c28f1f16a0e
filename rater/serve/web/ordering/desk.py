"""Sending an order: who ordered it is written down, then it is done, by what does it for the command line too."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from rater.core import RatingSettings, Source
from rater.embedded.store import Reader
from rater.engine.batch import Envelope, Record
from rater.files.recognise import COMMANDS
from rater.ops.metrics.labels import RecordResult
from rater.serve.group_commit import Item
from rater.serve.results import Result
from rater.serve.web.ordering.letters import LetterOrder
from rater.serve.web.sessions import Session
from rater.wire.admin_audit import AdminAudit
from rater.wire.dead_letters import SETTLED, Letter


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order as its preview showed it; it is sealed, so that nothing else can be sent in its place.

    It has commands, each as JSON, or is about a dead letter; `rows` are those of the file that they are.
    `usage_id` is that of the call that it is about.  `replaces` is what was set when it was previewed, of the brake
    that is `named` or of the tenant.
    """

    tenant: str
    kind: str
    id: str
    at: datetime
    person: str
    commands: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()
    letter: LetterOrder | None = None
    usage_id: str | None = None
    named: str = ""
    replaces: dict[str, str] = {}

    @property
    def said(self) -> bytes:
        """All of it as JSON, for the audit: one command as it is, several as a list."""
        if self.letter is not None:
            return msgspec.json.encode(self.letter)
        return (self.commands[0] if len(self.commands) == 1 else f"[{','.join(self.commands)}]").encode()


class SentOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order that was sent: with its commands as they were published, by which its outcome is found."""

    order: Order


class NotAppliedYet(Exception):
    """An order is stored, and will be applied; what it does is not known yet.

    `commands` are its bytes as they were published, none for what is done with a dead letter.
    """

    def __init__(self, commands: Sequence[bytes] = ()) -> None:
        super().__init__(f"{len(commands)} commands are not applied yet")
        self.commands = commands


class Desk(Protocol):
    """What applies orders, and keeps who ordered them; each raises NotKept, and NotAppliedYet over Kafka."""

    def settings(self, reader: Reader) -> RatingSettings:
        """What it rates by, where `reader` is what the page reads."""

    async def keep(self, items: Sequence[Item]) -> Sequence[Result]:
        """See rater.serve.group_commit.Keeper."""

    async def note_order(self, audit: AdminAudit) -> None:
        """Keep who ordered what; raises NotKept."""

    async def replay_letter(self, letter: Letter, by: str, at: datetime, *, accept: bool) -> Result:
        """See rater.wire.dead_letters.LetterBox.replay: what becomes of the record; raises NotKept."""

    async def drop_letter(self, letter: Letter, by: str, at: datetime, note: str) -> None:
        """See rater.wire.dead_letters.LetterBox.drop; raises NotKept."""


async def send(
    desk: Desk, order: Order, session: Session, remote: str | None, letter: Letter | None
) -> Sequence[Result]:
    """The outcome of each part of an order: accepted, a duplicate, or refused with the reason; raises NotKept.

    `letter` is the dead letter that it is about, as it is now.
    """
    await desk.note_order(
        AdminAudit(
            tenant=order.tenant,
            id=order.id,
            at=datetime.now(UTC),
            person=session.person,
            role=session.role.value,
            by=session.by,
            session=session.id,
            command=msgspec.Raw(order.said),
            remote=remote,
        )
    )
    if order.letter is not None and letter is not None:
        return [await _settle(desk, order, order.letter, letter)]
    now, first, by_page = datetime.now(UTC), time.time_ns() // 1_000, Envelope(COMMANDS, order.tenant)
    return await desk.keep(
        [
            Record("command", Source("page", 0, first + number), command.encode(), None, by_page, now, True)
            for number, command in enumerate(order.commands)
        ]
    )


async def _settle(desk: Desk, order: Order, what: LetterOrder, letter: Letter) -> Result:
    """Do what is ordered with a dead letter, once: what its person did at its time was this order."""
    done = any((audit.by, audit.at) == (order.person, order.at) for audit in letter.history)
    if done or letter.state in SETTLED:
        return Result(result=RecordResult.DUPLICATE)
    if what.way == "drop":
        await desk.drop_letter(letter, order.person, order.at, what.note or "")
        return Result(result=RecordResult.ACCEPTED)
    return await desk.replay_letter(letter, order.person, order.at, accept=what.way == "accept")
