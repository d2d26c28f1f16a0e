"""The rate decks of a store: kept for ever, and which of them a run puts in force."""

from collections.abc import Sequence
from datetime import UTC, datetime

from rater.core import EVERY_TENANT, NO_TENANT, DeckActivated, RateDeck, Tariffs, command_key
from rater.embedded.store import Reader, Store
from rater.engine.deck_plan import DeckBooks, activation_of

#: Before every activation that has a date.
_UNDATED = datetime.min.replace(tzinfo=UTC)


def books_of(store: Reader, owner: str = EVERY_TENANT) -> DeckBooks:
    """What was published into a store, and activated for a tenant or everybody."""
    place = NO_TENANT if owner == EVERY_TENANT else owner
    account, everybody = store.account(place), store.account(NO_TENANT)
    return DeckBooks(
        owner,
        {deck.version: deck for deck in store.decks()},
        account.decks if account else (),
        everybody.decks if everybody and place != NO_TENANT else (),
        lambda command: store.load("seen", command_key(place, command)) is not None,
    )


def to_activate(books: DeckBooks, decks: Sequence[RateDeck], now: datetime) -> list[RateDeck]:
    """Of the decks that a run is given those that it puts in force, in order.

    When the same run is repeated the last one stays in force, and those that it replaced do not come into force.
    """
    if not decks:
        return []
    held = books.own_in_force(decks[0].currency, now)
    versions = [deck.version for deck in decks]
    first = versions.index(held[1]) + 1 if held is not None and held[1] in versions else 0
    return list(decks[first:])


class StoreDecks:
    """Publishes into the store and into the tariffs that the rules read."""

    def __init__(self, store: Store, tariffs: Tariffs) -> None:
        self._store, self._tariffs = store, tariffs
        #: Decks that were published by this process, in order.
        self._given: list[RateDeck] = []
        #: Every version that the rules know, in the order in which they were added.
        self.published: tuple[str, ...] = ()
        for deck in store.decks():
            tariffs.publish(deck)
            self.published += (deck.version,)

    def publish(self, deck: RateDeck) -> None:
        """Keep a version of a rate deck for ever."""
        self._store.publish(deck)
        self._tariffs.publish(deck)
        if deck.version not in self.published:
            self.published += (deck.version,)
        self._given.append(deck)

    def activation(self, version: str, now: datetime | None = None) -> DeckActivated | None:
        """The command that puts a version in force for every tenant of its currency without a deck of its own.

        None when it is in force already, or stays replaced by another deck of this run; see `to_activate`.  `now`
        is when it is to be in force: it then replaces also a deck that holds from an instant on.
        """
        books = books_of(self._store)
        deck = books.decks[version]
        given = [other for other in self._given if other.currency == deck.currency] or [deck]
        if deck not in to_activate(books, given, now or _UNDATED):
            return None
        return activation_of(books, deck, now or _UNDATED)
