"""The tables of a store, and the two ways to open one."""

import fcntl
import os
import sqlite3
from pathlib import Path
from typing import IO

from rater.core import OUTPUT_TOPICS, RULES
from rater.embedded.upgrade import rules_of
from rater.wire.errors import Exit, RaterError

#: Raised whenever an older program could misread what a newer one writes.
SCHEMA_VERSION = 3
_APPLICATION_ID = 0x72617465  # "rate"
_OWNER_ONLY = 0o600

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
)


def open_for_writing(path: Path) -> tuple[sqlite3.Connection, IO[str]]:
    """The store, made if it is not there, and the lock that keeps other writers out until it is closed.

    Raises RaterError: in use by another process, written by a newer version, not a store, not writable.
    """
    lock = _lock(path)
    try:
        _make_private(path)
        connection = _connect(path, "mode=rwc")
        _check_version(connection, path)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA cache_size=-65536")
        connection.execute("PRAGMA wal_autocheckpoint=8000")
        match connection.execute("PRAGMA user_version").fetchone()[0]:
            case 0:
                _in_one_transaction(connection, *_TABLES)
            case 1:  # kept the live calls a second time, beside the topic
                _in_one_transaction(connection, "DROP TABLE calls", _FIND_CALLS)
            case _:
                pass
        for table in _LATER:
            connection.execute(table)
        _add_columns(connection)
        # What this user may only read says so here, and not after the first batch.
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    except sqlite3.Error as wrong:
        lock.close()
        raise _cannot_open(path, wrong) from wrong
    except RaterError:
        lock.close()
        raise
    return connection, lock


def _make_private(path: Path) -> None:
    """A new store is its owner's alone: it says who called whom.  SQLite gives its other files the same rights."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, _OWNER_ONLY))
    except OSError:
        return  # what is wrong with it is said when it is opened


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
            raise _cannot_open(path, wrong) from wrong
    if _unsettled(path):
        raise RaterError(
            f"{path}: being written, or its last run was killed, and you may not write in its folder; ask who may"
            f" to run `rater run --store {path}`, or copy it with its -wal file to a folder of yours"
        )
    try:
        return _checked(path, "mode=ro&immutable=1")
    except sqlite3.Error as wrong:
        raise _cannot_open(path, wrong) from wrong


def _checked(path: Path, how: str) -> sqlite3.Connection:
    connection = _connect(path, how)
    try:
        _check_version(connection, path)
        _check_rules(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _may_write(path: Path) -> bool:
    return os.access(path.absolute().parent, os.W_OK, effective_ids=True)


def _unsettled(path: Path) -> bool:
    """Whether something was written that is not in the file itself yet."""
    try:
        return path.with_name(path.name + "-wal").stat().st_size > 0
    except FileNotFoundError:
        return False


def _connect(path: Path, how: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?{how}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=30)


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
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
    if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        return
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


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags, _OWNER_ONLY)


def _lock(path: Path) -> IO[str]:
    """Take the store's lock file; it says who has it."""
    try:
        lock = open(path.with_name(path.name + ".lock"), "a+", encoding="utf-8", opener=_opener)  # noqa: SIM115 - only this one has an opener
    except OSError as wrong:
        raise RaterError(f"{path}: cannot be written: {wrong.strerror}") from wrong
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as wrong:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise RaterError(
            f"{path}: in use by process {holder}; wait until it ends, or use another --store",
            Exit.STORE_IN_USE,
        ) from wrong
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _cannot_open(path: Path, wrong: sqlite3.Error) -> RaterError:
    if "disk is full" in str(wrong):
        return disk_full(path)
    if "readonly" in str(wrong):
        return RaterError(
            f"{path}: cannot be written: this user may only read it; change its rights or use --store"
        )
    return RaterError(f"{path}: cannot be opened as a store: {wrong}")


def disk_full(path: Path) -> RaterError:
    """What to say when the last batch found no room."""
    return RaterError(
        f"{path}: the disk is full; the last batch was undone, all before it is kept."
        " Free some space and run the same command again",
        Exit.DISK_FULL,
    )
