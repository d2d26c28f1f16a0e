"""The former topics of a deployment that is moved: closed for workers, then read."""

from collections.abc import Iterable

import msgspec
from aiokafka import TopicPartition

from rater.core import Account
from rater.kafka.changelog import META_KEY, Meta, entity_of, pack
from rater.kafka.client import committed_reader, doubted, read_partition
from rater.kafka.connect import reachable
from rater.kafka.input_topics import INPUTS
from rater.kafka.move.filling import Money
from rater.kafka.move.routes import Pairs
from rater.kafka.move.writer import SetWriter, Written
from rater.kafka.port import Consumed
from rater.kafka.settings import KafkaSettings
from rater.kafka.snapshot import HISTORY
from rater.kafka.standing import metas_of
from rater.wire.commits import Commit, part_of
from rater.wire.errors import Exit, RaterError

_commit = msgspec.json.Decoder(Commit).decode


async def close_partition(settings: KafkaSettings, number: int, moved_to: str | None) -> None:
    """Fence the partition's worker and note that everything was moved; None: that it was not, after all.

    A worker that owns the partition later reads the note and stops.
    """
    async with SetWriter(settings, settings.transactional_id(number)) as writer:
        meta = (await metas_of(settings, [number]))[number]
        if moved_to is not None and meta.moved_to not in (None, moved_to):
            raise RaterError(
                f"state[{number}]: everything was moved to prefix {meta.moved_to!r} already, not to {moved_to!r}",
                Exit.FAILED,
            )
        if meta.moved_to != moved_to:
            closed = msgspec.structs.replace(meta, moved_to=moved_to)
            await writer.commit({(settings.topic("state"), number): [Written(META_KEY, pack(closed))]})


async def state_of_partition(settings: KafkaSettings, number: int, money: Money) -> Pairs:
    """Every entity of a partition, key and value; what money there is is added up."""
    state: Pairs = {}
    async for records in read_partition(settings, "state", number, None):
        for record in records:
            if record.key is None or record.key == META_KEY:
                continue
            if record.value is None:
                state.pop(record.key, None)
            else:
                state[record.key] = record.value
    for key, value in state.items():
        if key.startswith(b"account/"):
            account = entity_of(key, value)[2]
            assert isinstance(account, Account)
            money.add(account)
    return state


async def latest_of(settings: KafkaSettings, topic: str, number: int) -> Iterable[Consumed]:
    """The last record of each key of a compacted topic."""
    latest: dict[bytes, Consumed] = {}
    async for records in read_partition(settings, topic, number, None):
        for record in records:
            if record.value:
                latest[record.key or b""] = record
            else:
                latest.pop(record.key or b"", None)
    return latest.values()


async def unrated(settings: KafkaSettings, number: int, meta: Meta) -> list[Consumed]:
    """Inputs behind the positions: commands first."""
    return [
        record
        for topic in INPUTS
        async for records in read_partition(settings, topic, number, meta.positions.get(topic))
        for record in records
    ]


async def cut_topics(settings: KafkaSettings, partitions: int) -> tuple[str, ...]:
    """The topics of which some partition does not keep the first records any more."""
    places = {
        TopicPartition(settings.topic(topic), number): topic
        for number in range(partitions)
        for topic in ("commits", *HISTORY)
    }
    async with doubted(settings), reachable(settings, committed_reader(settings)) as consumer:
        first = await consumer.beginning_offsets(list(places))
    cut = {topic for place, topic in places.items() if first[place]}
    for number in range(partitions):
        commit = await first_commit(settings, number)
        if commit is not None and commit.moved is not None:
            cut |= set(commit.moved.cut)
    return tuple(sorted(cut))


async def first_commit(settings: KafkaSettings, number: int) -> Commit | None:
    """The first commit that a partition keeps."""
    found = None
    async for records in read_partition(settings, "commits", number, None):
        for record in records:
            if found is None and part_of(record.key) is None:
                found = _commit(record.value or b"")
    return found
