"""The inputs of a store, kept so that its ledger can be computed again: a compressed row for each batch.

A batch is kept with all that its result depends on: its records as they came, when they arrived, the settings, and
which decks were published.  Before the first kept batch stands a base: the entities as they were then, and how long
each topic was.  A new store has an empty base; a store of an older release gets one when it is first opened.
"""

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Literal

import msgspec

from rater.core import OUTPUT_TOPICS, AnyCommand, CallRecord, Original, RatingSettings, Refusal, Source
from rater.embedded.days import forget_kept
from rater.embedded.snapshots import forget_snapshots
from rater.engine.batch import Envelope, Record
from rater.files.read_again import Decode, reader_of
from rater.wire.codec import decode_cdr, encode_input

KEPT_TABLES = (
    (
        'CREATE TABLE IF NOT EXISTS "kept-inputs"'
        " (batch INTEGER PRIMARY KEY, records INTEGER NOT NULL, value BLOB NOT NULL)"
    ),
    (
        'CREATE TABLE IF NOT EXISTS "base-entities" (kind TEXT, tenant TEXT, name TEXT, value BLOB NOT NULL,'
        " PRIMARY KEY (kind, tenant, name)) WITHOUT ROWID"
    ),
    'CREATE TABLE IF NOT EXISTS "base-seen" (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID',
)
#: The setting that holds the base.
_BASE = "kept_base"
#: Level 1 is a third of the work of level 6 for a tenth more bytes.
_LEVEL = 1

_pack = msgspec.msgpack.Encoder().encode
_command = msgspec.json.Decoder(AnyCommand).decode


class _KeptRecord(msgspec.Struct, frozen=True, array_like=True):
    """A record; `command` says that its bytes were written by this program, `envelope` which one of the batch.

    `mapped` is what a mapping made of it: mapping and tables may be others when it is computed again.
    """

    kind: Literal["cdr", "command"]
    source: Source
    raw: bytes
    command: bool
    refusal: Refusal | None
    envelope: int | None
    arrived_at: datetime | None
    arrival_given: bool
    original: Original | None
    mapped: bytes | None = None


class KeptBatch(msgspec.Struct, frozen=True):
    """What one batch consumed, in order, and what its result depends on besides the state."""

    settings: RatingSettings
    decks: tuple[str, ...]
    envelopes: tuple[Envelope, ...]
    records: tuple[_KeptRecord, ...]


class Base(msgspec.Struct, frozen=True):
    """Where computing again begins: the last offset of each topic then, and why it is not the beginning.

    `digest` is that of the state then (`base_digest`); absent where an older release began it.  `carried` are the
    micro-units by tenant that came in, less those that left, in records which were deleted since.
    """

    offsets: dict[str, int]
    why: str | None = None
    digest: str | None = None
    carried: dict[str, int] = {}


_batches = msgspec.msgpack.Decoder(KeptBatch)
_bases = msgspec.json.Decoder(Base)


def keep(connection: sqlite3.Connection, batch: KeptBatch) -> None:
    """Within a batch's transaction: keep what it consumed."""
    if batch.records:
        connection.execute(
            'INSERT INTO "kept-inputs" (records, value) VALUES (?, ?)',
            (len(batch.records), zlib.compress(_pack(batch), _LEVEL)),
        )


def to_keep(settings: RatingSettings, decks: Sequence[str], records: Sequence[Record]) -> KeptBatch:
    """A batch as it is kept."""
    numbers: dict[Envelope | None, int] = {}
    kept = []
    for record in records:
        envelope = record.envelope
        number = None if envelope is None else numbers.setdefault(envelope, len(numbers))
        decoded = record.decoded
        kept.append(
            _KeptRecord(
                record.kind,
                record.source,
                record.raw,
                decoded is not None and record.kind == "command",
                decoded if isinstance(decoded, Refusal) else None,
                number,
                record.arrived_at,
                record.arrival_given,
                record.original,
                _mapped(record),
            )
        )
    return KeptBatch(settings, tuple(decks), tuple(one for one in numbers if one is not None), tuple(kept))


def _mapped(record: Record) -> bytes | None:
    if record.envelope is None or record.envelope.mapping is None or not isinstance(record.decoded, CallRecord):
        return None
    return encode_input(record.decoded)


def kept_batches(connection: sqlite3.Connection, after: int = 0) -> Iterator[tuple[int, KeptBatch]]:
    """Every kept batch behind another with its number, in order."""
    find = 'SELECT batch, value FROM "kept-inputs" WHERE batch>? ORDER BY batch'
    for number, value in connection.execute(find, (after,)):
        yield number, _batches.decode(zlib.decompress(value))


def records_of(batch: KeptBatch) -> list[Record]:
    """The records of a batch as the run had them."""
    readers = [None if envelope.mapping else reader_of(envelope)[1] for envelope in batch.envelopes]
    return [
        Record(
            kind=one.kind,
            source=one.source,
            raw=one.raw,
            decoded=one.refusal or _decoded(one, None if one.envelope is None else readers[one.envelope]),
            envelope=None if one.envelope is None else batch.envelopes[one.envelope],
            arrived_at=one.arrived_at,
            arrival_given=one.arrival_given,
            original=one.original,
        )
        for one in batch.records
    ]


def _decoded(one: _KeptRecord, decode: Decode | None) -> CallRecord | AnyCommand | Refusal | None:
    if one.command:
        command: AnyCommand = _command(one.raw)
        return command
    if one.mapped is not None:
        return decode_cdr(one.mapped)
    return decode(one.raw) if decode else None


def base_of(connection: sqlite3.Connection) -> Base | None:
    """Where computing again begins; None for a store that no release has opened to write that keeps inputs."""
    row = connection.execute("SELECT value FROM settings WHERE name=?", (_BASE,)).fetchone()
    return _bases.decode(row[0]) if row else None


def base_digest(connection: sqlite3.Connection) -> str:
    """A hash of the state that computing again begins with."""
    hashed = blake2b(digest_size=16)
    for rows in (
        'SELECT * FROM "base-entities" ORDER BY kind, tenant, name',
        'SELECT * FROM "base-seen" ORDER BY key',
    ):
        for row in connection.execute(rows):
            hashed.update(_pack(row))
    return hashed.hexdigest()


def begin_base(connection: sqlite3.Connection, why: str | None = None) -> None:
    """Within a transaction: computing again begins here; the inputs before are deleted."""
    before = base_of(connection)
    forget_kept(connection)
    forget_snapshots(connection)
    for table in ("kept-inputs", "base-entities", "base-seen"):
        connection.execute(f'DELETE FROM "{table}"')  # noqa: S608 - closed list
    connection.execute('INSERT INTO "base-entities" SELECT kind, tenant, name, value FROM entities')
    connection.execute('INSERT INTO "base-seen" SELECT key, value FROM seen')
    offsets = {
        topic: connection.execute(f'SELECT coalesce(max(offset), 0) FROM "{topic}"').fetchone()[0]  # noqa: S608 - closed list
        for topic in OUTPUT_TOPICS
    }
    carried = before.carried if before is not None else {}
    save_base(connection, Base(offsets, why if any(offsets.values()) else None, base_digest(connection), carried))


def save_base(connection: sqlite3.Connection, base: Base) -> None:
    """Within a transaction: what describes the state that computing again begins with."""
    connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (_BASE, msgspec.json.encode(base).decode()))
