"""What switches wrote of the calls that a mapping read, beside the calls."""

import sqlite3
from collections.abc import Iterable

import msgspec

from rater.engine.batch import SwitchLine


def keep_switch_lines(connection: sqlite3.Connection, lines: Iterable[SwitchLine]) -> None:
    """Within the transaction of their calls."""
    connection.executemany(
        'INSERT OR REPLACE INTO "switch-lines" VALUES (?, ?, ?, ?, ?, ?)', map(msgspec.structs.astuple, lines)
    )


def switch_line_of(connection: sqlite3.Connection, tenant: str, usage_id: str, version: int) -> SwitchLine | None:
    """What the switch wrote of a call; None of a call that no mapping read, and in a store of an older release."""
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name='switch-lines'").fetchone()
    if known is None:
        return None
    row = connection.execute(
        'SELECT * FROM "switch-lines" WHERE tenant=? AND usage_id=? AND version=?', (tenant, usage_id, version)
    ).fetchone()
    return SwitchLine(*row) if row else None
