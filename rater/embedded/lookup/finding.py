"""Which rated calls are asked for: one index gives the candidates, the newest first, the rest is compared.

A page looks at SCANNED_MAX candidates at most, so that no filter costs more, however large the ledger is.
"""

import sqlite3
from typing import NamedTuple

from rater.core import name_key
from rater.embedded.lookup.asked import FLAGS, SCANNED_MAX, CallFilter
from rater.embedded.lookup.filling import Names, as_exported
from rater.embedded.lookup.instants import micros_of

#: Of so many calls within the times that are asked for, all are sorted; of more, the ledger is read from its end.
SORTED_MAX = 20_000
#: Larger than every offset and instant.
_LAST = 2**63 - 1
#: Parts of a filter whose index gives the candidates in their order, the most selective first, and the index.
_INDEXES = {
    "flag": "flagged CROSS JOIN calls USING (tenant, offset)",
    "rounded": "calls INDEXED BY calls_by_rounded",
    "user": "calls INDEXED BY calls_by_user",
    "destination": "calls INDEXED BY calls_by_destination",
    "type": "calls INDEXED BY calls_by_type",
}
#: What a filter compares, by its part: a condition and its values.
_Conditions = dict[str, tuple[str, list[int]]]


class Found(NamedTuple):
    """Offsets of ratings with whether each stands, and `next` as in CallPage."""

    offsets: list[tuple[int, bool]]
    next: int | None


class Range(NamedTuple):
    """Ratings before an offset: so many at most, of so many candidates; with `standing` none that was replaced."""

    before: int | None
    limit: int
    standing: bool = False
    scanned_max: int = SCANNED_MAX


def find_calls(
    connection: sqlite3.Connection, tenant: int, currency: str, wanted: CallFilter, within: Range
) -> Found:
    """The ratings that are asked for, the newest first."""
    conditions = _conditions(Names(connection), currency, wanted)
    if conditions is None:
        return Found([], None)
    if within.standing:
        conditions["stands"] = ("stands", [])
    if "at" in conditions and not conditions.keys() & _INDEXES.keys() - {"type"}:
        found = _sorted_by_offset(connection, tenant, conditions, within)
        if found is not None:
            return found
    return _read_backwards(connection, tenant, conditions, within)


def _conditions(names: Names, currency: str, wanted: CallFilter) -> _Conditions | None:
    """What each part of a filter compares; None where a name is one that no record has."""
    found: _Conditions = {}
    if wanted.charge is not None:
        rounded = as_exported(wanted.charge, currency)
        found["rounded"] = ("rounded=?", [rounded])
        if rounded != wanted.charge:  # no export shows it, so only the exact charge is meant
            found["charge"] = ("charge=?", [wanted.charge])
    if wanted.flag is not None:
        found["flag"] = ("flag=?", [FLAGS.index(wanted.flag)])
    user = None if wanted.user is None else name_key(wanted.user)
    for column, name in (("user", user), ("destination", wanted.destination), ("type", wanted.type)):
        if name is None:
            continue
        id = names.known(name)
        if id is None:
            return None
        found[column] = (f"{column}=?", [id])
    if wanted.since is not None or wanted.until is not None:
        since = -_LAST if wanted.since is None else micros_of(wanted.since)
        until = _LAST if wanted.until is None else micros_of(wanted.until)
        found["at"] = ("at>=? AND at<?", [since, until])
    return found


def _sorted_by_offset(
    connection: sqlite3.Connection, tenant: int, conditions: _Conditions, within: Range
) -> Found | None:
    """All calls of the times that are asked for, sorted; None where they are too many for that."""
    at, bounds = conditions["at"]
    count = connection.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM calls INDEXED BY calls_by_at WHERE tenant=? AND {at} LIMIT ?)",  # noqa: S608 - closed lists
        (tenant, *bounds, SORTED_MAX + 1),
    ).fetchone()[0]
    if count > SORTED_MAX:
        return None
    compared = [condition for name, (condition, _) in conditions.items() if name != "at"]
    values = [value for name, (_, values) in conditions.items() if name != "at" for value in values]
    rows = connection.execute(
        "SELECT offset, stands FROM calls INDEXED BY calls_by_at"  # noqa: S608 - closed lists
        f" WHERE {' AND '.join(['tenant=?', at, 'offset<?', *compared])} ORDER BY offset DESC LIMIT ?",
        (tenant, *bounds, _before(within), *values, within.limit + 1),
    ).fetchall()
    return _page(rows, within.limit, None)


def _read_backwards(connection: sqlite3.Connection, tenant: int, conditions: _Conditions, within: Range) -> Found:
    """From the newest on, by the index of the most selective part, until the page or the candidates are full."""
    chosen = next((name for name in _INDEXES if name in conditions), None)
    source = "calls" if chosen is None else _INDEXES[chosen]
    fixed, fixed_values = ("", []) if chosen is None else conditions[chosen]
    where = " AND ".join(["tenant=?", *([fixed] if fixed else []), "offset<?"])
    given = (tenant, *fixed_values, _before(within))
    rest = [one for name, one in conditions.items() if name != chosen]
    compared = f"WHERE {' AND '.join(condition for condition, _ in rest)}" if rest else ""
    rows = connection.execute(
        "SELECT offset, stands FROM"  # noqa: S608 - closed lists
        f" (SELECT * FROM {source} WHERE {where} ORDER BY offset DESC LIMIT ?) {compared} LIMIT ?",
        (*given, within.scanned_max, *[value for _, values in rest for value in values], within.limit + 1),
    ).fetchall()
    if len(rows) > within.limit:
        return _page(rows, within.limit, None)
    last = connection.execute(
        f"SELECT offset FROM {source} WHERE {where} ORDER BY offset DESC LIMIT 1 OFFSET ?",  # noqa: S608 - closed lists
        (*given, within.scanned_max - 1),
    ).fetchone()
    return _page(rows, within.limit, None if last is None else int(last[0]))


def _page(rows: list[tuple[int, int]], limit: int, scanned_until: int | None) -> Found:
    offsets = [(offset, bool(stands)) for offset, stands in rows[:limit]]
    return Found(offsets, offsets[-1][0] if len(rows) > limit else scanned_until)


def _before(within: Range) -> int:
    return _LAST if within.before is None else within.before
