"""Putting a deck in force: what it replaces, from when, and under which id; it can be repeated and taken back.

A deck replaces the one in force from the instant from which that one holds, so that no call is priced with the
replaced one any more.  Shells say what was published and activated; here it is only decided.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from rater.core import (
    IDENTIFIER_LENGTH_MAX,
    Activation,
    Activations,
    DeckActivated,
    RateDeck,
    activation_in_force,
)

#: An activation moves no clock of a tenant.
_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)


class DeckBooks(msgspec.Struct, frozen=True):
    """The published decks, and what one owner (a tenant, or EVERY_TENANT) activated, in order.

    `everybody` are the activations that price a tenant without a deck of its own; `applied` says whether an id of a
    command of the owner was used; `configured` whether the tenant exists, or will once all commands are applied.
    """

    owner: str
    decks: Mapping[str, RateDeck]
    own: Activations
    everybody: Activations
    applied: Callable[[str], bool]
    configured: bool = True

    def in_force(self, currency: str, at: datetime) -> RateDeck | None:
        """The deck that prices the owner's calls of this currency at an instant."""
        found = self.own_in_force(currency, at) or activation_in_force(self.everybody, at, currency, self.decks)
        return None if found is None else self.decks.get(found[1])

    def own_in_force(self, currency: str, at: datetime) -> Activation | None:
        """The owner's own activation that holds at an instant."""
        return activation_in_force(self.own, at, currency, self.decks)

    def counted_before(self, version: str) -> bool:
        """Whether a deck was ever put in force for the owner."""
        return any(known == version for _, known in (*self.own, *self.everybody))

    def later(self, currency: str, at: datetime) -> list[Activation]:
        """Activations that come into force after an instant."""
        return [
            (since, version)
            for since, version in (self.own or self.everybody)
            if since is not None and since > at and self.decks[version].currency == currency
        ]


def activation_of(
    books: DeckBooks, deck: RateDeck, now: datetime, since: datetime | None = None, id: str | None = None
) -> DeckActivated | None:
    """The command that puts a published deck in force; None where it is in force already.

    From `since` on, or else from when the deck holds that is in force now.  Its id is the next that is free, unless
    one is given.
    """
    held = books.own_in_force(deck.currency, since or now)
    if held is not None and held[1] == deck.version and id is None:
        return None
    if since is None and held is not None:
        since = held[0]
    free = id or _free_id(books, deck.version)
    return DeckActivated(tenant=books.owner, id=free, at=_ALWAYS, version=deck.version, effective_from=since)


def with_decks(books: DeckBooks, decks: Sequence[RateDeck]) -> DeckBooks:
    """The books as they are once decks were published; a version that was published before stays as it is."""
    return msgspec.structs.replace(books, decks={**{deck.version: deck for deck in decks}, **books.decks})


def _free_id(books: DeckBooks, version: str) -> str:
    number, id = 1, _id(f"deck-{version}")
    while books.applied(id):
        number += 1
        id = _id(f"deck-{version}-{number}")
    return id


def _id(text: str) -> str:
    """Of a very long version the end, which has the number."""
    return text[-IDENTIFIER_LENGTH_MAX:]
