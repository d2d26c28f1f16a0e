"""Snapshots of a store's state among its kept inputs: a replay of a month begins there, not at the first input.

One is written in the transaction of the batch that ends an interval.  An interval has some thousands of inputs, and
four for each entity of the state: so the room and the time that snapshots take stay a small part of what the inputs
take themselves, however large the state is.

A snapshot fits the log if its parts have the digest that is noted of it, and the batch behind which it stands is
the one that was there when it was written.  One that does not fit is discarded, and the one before it is looked at.
"""

import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from hashlib import blake2b

import msgspec

from rater.core import OUTPUT_TOPICS, RULES, Account
from rater.embedded.tables import has_table

SNAPSHOT_TABLES = (
    "CREATE TABLE IF NOT EXISTS snapshots (batch INTEGER PRIMARY KEY, value TEXT NOT NULL)",
    (
        'CREATE TABLE IF NOT EXISTS "snapshot-parts" (batch INTEGER, number INTEGER, seen INTEGER NOT NULL,'
        " value BLOB NOT NULL, PRIMARY KEY (batch, number)) WITHOUT ROWID"
    ),
)
#: Inputs between two snapshots: so many at least, and so many for each entity.
SNAPSHOT_RECORDS, _RECORDS_AN_ENTITY = 20_000, 4
_PART_ROWS = 1_000
_LEVEL = 1
_ENTITIES = "SELECT kind, tenant, name, value FROM entities ORDER BY kind, tenant, name"
_SEEN = "SELECT key, value FROM seen ORDER BY key"
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
#: Kind, tenant, name and value of an entity.
EntityRow = tuple[str, str, str, bytes]

_pack = msgspec.msgpack.Encoder().encode
_entity_rows = msgspec.msgpack.Decoder(list[EntityRow]).decode
_seen_rows = msgspec.msgpack.Decoder(list[tuple[bytes, bytes]]).decode
_accounts = msgspec.msgpack.Decoder(Account).decode


class Snapshot(msgspec.Struct, frozen=True):
    """What is known of the state after a batch.

    `offsets` are the last ones of each topic then, `clock` the latest of any tenant; `digest` is that of the parts,
    `after` that of the batch.
    """

    batch: int
    offsets: dict[str, int]
    clock: datetime
    digest: str
    after: str
    rules: int


_snapshots = msgspec.json.Decoder(Snapshot).decode


class SnapshotWriter:
    """Writes a store's snapshots when they are due."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        #: Inputs since the last snapshot; None: not counted yet.
        self._since: int | None = None
        self._due_at = SNAPSHOT_RECORDS

    def kept(self, records: int) -> None:
        """Within a batch's transaction, when all of it is written: so many inputs were kept."""
        if self._since is None:
            find = (
                'SELECT coalesce(sum(records), 0) FROM "kept-inputs"'
                " WHERE batch>(SELECT coalesce(max(batch), 0) FROM snapshots)"
            )
            self._since = int(self._connection.execute(find).fetchone()[0])
        else:
            self._since += records
        if self._since < self._due_at:
            return
        entities = sum(
            self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - one of two
            for table in ("entities", "seen")
        )
        self._due_at = max(SNAPSHOT_RECORDS, _RECORDS_AN_ENTITY * entities)
        if self._since >= self._due_at:
            write_snapshot(self._connection)
            self._since, self._due_at = 0, SNAPSHOT_RECORDS


def write_snapshot(connection: sqlite3.Connection) -> None:
    """Within a transaction: write the state as it stands, behind the last batch that is kept."""
    batch, kept = connection.execute(
        'SELECT batch, value FROM "kept-inputs" ORDER BY batch DESC LIMIT 1'
    ).fetchone()
    digest, clock, number = blake2b(digest_size=16), _NEVER, 0
    for seen, rows in enumerate((_ENTITIES, _SEEN)):
        cursor = connection.execute(rows)
        while part := cursor.fetchmany(_PART_ROWS):
            if not seen:
                clock = max([clock, *(_accounts(row[3]).clock for row in part if row[0] == "account")])
            value = zlib.compress(_pack(part), _LEVEL)
            digest.update(value)
            connection.execute('INSERT INTO "snapshot-parts" VALUES (?, ?, ?, ?)', (batch, number, seen, value))
            number += 1
    offsets = {
        topic: connection.execute(f'SELECT coalesce(max(offset), 0) FROM "{topic}"').fetchone()[0]  # noqa: S608 - closed list
        for topic in OUTPUT_TOPICS
    }
    made = Snapshot(batch, offsets, clock, digest.hexdigest(), _digest(kept), RULES)
    connection.execute("INSERT INTO snapshots VALUES (?, ?)", (batch, msgspec.json.encode(made).decode()))


def forget_snapshots(connection: sqlite3.Connection, up_to: int | None = None) -> None:
    """Within a transaction: the inputs up to a batch were deleted, or all; so are the snapshots behind them."""
    where, given = ("", ()) if up_to is None else ("WHERE batch<=?", (up_to,))
    for table in ("snapshots", "snapshot-parts"):
        connection.execute(f'DELETE FROM "{table}" {where}', given)  # noqa: S608 - closed lists


class LoadedState:
    """The state of a snapshot; what was seen is in a file that is gone with it, because there is one a command."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.entities: list[EntityRow] = []
        self._seen = sqlite3.connect("", isolation_level=None)
        self._seen.execute("CREATE TABLE seen (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID")

    def close(self) -> None:
        """Delete the file."""
        self._seen.close()

    def seen(self, key: bytes) -> bytes | None:
        """What was noted under a key."""
        row = self._seen.execute("SELECT value FROM seen WHERE key=?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def add(self, part: bytes, *, seen: bool) -> None:
        """Add a part."""
        rows = zlib.decompress(part)
        if not seen:
            self.entities += _entity_rows(rows)
            return
        self._seen.execute("BEGIN")
        self._seen.executemany("INSERT INTO seen VALUES (?, ?)", _seen_rows(rows))
        self._seen.execute("COMMIT")


def last_state_before(
    connection: sqlite3.Connection, since: datetime, say: Callable[[str], None]
) -> LoadedState | None:
    """The last state at which no tenant's time had come to an instant; None: there is none that fits.

    `say` is given what to know of those that were discarded.
    """
    if not has_table(connection, "snapshots"):
        return None
    for batch, value in connection.execute("SELECT batch, value FROM snapshots ORDER BY batch DESC").fetchall():
        try:
            snapshot = _snapshots(value)
            if snapshot.clock > since:
                continue
            if (state := _loaded(connection, snapshot, batch)) is not None:
                return state
            why = "does not fit the log"
        except (msgspec.DecodeError, UnicodeDecodeError, zlib.error, sqlite3.IntegrityError) as wrong:
            why = f"cannot be read ({wrong})"
        say(f"the snapshot after batch {batch} {why}; discarded, the one before it is looked at")
    return None


def _loaded(connection: sqlite3.Connection, snapshot: Snapshot, batch: int) -> LoadedState | None:
    """The state of a snapshot; None where it does not fit the log."""
    kept = connection.execute('SELECT value FROM "kept-inputs" WHERE batch=?', (batch,)).fetchone()
    if kept is None or (snapshot.batch, snapshot.after, snapshot.rules) != (batch, _digest(kept[0]), RULES):
        return None
    if _digest_of_parts(connection, batch) != snapshot.digest:
        return None
    state = LoadedState(snapshot)
    try:
        for seen, part in _parts(connection, batch):
            state.add(part, seen=bool(seen))
    except BaseException:
        state.close()
        raise
    return state


def _parts(connection: sqlite3.Connection, batch: int) -> Iterator[tuple[int, bytes]]:
    find = 'SELECT seen, value FROM "snapshot-parts" WHERE batch=? ORDER BY number'
    with closing(connection.execute(find, (batch,))) as rows:
        yield from rows


def _digest_of_parts(connection: sqlite3.Connection, batch: int) -> str:
    digest = blake2b(digest_size=16)
    for _, part in _parts(connection, batch):
        digest.update(part)
    return digest.hexdigest()


def _digest(value: bytes) -> str:
    return blake2b(value, digest_size=16).hexdigest()
