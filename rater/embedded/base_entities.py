"""The state that a replay of a store begins with, and what it becomes; live calls are looked up in the store.

It begins with the store's base, or with a snapshot.
"""

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from rater.core import KINDS, CallRecord, Entity, Key, Seen, normal_usage_id
from rater.embedded.entities import CACHED, StoredEntities, seen_key
from rater.embedded.kept_inputs import Base
from rater.embedded.snapshots import LoadedState

_decode = {kind: msgspec.msgpack.Decoder(type).decode for kind, type in KINDS.items()}


class BaseEntities(StoredEntities):
    """The state of the replay: a base or a snapshot, and what was computed since."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        base: Base,
        snapshot: LoadedState | None = None,
        tenants: frozenset[str] | None = None,
    ) -> None:
        """`tenants` are those whose state it begins with; None: all."""
        super().__init__(connection)
        self._snapshot = snapshot
        self.calls_until = (base if snapshot is None else snapshot.snapshot).offsets["rated-calls"]
        self.entities: dict[str, dict[Key, Entity]] = {kind: {} for kind in CACHED}
        self.seen: dict[bytes, Seen] = {}
        #: Where ids of calls that are asked for are noted.
        self.asked: set[str] | None = None
        rows = connection.execute('SELECT * FROM "base-entities"') if snapshot is None else snapshot.entities
        for kind, tenant, name, value in rows:
            if tenants is None or tenant in tenants:
                self.entities[kind][(tenant, name)] = _decode[kind](value)

    def prepare(self, calls: Sequence[CallRecord]) -> None:
        """See StoredEntities."""
        if self.asked is not None:
            ids = {call.usage_id for call in calls}
            self.asked |= ids | {normal_usage_id(usage_id) for usage_id in ids}
        super().prepare(calls)

    def _fetch_users(self, keys: Iterable[Key]) -> None:
        """They are at hand."""

    def load(self, kind: str, key: Key) -> Entity | None:
        """See Committed."""
        if kind == "call":
            return super().load(kind, key)
        if kind != "seen":
            return self.entities[kind].get(key)
        hashed = seen_key(key)
        if hashed in self.seen:
            return self.seen[hashed]
        if self._snapshot is not None:
            value = self._snapshot.seen(hashed)
        else:
            row = self._connection.execute('SELECT value FROM "base-seen" WHERE key=?', (hashed,)).fetchone()
            value = row[0] if row else None
        return None if value is None else _decode["seen"](value)

    def merge(self, changes: Mapping[str, Mapping[Key, Entity]], gone: Collection[tuple[str, Key]] = ()) -> None:
        """See StoredEntities."""
        for kind, key in gone:
            self.entities[kind].pop(key, None)
        for kind in CACHED:
            self.entities[kind].update(changes[kind])
        for key, entity in changes["seen"].items():
            assert isinstance(entity, Seen)
            self.seen[seen_key(key)] = entity
        self._calls = None
