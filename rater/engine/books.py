"""What was committed, for those who show it or export it; a shell implements it."""

from collections.abc import Iterator
from typing import Protocol

from rater.core import Account, CallCommand, Committed, RatedCall, User, name_key


class Books(Committed, Protocol):
    """The committed content of a store: the outputs in order, and the state by its keys."""

    def tenants(self) -> list[str]:
        """Every configured tenant, in order."""

    def account(self, tenant: str) -> Account | None:
        """A tenant's present state."""

    def names(self, kind: str, tenant: str) -> list[str]:
        """The names of a tenant's entities of one kind, in order."""

    def topic(
        self, name: str, tenant: str | None = None, *, newest_first: bool = False
    ) -> Iterator[tuple[int, bytes]]:
        """The records of an output topic in order, as (offset, JSON)."""

    def orders(self, tenant: str | None = None) -> list[CallCommand]:
        """The orders to end calls, in order."""


def payer_of(books: Committed, call: RatedCall) -> User | None:
    """Who pays for a call, with its licences, where that is known."""
    found = books.load("user", (call.tenant, name_key(call.user))) if call.user else None
    return found if isinstance(found, User) else None
