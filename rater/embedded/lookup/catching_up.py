"""A lookup's connection, and how it is brought up to the store: in parts, each in one transaction.

    1. read what the store has in one snapshot of it
    2. lock the file; if it was deleted meanwhile, open the one that is there now
    3. if what is in it does not stand any more (a user was erased, a backup restored): begin anew; what the store
       has deleted since (it was pruned, or Kafka's topics keep it no longer) is deleted here, too
    4. write the next records of each topic, and note how far it is; when all are there for the first time, make
       the indexes

Two processes may do it at once: the second finds what the first wrote.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rater.embedded.kept_inputs import base_of
from rater.embedded.lookup.file import is_at, lookup_path, make_anew, open_file, with_indexes
from rater.embedded.lookup.filling import Filler
from rater.embedded.openings import TOPICS, Opening, deleted_since, ends_of, last_opening, still_stands
from rater.embedded.store import Reader

#: Records of each topic that are read at a time.
PART_RECORDS = 10_000
_OPENED_AGAIN_MAX = 5


class LookupFile:
    """The file of a lookup, and the store that it is made of."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._path = lookup_path(reader.path)
        self.connection, self._inode = open_file(self._path)

    def close(self) -> None:
        """Close the file; a temporary one is gone then."""
        self.connection.close()

    def fill_part(self, within_s: float) -> int:
        """Write the next records of each topic, for so long at least, or all: how many; 0 when all are there."""
        end = time.monotonic() + within_s
        store = self._reader.connection
        with _snapshot(store):  # 1
            opening, ends = last_opening(store), ends_of(store)
            if self._is_up_to_date(opening, ends):
                return 0
            with self._locked():  # 2
                filled, seen = self._filled(), self._seen()
                filler = Filler(store, self.connection)
                if seen is None or not still_stands(store, seen, filled):  # 3
                    make_anew(self.connection)
                    filled = dict.fromkeys(TOPICS, 0)
                    base = base_of(store) if self._reader.has("settings") else None
                    filler.carry(base.carried.items() if base is not None else ())
                elif deleted_since(store, seen):
                    filler.forget(filled)
                written = 0
                while (part := self._write(filler, filled)) and time.monotonic() < end:  # 4
                    written += part
                if not part:  # the last rows of a replica can be deleted ones
                    filled = ends
                if filled == ends:
                    with_indexes(self.connection)
                self._note(filler, filled, opening)
                return written + part

    def behind(self) -> int:
        """How many offsets of the store were not read yet."""
        ends, filled = ends_of(self._reader.connection), self._filled()
        return sum(max(0, end - filled[topic]) for topic, end in ends.items())

    def _is_up_to_date(self, opening: Opening, ends: dict[str, int]) -> bool:
        return self._filled() == ends and self._seen() == opening and is_at(self._path, self._inode)

    def _write(self, filler: Filler, filled: dict[str, int]) -> int:
        written = 0
        for topic, write in filler.writers.items():
            if topic == "dlq-audit" and not self._reader.has(topic):
                continue
            whose = "NULL, NULL" if topic == "dlq-audit" else "tenant, key"
            rows = self._reader.connection.execute(
                f'SELECT offset, {whose}, value FROM "{topic}" WHERE offset>? ORDER BY offset LIMIT ?',  # noqa: S608 - closed list
                (filled[topic], PART_RECORDS),
            ).fetchall()
            if rows:
                write(rows)
                filled[topic] = rows[-1][0]
                written += len(rows)
        return written

    def _note(self, filler: Filler, filled: dict[str, int], opening: Opening) -> None:
        filler.close()
        self.connection.executemany("INSERT OR REPLACE INTO filled VALUES (?, ?)", filled.items())
        self.connection.execute("DELETE FROM opening")
        self.connection.execute("INSERT INTO opening VALUES (?, ?)", (opening.number, opening.id))

    def _filled(self) -> dict[str, int]:
        found = dict(self.connection.execute("SELECT topic, until FROM filled").fetchall())
        return {topic: int(found.get(topic, 0)) for topic in TOPICS}

    def _seen(self) -> Opening | None:
        row = self.connection.execute("SELECT number, id FROM opening").fetchone()
        return None if row is None else Opening(*row)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """A transaction on the file that is at the path now."""
        for _ in range(_OPENED_AGAIN_MAX):
            self.connection.execute("BEGIN IMMEDIATE")
            if is_at(self._path, self._inode):
                break
            self.connection.execute("ROLLBACK")
            self.connection.close()
            self.connection, self._inode = open_file(self._path)
        else:
            raise sqlite3.OperationalError(f"{self._path}: deleted again and again")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise


@contextmanager
def _snapshot(store: sqlite3.Connection) -> Iterator[None]:
    """All statements within see the store as it is at the first of them."""
    if store.in_transaction:
        yield
        return
    store.execute("BEGIN")
    try:
        yield
    finally:
        store.execute("COMMIT")
