"""The committed entities of a store, as the rules ask for them; most are kept in memory once they were read."""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import TypeVar

import msgspec

from rater.core import (
    KINDS,
    CallRecord,
    Committed,
    Entity,
    Key,
    LiveCall,
    RatedCall,
    Seen,
    live_call,
    name_key,
    normal_usage_id,
)

#: Decoded entities kept in memory; beyond this many the cache starts anew.
CACHE_ENTITIES_MAX = 300_000
#: Kinds whose entities are kept in memory; the others have one for every record ever applied.
CACHED = [kind for kind in KINDS if kind not in ("call", "seen")]
_FETCH = 500
#: SQLite has no larger one.
OFFSET_MAX = 2**63 - 1

_unpack = {kind: msgspec.msgpack.Decoder(type).decode for kind, type in KINDS.items()}
_call_decoder = msgspec.json.Decoder(RatedCall)
_Part = TypeVar("_Part")


class StoredEntities(Committed):
    """See rater.core.state.Committed."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._cache: dict[tuple[str, Key], Entity | None] = {}
        #: The live calls that the part of a batch at hand may ask for, once they are prepared.
        self._calls: dict[Key, LiveCall] | None = None
        #: Rated calls that stand after this offset are not there yet: a replay has not come so far.
        self.calls_until = OFFSET_MAX

    def load(self, kind: str, key: Key) -> Entity | None:
        """See rater.core.state.Committed."""
        if kind == "call":
            return self._live_calls([key]).get(key) if self._calls is None else self._calls.get(key)
        if kind == "seen":
            return self._seen(key)
        cached = self._cache.get((kind, key), key)
        if cached is not key:
            return cached  # type: ignore[return-value]  # the key only stands for "not cached"
        row = self._connection.execute(
            "SELECT value FROM entities WHERE kind=? AND tenant=? AND name=?", (kind, *key)
        ).fetchone()
        return self._keep(kind, key, _unpack[kind](row[0]) if row else None)

    def _keep(self, kind: str, key: Key, entity: Entity | None) -> Entity | None:
        """Cache an entity, or that there is none."""
        if len(self._cache) >= CACHE_ENTITIES_MAX:
            self._cache.clear()
        self._cache[(kind, key)] = entity
        return entity

    def prepare(self, calls: Sequence[CallRecord]) -> None:
        """See rater.core.state.Committed: fetches live calls and users in a few statements."""
        self._calls = self._live_calls([(call.tenant, call.usage_id) for call in calls])
        self._fetch_users({(call.tenant, name_key(call.user)) for call in calls if call.user is not None})

    def _fetch_users(self, keys: Iterable[Key]) -> None:
        """Cache users, in the order in which they lie on disk: a third of what one by one costs."""
        missing = sorted(key for key in keys if ("user", key) not in self._cache)
        for part in _parts(missing):
            pairs = ",".join(["(?,?)"] * len(part))
            rows = self._connection.execute(
                # CROSS JOIN: each is looked up by its key; with IN, SQLite would look through all users.
                f"WITH asked (tenant, name) AS (VALUES {pairs})"  # noqa: S608 - marks only
                " SELECT e.tenant, e.name, e.value FROM asked CROSS JOIN entities AS e"
                " ON e.kind = 'user' AND e.tenant = asked.tenant AND e.name = asked.name",
                [text for key in part for text in key],
            )
            found = {(tenant, name): _unpack["user"](value) for tenant, name, value in rows}
            for key in part:
                self._keep("user", key, found.get(key))

    def _live_calls(self, keys: list[Key]) -> dict[Key, LiveCall]:
        """The live versions among calls, from the topic itself: of each the last that was rated.

        They are found by their normal id, and by the id as it was spelled when it was rated, before A41.
        """
        found: dict[Key, LiveCall] = {}
        ids = {usage_id for _, usage_id in keys}
        for part in _parts(list(ids | {normal_usage_id(usage_id) for usage_id in ids})):
            marks = ",".join("?" * len(part))
            rows = self._connection.execute(
                f'SELECT value FROM "rated-calls" WHERE key IN ({marks}) AND offset <= ? ORDER BY offset',  # noqa: S608 - marks only
                [*part, self.calls_until],
            )
            for (value,) in rows:
                call = _call_decoder.decode(value)
                live = live_call(call)
                found[(call.tenant, call.usage_id)] = live
                found[(call.tenant, normal_usage_id(call.usage_id))] = live
        return found

    def _seen(self, key: Key) -> Seen | None:
        row = self._connection.execute("SELECT value FROM seen WHERE key=?", (seen_key(key),)).fetchone()
        return _unpack["seen"](row[0]) if row else None  # type: ignore[return-value]  # kind decides the type

    def forget_cached(self) -> None:
        """Read everything again: another process or thread committed something."""
        self._cache.clear()
        self._calls = None

    def merge(self, changes: Mapping[str, Mapping[Key, Entity]], gone: Collection[tuple[str, Key]] = ()) -> None:
        """Merge what was committed."""
        for kind in CACHED:
            for key, entity in changes[kind].items():
                self._cache[(kind, key)] = entity
        for place in gone:
            self._cache[place] = None
        self._calls = None


def _parts(whole: list[_Part]) -> Iterator[list[_Part]]:
    """As many as one statement asks for."""
    for start in range(0, len(whole), _FETCH):
        yield whole[start : start + _FETCH]


def seen_key(key: Key) -> bytes:
    """The key under which a command or a dead letter is noted as applied."""
    return blake2b(f"{key[0]}\0{key[1]}".encode(), digest_size=16).digest()
