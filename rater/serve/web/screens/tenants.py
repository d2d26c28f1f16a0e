"""Tenants: all of them for an operator, those first who need somebody most."""

from enum import IntEnum
from typing import Any, NamedTuple

from rater.core import Account
from rater.serve.reading.desks import Books

#: Refused records of a tenant that are counted.
REFUSED_MAX = 1_000
#: Tenants that are shown at a time; a search finds the others.
TENANTS_MAX = 200


class Need(IntEnum):
    """Why a tenant needs somebody; the worst first."""

    SUSPENDED = 0  # credit-funded calls may not start
    PAYMENT_FAILING = 1  # the last recharge was not paid, or recharging is stopped
    LOW = 2  # the balance is below the trigger
    REFUSED = 3  # records wait that could not be rated
    NONE = 4
    CLOSED = 5


class Row(NamedTuple):
    """A tenant as the list shows it."""

    tenant: str
    account: Account
    need: Need
    refused: int


def tenants(books: Books, query: dict[str, str]) -> dict[str, Any]:
    """What `tenants.html` shows."""
    search = query.get("search", "").strip()
    refused = books.lookup.waiting(REFUSED_MAX)
    names = [name for name in books.reader.tenants() if search.casefold() in name.casefold()]
    rows = [
        Row(name, account, need_of(account, refused.get(name, 0)), refused.get(name, 0))
        for name in names
        if (account := books.reader.account(name)) is not None
    ]
    rows.sort(key=lambda row: (row.need, row.account.balance, row.tenant))
    return {"rows": rows[:TENANTS_MAX], "found": len(rows), "search": search}


def need_of(account: Account, refused: int) -> Need:
    """The worst reason why a tenant needs somebody."""
    terms = account.recharge
    if account.closed_since is not None:
        return Need.CLOSED
    if account.credits and account.balance <= 0:
        return Need.SUSPENDED
    if terms.enabled and (terms.failures or terms.suppressed or terms.stopped):
        return Need.PAYMENT_FAILING
    if terms.enabled and terms.low_since is not None:
        return Need.LOW
    return Need.REFUSED if refused else Need.NONE
