"""One SQLite file: what was consumed, the state, and the outputs; a batch is one transaction."""

import sqlite3
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec

from rater.core import Account, CallCommand, RateDeck, State, normal_usage_id
from rater.embedded.call_tables import (
    NO_CHANGES,
    CallChanges,
    KnownCalls,
    read_known,
    read_orders,
    was_ordered,
    write_changes,
)
from rater.embedded.days import note_day
from rater.embedded.entities import CACHED, StoredEntities, seen_key
from rater.embedded.failures import error_of
from rater.embedded.kept_inputs import KeptBatch, base_of, begin_base, keep
from rater.embedded.ownership import owned_transaction, take_over
from rater.embedded.positions import Position, position_row, read_arrival
from rater.embedded.rows import Rows
from rater.embedded.schema import open_for_reading, open_for_writing
from rater.embedded.snapshots import SnapshotWriter
from rater.embedded.switch_lines import keep_switch_lines
from rater.embedded.tables import has_table
from rater.embedded.upgrade import upgrade
from rater.wire.admin_audit import AdminAudit
from rater.wire.dead_letters import DlqAudit
from rater.wire.errors import RaterError

_pack = msgspec.msgpack.Encoder().encode
#: More than a version and a currency, with which a deck begins, are long.
_DECK_HEAD_BYTES = 1_024
_deck_decoder = msgspec.json.Decoder(RateDeck)
_audit_decoder = msgspec.json.Decoder(DlqAudit)
#: The setting that says how many dead letters there were before a run that has not ended.
_UNFINISHED = "unfinished_run"


class Reader(StoredEntities):
    """The committed content of a store, for reports and for the rules."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        super().__init__(connection)
        self.path = path
        # A command that ends does not close what it read: from Python 3.13 on a file left open is a warning.
        self._close = weakref.finalize(self, connection.close)

    def close(self) -> None:
        """Close the store."""
        self._close()

    @property
    def connection(self) -> sqlite3.Connection:
        """What reads the store, for modules of this package."""
        return self._connection

    def tenants(self) -> list[str]:
        """Every configured tenant, in order."""
        rows = self._connection.execute("SELECT tenant FROM entities WHERE kind='account' AND tenant<>'-'")
        return sorted(tenant for (tenant,) in rows)

    def tenants_after(self, after: str, limit: int) -> list[str]:
        """So many configured tenants behind a name, in order."""
        rows = self._connection.execute(
            "SELECT tenant FROM entities WHERE kind='account' AND tenant>? AND tenant<>'-' ORDER BY tenant LIMIT ?",
            (after, limit),
        )
        return [tenant for (tenant,) in rows]

    def account(self, tenant: str) -> Account | None:
        """A tenant's present state."""
        found = self.load("account", (tenant, ""))
        assert found is None or isinstance(found, Account)
        return found

    def names(self, kind: str, tenant: str) -> list[str]:
        """The names of a tenant's entities of one kind, in order."""
        rows = self._connection.execute(
            "SELECT name FROM entities WHERE kind=? AND tenant=? ORDER BY name", (kind, tenant)
        )
        return [name for (name,) in rows]

    def names_after(self, kind: str, tenant: str, after: str, ending: str, limit: int) -> list[str]:
        """So many names of a tenant's entities of one kind behind a name, in order; those with an ending."""
        rows = self._connection.execute(
            "SELECT name FROM entities WHERE kind=? AND tenant=? AND name>? AND substr(name, length(name)+1-?)=?"
            " ORDER BY name LIMIT ?",
            (kind, tenant, after, len(ending), ending, limit),
        )
        return [name for (name,) in rows]

    def topic(
        self, name: str, tenant: str | None = None, *, newest_first: bool = False, after: int = 0
    ) -> Iterator[tuple[int, bytes]]:
        """The records of an output topic behind an offset, as (offset, JSON); no more is read than is asked."""
        where, values = ("AND tenant=?", (tenant,)) if tenant else ("", ())
        order = "DESC" if newest_first else "ASC"
        yield from self._connection.execute(
            f'SELECT offset, value FROM "{name}" WHERE offset>? {where} ORDER BY offset {order}',  # noqa: S608 - closed lists
            (after, *values),
        )

    def count(self, name: str) -> int:
        """How many records an output topic has."""
        row = self._connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()  # noqa: S608 - as above
        return int(row[0])

    def count_calls(self, tenant: str) -> int:
        """How many calls of a tenant were rated, however often each was corrected or rated again."""
        find = 'SELECT count(DISTINCT key) FROM "rated-calls" WHERE tenant=?'
        return int(self._connection.execute(find, (tenant,)).fetchone()[0])

    def rated_calls(self, usage_id: str, tenant: str | None = None) -> list[bytes]:
        """Every version of a call that was rated, oldest first."""
        rows = self._connection.execute(
            'SELECT tenant, value FROM "rated-calls" WHERE key IN (?, ?) ORDER BY offset',
            (usage_id, normal_usage_id(usage_id)),
        )
        return [value for owner, value in rows if tenant in (None, owner)]

    def decks(self) -> list[RateDeck]:
        """Every published version of a rate deck."""
        rows = self._connection.execute("SELECT value FROM decks ORDER BY version")
        return [_deck_decoder.decode(value) for (value,) in rows]

    def deck_versions(self, currency: str) -> list[str]:
        """The version of every published rate deck in a currency, in order; their rows are not read."""
        find = "SELECT version FROM decks WHERE instr(substr(value, 1, ?), ?) ORDER BY version"
        rows = self._connection.execute(find, (_DECK_HEAD_BYTES, f'"currency":"{currency}"'.encode()))
        return [version for (version,) in rows]

    def position(self, key: str, name: str, tenant: str | None = None) -> Position:
        """How much of an input was consumed; `tenant` is the one that it was given for, if any.

        Version 0.3.0 kept the name alone.  That counts for every tenant with calls that were rated from this file,
        so that what it consumed is not read again.  For another one the file is read: who mistyped a tenant can
        give the file again, and calls that are known are duplicates.
        """
        find = "SELECT records, bytes, digest, arrival, rated_at FROM inputs WHERE name=?"
        row = self._connection.execute(find, (key,)).fetchone()
        if row is None and (tenant is None or self._rated_from(name, tenant)):
            row = self._connection.execute(find, (name,)).fetchone()
        if row is None:
            return Position()
        records, size, digest, arrival, rated_at = row
        return Position(records, size, digest, read_arrival(arrival), rated_at)

    def _rated_from(self, path: str, tenant: str) -> bool:
        """Whether a call of the tenant was rated from a file of this name."""
        source = b'"source":{"topic":' + msgspec.json.encode(Path(path).name) + b","
        rows = self._connection.execute(
            'SELECT 1 FROM "rated-calls" WHERE tenant=? AND instr(value, ?) LIMIT 1', (tenant, source)
        )
        return rows.fetchone() is not None

    def replayed(self) -> set[str]:
        """Ids of dead letters whose record was accepted since."""
        return {id for (id,) in self._connection.execute("SELECT id FROM replayed")}

    def was_replayed(self, id: str) -> bool:
        """Whether the record of a dead letter was accepted since."""
        return self._connection.execute("SELECT 1 FROM replayed WHERE id=?", (id,)).fetchone() is not None

    def audits(self) -> list[DlqAudit]:
        """What people did with dead letters, oldest first."""
        rows = (
            self._connection.execute('SELECT value FROM "dlq-audit" ORDER BY offset')
            if self.has("dlq-audit")
            else ()
        )
        return [_audit_decoder.decode(value) for (value,) in rows]

    def orders(self, tenant: str | None = None) -> list[CallCommand]:
        """The orders to end running calls, in the order in which they were given."""
        return list(read_orders(self._connection, tenant)) if self.has("call-commands") else []

    def setting(self, name: str) -> str | None:
        """The value of a setting of the store; None if it was never given."""
        if not self.has("settings"):
            return None
        row = self._connection.execute("SELECT value FROM settings WHERE name=?", (name,)).fetchone()
        return str(row[0]) if row else None

    def has(self, table: str) -> bool:
        """Whether the store has a table that came later."""
        return has_table(self._connection, table)


class Store(Reader):
    """A store that this process alone may write."""

    def __init__(self, path: Path) -> None:
        connection, self._lock = open_for_writing(path)
        super().__init__(connection, path)
        #: What was done to a store of an older release when it was opened, a line each; for people.
        self.upgraded: list[str] = []
        #: The day on which it was noted last how far the tables reach.
        self._day: date | None = None
        self._snapshots = SnapshotWriter(connection)
        try:
            self._epoch = take_over(connection)
            self.upgraded = upgrade(connection)
            if self.upgraded or base_of(connection) is None:
                with self.transaction():
                    begin_base(connection, "an older release rated them")
        except sqlite3.Error as wrong:
            self.close()
            raise error_of(path, wrong) from wrong
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the store, then release its lock."""
        super().close()
        self._lock.close()

    def publish(self, deck: RateDeck) -> None:
        """Keep a version of a rate deck; a version is never changed.

        Raises RaterError instead of writing one that `decks` could not read: nobody could open the store again.
        """
        value = msgspec.json.encode(deck)
        try:
            _deck_decoder.decode(value)
        except msgspec.ValidationError as wrong:
            raise RaterError(f"rate deck {deck.version}: {wrong}; nothing was written") from wrong
        with self.transaction():
            self._connection.execute("INSERT OR IGNORE INTO decks VALUES (?, ?)", (deck.version, value))

    def set(self, name: str, value: str) -> None:
        """Keep a setting, in place of its value so far; never a secret."""
        with self.transaction():
            self._connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    def begin_run(self) -> int:
        """How many dead letters there were when this run began; if the run before did not end, when that began."""
        if not (began := self.setting(_UNFINISHED)):
            began = str(self.count_letters())
            self.set(_UNFINISHED, began)
        return int(began)

    def end_run(self) -> None:
        """Note that a run reached its end, whatever it could not read."""
        self.set(_UNFINISHED, "")

    def count_letters(self) -> int:
        """How many dead letters were ever written."""
        return int(self._connection.execute('SELECT coalesce(max(offset), 0) FROM "rejected-cdrs"').fetchone()[0])

    def known_calls(self) -> list[tuple[str, KnownCalls]]:
        """What was kept of each tenant's running calls."""
        return list(read_known(self._connection))

    def ordered(self, id: str) -> bool:
        """Whether an order to end a call was given under this id."""
        return was_ordered(self._connection, id)

    def note(self, audits: Iterable[DlqAudit]) -> None:
        """Keep what somebody did with dead letters."""
        rows = [(msgspec.json.encode(audit),) for audit in audits]
        with self.transaction():
            self._connection.executemany('INSERT INTO "dlq-audit" (value) VALUES (?)', rows)

    def note_order(self, audit: AdminAudit) -> None:
        """Keep who ordered what on the page."""
        with self.transaction():
            self._connection.execute(
                'INSERT INTO "admin-audit" (tenant, key, value) VALUES (?, ?, ?)',
                (audit.tenant, audit.id, msgspec.json.encode(audit)),
            )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and nothing where another process became the owner; RaterError if SQLite fails."""
        with owned_transaction(self._connection, self.path, self._epoch):
            yield

    def commit(
        self,
        state: State,
        rows: Rows,
        positions: dict[str, Position],
        replayed: Iterable[str] = (),
        calls: CallChanges = NO_CHANGES,
        inputs: KeptBatch | None = None,
    ) -> None:
        """Write a batch's rows, its changes, its inputs and positions in one transaction.

        Raises RaterError: the disk is full or fails, or another process became the owner; nothing is kept then.
        """
        with self.transaction():
            today = self._note_day()
            self._write(state, rows, positions, replayed)
            write_changes(self._connection, calls)
            if inputs is not None:
                keep(self._connection, inputs)
                self._snapshots.kept(len(inputs.records))
        self._day = today
        self.merge(state.changes(), state.gone)

    def _note_day(self) -> date:
        """Note once a day, before the first commit of the day, how far the tables reach: how old rows are."""
        today = datetime.now(UTC).date()
        if today != self._day:
            note_day(self._connection, today)
        return today

    def _write(self, state: State, rows: Rows, positions: dict[str, Position], replayed: Iterable[str]) -> None:
        many = self._connection.executemany
        for topic, made in rows.by_topic.items():
            many(f'INSERT INTO "{topic}" (tenant, key, value) VALUES (?, ?, ?)', made)  # noqa: S608 - a closed list
        changes = state.changes()
        many(
            "INSERT OR REPLACE INTO seen VALUES (?, ?)",
            [(seen_key(key), _pack(entity)) for key, entity in changes["seen"].items()],
        )
        many(
            "DELETE FROM entities WHERE kind=? AND tenant=? AND name=?", [(kind, *key) for kind, key in state.gone]
        )
        for kind in CACHED:
            many(
                "INSERT OR REPLACE INTO entities VALUES (?, ?, ?, ?)",
                [(kind, *key, _pack(entity)) for key, entity in changes[kind].items()],
            )
        many(
            "INSERT OR REPLACE INTO inputs (name, records, bytes, digest, arrival, rated_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [(name, *position_row(at)) for name, at in positions.items()],
        )
        keep_switch_lines(self._connection, rows.switch_lines)
        many("INSERT OR IGNORE INTO replayed VALUES (?)", [(id,) for id in replayed])


def open_reader(path: Path) -> Reader:
    """A store for reading, also while a run goes on."""
    return Reader(open_for_reading(path), path)
