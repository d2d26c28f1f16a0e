"""A partition that older rules wrote, made one of the present rules: once, by the first worker that owns it (A51).

The migrated state is written twice.  What changed goes to `state`, which is compacted and goes on from there.  All
of it goes to `commits`, in parts under the keys `PARTITION/state/N`, before the commit record with its digest: a
snapshot that stays as long as the commits do, and from which `verify` replays them.  Parts are written in
transactions of bounded size, the last with the state and the commit record: until then nothing has happened, and
who begins again writes all parts again, from number 0.  In the last, `service-states` gets its present keys, too.
"""

from collections.abc import Iterator
from hashlib import blake2b

import msgspec

from rater.core import RULES, Memory, Migration, Source, migrate
from rater.kafka.changelog import META_KEY, STATE_VERSION, Entities, Meta, entity_of, pack, state_key
from rater.kafka.port import Consumed, PartitionLog
from rater.kafka.rekey import TOPIC, rekey
from rater.wire.commits import Commit, part_key, part_of

#: A message is at most a megabyte.
PART_BYTES_MAX = 200_000
TRANSACTION_BYTES_MAX = 8 << 20

_Pairs = list[tuple[bytes, bytes]]
_unpack_part = msgspec.msgpack.Decoder(_Pairs).decode


async def upgrade(log: PartitionLog, entities: Entities, positions: dict[str, int]) -> tuple[Entities, Migration]:
    """Migrate what was restored and commit it; the entities as they are from now on."""
    before = entities.memory()
    migration = migrate(before)
    meta = Meta(STATE_VERSION, entities.meta.commits + 1, positions, RULES)
    rekeyed = rekey(before, migration, Source("commits", log.partition, meta.commits))
    parts = parts_of(migration.after)
    commit = Commit(
        partition=log.partition,
        sequence=meta.commits,
        commands_first=positions["commands"],
        commands_next=positions["commands"],
        cdrs_first=positions["cdrs"],
        cdrs_next=positions["cdrs"],
        outcomes={},
        rules=RULES,
        migrated=digest_of(parts),
    )
    keyed = [(part_key(log.partition, number), part) for number, part in enumerate(parts)]
    *first, last = _portions(keyed)
    for portion in first:
        await log.begin()
        await log.send({"commits": portion})
        await log.commit()
    state: list[tuple[bytes, bytes | None]] = [(state_key(*place), None) for place in migration.gone]
    state += [(state_key(*place), pack(entity)) for place, entity in migration.changed.items()]
    record = (str(log.partition).encode(), msgspec.json.encode(commit))
    await log.begin()
    writes: dict[str, list[tuple[bytes, bytes | None]]] = {
        "state": [*state, (META_KEY, pack(meta))],
        "commits": [*last, record],
        TOPIC: rekeyed,
    }
    await log.send({topic: records for topic, records in writes.items() if records})
    await log.commit()
    return Entities.standing(migration.after, meta), migration


def parts_of(memory: Memory) -> list[bytes]:
    """The state in parts: pairs of key and value as in the topic, in the order of the keys."""
    pairs = sorted(
        (state_key(kind, key), pack(entity))
        for kind, entities in memory.entities.items()
        if kind != "call"
        for key, entity in entities.items()
    )
    parts: list[_Pairs] = [[]]
    size = 0
    for key, value in pairs:
        size += len(key) + len(value)
        if parts[-1] and size > PART_BYTES_MAX:
            parts.append([])
            size = len(key) + len(value)
        parts[-1].append((key, value))
    return [pack(part) for part in parts]


def digest_of(parts: list[bytes]) -> str:
    """What the first commit of new rules says of the state that it begins with."""
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _portions(parts: _Pairs) -> Iterator[_Pairs]:
    """As many parts as one transaction writes."""
    portion: _Pairs = []
    size = 0
    for key, part in parts:
        if portion and size + len(part) > TRANSACTION_BYTES_MAX:
            yield portion
            portion, size = [], 0
        portion.append((key, part))
        size += len(part)
    yield portion


class Snapshot:
    """The parts of a migrated state, as they are read from `commits`."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def add(self, record: Consumed) -> bool:
        """Whether the record is a part; it is kept then."""
        number = part_of(record.key)
        if number is None:
            return False
        # who was killed between two transactions has a successor that began again
        del self._parts[number:]
        self._parts.append(record.value or b"")
        return True

    def memory(self, digest: str) -> Memory | None:
        """The state that has this digest; None if the parts are not those that were written."""
        if digest_of(self._parts) != digest:
            return None
        memory = Memory()
        for part in self._parts:
            for key, value in _unpack_part(part):
                kind, place, entity = entity_of(key, value)
                memory.entities[kind][place] = entity
        self._parts = []
        return memory
