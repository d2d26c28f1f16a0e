"""The ledger of notices to send and notices sent: one row for each event and channel, in one SQLite file.

An event is noted before its record is acknowledged, so that none is lost; the row of an event and channel is made
once, so that a record delivered twice is sent once.  A message goes through three states: `queued`, `sending`
(written before the attempt), `sent` (written after the receiver accepted it).

Between the receiver accepting a message and `sent` being written is an instant.  A process killed in it leaves
`sending`, and the next one sends again: **at least once**.  The other choice, to skip what was left in `sending`,
would be at most once: a kill an instant earlier would lose the message.  So a second copy is possible, but only
then, and it bears the same key (the Message-ID of an e-mail, the webhook-id of a webhook), made of the event id,
by which mail servers, readers and receivers recognise it.

The ledger is one file on one disk: an event that is noted in two files is sent twice, with the same key.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from rater.agents.notices.channel import Channel, Message
from rater.core import AccountEvent, ClosedList
from rater.wire.errors import Exit, RaterError

SCHEMA_VERSION = 1
HOUR_S = 3600
_DAY_S = 86_400
_TABLES = (
    """CREATE TABLE notices (
        number INTEGER PRIMARY KEY,
        event TEXT NOT NULL,
        channel TEXT NOT NULL,
        tenant TEXT NOT NULL,
        record BLOB NOT NULL,
        state TEXT NOT NULL,
        digest_hour INTEGER,
        noted_s INTEGER NOT NULL,
        due_s INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        error TEXT,
        UNIQUE (event, channel)
    )""",
    "CREATE INDEX due ON notices (channel, due_s, number) WHERE state IN ('queued', 'sending')",
    "CREATE INDEX notified ON notices (channel, tenant, noted_s)",
)
_decoder = msgspec.json.Decoder(AccountEvent)


class State(ClosedList):
    """How far a notice has come."""

    QUEUED = "queued"  # to be sent when it is due
    SENDING = "sending"  # an attempt was begun; found at a start, it may have been sent
    SENT = "sent"  # the receiver accepted it
    ABANDONED = "abandoned"  # the receiver refused it for days; kept to be looked at


class Begun(msgspec.Struct, frozen=True):
    """A message that is being sent, with the rows it is made of."""

    message: Message
    numbers: tuple[int, ...]
    attempts: int
    noted_s: int


class Outbox:
    """One process has the file; times are seconds since 1970."""

    def __init__(self, path: Path, ledger_days: int) -> None:
        self.path = path
        self._ledger_s = ledger_days * _DAY_S
        self._purged_s = 0
        try:
            self._connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as wrong:
            raise RaterError(f"{path}: cannot be opened as an outbox: {wrong}") from wrong
        try:
            self._prepare()
        except (sqlite3.Error, RaterError) as wrong:
            self._connection.close()
            raise wrong if isinstance(wrong, RaterError) else _cannot_open(path, wrong) from wrong

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def note(self, event: AccountEvent, channels: Iterable[Channel], now_s: int) -> int:
        """Queue an event for each channel that does not know it yet; how many.  On the disk when this returns."""
        with self._transaction() as rows:
            noted = [self._note_once(rows, event, channel, now_s) for channel in channels]
            if now_s - self._purged_s > _DAY_S:
                self._purged_s = now_s
                rows.execute("DELETE FROM notices WHERE state='sent' AND noted_s < ?", (now_s - self._ledger_s,))
        return sum(noted)

    def begin(self, channel: str, now_s: int) -> Begun | None:
        """The next message that is due, now marked as being sent."""
        with self._transaction() as rows:
            first = rows.execute(
                "SELECT tenant, digest_hour, number FROM notices WHERE channel=? AND due_s<=?"
                " AND state IN ('queued', 'sending') ORDER BY due_s, number LIMIT 1",
                (channel, now_s),
            ).fetchone()
            if first is None:
                return None
            tenant, hour, number = first
            condition, wanted = ("number=?", (number,)) if hour is None else (
                "channel=? AND tenant=? AND digest_hour=? AND due_s<=? AND state IN ('queued', 'sending')",
                (channel, tenant, hour, now_s),
            )  # fmt: skip
            found = rows.execute(
                f"SELECT number, record, state, attempts, noted_s FROM notices WHERE {condition} ORDER BY number",  # noqa: S608 - one of two texts
                wanted,
            ).fetchall()
            numbers = tuple([row[0] for row in found])
            self._set(rows, numbers, "state=?", State.SENDING.value)
        message = Message(
            channel=channel,
            tenant=tenant,
            events=tuple([_decoder.decode(row[1]) for row in found]),
            again=any(row[2] == State.SENDING.value for row in found),
        )
        return Begun(message, numbers, max(row[3] for row in found), min(row[4] for row in found))

    def sent(self, begun: Begun) -> None:
        """The receiver accepted it."""
        with self._transaction() as rows:
            self._set(rows, begun.numbers, "state=?, error=NULL", State.SENT.value)

    def put_back(self, begun: Begun, error: str) -> None:
        """The receiver was not reached: as if it had not been tried."""
        with self._transaction() as rows:
            self._set(rows, begun.numbers, "state=?, error=?", State.QUEUED.value, error)

    def postpone(self, begun: Begun, error: str, due_s: int) -> None:
        """The receiver refused it: tried again later."""
        with self._transaction() as rows:
            values = (State.QUEUED.value, error, due_s)
            self._set(rows, begun.numbers, "state=?, error=?, due_s=?, attempts=attempts+1", *values)

    def abandon(self, begun: Begun, error: str) -> None:
        """The receiver refused it too often: kept, and not tried again."""
        with self._transaction() as rows:
            self._set(rows, begun.numbers, "state=?, error=?", State.ABANDONED.value, error)

    def counts(self, channel: str) -> dict[State, int]:
        """How many notices of a channel are in each state."""
        found = self._connection.execute(
            "SELECT state, count(*) FROM notices WHERE channel=? GROUP BY state", (channel,)
        ).fetchall()
        return {State(state): count for state, count in found}

    def next_due_s(self, channel: str) -> int | None:
        """When the next message of a channel is due."""
        found: int | None = self._connection.execute(
            "SELECT min(due_s) FROM notices WHERE channel=? AND state IN ('queued', 'sending')", (channel,)
        ).fetchone()[0]
        return found

    def _note_once(self, rows: sqlite3.Connection, event: AccountEvent, channel: Channel, now_s: int) -> int:
        hour = now_s // HOUR_S
        digest_hour, due_s = None, now_s
        if channel.messages_per_hour_max is not None:
            (alone,) = rows.execute(
                "SELECT count(*) FROM notices WHERE channel=? AND tenant=? AND noted_s>=? AND digest_hour IS NULL",
                (channel.name, event.tenant, hour * HOUR_S),
            ).fetchone()
            if alone >= channel.messages_per_hour_max:
                digest_hour, due_s = hour, (hour + 1) * HOUR_S
        record = msgspec.json.encode(event)
        return rows.execute(
            "INSERT OR IGNORE INTO notices (event, channel, tenant, record, state, digest_hour, noted_s, due_s)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (event.id, channel.name, event.tenant, record, State.QUEUED.value, digest_hour, now_s, due_s),
        ).rowcount

    def _set(self, rows: sqlite3.Connection, numbers: tuple[int, ...], changes: str, *values: object) -> None:
        statement = f"UPDATE notices SET {changes} WHERE number=?"  # noqa: S608 - texts of this module
        rows.executemany(statement, [(*values, number) for number in numbers])

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        except sqlite3.Error as wrong:
            full = "disk is full" in str(wrong)
            message = f"{self.path}: the outbox cannot be written, nothing was noted: {wrong}"
            raise RaterError(message, Exit.DISK_FULL if full else Exit.FAILED) from wrong

    def _prepare(self) -> None:
        run = self._connection.execute
        run("PRAGMA locking_mode=EXCLUSIVE")
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=FULL")
        run("BEGIN IMMEDIATE")
        version = run("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            message = f"{self.path}: written by a newer rater (version {version}); use that one"
            raise RaterError(message, Exit.STORE_TOO_NEW)
        if version == 0:
            for statement in _TABLES:
                run(statement)
            run(f"PRAGMA user_version={SCHEMA_VERSION}")
        run("COMMIT")


def _cannot_open(path: Path, wrong: sqlite3.Error) -> RaterError:
    if "locked" in str(wrong):
        message = f"{path}: in use by another process; each needs an outbox of its own"
        return RaterError(message, Exit.STORE_IN_USE)
    return RaterError(f"{path}: cannot be opened as an outbox: {wrong}")
