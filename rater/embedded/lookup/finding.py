"""Which rated calls are asked for: an index gives the candidates, the last to begin first; the rest is compared.

Every index begins with the tenant and ends with when the call began, so the times that are asked for are a range
of it, and no page is sorted.  A page looks at SCANNED_MAX candidates at most, however large the ledger is.
"""

import sqlite3
from typing import NamedTuple

from rater.core import name_key
from rater.embedded.lookup.asked import FLAGS, SCANNED_MAX, CallFilter, CallPlace
from rater.embedded.lookup.calls import as_exported
from rater.embedded.lookup.instants import micros_of
from rater.embedded.lookup.names import Names

#: Larger than every offset and instant.
_LAST = 2**63 - 1
#: Parts of a filter that have an index, the most selective first.
_INDEXES = {
    "flag": "flagged CROSS JOIN calls USING (tenant, at, offset)",
    "rounded": "calls INDEXED BY calls_by_rounded",
    "user": "calls INDEXED BY calls_by_user",
    "destination": "calls INDEXED BY calls_by_destination",
    "type": "calls INDEXED BY calls_by_type",
}
#: What a filter compares, by its part: a condition and its value.
_Conditions = dict[str, tuple[str, tuple[int, ...]]]


class Found(NamedTuple):
    """Places of ratings with whether each stands, and `next` as in CallPage."""

    places: list[tuple[CallPlace, bool]]
    next: CallPlace | None


class Range(NamedTuple):
    """Ratings before a place: so many at most, of so many candidates; with `standing` none that was replaced."""

    before: CallPlace | None
    limit: int
    standing: bool = False
    scanned_max: int = SCANNED_MAX


def find_calls(
    connection: sqlite3.Connection, tenant: int, currency: str, wanted: CallFilter, within: Range
) -> Found:
    """The ratings that are asked for, in the order of CallPage."""
    conditions = _conditions(Names(connection), currency, wanted)
    if conditions is None:
        return Found([], None)
    if within.standing:
        conditions["stands"] = ("stands", ())
    chosen = next((name for name in _INDEXES if name in conditions), None)
    source = "calls" if chosen is None else _INDEXES[chosen]
    fixed = ("tenant=?", (tenant,)) if chosen is None else conditions.pop(chosen)
    times, bounds = _times(wanted, within.before)
    where = f"{'' if chosen is None else 'tenant=? AND '}{fixed[0]} AND {times}"
    given = (*(() if chosen is None else (tenant,)), *fixed[1], *bounds)
    return _read(connection, f"{source} WHERE {where} ORDER BY at DESC, offset DESC", given, conditions, within)


def _conditions(names: Names, currency: str, wanted: CallFilter) -> _Conditions | None:
    """What each part of a filter compares, but its times; None where a name is one that no record has."""
    found: _Conditions = {}
    if wanted.charge is not None:
        rounded = as_exported(wanted.charge, currency)
        found["rounded"] = ("rounded=?", (rounded,))
        if rounded != wanted.charge:  # no export shows it, so only the exact charge is meant
            found["charge"] = ("charge=?", (wanted.charge,))
    if wanted.flag is not None:
        found["flag"] = ("flag=?", (FLAGS.index(wanted.flag),))
    user = None if wanted.user is None else name_key(wanted.user)
    for column, name in (("user", user), ("destination", wanted.destination), ("type", wanted.type)):
        if name is None:
            continue
        id = names.known(name)
        if id is None:
            return None
        found[column] = (f"{column}=?", (id,))
    return found


def _times(wanted: CallFilter, before: CallPlace | None) -> tuple[str, tuple[int, ...]]:
    """Calls that began in [since, until) and stand before a place, as one range of the index."""
    since = -_LAST if wanted.since is None else micros_of(wanted.since)
    end = CallPlace(_LAST if wanted.until is None else micros_of(wanted.until), 0)
    if before is not None:
        end = min(end, before)
    return "at>=? AND (at, offset)<(?, ?)", (since, *end)


def _read(
    connection: sqlite3.Connection, source: str, given: tuple[int, ...], compared: _Conditions, within: Range
) -> Found:
    """Look at candidates until the page is full, or so many were looked at."""
    where = f"WHERE {' AND '.join(condition for condition, _ in compared.values())}" if compared else ""
    values = [value for _, values in compared.values() for value in values]
    rows = connection.execute(
        f"SELECT at, offset, stands FROM (SELECT * FROM {source} LIMIT ?) {where} LIMIT ?",  # noqa: S608 - closed lists
        (*given, within.scanned_max, *values, within.limit + 1),
    ).fetchall()
    found = [(CallPlace(at, offset), bool(stands)) for at, offset, stands in rows[: within.limit]]
    if len(rows) > within.limit:
        return Found(found, found[-1][0])
    last = connection.execute(
        f"SELECT at, offset FROM {source} LIMIT 1 OFFSET ?",  # noqa: S608 - closed lists
        (*given, within.scanned_max - 1),
    ).fetchone()
    return Found(found, None if last is None else CallPlace(*last))
