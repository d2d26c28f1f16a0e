"""Which calls a replay with substitutes has rated, beside those that a store has.

Of nearly every call the store has one record, and the replay rates it once, too: a bit says that it has done so.
Of the others, which were corrected or rated again, the replay's own rating is kept in a file that is gone with it.
So memory does not grow with calls.
"""

import sqlite3

import msgspec

from rater.core import RESERVED_TENANTS, Key, LiveCall, Outcome, RatedCall, live_call, normal_usage_id
from rater.embedded.base_entities import BaseEntities
from rater.embedded.kept_inputs import Base
from rater.embedded.snapshots import LoadedState
from rater.wire.codec import encode

_decode = msgspec.json.Decoder(RatedCall).decode
_BITS = 8
#: Ids that one statement asks for; of some thousands SQLite would read the whole table instead.
_FETCH = 1_000


class WhatIfLedger(BaseEntities):
    """See rater.engine.what_if.Ledger."""

    def __init__(
        self, connection: sqlite3.Connection, base: Base, snapshot: LoadedState | None, only: str | None
    ) -> None:
        """With a tenant, no other one's state is there."""
        tenants = None if only is None else frozenset({only, *RESERVED_TENANTS})
        super().__init__(connection, base, snapshot, tenants)
        #: The last record before the replay: it and those before it are rated.
        self._base = self.calls_until
        last = connection.execute('SELECT coalesce(max(offset), 0) FROM "rated-calls"').fetchone()[0]
        self._rated = bytearray((last - self._base) // _BITS + 1)
        #: Of the calls of the part at hand: usage id -> the offsets of its records in the store.
        self._offsets: dict[str, tuple[int, ...]] = {}
        self._own = sqlite3.connect("", isolation_level=None)
        self._own.execute(
            "CREATE TABLE calls (tenant TEXT, id TEXT, value BLOB, PRIMARY KEY (tenant, id)) WITHOUT ROWID"
        )
        #: Of these the replay's own rating is kept; numbers, because there are some for every thousand calls.
        self._own_calls: set[int] = set()

    def close(self) -> None:
        """Delete what was kept."""
        self._own.close()

    def rated(self, call: RatedCall) -> RatedCall | None:
        """See rater.engine.what_if.Ledger."""
        id = call.usage_id
        if id not in self._offsets:
            self._look_up([id])
        offsets = self._offsets[id]
        if call.outcome is not Outcome.CORRECTED and len(offsets) == 1 and offsets[0] > self._base:
            self._set_bit(offsets[0] - self._base)
            return None
        replaced = self._standing(call.tenant, id) if call.outcome is Outcome.CORRECTED else None
        self._own.execute("INSERT OR REPLACE INTO calls VALUES (?, ?, ?)", (call.tenant, id, encode(call)))
        self._own_calls.add(hash((call.tenant, id)))
        return replaced

    def _live_calls(self, keys: list[Key]) -> dict[Key, LiveCall]:
        """See StoredEntities."""
        normal = {usage_id: normal_usage_id(usage_id) for _, usage_id in keys}
        self._offsets = {}
        self._look_up([*{*normal, *normal.values()}])
        found: dict[Key, LiveCall] = {}
        for tenant, usage_id in keys:
            for id in dict.fromkeys((usage_id, normal[usage_id])):
                if (call := self._standing(tenant, id)) is not None:
                    found[(tenant, id)] = found[(tenant, normal[usage_id])] = live_call(call)
        return found

    def _look_up(self, ids: list[str]) -> None:
        """Find where records of calls are; the index alone says it, so no record is read."""
        offsets: dict[str, tuple[int, ...]] = dict.fromkeys(ids, ())
        for start in range(0, len(ids), _FETCH):
            part = ids[start : start + _FETCH]
            marks = ",".join("?" * len(part))
            rows = self._connection.execute(
                f'SELECT key, offset FROM "rated-calls" WHERE key IN ({marks}) ORDER BY offset',  # noqa: S608 - marks only
                part,
            )
            for key, offset in rows:
                offsets[key] += (offset,)
        self._offsets |= offsets

    def _standing(self, tenant: str, id: str) -> RatedCall | None:
        """The rating of a call that stands in the replay."""
        if hash((tenant, id)) in self._own_calls:
            row = self._own.execute("SELECT value FROM calls WHERE tenant=? AND id=?", (tenant, id)).fetchone()
            if row is not None:
                return _decode(row[0])
        for offset in reversed(self._offsets[id]):
            if not self._is_rated(offset):
                continue
            call = _decode(
                self._connection.execute('SELECT value FROM "rated-calls" WHERE offset=?', (offset,)).fetchone()[0]
            )
            if call.tenant == tenant:
                return call
        return None

    def _is_rated(self, offset: int) -> bool:
        if offset <= self._base:
            return True
        place = offset - self._base
        return bool(self._rated[place // _BITS] >> place % _BITS & 1)

    def _set_bit(self, place: int) -> None:
        self._rated[place // _BITS] |= 1 << place % _BITS
