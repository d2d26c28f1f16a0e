"""Where each table of a store ended when a day began, in UTC by the clock of the run: how old a row is.

A row says when its call began, and not when it was rated; how long it is kept is counted from then.  A store of an
older release counts from the day on which this one first wrote it.
"""

import sqlite3
from datetime import date

import msgspec

from rater.core import OUTPUT_TOPICS

DAYS_TABLE = "CREATE TABLE IF NOT EXISTS days (day TEXT PRIMARY KEY, ends TEXT NOT NULL) WITHOUT ROWID"
KEPT = "kept-inputs"
#: Tables whose rows have an age, and what numbers the rows of each.
NUMBERED = {KEPT: "batch", "call-commands": "offset", **dict.fromkeys(OUTPUT_TOPICS, "offset")}
_ends = msgspec.json.Decoder(dict[str, int])


def note_day(connection: sqlite3.Connection, today: date) -> None:
    """Within a transaction, before it writes: what is there by now was written before today, if nobody noted it."""
    if connection.execute("SELECT 1 FROM days WHERE day>=?", (today.isoformat(),)).fetchone() is not None:
        return
    ends = {table: _end(connection, table) for table in NUMBERED}
    connection.execute("INSERT INTO days VALUES (?, ?)", (today.isoformat(), msgspec.json.encode(ends).decode()))


def ends_before(connection: sqlite3.Connection, day: date) -> dict[str, int]:
    """The last number of each table that was written before a day; empty where nothing is known to be older.

    Each day that wrote anything is noted: what the first one from `day` on found was written on days before.
    """
    first = first_day(connection)
    if first is None or first >= day:
        return {}
    row = connection.execute(
        "SELECT ends FROM days WHERE day>=? ORDER BY day LIMIT 1", (day.isoformat(),)
    ).fetchone()
    return _ends.decode(row[0]) if row else {table: _end(connection, table) for table in NUMBERED}


def first_day(connection: sqlite3.Connection) -> date | None:
    """The first day that was noted."""
    row = connection.execute("SELECT min(day) FROM days").fetchone()
    return date.fromisoformat(row[0]) if row and row[0] else None


def forget_kept(connection: sqlite3.Connection) -> None:
    """Within a transaction: the kept inputs were deleted, and their numbers begin anew."""
    for day, ends in connection.execute("SELECT day, ends FROM days").fetchall():
        new = msgspec.json.encode(_ends.decode(ends) | {KEPT: 0}).decode()
        connection.execute("UPDATE days SET ends=? WHERE day=?", (new, day))


def forget_days(connection: sqlite3.Connection, before: date) -> None:
    """Within a transaction: days that nothing is counted from any more."""
    connection.execute(
        "DELETE FROM days WHERE day < (SELECT max(day) FROM days WHERE day<?)", (before.isoformat(),)
    )


def _end(connection: sqlite3.Connection, table: str) -> int:
    found = connection.execute(f'SELECT coalesce(max("{NUMBERED[table]}"), 0) FROM "{table}"').fetchone()  # noqa: S608 - a closed list
    return int(found[0])
