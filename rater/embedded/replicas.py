"""How a replica of Kafka's topics and a store are kept apart: a mark, and tables of its own.

A replica has the tables of a store, so that everybody reads it as one.  Only `rater serve --replica` writes it, and
that opens nothing else: what is in a replica can be had again from the topics, what is in a store cannot.
"""

import sqlite3
from datetime import datetime
from pathlib import Path

from rater.embedded.tables import has_table
from rater.wire.errors import Exit, RaterError

#: The setting that marks a replica; its value is the number of its own tables' form.
_MARK = "replica"
#: The setting that says until when the file has everything.
_AS_OF = "replica_as_of"
#: Raised whenever the tables below change: a replica of another form is made anew.
REPLICA_FORM = 1
MARKED = f"INSERT INTO settings VALUES ('{_MARK}', '{REPLICA_FORM}')"  # noqa: S608 - names of ours
#: Of each topic its id on the broker and the number of its next row; of each partition the next offset, and the
#: stamp of the last record that was applied; of what is kept row by row which rows are which offsets; of what is
#: kept once for each key which row that is.
REPLICA_TABLES = (
    (
        'CREATE TABLE "replica-topics" (topic TEXT PRIMARY KEY, id TEXT NOT NULL, next_row INTEGER NOT NULL)'
        " WITHOUT ROWID"
    ),
    (
        'CREATE TABLE "replica-positions" (topic TEXT, partition INTEGER, position INTEGER NOT NULL,'
        " stamp_ms INTEGER NOT NULL, PRIMARY KEY (topic, partition)) WITHOUT ROWID"
    ),
    (
        'CREATE TABLE "replica-spans" (topic TEXT, partition INTEGER, first INTEGER, row INTEGER NOT NULL,'
        " records INTEGER NOT NULL, PRIMARY KEY (topic, partition, first)) WITHOUT ROWID"
    ),
    (
        'CREATE TABLE "replica-latest" (topic TEXT, key BLOB, row INTEGER NOT NULL, PRIMARY KEY (topic, key))'
        " WITHOUT ROWID"
    ),
)


def form_of(connection: sqlite3.Connection) -> int | None:
    """The form of a replica's own tables; None for a store."""
    found = _setting(connection, _MARK)
    return None if found is None else int(found)


def must_be(path: Path, *, replica: bool) -> None:
    """Raise RaterError for a replica that is opened as a store, and for a store that is opened as a replica.

    What is not there yet, is empty, or is no store at all, is for whoever opens it.
    """
    try:
        if not path.exists() or not path.stat().st_size:
            return
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=30)
        try:
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            is_replica = form_of(connection) is not None
        finally:
            connection.close()
    except (OSError, sqlite3.Error):
        return
    if is_replica and not replica:
        raise RaterError(
            f"{path}: a replica of Kafka's topics, which only `rater serve --replica` writes; on Kafka commands are"
            " given with --bootstrap, and for a store of your own name another --store; nothing was changed",
            Exit.USAGE,
        )
    if replica and tables and not is_replica:
        raise RaterError(
            f"{path}: expected a replica of Kafka's topics, got a store or another SQLite file; name another file"
            " with --replica, which makes it; nothing was changed",
            Exit.USAGE,
        )


def as_of(connection: sqlite3.Connection) -> datetime | None:
    """Until when everything that the rating task committed is in a replica; None for a store, which has all."""
    found = _setting(connection, _AS_OF)
    return None if found is None else datetime.fromisoformat(found)


def note_as_of(connection: sqlite3.Connection, at: datetime) -> None:
    """Within a transaction: everything up to this instant is in the file."""
    connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (_AS_OF, at.isoformat()))


def _setting(connection: sqlite3.Connection, name: str) -> str | None:
    """The value of a setting; None where there is none, or no table of them."""
    if not has_table(connection, "settings"):
        return None
    row = connection.execute("SELECT value FROM settings WHERE name=?", (name,)).fetchone()
    return None if row is None else str(row[0])
