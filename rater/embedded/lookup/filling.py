"""The records of a store as rows of a lookup, some thousands at a time; all within the caller's transactions."""

import sqlite3
from collections.abc import Callable, Iterable

import msgspec

from rater.embedded.lookup.calls import CallWriter
from rater.embedded.lookup.letters import LetterWriter
from rater.embedded.lookup.movements import CREDITED, DEBITED, MoneyWriter, Row
from rater.embedded.lookup.names import Names


class _Service(msgspec.Struct, gc=False):
    scope: str


_services = msgspec.json.Decoder(_Service).decode
#: Topics of which a statement is added up.
_SPANNED = ("rated-calls", "debits", "account-events")
#: The offsets that a lookup has of a topic and the store has not any more.
_GONE = "SELECT offset FROM gone"
_EVENTS = f"(SELECT offset FROM moved WHERE topic={CREDITED} UNION SELECT offset FROM events)"  # noqa: S608 - ours


class Filler:
    """Writes the next records of each topic; one for a transaction."""

    def __init__(self, store: sqlite3.Connection, connection: sqlite3.Connection) -> None:
        self._store, self._connection = store, connection
        self._names = Names(connection)
        self._money = MoneyWriter(store, connection, self._names)
        self._letters = LetterWriter(connection, self._names)
        self._calls = CallWriter(store, connection, self._names, self._money)
        #: The next records of each topic, by which they are written.
        self.writers: dict[str, Callable[[list[Row]], None]] = {
            "rated-calls": self._with_spans("rated-calls", self._calls.write),
            "debits": self._with_spans("debits", self._money.write_debits),
            "account-events": self._with_spans("account-events", self._money.write_events),
            "rejected-cdrs": self._letters.write,
            "dlq-audit": self._letters.write_audits,
            "service-states": self._write_services,
        }

    def carry(self, carried: Iterable[tuple[str, int]]) -> None:
        """Money of records that were deleted before the first one that is there."""
        self._money.carry([(self._names[tenant], amount) for tenant, amount in carried])

    def close(self) -> None:
        """Write the sums."""
        self._calls.close()
        self._money.close()

    def forget(self, filled: dict[str, int]) -> None:
        """Delete what the store has deleted of the records up to these offsets."""
        self._connection.execute("CREATE TEMP TABLE IF NOT EXISTS kept (offset INTEGER PRIMARY KEY)")
        self._connection.execute("CREATE TEMP TABLE IF NOT EXISTS gone (offset INTEGER PRIMARY KEY)")
        tables: dict[str, tuple[str, Callable[[str], None]]] = {
            "rated-calls": ("calls", self._calls.forget),
            "debits": ("debits", lambda gone: self._money.forget(DEBITED, gone)),
            "account-events": (_EVENTS, lambda gone: self._money.forget(CREDITED, gone)),
            "rejected-cdrs": ("refused", self._letters.forget),
            "dlq-audit": ("handled", self._letters.forget_audits),
            "service-states": ("services", self._forget_services),
        }
        for topic, (table, forget) in tables.items():
            if self._find_gone(topic, table, filled[topic]):
                forget(_GONE)
        for topic in _SPANNED:
            self._find_spans(topic, filled[topic])

    def _with_spans(self, topic: str, write: Callable[[list[Row]], None]) -> Callable[[list[Row]], None]:
        """Write records, and which are the first and the last of each tenant."""

        def write_both(rows: list[Row]) -> None:
            write(rows)
            last = {tenant: offset for offset, tenant, _, _ in rows}
            first = {tenant: offset for offset, tenant, _, _ in reversed(rows)}
            self._connection.executemany(
                "INSERT INTO spans VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET last=excluded.last",
                [(self._names[tenant], topic, first[tenant], last[tenant]) for tenant in first],
            )

        return write_both

    def _find_spans(self, topic: str, until: int) -> None:
        """Find the first and the last record of each tenant again: some were deleted."""
        self._connection.execute("DELETE FROM spans WHERE topic=?", (topic,))
        rows = self._store.execute(
            f'SELECT tenant, min(offset), max(offset) FROM "{topic}" WHERE offset<=? GROUP BY tenant',  # noqa: S608 - closed list
            (until,),
        )
        self._connection.executemany(
            "INSERT INTO spans VALUES (?, ?, ?, ?)",
            [(self._names[tenant], topic, first, last) for tenant, first, last in rows],
        )

    def _write_services(self, rows: list[Row]) -> None:
        """The last service state of each tenant; those of its users are not looked up."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO services VALUES (?, ?)",
            [
                (self._names[tenant], offset)
                for offset, tenant, _, value in rows
                if _services(value).scope == "tenant"
            ],
        )

    def _find_gone(self, topic: str, table: str, until: int) -> bool:
        """Note in `gone` what the store does not have any more; whether there is any."""
        if not until:
            return False
        kept = self._store.execute(f'SELECT offset FROM "{topic}" WHERE offset<=?', (until,))  # noqa: S608 - closed list
        for name in ("kept", "gone"):
            self._connection.execute(f"DELETE FROM temp.{name}")  # noqa: S608 - one of two
        self._connection.executemany("INSERT INTO kept VALUES (?)", kept)
        found = self._connection.execute(
            f"INSERT INTO gone SELECT offset FROM {table} WHERE offset NOT IN (SELECT offset FROM kept)"  # noqa: S608 - ours
        )
        return found.rowcount > 0

    def _forget_services(self, gone: str) -> None:
        self._connection.execute(f"DELETE FROM services WHERE offset IN ({gone})")  # noqa: S608 - ours
