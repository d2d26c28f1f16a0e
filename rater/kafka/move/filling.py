"""Fills topics that no worker owns yet, and opens them in one last transaction.

1. `begin`: every partition's meta record says that it is being filled; a worker that starts stops.
2. `copy`: records in order, with their times; how far is in the same transaction, so a second attempt goes on.
3. `put_state`, `put_latest`: entities and compacted records by key; written again they are the same.
4. `snapshots`: each partition's state among its commits, for `verify`; a second attempt writes all parts again.
5. `open`: the meta record and the first commit of every partition.  Before it nothing has happened.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from aiokafka import TopicPartition

from rater.core import RESERVED_TENANTS, RULES, Account
from rater.kafka.changelog import META_KEY, STATE_VERSION, Entities, Meta, Moving, pack
from rater.kafka.client import committed_reader, doubted, read_partition
from rater.kafka.compacted import LATEST
from rater.kafka.connect import reachable
from rater.kafka.input_topics import IDENTIFIED
from rater.kafka.move.routes import Pairs
from rater.kafka.move.writer import SetWriter, Written, append, in_transactions
from rater.kafka.port import Consumed
from rater.kafka.settings import KafkaSettings
from rater.kafka.snapshot import HISTORY, digest_of, parts_of, portions_of
from rater.kafka.standing import metas_of
from rater.kafka.topic_ids import topic_ids
from rater.wire.commits import Commit, Moved, part_key

#: The new partitions of a record.
PlacesOf = Callable[[Consumed], Iterable[int]]
_FIRST = {"commands": 0, "cdrs": 0}


class Money(msgspec.Struct):
    """Tenants and the sum of their balances in micro-units, to compare what left with what arrived."""

    tenants: int = 0
    balance: int = 0

    def add(self, account: Account) -> None:
        """One more tenant."""
        if account.tenant not in RESERVED_TENANTS:
            self.tenants += 1
            self.balance += account.balance


class Filling:
    """The new topics of one deployment, until they are opened."""

    def __init__(self, settings: KafkaSettings, writer: SetWriter, partitions: int, moving: Moving) -> None:
        self.partitions = partitions
        #: What arrived, and of each partition's state its digest, as `snapshots` found it.
        self.money = Money()
        self.digests: dict[int, str] = {}
        self._settings, self._writer, self._moving = settings, writer, moving

    async def begin(self) -> None:
        """Say in every partition that it is being filled; go on where an earlier attempt stood."""
        before = (await metas_of(self._settings, [0]))[0].moving
        if before is not None:
            self._moving = before
        await self._writer.commit(
            {self._place("state", number): [self._meta(number)] for number in range(self.partitions)}
        )

    async def abandon(self) -> None:
        """Say in every partition that nobody goes on: what was copied is old by now."""
        await self._writer.commit(
            {self._place("state", number): [self._meta(number)] for number in range(self.partitions)}
        )

    def copied(self, topic: str, partition: int) -> int | None:
        """The position in a former topic up to which its records are here."""
        return self._moving.copied.get(f"{topic}/{partition}")

    async def copy(self, records: Sequence[Consumed], places_of: PlacesOf) -> None:
        """Append records of one former topic and partition, in order."""
        for portion in in_transactions(records):
            writes = self._placed(portion, places_of)
            self._note(portion[-1])
            writes[self._place("state", 0)] = [self._meta(0)]
            await self._writer.commit(writes)

    async def append(self, records: Sequence[Consumed], places_of: PlacesOf) -> None:
        """Publish inputs of one former partition that are to be rated anew; a second time they are duplicates."""
        for portion in in_transactions(records):
            await append(self._settings, self._placed(portion, places_of, stamped=False))
            self._note(portion[-1])
            await self._writer.commit({self._place("state", 0): [self._meta(0)]})

    def _placed(
        self, records: Sequence[Consumed], places_of: PlacesOf, *, stamped: bool = True
    ) -> dict[tuple[str, int], list[Written]]:
        """Where records go; `stamped`: with the time at which they were published first."""
        writes: dict[tuple[str, int], list[Written]] = {}
        for record in records:
            written = Written(record.key, record.value, (record.published_ms or None) if stamped else None)
            for number in places_of(record):
                writes.setdefault(self._place(record.topic, number), []).append(written)
        return writes

    def _note(self, last: Consumed) -> None:
        copied = self._moving.copied | {f"{last.topic}/{last.partition}": last.offset + 1}
        self._moving = msgspec.structs.replace(self._moving, copied=copied)

    async def put_state(self, homes: Mapping[int, Pairs]) -> None:
        """Entities, by partition."""
        for number, pairs in homes.items():
            records = [Consumed("state", number, 0, key, value) for key, value in pairs.items()]
            await self._put(records, lambda record: (record.partition,))

    async def put_latest(self, records: Iterable[Consumed], places_of: PlacesOf) -> None:
        """The latest record of each key of a compacted topic."""
        await self._put(list(records), places_of)

    async def _put(self, records: Sequence[Consumed], places_of: PlacesOf) -> None:
        for portion in in_transactions(records):
            await self._writer.commit(self._placed(portion, places_of))

    async def snapshots(self) -> None:
        """Write each partition's state among its commits, and add up the money that is there."""
        for number in range(self.partitions):
            entities = Entities()
            async for records in read_partition(self._settings, "state", number, None):
                for record in records:
                    assert record.key is not None
                    entities.apply(record.key, record.value)
            for account in entities.accounts():
                self.money.add(account)
            parts = parts_of(entities.pairs())
            self.digests[number] = digest_of(parts)
            numbered = [(part_key(number, place), part) for place, part in enumerate(parts)]
            for portion in portions_of(numbered):
                await self._writer.commit({self._place("commits", number): [Written(*pair) for pair in portion]})

    async def open(self, cut: tuple[str, ...]) -> None:
        """From now on workers may own the partitions."""
        ids = await topic_ids(self._settings, IDENTIFIED)
        ends = await self.ends((*HISTORY, *LATEST))
        now_s = time.time()
        meta = Meta(
            STATE_VERSION, 1, _FIRST, RULES, {topic: id for topic, id in ids.items() if id}, now_s, self.partitions
        )
        writes: dict[tuple[str, int], list[Written]] = {}
        for number in range(self.partitions):
            commit = Commit(
                partition=number,
                sequence=1,
                commands_first=0,
                commands_next=0,
                cdrs_first=0,
                cdrs_next=0,
                outcomes={},
                rules=RULES,
                migrated=self.digests[number],
                outputs=ends[number],
                moved=Moved(prefix=self._moving.prefix, partitions=self._moving.partitions, cut=cut),
            )
            writes[self._place("state", number)] = [Written(META_KEY, pack(meta))]
            writes[self._place("commits", number)] = [Written(str(number).encode(), msgspec.json.encode(commit))]
        await self._writer.commit(writes)

    async def ends(self, topics: Sequence[str]) -> dict[int, dict[str, int]]:
        """The position after the last record of topics, in each partition."""
        places = {
            (number, topic): TopicPartition(self._settings.topic(topic), number)
            for number in range(self.partitions)
            for topic in topics
        }
        async with doubted(self._settings), reachable(self._settings, committed_reader(self._settings)) as consumer:
            found = await consumer.end_offsets(list(places.values()))
        return {
            number: {topic: found[places[number, topic]] for topic in topics} for number in range(self.partitions)
        }

    def _place(self, topic: str, number: int) -> tuple[str, int]:
        return self._settings.topic(topic), number

    def _meta(self, number: int) -> Written:
        moving = self._moving if number == 0 else msgspec.structs.replace(self._moving, copied={})
        return Written(META_KEY, pack(Meta(STATE_VERSION, 0, {}, RULES, partitions=self.partitions, moving=moving)))
