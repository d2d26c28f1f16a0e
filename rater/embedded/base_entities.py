"""The state that a replay of a store begins with, and what it becomes; live calls are looked up in the store."""

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from rater.core import KINDS, CallRecord, Entity, Key, Seen, normal_usage_id
from rater.embedded.entities import CACHED, StoredEntities, seen_key
from rater.embedded.kept_inputs import Base

_decode = {kind: msgspec.msgpack.Decoder(type).decode for kind, type in KINDS.items()}


class BaseEntities(StoredEntities):
    """The state of the replay: a base, and what was computed since."""

    def __init__(self, connection: sqlite3.Connection, base: Base) -> None:
        super().__init__(connection)
        self.calls_until = base.offsets["rated-calls"]
        self.entities: dict[str, dict[Key, Entity]] = {kind: {} for kind in CACHED}
        self.seen: dict[bytes, Seen] = {}
        #: Where ids of calls that are asked for are noted.
        self.asked: set[str] | None = None
        for kind, tenant, name, value in connection.execute('SELECT * FROM "base-entities"'):
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
        row = self._connection.execute('SELECT value FROM "base-seen" WHERE key=?', (hashed,)).fetchone()
        return _decode["seen"](row[0]) if row else None

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
