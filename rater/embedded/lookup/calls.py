"""Rated calls as rows of a lookup: what is looked up of each, its flags, and the sums of a day."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache

import msgspec

from rater.core import (
    PREMIUM_RULES,
    Anomaly,
    Outcome,
    Pocket,
    RatedCall,
    exponent_of,
    month_start,
    normal_usage_id,
    parse_amount,
    parse_ledger,
    parse_period,
    round_to_cents,
)
from rater.embedded.lookup.asked import ANOMALY, FLAGS, LATE, PREMIUM, UNFUNDED, CallPlace
from rater.embedded.lookup.instants import DAY_US, micros_of
from rater.embedded.lookup.movements import MoneyWriter, Row
from rater.embedded.lookup.names import Names, Users
from rater.files.statement.records import number_of

_BIT = {flag: 1 << number for number, flag in enumerate(FLAGS)}
#: The kinds of sums that are kept by day, and what their key is.
BY_DAY, BY_DESTINATION, BY_USER = range(3)
_MARKS = 11
#: Columns of `calls`.
_TENANT, _AT, _OFFSET, _USER, _DESTINATION, _TYPE, _CHARGE, _ROUNDED, _MINUTES, _FLAGS, _STANDS = range(_MARKS)


class _Segment(msgspec.Struct, gc=False):
    pocket: Pocket


class _Call(msgspec.Struct, gc=False):
    """What is looked up of a rated call."""

    id: str
    usage_id: str
    period: str
    outcome: Outcome
    type: str
    answered_at: datetime
    received_at: datetime
    minutes: int
    rule: str
    currency: str
    charge: str
    segments: tuple[_Segment, ...] = ()
    late: bool = False
    user: str | None = None
    destination: str | None = None
    anomalies: tuple[Anomaly, ...] = ()


class _Began(msgspec.Struct, gc=False):
    answered_at: datetime


_calls = msgspec.json.Decoder(_Call).decode
_began = msgspec.json.Decoder(_Began).decode


class CallWriter:
    """Writes the next rated calls; one for a transaction."""

    def __init__(
        self, store: sqlite3.Connection, connection: sqlite3.Connection, names: Names, money: MoneyWriter
    ) -> None:
        self._store, self._connection = store, connection
        self._names, self._users, self._money = names, Users(names), money
        self._spent: defaultdict[tuple[int, int, int, int], list[int]] = defaultdict(lambda: [0, 0, 0])

    def close(self) -> None:
        """Write the sums."""
        self._connection.executemany(
            "INSERT INTO spent VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET calls=calls+excluded.calls,"
            " minutes=minutes+excluded.minutes, charge=charge+excluded.charge",
            [(*key, *sums) for key, sums in self._spent.items()],
        )

    def forget(self, gone: str) -> None:
        """Delete the ratings whose offsets a query gives."""
        for row in self._connection.execute(f"SELECT * FROM calls WHERE offset IN ({gone}) AND stands"):  # noqa: S608 - ours
            self._count(row, -1)
        late = f"SELECT rating FROM posted WHERE offset IN ({gone}) AND rating IN (SELECT rating FROM late)"  # noqa: S608 - ours
        self._money.forget_late([rating for (rating,) in self._connection.execute(late).fetchall()])
        for table in ("calls", "flagged", "posted"):
            self._connection.execute(f"DELETE FROM {table} WHERE offset IN ({gone})")  # noqa: S608 - ours

    def write(self, rows: list[Row]) -> None:
        """Write the next ratings."""
        made: dict[int, list[int]] = {}
        flagged: list[tuple[int, int, int, int]] = []
        late: list[tuple[int, int]] = []
        posted: list[tuple[int, int, int, int | None]] = []
        for offset, tenant, key, value in rows:
            call = _calls(value)
            row = self._call_row(offset, tenant, call)
            if call.outcome is not Outcome.RATED:
                self._replace(self._rating_before(offset, tenant, key, call.usage_id), row[_TENANT], made)
            made[offset] = row
            if row[_FLAGS]:
                flagged += [(row[_TENANT], number, row[_AT], offset) for number in _numbers(row[_FLAGS])]
            at, rating = micros_of(call.received_at), None
            if row[_CHARGE] or call.outcome is not Outcome.RATED:  # others never have a debit
                rating = number_of(call.id)
            if call.late:
                until = micros_of(month_start(parse_period(call.period) + 1))
                at = max(at, until)
                if rating is not None:
                    late.append((rating, until))
            posted.append((row[_TENANT], at, offset, rating))
            self._count(row, 1)
        marks = ",".join("?" * _MARKS)
        self._connection.executemany(f"INSERT INTO calls VALUES ({marks})", made.values())  # noqa: S608 - marks
        self._connection.executemany("INSERT INTO flagged VALUES (?, ?, ?, ?)", flagged)
        self._connection.executemany("INSERT INTO posted VALUES (?, ?, ?, ?)", posted)
        self._money.post_late(late)

    def _call_row(self, offset: int, tenant: str, call: _Call) -> list[int]:
        """The columns of `calls`, in order; 0 for no user and no destination."""
        names = self._names
        charge = 0 if call.charge == "0" else parse_amount(call.charge)
        return [
            names[tenant],
            micros_of(call.answered_at),
            offset,
            0 if call.user is None else self._users[call.user],
            0 if call.destination is None else names[call.destination],
            names[call.type],
            charge,
            as_exported(charge, call.currency) if charge else 0,
            call.minutes,
            _flags(call),
            1,
        ]

    def _rating_before(self, offset: int, tenant: str, key: str | None, usage_id: str) -> CallPlace | None:
        """The rating that stood before this one; None where it was deleted."""
        row = self._store.execute(
            'SELECT max(offset), value FROM "rated-calls" WHERE key IN (?, ?, ?) AND tenant=? AND offset<?',
            (key, usage_id, normal_usage_id(usage_id), tenant, offset),
        ).fetchone()
        return None if row[0] is None else CallPlace(micros_of(_began(row[1]).answered_at), int(row[0]))

    def _replace(self, place: CallPlace | None, tenant: int, made: dict[int, list[int]]) -> None:
        """Another rating stands from now on."""
        if place is None:
            return
        row = made.get(place.offset)
        if row is None:
            where, given = "tenant=? AND at=? AND offset=?", (tenant, *place)
            found = self._connection.execute(f"SELECT * FROM calls WHERE {where} AND stands", given).fetchone()  # noqa: S608 - ours
            if found is None:
                return
            row = list(found)
            self._connection.execute(f"UPDATE calls SET stands=0 WHERE {where}", given)  # noqa: S608 - ours
        if row[_STANDS]:
            row[_STANDS] = 0
            self._count(row, -1)

    def _count(self, row: Sequence[int], sign: int) -> None:
        tenant, at, _, user, destination, _, charge, _, minutes, _, _ = row
        day = at // DAY_US
        for kind, key in ((BY_DAY, 0), (BY_DESTINATION, destination), (BY_USER, user)):
            sums = self._spent[(tenant, kind, day, key)]
            sums[0] += sign
            sums[1] += sign * minutes
            sums[2] += sign * charge


def _flags(call: _Call | RatedCall) -> int:
    bits = _BIT[LATE] if call.late else 0
    for segment in call.segments:
        if segment.pocket is Pocket.UNFUNDED:
            bits |= _BIT[UNFUNDED]
    if call.rule in PREMIUM_RULES or Anomaly.PREMIUM_WITHOUT_RATE in call.anomalies:
        bits |= _BIT[PREMIUM]
    for anomaly in call.anomalies:
        bits |= _BIT[ANOMALY] | _BIT[anomaly.value]
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
