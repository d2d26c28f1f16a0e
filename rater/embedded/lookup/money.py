"""Sums of a lookup: the balance at an instant, and sums of calls by day, destination or user."""

import sqlite3
from collections import defaultdict
from datetime import datetime

from rater.embedded.lookup.asked import SPEND_MAX, By, Spend
from rater.embedded.lookup.calls import BY_DAY, BY_DESTINATION, BY_USER
from rater.embedded.lookup.instants import DAY_US, day_text, micros_of

_KINDS: dict[By, int] = {"day": BY_DAY, "destination": BY_DESTINATION, "user": BY_USER}
#: Expressions, so that the calls are read by their times, and not by an index of destinations or users.
_KEYS: dict[By, str] = {"day": "at / ?", "destination": "+destination", "user": "+user"}
#: Of one key: calls, minutes, micro-units.
_Sums = defaultdict[int, list[int]]


def balance_at(connection: sqlite3.Connection, tenant: int, at: datetime) -> int:
    """Credits less debits up to and including an instant, in micro-units."""
    return carried(connection, tenant) + moved_before(connection, tenant, micros_of(at) + 1)


def carried(connection: sqlite3.Connection, tenant: int) -> int:
    """Money of records that were deleted since."""
    row = connection.execute("SELECT amount FROM carried WHERE tenant=?", (tenant,)).fetchone()
    return 0 if row is None else int(row[0])


def moved_before(connection: sqlite3.Connection, tenant: int, until: int) -> int:
    """Credits less debits of the records that are there, before an instant in microseconds of Unix time.

    Sums of whole days, the last day record by record.
    """
    day = until // DAY_US
    days, last = (
        connection.execute(query, given).fetchone()[0]
        for query, given in (
            ("SELECT coalesce(sum(amount), 0) FROM moved_days WHERE tenant=? AND day<?", (tenant, day)),
            (
                "SELECT coalesce(sum(amount), 0) FROM moved WHERE tenant=? AND at>=? AND at<?",
                (tenant, day * DAY_US, until),
            ),
        )
    )
    return int(days) + int(last)


def moved_in_all(connection: sqlite3.Connection, tenant: int) -> int:
    """Credits less debits of all records that are there."""
    find = "SELECT coalesce(sum(amount), 0) FROM moved_days WHERE tenant=?"
    return int(connection.execute(find, (tenant,)).fetchone()[0])


def first_moved(connection: sqlite3.Connection, tenant: int) -> int | None:
    """When the first record that is there moved money, in microseconds of Unix time."""
    row = connection.execute("SELECT min(at) FROM moved WHERE tenant=?", (tenant,)).fetchone()
    return None if row[0] is None else int(row[0])


def spend(connection: sqlite3.Connection, tenant: int, by: By, since: datetime, until: datetime) -> list[Spend]:
    """Sums of calls that began in [since, until): days in order, else the dearest first.

    Whole days come from their sums; of a day that is asked for in part the calls are added up.  Beyond SPEND_MAX
    keys the others are one row with the key "others"; days are at most so many.
    """
    start, end = micros_of(since), micros_of(until)
    first, last = -(-start // DAY_US), end // DAY_US
    sums: _Sums = defaultdict(lambda: [0, 0, 0])
    if first > last:  # within one day
        _add_calls(connection, tenant, by, (start, end), sums)
    else:
        _add_calls(connection, tenant, by, (start, first * DAY_US), sums)
        _add_days(connection, tenant, by, (first, last), sums)
        _add_calls(connection, tenant, by, (last * DAY_US, end), sums)
    rows = {key: tuple(found) for key, found in sums.items() if any(found)}
    if by == "day":
        return [Spend(day_text(key), *found) for key, found in sorted(rows.items())[:SPEND_MAX]]
    names = _names(connection, set(rows))
    found = sorted((Spend(names.get(key), *sums) for key, sums in rows.items()), key=_dearest)
    rest = found[SPEND_MAX:]
    return found[:SPEND_MAX] + ([_others(rest)] if rest else [])


def _add_days(connection: sqlite3.Connection, tenant: int, by: By, days: tuple[int, int], sums: _Sums) -> None:
    key = "day" if by == "day" else "key"
    rows = connection.execute(
        f"SELECT {key}, sum(calls), sum(minutes), sum(charge) FROM spent"  # noqa: S608 - one of two
        f" WHERE tenant=? AND kind=? AND day>=? AND day<? GROUP BY {key}",
        (tenant, _KINDS[by], *days),
    )
    _add(rows, sums)


def _add_calls(connection: sqlite3.Connection, tenant: int, by: By, times: tuple[int, int], sums: _Sums) -> None:
    if times[0] >= times[1]:
        return
    given = (DAY_US,) if by == "day" else ()
    rows = connection.execute(
        f"SELECT {_KEYS[by]} AS found, count(*), sum(minutes), sum(charge) FROM calls"  # noqa: S608 - closed list
        " WHERE tenant=? AND at>=? AND at<? AND stands GROUP BY found",
        (*given, tenant, *times),
    )
    _add(rows, sums)


def _add(rows: sqlite3.Cursor, sums: _Sums) -> None:
    for key, *found in rows:
        for number, value in enumerate(found):
            sums[key][number] += value


def _names(connection: sqlite3.Connection, ids: set[int]) -> dict[int, str]:
    return {id: connection.execute("SELECT name FROM names WHERE id=?", (id,)).fetchone()[0] for id in ids if id}


def _dearest(one: Spend) -> tuple[int, int, str]:
    return -one.charge_micros, -one.calls, one.key or ""


def _others(rest: list[Spend]) -> Spend:
    return Spend(
        "others",
        sum(one.calls for one in rest),
        sum(one.minutes for one in rest),
        sum(one.charge_micros for one in rest),
    )
