"""Licences: who holds what since when, and how many of each are assigned."""

from collections import Counter
from datetime import datetime
from typing import Any, NamedTuple

from rater.core import DIAL_OUT_FAMILY, User, families_of, purchased_at, sku
from rater.serve.web.screens.asked import Asked

#: Users that are shown at a time; a search finds the others.
USERS_MAX = 200


class Row(NamedTuple):
    """A user as the list shows it: the licences of now, since when, and since when it may not call out.

    `conferencing` is whether they are among those that are bought as Audio Conferencing.
    """

    user: str
    skus: tuple[str, ...]
    country: str | None
    since: datetime | None
    restricted_since: datetime | None
    conferencing: bool


def licences(asked: Asked) -> dict[str, Any]:
    """What `licences.html` shows."""
    search = asked.query.get("search", "").strip()
    reader, clock = asked.reader, asked.account.clock
    users = [reader.load("user", (asked.tenant, name)) for name in reader.names("user", asked.tenant)]
    rows = [_row(user, clock) for user in users if isinstance(user, User)]
    held = [code for row in rows for code in row.skus]
    found = [row for row in rows if search.casefold() in row.user.casefold()]
    return {
        "account": asked.account,
        "counts": [(code, _title(code), count) for code, count in sorted(Counter(held).items())],
        "conferencing": purchased_at(asked.account, clock) if asked.account.conferencing_licenses else None,
        "conferencing_assigned": sum(row.conferencing for row in rows),
        "users": found[:USERS_MAX],
        "found": len(found),
        "search": search,
    }


def _row(user: User, clock: datetime) -> Row:
    now = [one for one in user.timeline if one.since is None or one.since <= clock]
    last = now[-1] if now else None
    return Row(
        user.user,
        last.skus if last else (),
        last.country if last else None,
        last.since if last else None,
        user.restricted_since,
        last is not None and DIAL_OUT_FAMILY in families_of(last, user.user),
    )


def _title(code: str) -> str:
    """What a licence is called; nothing of one that the catalogue does not know."""
    known = sku(code)
    return "" if known is None else known.title
