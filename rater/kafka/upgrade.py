"""A partition that older rules wrote, made one of the present rules: once, by the first worker that owns it (A51).

The migrated state is written twice.  What changed goes to `state`, which is compacted and goes on from there.  All
of it goes to `commits` (see `snapshot`), where it stays as long as the commits do, and `verify` begins with it.  In
the last transaction `service-states` gets its present keys, too.
"""

import msgspec

from rater.core import RULES, Migration, Source, migrate
from rater.kafka.changelog import META_KEY, STATE_VERSION, Entities, Meta, pack, state_key
from rater.kafka.port import PartitionLog
from rater.kafka.rekey import TOPIC, rekey
from rater.kafka.snapshot import digest_of, parts_of, write_all_but_last
from rater.wire.commits import Commit


async def upgrade(log: PartitionLog, entities: Entities, positions: dict[str, int]) -> tuple[Entities, Migration]:
    """Migrate what was restored and commit it; the entities as they are from now on."""
    before = entities.memory()
    migration = migrate(before)
    meta = Meta(STATE_VERSION, entities.meta.commits + 1, positions, RULES)
    rekeyed = rekey(before, migration, Source("commits", log.partition, meta.commits))
    parts = parts_of(Entities.standing(migration.after, meta).pairs())
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
    last = await write_all_but_last(log, parts)
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
