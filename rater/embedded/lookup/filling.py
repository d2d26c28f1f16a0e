"""The records of a store as rows of a lookup, some thousands at a time; all within the caller's transactions."""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import lru_cache

import msgspec

from rater.core import (
    PREMIUM_RULES,
    AccountEvent,
    Anomaly,
    Outcome,
    Pocket,
    RatedCall,
    credited_by,
    exponent_of,
    name_key,
    normal_usage_id,
    parse_amount,
    parse_ledger,
    round_to_cents,
)
from rater.embedded.lookup.asked import ANOMALY, FLAGS, LATE, PREMIUM, UNFUNDED
from rater.embedded.lookup.instants import DAY_US, micros_of, month_of
from rater.files.export_funds import moved_money

_BIT = {flag: 1 << number for number, flag in enumerate(FLAGS)}
#: The kinds of sums that are kept by day, and what their key is.
BY_DAY, BY_DESTINATION, BY_USER = range(3)
#: The topics whose records move money.
DEBITED, CREDITED = range(2)
_MARKS = 10
Row = tuple[int, str, str | None, bytes]


class _Segment(msgspec.Struct, gc=False):
    pocket: Pocket


class _Call(msgspec.Struct, gc=False):
    """What is looked up of a rated call."""

    usage_id: str
    outcome: Outcome
    type: str
    answered_at: datetime
    minutes: int
    rule: str
    currency: str
    charge: str
    segments: tuple[_Segment, ...] = ()
    late: bool = False
    user: str | None = None
    destination: str | None = None
    anomalies: tuple[Anomaly, ...] = ()


class _Debit(msgspec.Struct, gc=False):
    at: datetime
    amount: str


class _Letter(msgspec.Struct, gc=False):
    id: str
    tenant: str
    claimed_tenant: str | None = None


class _Service(msgspec.Struct, gc=False):
    scope: str


_services = msgspec.json.Decoder(_Service).decode
_calls = msgspec.json.Decoder(_Call).decode
_debits = msgspec.json.Decoder(_Debit).decode
_events = msgspec.json.Decoder(AccountEvent).decode
_letters = msgspec.json.Decoder(_Letter).decode


class Names:
    """Numbers for texts: what is there keeps its number."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._ids: dict[str, int] = {}

    def id_of(self, name: str) -> int:
        """The number of a name, a new one if it has none."""
        if (id := self._ids.get(name)) is None:
            id = self._ids[name] = self.known(name) or self._add(name)
        return id

    def known(self, name: str) -> int | None:
        """The number of a name, if it has one."""
        row = self._connection.execute("SELECT id FROM names WHERE name=?", (name,)).fetchone()
        return int(row[0]) if row else None

    def _add(self, name: str) -> int:
        return int(self._connection.execute("INSERT INTO names (name) VALUES (?)", (name,)).lastrowid or 0)


class Filler:
    """Writes the next records of each topic; one for a transaction."""

    def __init__(self, store: sqlite3.Connection, connection: sqlite3.Connection) -> None:
        self._store, self._connection = store, connection
        self._names = Names(connection)
        self._spent: defaultdict[tuple[int, int, int, int], list[int]] = defaultdict(lambda: [0, 0, 0])
        self._moved_days: defaultdict[tuple[int, int], int] = defaultdict(int)
        #: The next records of each topic, by which they are written.
        self.writers: dict[str, Callable[[list[Row]], None]] = {
            "rated-calls": self._write_calls,
            "debits": self._write_debits,
            "account-events": self._write_events,
            "rejected-cdrs": self._write_letters,
            "service-states": self._write_services,
        }

    def carry(self, carried: Iterable[tuple[str, int]]) -> None:
        """Money of records that were deleted before the first one that is there."""
        self._connection.executemany(
            "INSERT INTO carried VALUES (?, ?)",
            [(self._names.id_of(tenant), amount) for tenant, amount in carried],
        )

    def close(self) -> None:
        """Write the sums."""
        self._connection.executemany(
            "INSERT INTO spent VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET calls=calls+excluded.calls,"
            " minutes=minutes+excluded.minutes, charge=charge+excluded.charge",
            [(*key, *sums) for key, sums in self._spent.items()],
        )
        self._connection.executemany(
            "INSERT INTO moved_days VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET amount=amount+excluded.amount",
            [(*key, amount) for key, amount in self._moved_days.items()],
        )

    def _write_calls(self, rows: list[Row]) -> None:
        made: dict[int, list[int]] = {}
        flagged: list[tuple[int, int, int]] = []
        for offset, tenant, key, value in rows:
            call = _calls(value)
            row = self._call_row(offset, tenant, call)
            if call.outcome is not Outcome.RATED:
                self._replace(self._rating_before(offset, tenant, key, call.usage_id), row[0], made)
            made[offset] = row
            flagged += [(row[0], number, offset) for number in _numbers(row[9])]
            self._count(row, 1)
        marks = ",".join("?" * (_MARKS + 1))
        self._connection.executemany(f"INSERT INTO calls VALUES ({marks})", made.values())  # noqa: S608 - marks
        self._connection.executemany("INSERT INTO flagged VALUES (?, ?, ?)", flagged)

    def _call_row(self, offset: int, tenant: str, call: _Call) -> list[int]:
        """The columns of `calls`, in order; 0 for no user and no destination."""
        id_of = self._names.id_of
        charge = parse_amount(call.charge)
        return [
            id_of(tenant),
            offset,
            micros_of(call.answered_at),
            0 if call.user is None else id_of(name_key(call.user)),
            0 if call.destination is None else id_of(call.destination),
            id_of(call.type),
            charge,
            as_exported(charge, call.currency),
            call.minutes,
            _flags(call),
            1,
        ]

    def _rating_before(self, offset: int, tenant: str, key: str | None, usage_id: str) -> int | None:
        """The offset of the rating that stood before this one; None where it was deleted."""
        row = self._store.execute(
            'SELECT max(offset) FROM "rated-calls" WHERE key IN (?, ?, ?) AND tenant=? AND offset<?',
            (key, usage_id, normal_usage_id(usage_id), tenant, offset),
        ).fetchone()
        return None if row[0] is None else int(row[0])

    def _replace(self, offset: int | None, tenant: int, made: dict[int, list[int]]) -> None:
        """Another rating stands from now on."""
        if offset is None:
            return
        row = made.get(offset)
        if row is None:
            found = self._connection.execute(
                "SELECT * FROM calls WHERE tenant=? AND offset=? AND stands", (tenant, offset)
            ).fetchone()
            if found is None:
                return
            row = list(found)
            self._connection.execute("UPDATE calls SET stands=0 WHERE tenant=? AND offset=?", (tenant, offset))
        if row[10]:
            row[10] = 0
            self._count(row, -1)

    def _count(self, row: list[int], sign: int) -> None:
        tenant, _, at, user, destination, _, charge, _, minutes, *_ = row
        day = at // DAY_US
        for kind, key in ((BY_DAY, 0), (BY_DESTINATION, destination), (BY_USER, user)):
            sums = self._spent[(tenant, kind, day, key)]
            sums[0] += sign
            sums[1] += sign * minutes
            sums[2] += sign * charge

    def _write_debits(self, rows: list[Row]) -> None:
        moved, listed = [], []
        for offset, tenant, _, value in rows:
            debit, id = _debits(value), self._names.id_of(tenant)
            moved.append((id, micros_of(debit.at), DEBITED, offset, -parse_ledger(debit.amount)))
            listed.append((id, offset, month_of(debit.at)))
        self._move(moved)
        self._connection.executemany("INSERT INTO debits VALUES (?, ?, ?)", listed)

    def _write_events(self, rows: list[Row]) -> None:
        moved, listed = [], []
        for offset, tenant, _, value in rows:
            event, id = _events(value), self._names.id_of(tenant)
            if amount := credited_by(event):
                moved.append((id, micros_of(event.at), CREDITED, offset, amount))
            if moved_money(event):
                listed.append((id, offset))
        self._move(moved)
        self._connection.executemany("INSERT INTO funds VALUES (?, ?)", listed)

    def _write_letters(self, rows: list[Row]) -> None:
        """The same bytes that are refused again for the same reason are one letter: the latest."""
        letters = [(_letters(value), offset) for offset, _, _, value in rows]
        self._connection.executemany(
            "INSERT OR REPLACE INTO refused VALUES (?, ?, ?)",
            [
                (self._names.id_of(letter.claimed_tenant or letter.tenant), offset, letter.id)
                for letter, offset in letters
            ],
        )

    def _write_services(self, rows: list[Row]) -> None:
        """The last service state of each tenant; those of its users are not looked up."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO services VALUES (?, ?)",
            [
                (self._names.id_of(tenant), offset)
                for offset, tenant, _, value in rows
                if _services(value).scope == "tenant"
            ],
        )

    def _move(self, moved: list[tuple[int, int, int, int, int]]) -> None:
        self._connection.executemany("INSERT INTO moved VALUES (?, ?, ?, ?, ?)", moved)
        for tenant, at, _, _, amount in moved:
            self._moved_days[(tenant, at // DAY_US)] += amount


def _flags(call: _Call | RatedCall) -> int:
    bits = _BIT[LATE] if call.late else 0
    if any(segment.pocket is Pocket.UNFUNDED for segment in call.segments):
        bits |= _BIT[UNFUNDED]
    if call.rule in PREMIUM_RULES or Anomaly.PREMIUM_WITHOUT_RATE in call.anomalies:
        bits |= _BIT[PREMIUM]
    bits |= _BIT[ANOMALY] if call.anomalies else 0
    for anomaly in call.anomalies:
        bits |= _BIT[anomaly.value]
    return bits


def flags_of(call: RatedCall) -> list[str]:
    """The flags of a rated call."""
    bits = _flags(call)
    return [flag for flag in FLAGS if bits & _BIT[flag] and flag != ANOMALY]


def _numbers(bits: int) -> Iterator[int]:
    """The numbers of the bits that are set."""
    number = 0
    while bits:
        if bits & 1:
            yield number
        bits >>= 1
        number += 1


@lru_cache(65_536)
def as_exported(charge: int, currency: str) -> int:
    """A charge as exports round it in its currency (A18), in micro-units."""
    return parse_ledger(round_to_cents(charge, exponent_of(currency)))
