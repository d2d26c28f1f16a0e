"""The file of a lookup: its tables, how it is opened, and how it is deleted.

It is only a copy of what the store says, by the columns by which people look.  Whatever is wrong with it, it is
deleted and made anew.  Who may not write into the store's folder has one in a temporary file of its own.
"""

import contextlib
import os
import sqlite3
from pathlib import Path

from rater.embedded.ownership import OWNER_ONLY

#: Raised whenever the tables, or what stands in them, change: a file of another number is made anew.
LOOKUP_VERSION = 4
_BUSY_S = 30
_TABLES = (
    "CREATE TABLE filled (topic TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE opening (number INTEGER NOT NULL, id TEXT NOT NULL)",
    "CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    # Times are microseconds of Unix time, money micro-units, flags bits in the order of FLAGS.
    (
        "CREATE TABLE calls (tenant INTEGER, at INTEGER, offset INTEGER, user INTEGER NOT NULL,"
        " destination INTEGER NOT NULL, type INTEGER NOT NULL, charge INTEGER NOT NULL, rounded INTEGER NOT NULL,"
        " minutes INTEGER NOT NULL, flags INTEGER NOT NULL, stands INTEGER NOT NULL,"
        " PRIMARY KEY (tenant, at, offset)) WITHOUT ROWID"
    ),
    (
        "CREATE TABLE flagged (tenant INTEGER, flag INTEGER, at INTEGER, offset INTEGER,"
        " PRIMARY KEY (tenant, flag, at, offset)) WITHOUT ROWID"
    ),
    (
        "CREATE TABLE spent (tenant INTEGER, kind INTEGER, day INTEGER, key INTEGER, calls INTEGER NOT NULL,"
        " minutes INTEGER NOT NULL, charge INTEGER NOT NULL, PRIMARY KEY (tenant, kind, day, key)) WITHOUT ROWID"
    ),
    (
        "CREATE TABLE moved (tenant INTEGER, at INTEGER, topic INTEGER, offset INTEGER, amount INTEGER NOT NULL,"
        " PRIMARY KEY (tenant, at, topic, offset)) WITHOUT ROWID"
    ),
    (
        "CREATE TABLE moved_days (tenant INTEGER, day INTEGER, amount INTEGER NOT NULL, PRIMARY KEY (tenant, day))"
        " WITHOUT ROWID"
    ),
    "CREATE TABLE carried (tenant INTEGER PRIMARY KEY, amount INTEGER NOT NULL)",
    (
        "CREATE TABLE debits (tenant INTEGER, offset INTEGER, month INTEGER NOT NULL, rating INTEGER,"
        " PRIMARY KEY (tenant, offset)) WITHOUT ROWID"
    ),
    "CREATE INDEX debits_by_rating ON debits (rating)",
    "CREATE TABLE late (rating INTEGER PRIMARY KEY, until INTEGER NOT NULL)",
    # When a rating without a debit stands on a statement; where it has one, that says it.  Its number is there if
    # it may have one.
    (
        "CREATE TABLE posted (tenant INTEGER, at INTEGER, offset INTEGER, rating INTEGER,"
        " PRIMARY KEY (tenant, at, offset)) WITHOUT ROWID"
    ),
    # The first and the last record of a tenant in a topic.
    (
        "CREATE TABLE spans (tenant INTEGER, topic TEXT, first INTEGER NOT NULL, last INTEGER NOT NULL,"
        " PRIMARY KEY (tenant, topic)) WITHOUT ROWID"
    ),
    # Each list of events is one that a screen shows: see movements.
    (
        "CREATE TABLE events (tenant INTEGER, list INTEGER, offset INTEGER, PRIMARY KEY (tenant, list, offset))"
        " WITHOUT ROWID"
    ),
    "CREATE TABLE refused (tenant INTEGER, offset INTEGER, id TEXT, PRIMARY KEY (tenant, offset)) WITHOUT ROWID",
    "CREATE UNIQUE INDEX refused_by_id ON refused (id, tenant)",
    "CREATE TABLE waiting (tenant INTEGER, offset INTEGER, PRIMARY KEY (tenant, offset)) WITHOUT ROWID",
    (
        "CREATE TABLE handled (id TEXT, offset INTEGER, settled INTEGER NOT NULL, PRIMARY KEY (id, offset))"
        " WITHOUT ROWID"
    ),
    "CREATE TABLE services (tenant INTEGER PRIMARY KEY, offset INTEGER NOT NULL)",
)
#: Made when the first rows are all there: sorting them once is faster than keeping an index in order meanwhile.
#: Each has a tenant's calls of one kind in the order in which they began.
_INDEXES = (
    "CREATE INDEX IF NOT EXISTS calls_by_user ON calls (tenant, user, at, offset)",
    "CREATE INDEX IF NOT EXISTS calls_by_destination ON calls (tenant, destination, at, offset)",
    "CREATE INDEX IF NOT EXISTS calls_by_type ON calls (tenant, type, at, offset)",
    "CREATE INDEX IF NOT EXISTS calls_by_rounded ON calls (tenant, rounded, at, offset)",
    "CREATE INDEX IF NOT EXISTS debits_by_month ON debits (tenant, month)",
    "CREATE INDEX IF NOT EXISTS posted_by_rating ON posted (rating) WHERE rating IS NOT NULL",
)


def lookup_path(store: Path) -> Path:
    """Where the lookup of a store is."""
    resolved = store.resolve()
    return resolved.with_name(resolved.name + "-lookup")


def open_file(path: Path) -> tuple[sqlite3.Connection, int | None]:
    """The file, with its tables, and its inode; a temporary one, without inode, where it cannot be written."""
    for _ in range(2):
        connection = None
        try:
            inode = _made(path)
            connection = _connected(str(path))
            with_tables(connection)
            return connection, inode
        except (OSError, sqlite3.DatabaseError) as wrong:
            if connection is not None:
                connection.close()
            if not is_damaged(wrong):
                break
            _unlink(path)
    connection = _connected("")
    with_tables(connection)
    return connection, None


def with_tables(connection: sqlite3.Connection) -> None:
    """Make the tables where they are missing, or of another release."""
    if connection.execute("PRAGMA user_version").fetchone()[0] == LOOKUP_VERSION:
        connection.execute("SELECT 1 FROM filled LIMIT 1").fetchone()
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] != LOOKUP_VERSION:
            make_anew(connection)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def make_anew(connection: sqlite3.Connection) -> None:
    """Within a transaction: delete every table, and make the present ones, empty."""
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall()
    for (name,) in tables:
        connection.execute(f'DROP TABLE "{name}"')
    for table in _TABLES:
        connection.execute(table)
    connection.execute(f"PRAGMA user_version={LOOKUP_VERSION}")


def with_indexes(connection: sqlite3.Connection) -> None:
    """Within a transaction: make the indexes where they are missing; no calls can be asked for before."""
    for index in _INDEXES:
        connection.execute(index)


def is_damaged(wrong: Exception) -> bool:
    """Whether SQLite says that the file is none of its own, or not what it wrote."""
    name = getattr(wrong, "sqlite_errorname", None) or ""
    return name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def is_at(path: Path, inode: int | None) -> bool:
    """Whether the file at the path is still this one; a temporary file always is."""
    if inode is None:
        return True
    try:
        return path.stat().st_ino == inode
    except OSError:
        return False


def forget_lookup(store: Path) -> None:
    """Delete the lookup of a store, when nobody writes it: another process then finds that it is gone."""
    path = lookup_path(store)
    if not path.exists():
        return
    with contextlib.ExitStack() as opened:
        with contextlib.suppress(sqlite3.DatabaseError):
            connection = opened.enter_context(contextlib.closing(_connected(str(path))))
            connection.execute("BEGIN EXCLUSIVE")
        _unlink(path)


def _made(path: Path) -> int:
    """The inode of the file, which only its owner may read; it says who called whom."""
    opened = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, OWNER_ONLY)
    try:
        return os.fstat(opened).st_ino
    finally:
        os.close(opened)


def _connected(name: str) -> sqlite3.Connection:
    connection = sqlite3.connect(name, isolation_level=None, timeout=_BUSY_S, check_same_thread=False)
    try:
        connection.execute("PRAGMA cache_size=-32768")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA secure_delete=ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _unlink(path: Path) -> None:
    for name in (path.name, f"{path.name}-journal"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(name).unlink()
