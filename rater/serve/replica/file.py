"""The file of a replica: rows and how far the topics were read are committed together, so nothing is there twice.

A file that does not fit (other topics, another form, older rules) is emptied or made anew: all is in the topics.
"""

import sqlite3
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rater.core import RULES
from rater.embedded.failures import error_of
from rater.embedded.ownership import Lock, owned_transaction, take_over
from rater.embedded.replicas import REPLICA_FORM, as_of, form_of, note_as_of
from rater.embedded.schema import open_for_writing
from rater.embedded.upgrade import rules_of
from rater.serve.replica import tables
from rater.serve.replica.rows import COMPACTED, TOPICS, Changes, Place, Position
from rater.wire.errors import Exit, RaterError
from rater.wire.topics import load_topics

#: SQLite's own files beside a file, and the cache of who looks things up in it.
_BESIDE = ("", "-wal", "-shm", "-lookup", "-lookup-wal", "-lookup-shm")


class ReplicaFile:
    """Open until `close`, in one thread after the other; `remade` says why what was there was discarded."""

    def __init__(self, path: Path) -> None:
        """Raises RaterError: a store or another file, in use, written by a newer program, not writable, damaged."""
        self.path, self.remade = path, ""
        connection, lock = _opened(path)
        try:
            misfit = _misfit(connection, path)
        except RaterError:
            connection.close()
            lock.close()
            raise
        if misfit:
            connection.close()
            for name in _BESIDE:
                path.with_name(path.name + name).unlink(missing_ok=True)
            lock.close()
            self.remade = misfit
            connection, lock = _opened(path)
        self._connection, self._lock = connection, lock
        connection.execute("PRAGMA secure_delete=ON")  # what topics deleted is nowhere in the file
        try:
            self._epoch = take_over(connection)
            self._numbers = tables.RowNumbers(connection)
        except sqlite3.Error as wrong:
            self.close()
            raise error_of(path, wrong) from wrong

    def close(self) -> None:
        """Close the file, then release its lock."""
        self._connection.close()
        self._lock.close()

    def fit(self, ids: Mapping[str, str], now: datetime) -> str:
        """Read anew what is of other topics, or of which deletions went unseen; why, empty if it goes on."""
        known = tables.read_ids(self._connection)
        others = sorted(topic for topic, id in ids.items() if known and known.get(topic) != id)
        last = as_of(self._connection)
        if others:
            self.restart(ids)
            return f"deleted and created again: {', '.join(others)}; all topics are read from their first records"
        if last is not None and now - last > _deletions_seen():
            with self._transaction():
                tables.empty(self._connection, COMPACTED)
            since = last.isoformat(timespec="seconds")
            return f"what was deleted since {since} can have gone unseen; read again: {', '.join(COMPACTED)}"
        if not known:
            with self._transaction():
                tables.note_ids(self._connection, ids)
        return ""

    def restart(self, ids: Mapping[str, str]) -> None:
        """Begin anew with the first records of these topics."""
        with self._transaction():
            tables.empty(self._connection, TOPICS)
            tables.note_ids(self._connection, ids)

    def positions(self) -> dict[Place, Position]:
        """How far each partition was read."""
        return tables.read_positions(self._connection)

    def apply(self, changes: Changes, until: datetime | None) -> None:
        """Commit what records change; everything up to `until` is in the file then (None: as before).

        RaterError: the disk is full or fails, or another process became the owner; nothing is kept then.
        """
        try:
            with self._transaction():
                tables.write(self._connection, self._numbers, changes)
                self._note(until)
        except BaseException:
            self._numbers = tables.RowNumbers(self._connection)
            raise

    def note(self, until: datetime) -> None:
        """Everything up to here is in the file."""
        with self._transaction():
            self._note(until)

    def forget_before(self, firsts: Mapping[Place, int]) -> int:
        """Delete what topics have deleted: what stands before these offsets; how many rows that were."""
        with self._transaction():
            return tables.forget_before(self._connection, firsts)

    def _note(self, until: datetime | None) -> None:
        known = as_of(self._connection)
        if until is not None and (known is None or known < until):
            note_as_of(self._connection, until.astimezone(UTC))

    def _transaction(self) -> AbstractContextManager[None]:
        return owned_transaction(self._connection, self.path, self._epoch)


def _opened(path: Path) -> tuple[sqlite3.Connection, Lock]:
    try:
        return open_for_writing(path, replica=True)
    except RaterError as wrong:
        if wrong.exit is Exit.STORE_DAMAGED:
            said = f"{wrong}; or, as it is a replica: delete it, and it is made anew"
            raise RaterError(said, wrong.exit) from wrong
        raise


def _misfit(connection: sqlite3.Connection, path: Path) -> str:
    """Why a file is made anew; RaterError if a newer program wrote it."""
    for what, found, known in (
        ("form", form_of(connection) or 0, REPLICA_FORM),
        ("rules", rules_of(connection), RULES),
    ):
        if found > known:
            raise RaterError(
                f"{path}: written by a newer rater ({what} {found}, this one has {known}); upgrade this one, or"
                " name another file with --replica; nothing was changed",
                Exit.STORE_TOO_NEW,
            )
        if found < known:
            return f"an older release wrote it ({what} {found}, this one has {known})"
    return ""


def _deletions_seen() -> timedelta:
    """For how long a compacted topic keeps the record that says a key is gone, at least."""
    kept_ms = [int(topic.settings.get("delete.retention.ms", "86400000")) for topic in load_topics().values()]
    return timedelta(milliseconds=min(kept_ms))
