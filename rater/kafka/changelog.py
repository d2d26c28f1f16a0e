"""The rating task's state as records of the `state` topic, and in memory: one record for each changed entity.

Values are decoded when a rule first asks for them, so that restoring costs no more than reading.
"""

from collections.abc import Iterator

import msgspec

from rater.core import KINDS, RULES, Account, Entity, Key, Memory, State
from rater.wire.errors import RaterError

#: Raised whenever an older program could misread what a newer one writes.
STATE_VERSION = 2
META_KEY = b"meta"
#: Live calls are not in the changelog: they are found again in `rated-calls`.
LOGGED_KINDS = tuple(kind for kind in KINDS if kind != "call")

pack = msgspec.msgpack.Encoder().encode
_unpack = {kind: msgspec.msgpack.Decoder(type).decode for kind, type in KINDS.items()}


class Moving(msgspec.Struct, frozen=True):
    """Topics that are being filled from others: those of another prefix, with so many partitions; 0: abandoned.

    `copied` are the positions in the former topics up to which records were copied, by "topic/partition"; only
    partition 0 has them.
    """

    prefix: str
    partitions: int
    copied: dict[str, int] = {}


class Meta(msgspec.Struct, frozen=True):
    """The task's position: the next offset of each input, how many commits there were, and whose rules.

    `topics` are the ids of the topics that the positions are of; absent before 0.4.0 and on brokers without ids;
    `snapshot_at` is when a snapshot was written last, in Unix seconds; `partitions` how many there were, 0: not
    noted.  `moving` and `moved_to` (a prefix) stand in partitions that no worker may own; see `rater.kafka.move`.
    """

    version: int
    commits: int
    positions: dict[str, int]
    rules: int = 1
    topics: dict[str, str] = {}
    snapshot_at: float = 0.0
    partitions: int = 0
    moving: Moving | None = None
    moved_to: str | None = None


_decode_meta = msgspec.msgpack.Decoder(Meta).decode


def state_key(kind: str, key: Key) -> bytes:
    """`kind/tenant/name`; a slash within the tenant is escaped, so that no two entities share a key."""
    tenant, name = key
    if "/" in tenant or "%" in tenant:
        tenant = tenant.replace("%", "%25").replace("/", "%2F")
    return f"{kind}/{tenant}/{name}".encode()


def tenant_of(key: bytes) -> str:
    """The tenant of a record of the topic that is an entity."""
    return place_of(key)[1][0]


def entity_of(key: bytes, value: bytes) -> tuple[str, Key, Entity]:
    """What a record of the topic says: kind, (tenant, name), entity."""
    kind, place = place_of(key)
    return kind, place, _unpack[kind](value)


def place_of(key: bytes) -> tuple[str, Key]:
    """Of a record of the topic that is an entity: kind, (tenant, name)."""
    kind, tenant, name = key.decode().split("/", 2)
    return kind, (tenant.replace("%2F", "/").replace("%25", "%"), name)


def changes_of(state: State) -> list[tuple[bytes, bytes | None]]:
    """The records that a batch's changes are: coalesced, one for each entity; a tombstone for one that is gone."""
    gone: list[tuple[bytes, bytes | None]] = [(state_key(*place), None) for place in sorted(state.gone)]
    return gone + [
        (state_key(kind, key), pack(entity))
        for kind, changed in state.changes().items()
        if kind != "call"
        for key, entity in changed.items()
    ]


class Entities:
    """The committed entities of one partition."""

    def __init__(self) -> None:
        self.meta = Meta(STATE_VERSION, 0, {}, RULES)
        self._raw: dict[bytes, bytes] = {}
        self._decoded: dict[str, dict[Key, Entity]] = {kind: {} for kind in LOGGED_KINDS}

    def apply(self, key: bytes, value: bytes | None) -> None:
        """A record of the changelog, while restoring."""
        if key == META_KEY:
            if value is not None:
                self.meta = read_meta(value)
        elif value is None:
            self._raw.pop(key, None)
        else:
            self._raw[key] = value

    def load(self, kind: str, key: Key) -> Entity | None:
        """The committed entity, or None."""
        decoded = self._decoded[kind]
        found = decoded.get(key)
        if found is None and self._raw:
            raw = self._raw.pop(state_key(kind, key), None)
            if raw is not None:
                found = decoded[key] = _unpack[kind](raw)
        return found

    def pairs(self) -> Iterator[tuple[bytes, bytes]]:
        """Every entity as the topic has it, key and value."""
        yield from self._raw.items()
        for kind, entities in self._decoded.items():
            for key, entity in entities.items():
                yield state_key(kind, key), pack(entity)

    def memory(self) -> Memory:
        """Every entity, decoded: for a migration."""
        memory = Memory()
        for kind, entities in self._decoded.items():
            memory.entities[kind].update(entities)
        for key, value in self._raw.items():
            kind, place, entity = entity_of(key, value)
            memory.entities[kind][place] = entity
        return memory

    @classmethod
    def standing(cls, memory: Memory, meta: Meta) -> "Entities":
        """The committed entities as a migration left them."""
        entities = cls()
        entities.meta = meta
        entities._decoded = {kind: dict(memory.entities[kind]) for kind in LOGGED_KINDS}
        return entities

    def merge(self, state: State, meta: Meta) -> None:
        """Merge what was committed."""
        self.meta = meta
        for kind, changed in state.changes().items():
            if kind != "call":
                self._decoded[kind].update(changed)
        if self._raw:
            for kind, changed in state.changes().items():
                for key in changed:
                    self._raw.pop(state_key(kind, key), None)
        for kind, key in state.gone:
            self._decoded[kind].pop(key, None)
            self._raw.pop(state_key(kind, key), None)

    def accounts(self) -> Iterator[Account]:
        """Every tenant of the partition."""
        for key in [key for key in self._raw if key.startswith(b"account/")]:
            _, tenant, account = entity_of(key, self._raw.pop(key))
            self._decoded["account"][tenant] = account
        for account in self._decoded["account"].values():
            assert isinstance(account, Account)
            yield account

    def tenants(self) -> Iterator[str]:
        """The name of every tenant of the partition; decodes no account."""
        for key in self._raw:
            if key.startswith(b"account/"):
                yield tenant_of(key)
        for tenant, _ in self._decoded["account"]:
            yield tenant

    def __len__(self) -> int:
        return len(self._raw) + sum(map(len, self._decoded.values()))


def read_meta(value: bytes) -> Meta:
    """The meta record; RaterError if a newer program wrote it."""
    meta = _decode_meta(value)
    for what, found, known in (("state version", meta.version, STATE_VERSION), ("rules", meta.rules, RULES)):
        if found > known:
            raise RaterError(
                f"topic state: written by a newer rater ({what} {found}, this one knows {known});"
                " upgrade this worker, nothing was changed"
            )
    return meta
