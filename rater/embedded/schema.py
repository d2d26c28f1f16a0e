"""The tables of a store, and the two ways to open one."""

import os
import sqlite3
from pathlib import Path

from rater.core import OUTPUT_TOPICS, RULES
from rater.embedded.days import DAYS_TABLE
from rater.embedded.failures import error_of
from rater.embedded.kept_inputs import KEPT_TABLES
from rater.embedded.openings import OPENINGS_TABLE
from rater.embedded.ownership import OWNER_TABLE, Lock
from rater.embedded.replicas import MARKED, REPLICA_TABLES, must_be
from rater.embedded.snapshots import SNAPSHOT_TABLES
from rater.embedded.upgrade import rules_of
from rater.wire.errors import Exit, RaterError

#: Raised whenever an older program could misread what a newer one writes.
SCHEMA_VERSION = 3
#: Of a new store; a rated call has some 800 bytes, of which the usual page of 4,096 holds few.
_PAGE_BYTES = 16_384
_APPLICATION_ID = 0x72617465  # "rate"

#: The topic of rated calls is the dedupe log: this finds a usage id in it.
_FIND_CALLS = 'CREATE INDEX rated_calls_by_usage_id ON "rated-calls" (key)'
_TABLES = (
    (
        "CREATE TABLE entities (kind TEXT, tenant TEXT, name TEXT, value BLOB NOT NULL,"
        " PRIMARY KEY (kind, tenant, name)) WITHOUT ROWID"
    ),
    "CREATE TABLE seen (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE decks (version TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    (
        "CREATE TABLE inputs (name TEXT PRIMARY KEY, records INTEGER, bytes INTEGER, digest BLOB, arrival TEXT)"
        " WITHOUT ROWID"
    ),
    "CREATE TABLE replayed (id TEXT PRIMARY KEY) WITHOUT ROWID",
    *(
        f'CREATE TABLE "{topic}" (offset INTEGER PRIMARY KEY, tenant TEXT NOT NULL, key TEXT, value BLOB NOT NULL)'
        for topic in OUTPUT_TOPICS
    ),
    _FIND_CALLS,
    "CREATE TABLE rules (number INTEGER NOT NULL)",
    f"INSERT INTO rules VALUES ({RULES})",  # noqa: S608 - a number of ours
)
#: Came later; a store without them has no settings, handled dead letters, running calls or switches' records.
_LATER = (
    'CREATE TABLE IF NOT EXISTS "dlq-audit" (offset INTEGER PRIMARY KEY, value BLOB NOT NULL)',
    (
        'CREATE TABLE IF NOT EXISTS "admin-audit"'
        " (offset INTEGER PRIMARY KEY, tenant TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL)"
    ),
    (
        'CREATE TABLE IF NOT EXISTS "call-commands"'
        " (offset INTEGER PRIMARY KEY, tenant TEXT NOT NULL, key TEXT NOT NULL UNIQUE, value BLOB NOT NULL)"
    ),
    'CREATE TABLE IF NOT EXISTS "running-calls" (tenant TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID',
    "CREATE TABLE IF NOT EXISTS rules (number INTEGER NOT NULL)",
    (
        'CREATE TABLE IF NOT EXISTS "switch-lines" (tenant TEXT, usage_id TEXT, version INTEGER, mapping TEXT,'
        " mapping_version TEXT, raw BLOB, PRIMARY KEY (tenant, usage_id, version)) WITHOUT ROWID"
    ),
    "CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    OWNER_TABLE,
    OPENINGS_TABLE,
    DAYS_TABLE,
    *KEPT_TABLES,
    *SNAPSHOT_TABLES,
)
#: A replica is marked in the transaction that makes its tables: a killed process leaves no tables without it.
_REPLICA = (*_LATER, *REPLICA_TABLES, MARKED)


def open_for_writing(path: Path, *, replica: bool = False) -> tuple[sqlite3.Connection, Lock]:
    """The store, made if it is not there, and the lock that keeps other writers out until it is closed.

    A new store is its owner's alone: it says who called whom; SQLite gives its other files the same rights.
    `replica`: open or make a replica of Kafka's topics, and nothing else; without it, no replica.
    Raises RaterError: in use by another process, written by a newer version, not a store, not writable, damaged.
    """
    must_be(path, replica=replica)
    lock = Lock(path.resolve())
    try:
        connection = _connect(path, "mode=rwc")
        _check_version(connection, path, "mode=rwc")
        connection.execute(f"PRAGMA page_size={_PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA cache_size=-65536")
        connection.execute("PRAGMA wal_autocheckpoint=8000")
        match connection.execute("PRAGMA user_version").fetchone()[0]:
            case 0:
                _in_one_transaction(connection, *_TABLES, *(_REPLICA if replica else ()))
            case 1:  # kept the live calls a second time, beside the topic
                _in_one_transaction(connection, "DROP TABLE calls", _FIND_CALLS)
            case _:
                pass
        for table in _LATER:
            connection.execute(table)
        _add_columns(connection)
        # A user without the right to write fails here, and not after the first batch.
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    except sqlite3.Error as wrong:
        lock.close()
        raise error_of(path, wrong) from wrong
    except RaterError:
        lock.close()
        raise
    return connection, lock


def _add_columns(connection: sqlite3.Connection) -> None:
    """Positions did not know the arrival of their file at first, nor when it was read to its end."""
    columns = {name for _, name, *_ in connection.execute("PRAGMA table_info(inputs)")}
    for column in ("arrival", "rated_at"):
        if column not in columns:
            connection.execute(f"ALTER TABLE inputs ADD COLUMN {column} TEXT")


def open_for_reading(path: Path) -> sqlite3.Connection:
    """The store for reading only, also while another process writes it.

    Who may not write into its folder cannot make the file by which readers and a writer agree (`-shm`), so to
    them a store that nobody writes is a file that does not change.
    """
    if not path.exists():
        raise RaterError(f"{path}: no such store; `rater run --store {path}` makes one")
    try:
        return _checked(path, "mode=ro")
    except sqlite3.Error as wrong:
        if _may_write(path):
            raise error_of(path, wrong) from wrong
    if _unsettled(path):
        raise RaterError(
            f"{path}: being written, or its last run was killed, and you may not write in its folder; ask who may"
            f" to run `rater run --store {path}`, or copy it with its -wal file to a folder of yours"
        )
    try:
        return _checked(path, "mode=ro&immutable=1")
    except sqlite3.Error as wrong:
        raise error_of(path, wrong) from wrong


def _checked(path: Path, how: str) -> sqlite3.Connection:
    connection = _connect(path, how)
    try:
        _check_version(connection, path, how)
        _check_rules(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _may_write(path: Path) -> bool:
    return os.access(path.resolve().parent, os.W_OK, effective_ids=True)


def _unsettled(path: Path) -> bool:
    """Whether something was written that is not in the file itself yet."""
    try:
        resolved = path.resolve()
        return resolved.with_name(resolved.name + "-wal").stat().st_size > 0
    except FileNotFoundError:
        return False


def _connect(path: Path, how: str) -> sqlite3.Connection:
    uri = f"{path.resolve().as_uri()}?{how}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=30)


def _check_version(connection: sqlite3.Connection, path: Path, how: str) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if not tables and "mode=ro" in how:
        raise RaterError(
            f"{path}: empty; `rater run --store {path}` fills it, or copy the last `rater backup` there"
        )
    if application != _APPLICATION_ID and tables:
        raise RaterError(f"{path}: expected a store of rater, got another SQLite file")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise RaterError(
            f"{path}: written by a newer rater (store version {version}, this one knows {SCHEMA_VERSION});"
            " upgrade rater, nothing was changed",
            Exit.STORE_TOO_NEW,
        )


def _check_rules(connection: sqlite3.Connection, path: Path) -> None:
    """Who only reads cannot upgrade a store, and would not find in it what has another name now (A51)."""
    rules = rules_of(connection)
    if rules < RULES:
        raise RaterError(
            f"{path}: written by an older rater (rules {rules}, this one has {RULES}); `rater run --store {path}`"
            " upgrades it; nothing was changed"
        )


def _in_one_transaction(connection: sqlite3.Connection, *statements: str) -> None:
    """Bring the tables to the present version."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
    for statement in statements:
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    connection.execute("COMMIT")
