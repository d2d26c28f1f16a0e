"""A partition's whole state among its commits: where `verify` begins when earlier inputs are gone.

The state stands in parts under the keys `PARTITION/state/N`, before a commit record with its digest.  Parts are
written in transactions of bounded size, the last with the commit record: until then nothing has happened, and who
begins again writes all parts again, from number 0.  The worker that acquires it writes one when the last is old,
and when inputs were given up (see `input_topics`); the first commit of new rules has one, too (see `upgrade`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b

import msgspec

from rater.core import RULES, Memory
from rater.kafka.changelog import META_KEY, STATE_VERSION, Entities, Meta, entity_of, pack
from rater.kafka.input_topics import Inputs
from rater.kafka.port import Consumed, PartitionLog
from rater.wire.commits import Commit, part_key, part_of

#: Records of calls are kept for thirty days: with one a week at least the last three weeks can be computed again.
SNAPSHOT_EVERY_S = 7 * 86_400
#: Output topics that keep every record; a snapshot says where each ended.
HISTORY = ("rated-calls", "debits", "account-events", "recharges", "rejected-cdrs")
#: A message is at most a megabyte.
PART_BYTES_MAX = 200_000
TRANSACTION_BYTES_MAX = 8 << 20

Pairs = list[tuple[bytes, bytes]]
_unpack_part = msgspec.msgpack.Decoder(Pairs).decode


def is_due(meta: Meta, inputs: Inputs, now_s: float) -> bool:
    """Whether a snapshot is to be written, `now_s` being Unix seconds."""
    old = meta.commits > 0 and now_s - meta.snapshot_at > SNAPSHOT_EVERY_S
    return bool(inputs.gaps) or old


async def write_snapshot(
    log: PartitionLog, entities: Entities, positions: Mapping[str, int], inputs: Inputs, now_s: float
) -> Meta:
    """Commit the state as it stands, and what was given up before; the partition's state afterwards."""
    meta = next_meta(entities, positions, inputs, now_s)
    await commit_state(log, meta, entities.pairs(), inputs, {})
    return meta


def next_meta(entities: Entities, positions: Mapping[str, int], inputs: Inputs, now_s: float) -> Meta:
    """The state of a partition after a commit that has its whole state."""
    commits, partitions = entities.meta.commits + 1, entities.meta.partitions
    return Meta(STATE_VERSION, commits, dict(positions), RULES, inputs.topics, now_s, partitions)


async def commit_state(
    log: PartitionLog,
    meta: Meta,
    pairs: Iterable[tuple[bytes, bytes]],
    inputs: Inputs,
    changes: Mapping[str, Sequence[tuple[bytes, bytes | None]]],
) -> None:
    """Commit a whole state, its meta record and what was given up; `changes` are other records, by topic."""
    parts = parts_of(pairs)
    commit = Commit(
        partition=log.partition,
        sequence=meta.commits,
        commands_first=meta.positions["commands"],
        commands_next=meta.positions["commands"],
        cdrs_first=meta.positions["cdrs"],
        cdrs_next=meta.positions["cdrs"],
        outcomes={},
        rules=RULES,
        migrated=digest_of(parts),
        gaps=inputs.gaps,
        outputs={topic: await log.end(topic) for topic in HISTORY},
    )
    last = await _write_all_but_last(log, parts)
    await log.begin()
    record = (str(log.partition).encode(), msgspec.json.encode(commit))
    writes = {**changes, "state": [*changes.get("state", ()), (META_KEY, pack(meta))], "commits": [*last, record]}
    await log.send({topic: records for topic, records in writes.items() if records})
    await log.commit()


async def _write_all_but_last(log: PartitionLog, parts: list[bytes]) -> Pairs:
    """Commit the parts that do not fit one transaction; those that are left go with the commit record."""
    *first, last = portions_of([(part_key(log.partition, number), part) for number, part in enumerate(parts)])
    for portion in first:
        await log.begin()
        await log.send({"commits": portion})
        await log.commit()
    return last


def parts_of(pairs: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
    """The state in parts: pairs of key and value as in the topic, in the order of the keys."""
    parts: list[Pairs] = [[]]
    size = 0
    for key, value in sorted(pairs):
        size += len(key) + len(value)
        if parts[-1] and size > PART_BYTES_MAX:
            parts.append([])
            size = len(key) + len(value)
        parts[-1].append((key, value))
    return [pack(part) for part in parts]


def digest_of(parts: list[bytes]) -> str:
    """What the commit record says of the state in the parts before it."""
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def portions_of(parts: Pairs) -> Iterator[Pairs]:
    """As many parts as one transaction writes."""
    portion: Pairs = []
    size = 0
    for key, part in parts:
        if portion and size + len(part) > TRANSACTION_BYTES_MAX:
            yield portion
            portion, size = [], 0
        portion.append((key, part))
        size += len(part)
    yield portion


class Snapshot:
    """The parts of a state, as they are read from `commits`."""

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
        parts, self._parts = self._parts, []
        if digest_of(parts) != digest:
            return None
        memory = Memory()
        for part in parts:
            for key, value in _unpack_part(part):
                kind, place, entity = entity_of(key, value)
                memory.entities[kind][place] = entity
        return memory
