"""Sending an order: who ordered it is written down, then the command is applied like those of `/v1/commands`."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from rater.core import Source
from rater.engine.batch import Record
from rater.serve.group_commit import Item
from rater.serve.results import Result
from rater.serve.web.sessions import Session
from rater.wire.admin_audit import AdminAudit


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order as its preview showed it; it is sealed, so that nothing else can be sent in its place."""

    tenant: str
    kind: str
    id: str
    person: str
    command: str


class Desk(Protocol):
    """What applies commands, and keeps who ordered them: the engine of the server."""

    async def keep(self, items: Sequence[Item]) -> Sequence[Result]:
        """See rater.serve.group_commit.Keeper."""

    async def note_order(self, audit: AdminAudit) -> None:
        """Keep who ordered what; raises NotKept."""


async def send(desk: Desk, order: Order, session: Session, remote: str | None) -> Result:
    """The outcome of an order: accepted, a duplicate, or refused with the reason; raises NotKept."""
    raw, now = order.command.encode(), datetime.now(UTC)
    await desk.note_order(
        AdminAudit(
            tenant=order.tenant,
            id=order.id,
            at=now,
            person=session.person,
            role=session.role.value,
            by=session.by,
            session=session.id,
            command=msgspec.Raw(raw),
            remote=remote,
        )
    )
    source = Source("page", 0, time.time_ns() // 1_000)
    (result,) = await desk.keep([Record("command", source, raw, None, None, now, True)])
    return result
