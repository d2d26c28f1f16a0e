"""Where the fixtures of release 0.3.0 are, and what a store holds."""

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from rater.core.entities import Account, PoolMonth, User
from rater.core.lists import Holders, RestrictedPage
from tests.conftest import ROOT

RELEASE = ROOT / "tests" / "fixtures" / "release-0.3.0"
TENANTS = ("contoso", "fabrikam", "northwind")
_TYPES = {"account": Account, "user": User, "holders": Holders, "pool": PoolMonth, "restrictions": RestrictedPage}


def stored(path: Path) -> dict[tuple[str, str, str], object]:
    """Every entity of a store."""
    with closing(sqlite3.connect(path)) as connection, connection:
        rows = connection.execute("SELECT kind, tenant, name, value FROM entities").fetchall()
    return {
        (kind, tenant, name): msgspec.msgpack.decode(value, type=_TYPES[kind])
        for kind, tenant, name, value in rows
        if kind in _TYPES
    }


def money(path: Path) -> dict[str, tuple[int, tuple[tuple[str, int], ...], int]]:
    """Of each tenant: balance, what is left of each lot, debt; in micro-units."""
    found = stored(path)
    accounts = {tenant: found[("account", tenant, "")] for tenant in TENANTS}
    return {
        tenant: (a.balance, tuple((lot.lot, lot.remaining) for lot in a.lots if lot.remaining), a.debt)
        for tenant, a in accounts.items()
        if isinstance(a, Account)
    }


def records(path: Path, topic: str) -> list[bytes]:
    """The values of an output topic of a store, in order."""
    with closing(sqlite3.connect(path)) as connection, connection:
        return [value for (value,) in connection.execute(f'SELECT value FROM "{topic}" ORDER BY offset')]
