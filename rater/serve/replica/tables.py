"""What changes in the tables of a replica; each function is called within a transaction."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from rater.embedded.openings import note_opening
from rater.serve.replica.rows import AUDIT, DECKS, ORDERS, STATE, Changes, Place, Position, Row

#: Which tables have what a topic says; every other topic has one of its own name.
_TABLES_OF = {STATE: ("entities", "seen"), DECKS: ("decks",)}
_INSERT = 'INSERT INTO "{}" (offset, tenant, key, value) VALUES (?, ?, ?, ?)'


class RowNumbers:
    """The number that the next row of each topic gets: never one that was there before, whatever was deleted."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._next: dict[str, int] = dict(connection.execute('SELECT topic, next_row FROM "replica-topics"'))

    def claim(self, topic: str, rows: int) -> int:
        """The first of so many new numbers."""
        first = self._next.get(topic, 1)
        self._next[topic] = first + rows
        return first

    def write(self, connection: sqlite3.Connection) -> None:
        """Keep what was claimed."""
        connection.executemany(
            'UPDATE "replica-topics" SET next_row=? WHERE topic=?',
            [(number, topic) for topic, number in self._next.items()],
        )


def write(connection: sqlite3.Connection, numbers: RowNumbers, changes: Changes) -> None:
    """Write what records changed, and how far they were read."""
    for place, rows in changes.kept.items():
        if rows:
            _write_kept(connection, numbers.claim(place.topic, len(rows)), place, rows)
    for topic, latest in changes.latest.items():
        _write_latest(connection, numbers, topic, latest)
    _write_state(connection, changes)
    many = connection.executemany
    many("INSERT OR IGNORE INTO decks VALUES (?, ?)", changes.decks.items())
    many(
        'INSERT OR REPLACE INTO "replica-positions" VALUES (?, ?, ?, ?)',
        [(*place, *position) for place, position in changes.positions.items()],
    )
    numbers.write(connection)


def read_positions(connection: sqlite3.Connection) -> dict[Place, Position]:
    """How far each partition was read."""
    rows = connection.execute('SELECT topic, partition, position, stamp_ms FROM "replica-positions"')
    return {Place(topic, partition): Position(offset, stamp) for topic, partition, offset, stamp in rows}


def read_ids(connection: sqlite3.Connection) -> dict[str, str]:
    """The ids of the topics that the file was filled from."""
    return dict(connection.execute('SELECT topic, id FROM "replica-topics"'))


def note_ids(connection: sqlite3.Connection, ids: Mapping[str, str]) -> None:
    """Keep which topics the file is filled from."""
    connection.executemany(
        'INSERT INTO "replica-topics" VALUES (?, ?, 1) ON CONFLICT (topic) DO UPDATE SET id=excluded.id',
        ids.items(),
    )


def empty(connection: sqlite3.Connection, topics: Iterable[str]) -> None:
    """Delete what these topics said, to read them again; numbers of rows go on: none stands for two records."""
    for topic in topics:
        for table in _TABLES_OF.get(topic, (topic,)):
            connection.execute(f'DELETE FROM "{table}"')  # noqa: S608 - closed lists
        for table in ("replica-positions", "replica-spans", "replica-latest"):
            connection.execute(f'DELETE FROM "{table}" WHERE topic=?', (topic,))  # noqa: S608 - a closed list
    note_opening(connection, rewritten=True)  # what was made of the rows, such as a lookup, does not stand any more


def forget_before(connection: sqlite3.Connection, firsts: Mapping[Place, int]) -> int:
    """Delete the rows of records that their topics deleted: those before the first offset; how many there were."""
    gone = 0
    for (topic, partition), kept_from in firsts.items():
        spans = connection.execute(
            'SELECT first, row, records FROM "replica-spans" WHERE topic=? AND partition=? AND first<?',
            (topic, partition, kept_from),
        ).fetchall()
        for first, row, records in spans:
            count = min(records, kept_from - first)
            connection.execute(f'DELETE FROM "{topic}" WHERE offset>=? AND offset<?', (row, row + count))  # noqa: S608 - a closed list
            connection.execute(
                'DELETE FROM "replica-spans" WHERE topic=? AND partition=? AND first=?', (topic, partition, first)
            )
            if count < records:
                rest = (topic, partition, first + count, row + count, records - count)
                connection.execute('INSERT INTO "replica-spans" VALUES (?, ?, ?, ?, ?)', rest)
            gone += count
    if gone:
        note_opening(connection, deleted=True)
    return gone


def _write_kept(connection: sqlite3.Connection, number: int, place: Place, rows: Sequence[tuple[int, Row]]) -> None:
    """Rows in the order of their offsets, and which offsets they are: a span for each gapless run of offsets."""
    many = connection.executemany
    if place.topic == AUDIT:
        many(
            f'INSERT INTO "{AUDIT}" (offset, value) VALUES (?, ?)',  # noqa: S608 - a name of ours
            [(at, row.value) for at, (_, row) in enumerate(rows, number)],
        )
    else:
        insert = _INSERT.format(place.topic)
        if place.topic == ORDERS:  # written at least once: the id says which are the same
            insert = insert.replace("INSERT", "INSERT OR IGNORE", 1)
        many(insert, [(at, *row) for at, (_, row) in enumerate(rows, number)])
    spans: list[tuple[int, int, int]] = []
    for at, (offset, _) in enumerate(rows, number):
        if spans and spans[-1][0] + spans[-1][2] == offset:
            first, row, records = spans[-1]
            spans[-1] = (first, row, records + 1)
        else:
            spans.append((offset, at, 1))
    many('INSERT INTO "replica-spans" VALUES (?, ?, ?, ?, ?)', [(*place, *span) for span in spans])


def _write_latest(
    connection: sqlite3.Connection, numbers: RowNumbers, topic: str, latest: Mapping[bytes, Row | None]
) -> None:
    keys = [(topic, key) for key in latest]
    many = connection.executemany
    many(
        f'DELETE FROM "{topic}" WHERE offset='  # noqa: S608 - a closed list
        '(SELECT row FROM "replica-latest" WHERE topic=? AND key=?)',
        keys,
    )
    many('DELETE FROM "replica-latest" WHERE topic=? AND key=?', keys)
    there = [(key, row) for key, row in latest.items() if row is not None]
    number = numbers.claim(topic, len(there))
    many(_INSERT.format(topic), [(at, *row) for at, (_, row) in enumerate(there, number)])
    many(
        'INSERT INTO "replica-latest" VALUES (?, ?, ?)',
        [(topic, key, at) for at, (key, _) in enumerate(there, number)],
    )


def _write_state(connection: sqlite3.Connection, changes: Changes) -> None:
    many = connection.executemany
    many(
        "DELETE FROM entities WHERE kind=? AND tenant=? AND name=?",
        [place for place, value in changes.entities.items() if value is None],
    )
    many(
        "INSERT OR REPLACE INTO entities VALUES (?, ?, ?, ?)",
        [(*place, value) for place, value in changes.entities.items() if value is not None],
    )
    many("DELETE FROM seen WHERE key=?", [(key,) for key, value in changes.seen.items() if value is None])
    many(
        "INSERT OR REPLACE INTO seen VALUES (?, ?)",
        [(key, value) for key, value in changes.seen.items() if value is not None],
    )
