"""What switches wrote of the calls that a mapping read, beside the calls."""

import sqlite3
from collections.abc import Iterable

import msgspec

from rater.embedded.tables import has_table
from rater.engine.batch import SwitchLine


def keep_switch_lines(connection: sqlite3.Connection, lines: Iterable[SwitchLine]) -> None:
    """Within the transaction of their calls."""
    connection.executemany(
        'INSERT OR REPLACE INTO "switch-lines" VALUES (?, ?, ?, ?, ?, ?)', map(msgspec.structs.astuple, lines)
    )


def switch_line_of(connection: sqlite3.Connection, tenant: str, usage_id: str, version: int) -> SwitchLine | None:
    """What the switch wrote of a call; None of a call that no mapping read, and in a store of an older release."""
    if not has_table(connection, "switch-lines"):
        return None
    row = connection.execute(
        'SELECT * FROM "switch-lines" WHERE tenant=? AND usage_id=? AND version=?', (tenant, usage_id, version)
    ).fetchone()
    return SwitchLine(*row) if row else None
