"""Debits and events as rows of a lookup: what moved a balance, when, and the sums of a day."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

import msgspec

from rater.core import AccountEvent, DebitKind, EventKind, credited_by, parse_ledger
from rater.embedded.lookup.instants import DAY_US, micros_of, month_of_micros
from rater.embedded.lookup.names import Names
from rater.files.export_funds import moved_money
from rater.files.statement.records import number_of

#: The topics whose records move money.
DEBITED, CREDITED = range(2)
#: Offset, tenant, key and value of a record.
Row = tuple[int, str, str | None, bytes]
#: Lists of events: money that is no call's, attempts to recharge, and when the balance went through zero.
FUNDS, ATTEMPTS, CROSSINGS = range(3)
_LISTS = {
    EventKind.RECHARGE_REQUESTED: ATTEMPTS,
    EventKind.RECHARGE_SUCCEEDED: ATTEMPTS,
    EventKind.RECHARGE_FAILED: ATTEMPTS,
    EventKind.RECHARGE_SUPPRESSED: ATTEMPTS,
    EventKind.PAYMENT_CONFLICT: ATTEMPTS,
    EventKind.BALANCE_DEPLETED: CROSSINGS,
    EventKind.CREDITS_RESUMED: CROSSINGS,
}
_OF_CALLS = (DebitKind.CALL, DebitKind.REVERSAL)


class _Debit(msgspec.Struct, gc=False):
    id: str
    kind: DebitKind
    at: datetime
    amount: str


_debits = msgspec.json.Decoder(_Debit).decode
_events = msgspec.json.Decoder(AccountEvent).decode


class MoneyWriter:
    """Writes the next debits and events; one for a transaction.

    A late call's debit is at the instant at which statements have it: in no month that was closed before it came.
    """

    def __init__(self, store: sqlite3.Connection, connection: sqlite3.Connection, names: Names) -> None:
        self._store, self._connection, self._names = store, connection, names
        self._days: defaultdict[tuple[int, int], int] = defaultdict(int)

    def close(self) -> None:
        """Write the sums."""
        self._connection.executemany(
            "INSERT INTO moved_days VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET amount=amount+excluded.amount",
            [(*key, amount) for key, amount in self._days.items()],
        )
        self._days.clear()

    def write_debits(self, rows: list[Row]) -> None:
        """Write the next debits."""
        moved, listed = [], []
        for offset, tenant, _, value in rows:
            debit, id = _debits(value), self._names[tenant]
            rating = number_of(debit.id) if debit.kind in _OF_CALLS else None
            at = micros_of(debit.at)
            if rating is not None:
                at = max(at, self._late_until(rating))
            moved.append((id, at, DEBITED, offset, -parse_ledger(debit.amount)))
            listed.append((id, offset, month_of_micros(at), rating))
        self._move(moved)
        self._connection.executemany("INSERT INTO debits VALUES (?, ?, ?, ?)", listed)

    def write_events(self, rows: list[Row]) -> None:
        """Write the next events."""
        moved, listed = [], []
        for offset, tenant, _, value in rows:
            event, id = _events(value), self._names[tenant]
            if amount := credited_by(event):
                moved.append((id, micros_of(event.at), CREDITED, offset, amount))
            if moved_money(event):
                listed.append((id, FUNDS, offset))
            if (list := _LISTS.get(event.event)) is not None:
                listed.append((id, list, offset))
        self._move(moved)
        self._connection.executemany("INSERT INTO events VALUES (?, ?, ?)", listed)

    def post_late(self, ratings: Iterable[tuple[int, int]]) -> None:
        """Late calls, by rating, with the end of the call's month; what was debited for them before moves, too."""
        for rating, until in ratings:
            self._connection.execute("INSERT OR REPLACE INTO late VALUES (?, ?)", (rating, until))
            self._post(rating, 0, until)

    def forget_late(self, ratings: Iterable[int]) -> None:
        """Late calls that were deleted: what was debited for them stands where the debit is dated."""
        for rating in ratings:
            if until := self._late_until(rating):
                self._connection.execute("DELETE FROM late WHERE rating=?", (rating,))
                self._post(rating, until, 0)

    def forget(self, topic: int, gone: str) -> None:
        """Delete the records whose offsets a query gives; what they moved stays in every later balance."""
        rows = self._connection.execute(
            f"SELECT tenant, at, amount FROM moved WHERE topic=? AND offset IN ({gone})",  # noqa: S608 - ours
            (topic,),
        )
        carried: defaultdict[int, int] = defaultdict(int)
        for tenant, at, amount in rows:
            self._days[(tenant, at // DAY_US)] -= amount
            carried[tenant] += amount
        self.carry(carried.items())
        self._connection.execute(f"DELETE FROM moved WHERE topic=? AND offset IN ({gone})", (topic,))  # noqa: S608 - ours
        listed = "debits" if topic == DEBITED else "events"
        self._connection.execute(f"DELETE FROM {listed} WHERE offset IN ({gone})")  # noqa: S608 - one of two

    def carry(self, carried: Iterable[tuple[int, int]]) -> None:
        """Money of records that are deleted, by the tenant's number."""
        self._connection.executemany(
            "INSERT INTO carried VALUES (?, ?) ON CONFLICT DO UPDATE SET amount=amount+excluded.amount", carried
        )

    def _late_until(self, rating: int) -> int:
        """When the month of a late call had ended; 0 for a call that was not late."""
        row = self._connection.execute("SELECT until FROM late WHERE rating=?", (rating,)).fetchone()
        return 0 if row is None else int(row[0])

    def _post(self, rating: int, before: int, until: int) -> None:
        """Debits of a rating that are there already stand at `until` at the earliest, and no more at `before`."""
        found = self._connection.execute("SELECT tenant, offset FROM debits WHERE rating=?", (rating,))
        for tenant, offset in found.fetchall():
            row = self._store.execute("SELECT value FROM debits WHERE offset=?", (offset,)).fetchone()
            if row is not None:
                debit = _debits(row[0])
                at = micros_of(debit.at)
                self._post_debit((tenant, offset), -parse_ledger(debit.amount), max(at, before), max(at, until))

    def _post_debit(self, debit: tuple[int, int], amount: int, before: int, at: int) -> None:
        tenant, offset = debit
        place = (tenant, before, DEBITED, offset)
        delete = "DELETE FROM moved WHERE tenant=? AND at=? AND topic=? AND offset=?"
        if at == before or not self._connection.execute(delete, place).rowcount:
            return
        self._days[(tenant, before // DAY_US)] -= amount
        self._move([(tenant, at, DEBITED, offset, amount)])
        self._connection.execute(
            "UPDATE debits SET month=? WHERE tenant=? AND offset=?", (month_of_micros(at), tenant, offset)
        )

    def _move(self, moved: list[tuple[int, int, int, int, int]]) -> None:
        self._connection.executemany("INSERT INTO moved VALUES (?, ?, ?, ?, ?)", moved)
        for tenant, at, _, _, amount in moved:
            self._days[(tenant, at // DAY_US)] += amount
