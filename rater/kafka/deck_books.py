"""Decks on Kafka, and which are in force: from `rate-decks`, `state`, and commands that wait to be applied."""

from collections.abc import Iterable

from rater.core import (
    EVERY_TENANT,
    NO_TENANT,
    Account,
    Activations,
    DeckActivated,
    RateDeck,
    Refusal,
    TenantConfigured,
    with_activation,
)
from rater.engine.deck_plan import DeckBooks
from rater.kafka.changelog import META_KEY, entity_of, read_meta, state_key
from rater.kafka.client import read_partition
from rater.kafka.consume import read_topic
from rater.kafka.publisher import partition_of
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import partitions_of
from rater.wire.codec import decode_command, decode_deck


async def deck_books(settings: KafkaSettings, owners: Iterable[str]) -> dict[str, DeckBooks]:
    """The books of each owner as they will be when all commands are applied; see DeckBooks."""
    decks = await published_decks(settings)
    count = await partitions_of(settings, "state")
    found = {}
    for owner in owners:
        partition = 0 if owner == EVERY_TENANT else partition_of(owner, count)
        found[owner] = await _books(settings, owner, partition, decks)
    return found


async def published_decks(settings: KafkaSettings) -> dict[str, RateDeck]:
    """Every version that can be read; the first record of a version is the version."""
    decks: dict[str, RateDeck] = {}
    async for records in read_topic(settings, "rate-decks"):
        for record in records:
            deck = decode_deck(record.value or b"")
            if not isinstance(deck, Refusal):
                decks.setdefault(deck.version, deck)
    return decks


async def _books(settings: KafkaSettings, owner: str, partition: int, decks: dict[str, RateDeck]) -> DeckBooks:
    place = NO_TENANT if owner == EVERY_TENANT else owner
    state = _Activated({NO_TENANT, place}, decks)
    async for records in read_partition(settings, "state", partition, None):
        for record in records:
            if record.key is not None:
                state.changed(record.key, record.value)
    async for records in read_partition(settings, "commands", partition, state.commands_at):
        for record in records:
            state.arrived(record.value or b"")
    everybody = state.activations(NO_TENANT)
    own = everybody if place == NO_TENANT else state.activations(place)
    return DeckBooks(
        owner,
        decks,
        own,
        () if place == NO_TENANT else everybody,
        lambda command: (place, command) in state.applied,
        place in state.configured,
    )


class _Activated:
    """Of some tenants the activations in the state, then those of commands that wait to be applied."""

    def __init__(self, tenants: set[str], decks: dict[str, RateDeck]) -> None:
        self.applied: set[tuple[str, str]] = set()
        self.configured = {NO_TENANT}
        self.commands_at = 0
        self._decks = decks
        self._activations: dict[str, Activations] = {}
        self._keys = {state_key("account", (tenant, "")): tenant for tenant in tenants}
        self._seen = tuple(state_key("seen", (tenant, "command/deck-")) for tenant in tenants)

    def changed(self, key: bytes, value: bytes | None) -> None:
        """A record of `state`."""
        if value is None:
            return
        if key == META_KEY:
            self.commands_at = read_meta(value).positions.get("commands", 0)
        elif key in self._keys:
            account = entity_of(key, value)[2]
            assert isinstance(account, Account)
            self._activations[self._keys[key]] = account.decks
            self.configured.add(self._keys[key])
        elif key.startswith(self._seen):
            _, (tenant, name), _ = entity_of(key, value)
            self.applied.add((tenant, name.removeprefix("command/")))

    def arrived(self, raw: bytes) -> None:
        """A command that was not applied yet."""
        command = decode_command(raw)
        if isinstance(command, TenantConfigured):
            self.configured.add(command.tenant)
        if not isinstance(command, DeckActivated) or command.version not in self._decks:
            return
        tenant = NO_TENANT if command.tenant == EVERY_TENANT else command.tenant
        place = (tenant, command.id)
        if place in self.applied:
            return
        self.applied.add(place)
        before = self.activations(tenant)
        self._activations[tenant] = with_activation(before, command.effective_from, command.version)

    def activations(self, tenant: str) -> Activations:
        """In order."""
        return self._activations.get(tenant, ())
