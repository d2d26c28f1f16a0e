"""The rate decks of a store: kept for ever, and which of them a run puts in force."""

from datetime import UTC, datetime

from rater.core import EVERY_TENANT, NO_TENANT, DeckActivated, RateDeck, Tariffs
from rater.embedded.store import Store

_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)


class StoreDecks:
    """Publishes into the store and into the tariffs that the rules read."""

    def __init__(self, store: Store, tariffs: Tariffs) -> None:
        self._store, self._tariffs = store, tariffs
        #: Versions that were published by this process, in order.
        self._given: list[str] = []
        for deck in store.decks():
            tariffs.publish(deck)

    def publish(self, deck: RateDeck) -> None:
        """Keep a version of a rate deck for ever."""
        self._store.publish(deck)
        self._tariffs.publish(deck)
        self._given.append(deck.version)

    def activation(self, version: str) -> DeckActivated | None:
        """The command that puts a version in force for every tenant of its currency without a deck of its own.

        None when it is in force already, so that a run can be repeated; a deck that another one has replaced since
        is put in force again, under a new id.
        """
        everybody = self._store.account(NO_TENANT)
        activated = [known for since, known in everybody.decks if since is None] if everybody else []
        if self._stays(version, activated):
            return None
        times = activated.count(version)
        id = f"deck-{version}-{times + 1}" if times else f"deck-{version}"
        return DeckActivated(tenant=EVERY_TENANT, id=id, at=_ALWAYS, version=version)

    def _stays(self, version: str, activated: list[str]) -> bool:
        """Whether the deck that is in force for the currency of this one is this one, or is to replace it again."""
        tariffs, given = self._tariffs, self._given
        currency = tariffs[version].currency
        in_force = next((known for known in reversed(activated) if tariffs[known].currency == currency), None)
        # Of several decks that a run is given the last stays in force when the run is repeated.
        replaced = in_force in given and version in given[: given.index(in_force)]
        return in_force == version or replaced
