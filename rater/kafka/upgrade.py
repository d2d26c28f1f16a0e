"""A partition that older rules wrote, made one of the present rules: once, by the first worker that owns it (A51).

The migrated state is written twice.  What changed goes to `state`, which is compacted and goes on from there.  All
of it goes to `commits` (see `snapshot`), where it stays as long as the commits do, and `verify` begins with it.  In
the last transaction `service-states` gets its present keys, too.
"""

from collections.abc import Mapping

from rater.core import Migration, Source, migrate
from rater.kafka.changelog import Entities, pack, state_key
from rater.kafka.input_topics import Inputs
from rater.kafka.port import PartitionLog
from rater.kafka.rekey import TOPIC, rekey
from rater.kafka.snapshot import commit_state, next_meta


async def upgrade(
    log: PartitionLog, entities: Entities, positions: Mapping[str, int], inputs: Inputs, now_s: float
) -> tuple[Entities, Migration]:
    """Migrate what was restored and commit it; the entities as they are from now on."""
    before = entities.memory()
    migration = migrate(before)
    after = Entities.standing(migration.after, next_meta(entities, positions, inputs, now_s))
    changed: list[tuple[bytes, bytes | None]] = [(state_key(*place), None) for place in migration.gone]
    changed += [(state_key(*place), pack(entity)) for place, entity in migration.changed.items()]
    rekeyed = rekey(before, migration, Source("commits", log.partition, after.meta.commits))
    await commit_state(log, after.meta, after.pairs(), inputs, {"state": changed, TOPIC: rekeyed})
    return after, migration
