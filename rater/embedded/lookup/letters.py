"""Dead letters and what was done about them as rows of a lookup."""

import sqlite3

import msgspec

from rater.embedded.lookup.movements import Row
from rater.embedded.lookup.names import Names
from rater.wire.dead_letters import LetterAction


class _Letter(msgspec.Struct, gc=False):
    id: str
    tenant: str
    claimed_tenant: str | None = None


class _Audit(msgspec.Struct, gc=False):
    id: str
    action: LetterAction
    accepted: bool | None = None


_letters = msgspec.json.Decoder(_Letter).decode
_audits = msgspec.json.Decoder(_Audit).decode


class LetterWriter:
    """Writes the next dead letters, and what people did with them; one for a transaction.

    The same bytes that are refused again for the same reason are one letter: the latest.  `waiting` has those that
    nobody settled.
    """

    def __init__(self, connection: sqlite3.Connection, names: Names) -> None:
        self._connection, self._names = connection, names

    def write(self, rows: list[Row]) -> None:
        """Write the next dead letters."""
        ask = self._connection.execute
        for offset, _, _, value in rows:
            letter = _letters(value)
            tenant = self._names[letter.claimed_tenant or letter.tenant]
            before = ask("SELECT offset FROM refused WHERE id=? AND tenant=?", (letter.id, tenant)).fetchone()
            if before is not None:
                ask("DELETE FROM waiting WHERE tenant=? AND offset=?", (tenant, *before))
            ask("INSERT OR REPLACE INTO refused VALUES (?, ?, ?)", (tenant, offset, letter.id))
            if ask("SELECT 1 FROM handled WHERE id=? AND settled LIMIT 1", (letter.id,)).fetchone() is None:
                ask("INSERT INTO waiting VALUES (?, ?)", (tenant, offset))

    def write_audits(self, rows: list[Row]) -> None:
        """Write what people did."""
        ask = self._connection.execute
        for offset, _, _, value in rows:
            audit = _audits(value)
            settled = audit.action is LetterAction.DROPPED or bool(audit.accepted)
            ask("INSERT INTO handled VALUES (?, ?, ?)", (audit.id, offset, settled))
            if settled:
                ask(
                    "DELETE FROM waiting WHERE (tenant, offset) IN (SELECT tenant, offset FROM refused WHERE id=?)",
                    (audit.id,),
                )

    def forget(self, gone: str) -> None:
        """Delete the letters whose offsets a query gives."""
        for table in ("refused", "waiting"):
            self._connection.execute(f"DELETE FROM {table} WHERE offset IN ({gone})")  # noqa: S608 - ours

    def forget_audits(self, gone: str) -> None:
        """Delete what people did, by the offsets that a query gives."""
        self._connection.execute(f"DELETE FROM handled WHERE offset IN ({gone})")  # noqa: S608 - ours
