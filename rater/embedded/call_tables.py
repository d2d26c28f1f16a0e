"""Calls in progress as a store keeps them: the orders that were given, and what the next process goes on from."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from rater.core import CallCommand, Standing

_pack = msgspec.msgpack.Encoder().encode
_encode = msgspec.json.Encoder().encode
_order_decoder = msgspec.json.Decoder(CallCommand)


class KnownCalls(msgspec.Struct, frozen=True):
    """A tenant's running calls, and when the last event of them happened."""

    last_event_at: datetime = msgspec.field(name="heard_at")
    standing: Standing = Standing()


_known_decoder = msgspec.msgpack.Decoder(KnownCalls)


class CallChanges(msgspec.Struct, frozen=True):
    """What is committed of calls in progress: new orders, and the calls of each tenant that may have others now."""

    orders: Sequence[CallCommand] = ()
    known: Mapping[str, KnownCalls] = {}


NO_CHANGES = CallChanges()


def write_changes(connection: sqlite3.Connection, changes: CallChanges) -> None:
    """Within a transaction; an order that is there stays as it is."""
    connection.executemany(
        'INSERT OR IGNORE INTO "call-commands" (tenant, key, value) VALUES (?, ?, ?)',
        [(order.tenant, order.id, _encode(order)) for order in changes.orders],
    )
    connection.executemany(
        'INSERT OR REPLACE INTO "running-calls" VALUES (?, ?)',
        [(tenant, _pack(known)) for tenant, known in changes.known.items()],
    )


def read_known(connection: sqlite3.Connection) -> Iterator[tuple[str, KnownCalls]]:
    """What was kept of each tenant's running calls."""
    for tenant, value in connection.execute('SELECT tenant, value FROM "running-calls" ORDER BY tenant'):
        yield tenant, _known_decoder.decode(value)


def forget_user(connection: sqlite3.Connection, tenant: str, is_meant: Callable[[str | None], bool]) -> None:
    """Within a transaction: what is known of the running calls of a user is deleted."""
    for owner, known in list(read_known(connection)):
        calls = tuple([call for call in known.standing.calls if not is_meant(call.question.user)])
        if owner == tenant and calls != known.standing.calls:
            standing = msgspec.structs.replace(known.standing, calls=calls)
            write_changes(connection, CallChanges(known={tenant: KnownCalls(known.last_event_at, standing)}))


def was_ordered(connection: sqlite3.Connection, id: str) -> bool:
    """Whether an order of this id was given."""
    return connection.execute('SELECT 1 FROM "call-commands" WHERE key=?', (id,)).fetchone() is not None


def read_orders(connection: sqlite3.Connection, tenant: str | None) -> Iterator[CallCommand]:
    """The orders in which they were given, of a tenant or all."""
    where, values = ("WHERE tenant=?", (tenant,)) if tenant else ("", ())
    for (value,) in connection.execute(
        f'SELECT value FROM "call-commands" {where} ORDER BY offset',  # noqa: S608 - one of two texts
        values,
    ):
        yield _order_decoder.decode(value)
