"""How long a store keeps what: `rater prune`, and every day in a run that watches.

Kept inputs, dead letters and what was rated are kept at least as long as the topics of Kafka keep them: a record
that comes again is known for as long as its call is (rule 68), and corrections find what they correct.

    1. compute the ledger again from the kept inputs, and compare it; on the way the state is noted where the inputs
       end that are deleted, and calls that later inputs ask for
    2. in one transaction delete what is older, and begin a checkpoint with that state: from there on `rater verify`
       computes again
    3. give the free pages of the file back
"""

import sqlite3
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import msgspec

from rater.embedded.days import KEPT, ends_before, first_day, forget_days
from rater.embedded.dead_letters import letters_of
from rater.embedded.kept_inputs import Base, base_digest, base_of, save_base
from rater.embedded.openings import note_opening
from rater.embedded.snapshots import forget_snapshots
from rater.embedded.store import Reader, Store
from rater.embedded.verify import Checkpoint, credited, debited, verify_store
from rater.wire.dead_letters import SETTLED
from rater.wire.errors import Exit, RaterError
from rater.wire.topics import load_topics

#: The setting of a store that prunes itself while it watches: for how many days inputs are kept.
KEEP_DAYS = "keep_days"
_PRUNED_ON = "pruned_on"
_HOURS = 24
_INCREMENTAL = 2
#: What is counted in sums when it is deleted.
_MONEY = {"debits": debited, "account-events": credited}


class DaysKept(msgspec.Struct, frozen=True):
    """For how many days each is kept: inputs, dead letters that were dealt with, and what was rated."""

    inputs: int
    letters: int
    records: int

    def at_least(self, days: int | None) -> "DaysKept":
        """The same, and nothing for fewer days than these."""
        return self if days is None else DaysKept(*(max(days, one) for one in msgspec.structs.astuple(self)))


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """What was deleted, or would be: rows by table; and how large the file was and is."""

    kept: DaysKept
    rows: dict[str, int]
    bytes_before: int
    bytes_after: int


def retention() -> DaysKept:
    """As long as the topics of Kafka keep records; inputs as `cdrs` does."""
    topics = load_topics()
    days = [(topics[name].retention_hours or 0) // _HOURS for name in ("cdrs", "rejected-cdrs", "rated-calls")]
    return DaysKept(*days)


def days_to_keep(keep: int | None, before: date | None, today: date) -> DaysKept:
    """What is kept if inputs are, for so many days or since a day.

    Raises RaterError for fewer days than replays, late calls, corrections and duplicates reach back.
    """
    least = retention()
    days = (today - before).days if before is not None else keep
    if days is not None and days < least.inputs:
        last = today - timedelta(days=least.inputs)
        got = f"--before {before}" if before is not None else f"--keep {keep}"
        raise RaterError(
            f"{got}: expected at least {least.inputs} days, so {last} or before: late calls, replays and"
            " corrections reach back so far; nothing was deleted"
        )
    return least.at_least(days)


def prune(
    store: Store,
    kept: DaysKept,
    today: date,
    progress: Callable[[int], None] = lambda _: None,
    *,
    dry_run: bool = False,
) -> Pruned:
    """Delete what is older; see the module's docstring.  A dry run only counts it.

    Raises RaterError, and nothing was deleted: the store differs from what its inputs give.
    """
    before = _bytes(store.connection)
    checkpoint = Checkpoint(_last_input(store.connection, kept, today))
    report = verify_store(store.path, progress, checkpoint)  # 1
    if report.found:
        raise RaterError(
            f"{store.path}: {report.found} differences from what its inputs give; nothing was deleted, because they"
            " could not be found any more; see rater verify --store",
            Exit.FAILED,
        )
    try:
        with store.transaction():  # 2
            rows = _delete(store, checkpoint, kept, today)
            note_opening(store.connection, deleted=True)
            if dry_run:
                raise _DryRun
    except _DryRun:
        return Pruned(kept=kept, rows=rows, bytes_before=before, bytes_after=before)
    store.set(_PRUNED_ON, today.isoformat())
    _shrink(store.connection)  # 3
    return Pruned(kept=kept, rows=rows, bytes_before=before, bytes_after=_bytes(store.connection))


class _DryRun(Exception):
    """Nothing is to be deleted."""


def _last_input(connection: sqlite3.Connection, kept: DaysKept, today: date) -> int:
    """The last kept batch that is deleted; the newest one stays, so that numbers go on."""
    end = ends_before(connection, today - timedelta(days=kept.inputs)).get(KEPT, 0)
    newest = connection.execute('SELECT coalesce(max(batch), 0) FROM "kept-inputs"').fetchone()[0]
    return min(end, int(newest) - 1)


def _delete(store: Store, checkpoint: Checkpoint, kept: DaysKept, today: date) -> dict[str, int]:
    connection, base = store.connection, base_of(store.connection)
    assert base is not None, store.path
    rows = {KEPT: _begin(connection, checkpoint)}
    offsets = checkpoint.offsets or base.offsets
    old = ends_before(connection, today - timedelta(days=kept.records))
    old_letters = ends_before(connection, today - timedelta(days=kept.letters))
    carried = Counter(base.carried)
    for topic, moved in _MONEY.items():
        end = min(old.get(topic, 0), offsets[topic])
        rows[topic] = _delete_money(connection, topic, end, moved, carried)
    rows["rated-calls"] = _delete_calls(
        connection, min(old.get("rated-calls", 0), offsets["rated-calls"]), checkpoint
    )
    for topic in ("balances", "service-states"):
        rows[topic] = _delete_all_but(connection, topic, min(old.get(topic, 0), offsets[topic]), "tenant, key")
    rows["call-commands"] = _delete_all_but(
        connection,
        "call-commands",
        ends_before(connection, today - timedelta(days=kept.inputs)).get("call-commands", 0),
        "tenant",
    )
    rows["rejected-cdrs"] = _delete_letters(
        store, min(old_letters.get("rejected-cdrs", 0), offsets["rejected-cdrs"])
    )
    why = f"rater prune deleted inputs on {today}, after they were verified" if checkpoint.noted else base.why
    save_base(connection, Base(offsets, why, base_digest(connection), dict(carried)))
    forget_days(connection, today - timedelta(days=kept.records))
    return {table: count for table, count in rows.items() if count}


def _begin(connection: sqlite3.Connection, checkpoint: Checkpoint) -> int:
    """Computing again begins with the state that the deleted inputs left; how many batches are deleted."""
    if not checkpoint.noted:
        return 0
    connection.execute('DELETE FROM "base-entities"')
    connection.executemany('INSERT INTO "base-entities" VALUES (?, ?, ?, ?)', checkpoint.entities)
    connection.executemany('INSERT OR REPLACE INTO "base-seen" VALUES (?, ?)', checkpoint.seen)
    forget_snapshots(connection, checkpoint.after)
    return connection.execute('DELETE FROM "kept-inputs" WHERE batch<=?', (checkpoint.after,)).rowcount


def _delete_money(
    connection: sqlite3.Connection,
    topic: str,
    end: int,
    moved: Callable[[bytes], tuple[str, int]],
    carried: Counter[str],
) -> int:
    """Delete records that moved money and add them up; each tenant's newest stays, for its sequence."""
    old = f'FROM "{topic}" WHERE offset<=? AND offset NOT IN (SELECT max(offset) FROM "{topic}" GROUP BY tenant)'  # noqa: S608 - a closed list
    for (value,) in connection.execute(f"SELECT value {old}", (end,)):
        tenant, micros = moved(value)
        carried[tenant] += micros
    return connection.execute(f"DELETE {old}", (end,)).rowcount


def _delete_calls(connection: sqlite3.Connection, end: int, checkpoint: Checkpoint) -> int:
    """Delete rated calls, but those that a kept input asks for, with what switches wrote of them."""
    connection.execute("CREATE TEMP TABLE asked (key TEXT PRIMARY KEY) WITHOUT ROWID")
    connection.executemany("INSERT OR IGNORE INTO asked VALUES (?)", [(id,) for id in checkpoint.asked])
    deleted = connection.execute(
        'DELETE FROM "rated-calls" WHERE offset<=? AND key NOT IN (SELECT key FROM asked)'
        ' AND offset < (SELECT max(offset) FROM "rated-calls")',
        (end,),
    ).rowcount
    connection.execute("DROP TABLE asked")
    if deleted:
        connection.execute(
            'DELETE FROM "switch-lines" WHERE usage_id NOT IN (SELECT key FROM "rated-calls" WHERE key IS NOT NULL)'
        )
    return deleted


def _delete_all_but(connection: sqlite3.Connection, topic: str, end: int, of_each: str) -> int:
    """Delete all but the newest of each tenant or key."""
    return connection.execute(
        f'DELETE FROM "{topic}" WHERE offset<=? AND offset NOT IN'  # noqa: S608 - closed lists
        f' (SELECT max(offset) FROM "{topic}" GROUP BY {of_each})',
        (end,),
    ).rowcount


def _delete_letters(store: Store, end: int) -> int:
    """Delete dead letters that were dealt with; those that wait stay until somebody does."""
    connection = store.connection
    newest = connection.execute('SELECT coalesce(max(offset), 0) FROM "rejected-cdrs"').fetchone()[0]
    settled = {one.letter.id for one in letters_of(store) if one.state in SETTLED} | store.replayed()
    old = [
        (offset, key)
        for offset, key in connection.execute('SELECT offset, key FROM "rejected-cdrs" WHERE offset<=?', (end,))
        if key in settled and offset != newest
    ]
    connection.executemany('DELETE FROM "rejected-cdrs" WHERE offset=?', [(offset,) for offset, _ in old])
    connection.executemany("DELETE FROM replayed WHERE id=?", [(key,) for _, key in old])
    return len(old)


def _shrink(connection: sqlite3.Connection) -> None:
    """Give free pages back: from the first time on page by page, which takes no room beside the file."""
    if connection.execute("PRAGMA auto_vacuum").fetchone()[0] == _INCREMENTAL:
        connection.execute("PRAGMA incremental_vacuum").fetchall()
    else:
        connection.execute(f"PRAGMA auto_vacuum={_INCREMENTAL}")
        connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _bytes(connection: sqlite3.Connection) -> int:
    pages, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    return int(pages) * int(size)


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """What a store holds: bytes, since when it counts the age of rows, and what `rater prune` would begin with."""

    bytes: int
    free_bytes: int
    since: date | None
    calls: int
    oldest_call: str | None
    batches: int
    waiting: int
    past_retention: bool


def size_of(reader: Reader, today: date) -> Size:
    """How large a store is, and how old."""
    connection, kept = reader.connection, retention()
    free, page = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_size"))
    oldest = connection.execute('SELECT value FROM "rated-calls" ORDER BY offset LIMIT 1').fetchone()
    known = reader.has("days")
    end = ends_before(connection, today - timedelta(days=kept.inputs)).get(KEPT, 0) if known else 0
    return Size(
        bytes=_bytes(connection),
        free_bytes=int(free) * int(page),
        since=first_day(connection) if known else None,
        calls=reader.count("rated-calls"),
        oldest_call=msgspec.json.decode(oldest[0])["received_at"] if oldest else None,
        batches=reader.count(KEPT) if reader.has(KEPT) else 0,
        waiting=sum(one.state not in SETTLED for one in letters_of(reader)),
        past_retention=bool(
            end and connection.execute('SELECT 1 FROM "kept-inputs" WHERE batch<=? LIMIT 1', (end,)).fetchone()
        ),
    )


class Daily:
    """Prunes a store once a day, where its setting `keep_days` asks for it."""

    def __init__(self, store: Store, say: Callable[[str], None]) -> None:
        self._store, self._say = store, say
        self._tried: date | None = None

    def look(self) -> None:
        """Prune if it is due; what prevents it is reported once a day, and stops nothing else."""
        today, days = datetime.now(UTC).date(), self._store.setting(KEEP_DAYS)
        if not days or self._tried == today or self._store.setting(_PRUNED_ON) == today.isoformat():
            return
        self._tried = today
        try:
            done = prune(self._store, days_to_keep(int(days), None, today), today)
        except RaterError as wrong:
            self._say(f"{self._store.path}: not pruned: {wrong}")
            return
        deleted = sum(done.rows.values())
        self._say(f"{self._store.path}: pruned: {deleted} rows deleted, {done.bytes_after:,} bytes are left")
