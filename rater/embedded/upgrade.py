"""A store that older rules wrote, made one of the present rules: once, in one transaction (A51)."""

import sqlite3

import msgspec

from rater.core import KINDS, RULES, Memory, migrate, normal_usage_id
from rater.embedded.tables import has_table

_pack = msgspec.msgpack.Encoder().encode
#: Commands and dead letters are kept under hashes, which no rule changes; live calls are in the topic.
_MIGRATED = [kind for kind in KINDS if kind not in ("call", "seen")]
#: No spelling of a GUID is shorter or longer.
_GUID_LENGTHS = (32, 47)


def rules_of(connection: sqlite3.Connection) -> int:
    """The number of the rules that wrote the store; release 0.3.0 did not note it yet."""
    if not has_table(connection, "rules"):
        return 1
    row = connection.execute("SELECT number FROM rules").fetchone()
    return int(row[0]) if row else 1


def upgrade(connection: sqlite3.Connection) -> list[str]:
    """Upgrade the store if older rules wrote it; a report, a line each; empty if it is not."""
    if rules_of(connection) >= RULES:
        return []
    connection.execute("BEGIN IMMEDIATE")
    try:
        migration = migrate(_entities(connection))
        connection.executemany(
            "DELETE FROM entities WHERE kind=? AND tenant=? AND name=?",
            [(kind, *key) for kind, key in migration.gone],
        )
        connection.executemany(
            "INSERT OR REPLACE INTO entities VALUES (?, ?, ?, ?)",
            [(kind, *key, _pack(entity)) for (kind, key), entity in migration.changed.items()],
        )
        ids = _rename_calls(connection)
        connection.execute("DELETE FROM rules")
        connection.execute("INSERT INTO rules VALUES (?)", (RULES,))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return [*migration.report, f"{ids} rated calls are also found by the normal form of their usage id"]


def _entities(connection: sqlite3.Connection) -> Memory:
    memory = Memory()
    decoders = {kind: msgspec.msgpack.Decoder(KINDS[kind]).decode for kind in _MIGRATED}
    for kind, tenant, name, value in connection.execute("SELECT kind, tenant, name, value FROM entities"):
        memory.entities[kind][(tenant, name)] = decoders[kind](value)
    return memory


def _rename_calls(connection: sqlite3.Connection) -> int:
    """Calls are looked up by the normal form of their id (A41); the records stay as they are."""
    rows = connection.execute(
        'SELECT DISTINCT key FROM "rated-calls" WHERE length(key) BETWEEN ? AND ?', _GUID_LENGTHS
    ).fetchall()
    renamed = [(normal_usage_id(key), key) for (key,) in rows if normal_usage_id(key) != key]
    return connection.executemany('UPDATE "rated-calls" SET key=? WHERE key=?', renamed).rowcount if renamed else 0
