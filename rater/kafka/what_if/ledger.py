"""The state of a partition's history that is replayed.  Its rated calls are in a file that is gone with it, so that
memory does not grow with calls."""

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from rater.core import (
    CallRecord,
    Committed,
    Entity,
    Key,
    LiveCall,
    Memory,
    Outcome,
    RatedCall,
    live_call,
    normal_usage_id,
)
from rater.kafka.index import keys_of
from rater.wire.codec import encode

#: Pairs that one statement asks for.
_FETCH = 400
_decode = msgspec.json.Decoder(RatedCall).decode


class TopicLedger(Committed):
    """See rater.engine.what_if.Ledger."""

    def __init__(self, state: Memory) -> None:
        self._entities = state.entities
        #: Live calls that the part at hand may ask for.
        self._live: dict[Key, LiveCall] = {}
        #: Calls that are not in the file yet.
        self._new: dict[Key, RatedCall] = {}
        self._file = sqlite3.connect("", isolation_level=None)
        self._file.execute("PRAGMA journal_mode=OFF")
        self._file.execute("CREATE TABLE calls (tenant TEXT, id TEXT, value BLOB, UNIQUE (tenant, id))")

    def close(self) -> None:
        """Delete the file."""
        self._file.close()

    def load(self, kind: str, key: Key) -> Entity | None:
        """See Committed."""
        return self._live.get(key) if kind == "call" else self._entities[kind].get(key)

    def prepare(self, calls: Sequence[CallRecord]) -> None:
        """See Committed."""
        self._flush()
        self._live = {key: live_call(call) for key, call in self._find(keys_of(calls)).items()}

    def merge(self, changes: Mapping[str, Mapping[Key, Entity]], gone: Collection[tuple[str, Key]] = ()) -> None:
        """See rater.engine.what_if.Ledger."""
        for kind, changed in changes.items():
            if kind != "call":
                self._entities[kind].update(changed)
        for kind, key in gone:
            self._entities[kind].pop(key, None)

    def rated(self, call: RatedCall) -> RatedCall | None:
        """See rater.engine.what_if.Ledger."""
        places = places_of(call.tenant, call.usage_id)
        replaced = None
        if call.outcome is Outcome.CORRECTED:
            found = {**self._find(places), **{key: self._new[key] for key in places if key in self._new}}
            replaced = next((found[key] for key in places if key in found), None)
        self._new.update(dict.fromkeys(places, call))
        return replaced

    def note(self, calls: Iterable[RatedCall]) -> None:
        """Note calls that were rated before the replay begins."""
        for call in calls:
            self._new.update(dict.fromkeys(places_of(call.tenant, call.usage_id), call))
        self._flush()

    def _flush(self) -> None:
        if not self._new:
            return
        self._file.execute("BEGIN")
        self._file.executemany(
            "INSERT OR REPLACE INTO calls VALUES (?, ?, ?)",
            [(*key, encode(call)) for key, call in self._new.items()],
        )
        self._file.execute("COMMIT")
        self._new = {}

    def _find(self, keys: Sequence[Key]) -> dict[Key, RatedCall]:
        found: dict[Key, RatedCall] = {}
        for start in range(0, len(keys), _FETCH):
            part = keys[start : start + _FETCH]
            pairs = ",".join(["(?,?)"] * len(part))
            rows = self._file.execute(
                # CROSS JOIN: each is looked up by its key
                f"WITH asked (tenant, id) AS (VALUES {pairs})"  # noqa: S608 - marks only
                " SELECT c.tenant, c.id, c.value FROM asked CROSS JOIN calls AS c"
                " ON c.tenant = asked.tenant AND c.id = asked.id",
                [text for key in part for text in key],
            )
            found |= {(tenant, id): _decode(value) for tenant, id, value in rows}
        return found


def places_of(tenant: str, usage_id: str) -> list[Key]:
    """Under which keys a rated call stands: its normal id, and as it was spelled; see rater.kafka.index.indexed."""
    return list(dict.fromkeys([(tenant, normal_usage_id(usage_id)), (tenant, usage_id)]))
