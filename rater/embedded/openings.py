"""When a store was opened to write, and when its rows were rewritten: whether what was read still stands.

A row is added to a topic once and stays as it is, but for `rater erase`; `rater prune`, and topics of which a
replica is made, delete old ones.  Who keeps something that was made of the rows up to an offset, such as the
lookup, notes the last opening that it saw.  It still stands if that opening is there, no later one says that rows
were rewritten, and none began below the offset.  So a store that was restored from a backup, or replaced by another
file, is noticed.  Where a later opening says that rows were deleted, what was made of them is to be deleted, too.
"""

import sqlite3
from collections.abc import Mapping
from secrets import token_hex

import msgspec

from rater.embedded.tables import has_table

#: Openings that are kept; who saw only older ones begins anew.
OPENINGS_MAX = 1_000
#: Topics from which something is kept elsewhere.
TOPICS = ("rated-calls", "debits", "account-events", "rejected-cdrs", "dlq-audit", "service-states")
OPENINGS_TABLE = (
    "CREATE TABLE IF NOT EXISTS openings"
    " (number INTEGER PRIMARY KEY, id TEXT NOT NULL, ends TEXT NOT NULL, rewritten INTEGER NOT NULL)"
)
#: What an opening says of the rows before it.
_AS_THEY_WERE, _REWRITTEN, _DELETED = range(3)
_ends = msgspec.json.Decoder(dict[str, int])


class Opening(msgspec.Struct, frozen=True):
    """One opening; number 0 stands for a store in which no release noted any."""

    number: int
    id: str


def note_opening(connection: sqlite3.Connection, *, rewritten: bool = False, deleted: bool = False) -> None:
    """Within a transaction: the store was opened to write, or rows are rewritten or deleted in it."""
    what = _REWRITTEN if rewritten else _DELETED if deleted else _AS_THEY_WERE
    connection.execute(
        "INSERT INTO openings (id, ends, rewritten) VALUES (?, ?, ?)",
        (token_hex(16), msgspec.json.encode(ends_of(connection)).decode(), what),
    )
    connection.execute(
        "DELETE FROM openings WHERE number <= (SELECT max(number) FROM openings) - ?", (OPENINGS_MAX,)
    )


def ends_of(connection: sqlite3.Connection) -> dict[str, int]:
    """The last offset of each topic; of a replica, whose rows may all be deleted, the last that there was."""
    if has_table(connection, "replica-topics"):
        known = dict(connection.execute('SELECT topic, next_row - 1 FROM "replica-topics"').fetchall())
        return {topic: int(known.get(topic, 0)) for topic in TOPICS}
    return {
        topic: int(connection.execute(f'SELECT coalesce(max(offset), 0) FROM "{topic}"').fetchone()[0])  # noqa: S608 - closed list
        if has_table(connection, topic)
        else 0
        for topic in TOPICS
    }


def last_opening(connection: sqlite3.Connection) -> Opening:
    """The newest opening; of a store that an older release wrote, its owner's epoch."""
    if not has_table(connection, "openings"):
        epoch = connection.execute("SELECT epoch FROM owner").fetchone() if has_table(connection, "owner") else None
        return Opening(0, f"epoch {epoch[0] if epoch else 0}")
    row = connection.execute("SELECT number, id FROM openings ORDER BY number DESC LIMIT 1").fetchone()
    return Opening(*row) if row else Opening(0, "none")


def still_stands(connection: sqlite3.Connection, seen: Opening, filled: Mapping[str, int]) -> bool:
    """Whether what was made of the rows up to these offsets, when `seen` was the last opening, is still true."""
    ends = ends_of(connection)
    if any(ends[topic] < offset for topic, offset in filled.items()):
        return False
    if seen.number == 0:
        return last_opening(connection) == seen
    if not has_table(connection, "openings"):
        return False
    rows = connection.execute(
        "SELECT number, id, ends, rewritten FROM openings WHERE number>=? ORDER BY number", (seen.number,)
    ).fetchall()
    if not rows or Opening(*rows[0][:2]) != seen:
        return False
    return not any(what == _REWRITTEN or _began_below(began, filled) for _, _, began, what in rows[1:])


def deleted_since(connection: sqlite3.Connection, seen: Opening) -> bool:
    """Whether rows were deleted after an opening."""
    if not has_table(connection, "openings"):
        return False
    find = "SELECT 1 FROM openings WHERE number>? AND rewritten=? LIMIT 1"
    return connection.execute(find, (seen.number, _DELETED)).fetchone() is not None


def _began_below(began: str, filled: Mapping[str, int]) -> bool:
    ends = _ends.decode(began)
    return any(ends[topic] < filled[topic] for topic in ends.keys() & filled.keys())
