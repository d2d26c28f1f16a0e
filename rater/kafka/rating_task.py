"""The rating task: one partition, one transactional producer, one state.

Acquiring the partition
    1. fence every earlier owner
    2. restore the state from the changelog up to its end, and with it the input positions
    3. look whether the usage-id index has what it says it has, and catch it up with `rated-calls`
    4. seek the inputs to those positions
    5. migrate the state if older rules wrote it (see `upgrade`), or write a snapshot if one is due (see `snapshot`)

Inputs that are not what they were, another number of partitions, or a deployment that was moved to other topics
stop the partition after 2 (see `input_topics`, `partition_counts`).

A commit
    1. rate the batch on an overlay
    2. begin, and send outputs, changelog, meta and commit record; wait until every one is stored
    3. add the group's offsets, if they were not committed lately
    4. commit, and only then: 5. merge the overlay and the index

Any failure on the way drops overlay, state and producer; the partition is reacquired.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from rater.core import (
    RULES,
    RatedCall,
    RatingSettings,
    Rules,
    Source,
    Tariffs,
)
from rater.engine.batch import Batch, run_batch
from rater.kafka.at_fault import find_at_fault
from rater.kafka.catch_up import TOPIC, catch_up
from rater.kafka.changelog import STATE_VERSION, Entities, Meta
from rater.kafka.index import StandsAt, UsageIndex
from rater.kafka.input_topics import INPUTS, Inputs, inputs_to_read
from rater.kafka.observer import Observer
from rater.kafka.partition_counts import must_be_here, must_be_open
from rater.kafka.partition_state import PartitionState
from rater.kafka.port import Consumed, Doubt, PartitionLog
from rater.kafka.publisher import admission
from rater.kafka.records import (
    Given,
    deck_named_by,
    given_of,
    in_order,
    portions,
    positions_after,
    source_of,
    writes_of,
)
from rater.kafka.snapshot import is_due, write_snapshot
from rater.kafka.upgrade import upgrade
from rater.wire.commits import Commit

#: Names of unknown decks in one commit: each of at most 128 letters of four bytes.
UNKNOWN_DECKS_MAX = 1_000


class Decks(Protocol):
    """The rate decks that were published, as far as they were read."""

    tariffs: Tariffs

    async def read_to_end(self) -> None:
        """Read every version that is published as of now."""

    async def wait_for(self, versions: set[str]) -> None:
        """Come back when these versions were read, or when the limit for waiting is reached."""


class Prepared(NamedTuple):
    """A batch that was applied to an overlay, and what its transaction writes."""

    batch: Batch
    meta: Meta
    commit: Commit
    writes: dict[str, list[tuple[bytes, bytes | None]]]


class RatingTask:
    """Rates one partition for as long as it may."""

    def __init__(
        self,
        log: PartitionLog,
        index: UsageIndex,
        decks: Decks,
        settings: RatingSettings,
        *,
        partitions: int,
        batch_records_max: int,
        backlog_records_max: int,
        batch_bytes_max: int,
        observer: Observer,
    ) -> None:
        self.partition = log.partition
        self.restored = False
        self.stopping = False
        #: How often the partition was acquired.
        self.ownerships = 0
        #: The next offset of each input, as committed.
        self.positions: dict[str, int] = {}
        #: The ids of the topics that it reads.
        self.topics: dict[str, str] = {}
        #: Set by who sees that one of them has another id by now: the partition is to be acquired anew.
        self.look_again = False
        self._log = log
        self._state = PartitionState(index)
        self._decks = decks
        self._partitions = partitions
        self._admit = admission(log.partition, partitions)
        self._batch_records_max = batch_records_max
        self._backlog_records_max = backlog_records_max
        #: How many records the next batch may have: more of them in a backlog.
        self._records_max = batch_records_max
        self._batch_bytes_max = batch_bytes_max
        #: What operators decided to pass over.
        self._skips: frozenset[Source] = frozenset()
        self._observer = observer
        self._rules = Rules(settings, decks.tariffs)

    async def run(self) -> None:
        """Own the partition and rate until `stopping` is set; any failure makes it reacquire the partition."""
        doubts = 0
        try:
            while not self.stopping:
                try:
                    await self.own()
                    while not self.stopping:
                        await self.step()
                        doubts = 0
                except Doubt as doubt:
                    self.restored = False
                    self._observer.doubted(self, doubt)
                    await self._log.back_off(doubts)
                    doubts += 1
        finally:
            self.restored = False
            await self._log.close()

    async def own(self) -> None:
        """Acquire the partition; the steps are numbered in the module's docstring."""
        log, state = self._log, self._state
        self.ownerships += 1
        self._observer.owning(self)
        await log.fence()  # 1
        state.entities = Entities()  # 2
        async for records in log.read("state", None):
            self._observer.restoring(self, "state", len(records))
            for record in records:
                assert record.key is not None
                state.entities.apply(record.key, record.value)
        must_be_open(self.partition, state.entities.meta)
        must_be_here(self.partition, self._partitions, state.entities.tenants())
        inputs = await inputs_to_read(log, state.entities.meta)
        self.topics, self.look_again, self._skips = inputs.topics, False, inputs.skips
        await self._decks.read_to_end()
        calls = await catch_up(log, state, partial(self._observer.restoring, self, TOPIC))  # 3
        self.positions = dict(await log.seek({topic: inputs.positions.get(topic) for topic in INPUTS}))  # 4
        if await self._commit_state(inputs):  # 5
            # nothing is awaited after `seek`: a rebalance in between would pause the inputs for good
            self.positions = dict(await log.seek(self.positions))
        self.restored = True
        self._observer.owned(self, state.entities, calls)

    async def _commit_state(self, inputs: Inputs) -> bool:
        """Migrate the state of older rules, or write a snapshot, where either is due; whether one was."""
        log, state, now_s = self._log, self._state, self._log.now_s()
        if state.entities.meta.rules < RULES:
            state.entities, migration = await upgrade(log, state.entities, self.positions, inputs, now_s)
            self._observer.upgraded(self, migration.report)
        elif is_due(state.entities.meta, inputs, now_s):
            state.entities.meta = await write_snapshot(log, state.entities, self.positions, inputs, now_s)
        else:
            return False
        return True

    async def step(self) -> None:
        """Read what has arrived, rate it, commit it, in as many commits as its bytes need."""
        if self.look_again:
            raise Doubt("a topic of this partition has another id")
        records = await self.arrived()
        if not records:
            await self._log.commit_offsets(self.positions)
            return
        given = self._given(in_order(records))
        missing = self._unknown(given)
        if missing:
            await self._decks.wait_for(missing)
        for portion in portions(given, self._batch_bytes_max, UNKNOWN_DECKS_MAX):
            await self._commit(portion)

    async def arrived(self) -> list[Consumed]:
        """The next input records; more of them at a time once there was a full batch, because then more wait."""
        fetched = await self._log.fetch(self._records_max)
        full = len(fetched) >= self._records_max
        self._records_max = self._backlog_records_max if full else self._batch_records_max
        # after a rebalance the same records may come again
        return [record for record in fetched if record.offset >= self.positions[record.topic]]

    def _given(self, records: Sequence[Consumed]) -> list[Given]:
        """Read commands and the frames of switches' records; call records are decoded while they are applied."""
        try:
            return given_of(records, self._skips)
        except Exception as wrong:  # a bug of ours, whatever it is
            sources = [source_of(record) for record in records]
            raise find_at_fault(sources, lambda count: given_of(records[:count], self._skips), wrong) from wrong

    def _unknown(self, given: Iterable[Given]) -> set[str]:
        """The versions of decks that commands name and that are not published, as far as the decks were read."""
        named = {deck_named_by(one.record.decoded) for one in given}
        return {version for version in named if version is not None and version not in self._rules.tariffs}

    async def _commit(self, given: Sequence[Given]) -> None:
        """Rate and commit one batch; the steps are numbered in the module's docstring."""
        consumed = [one.consumed for one in given]
        self._observer.consumed(consumed)
        try:
            batch, meta, commit, writes = self._prepare(given)  # 1
        except Exception as wrong:  # a bug of ours, whatever it is
            sources = [one.record.source for one in given]
            raise find_at_fault(sources, lambda count: self._prepare(given[:count]), wrong) from wrong
        self._observer.rated(batch)
        log = self._log
        await log.begin()  # 2
        stored = await log.send(writes)
        await log.commit_offsets(meta.positions)  # 3
        await log.commit()  # 4
        self.positions = meta.positions  # 5
        self._state.entities.merge(batch.state, meta)
        rated = [output for output in batch.outputs if isinstance(output, RatedCall)]
        if rated:
            self._state.index.put(batch.state.calls, StandsAt(stored["rated-calls"], rated[-1].id))
        self._observer.committed(consumed, batch, commit)

    def _prepare(self, given: Sequence[Given]) -> Prepared:
        """Apply records to a new overlay, and encode all that they write; nothing that stays is changed."""
        records = [one.record for one in given]
        batch = run_batch(self._state, self._rules, records, admit=self._admit)
        after = positions_after(self.positions, [one.consumed for one in given])
        commit = Commit(
            partition=self.partition,
            sequence=self._state.entities.meta.commits + 1,
            commands_first=self.positions["commands"],
            commands_next=after["commands"],
            cdrs_first=self.positions["cdrs"],
            cdrs_next=after["cdrs"],
            outcomes=dict(batch.counts),
            unknown_decks=tuple(sorted(self._unknown(given))),
            rules=RULES,
            skipped=tuple(record.source for record in records if record.source in self._skips),
        )
        snapshot_at = self._state.entities.meta.snapshot_at
        meta = Meta(STATE_VERSION, commit.sequence, after, RULES, self.topics, snapshot_at, self._partitions)
        return Prepared(batch, meta, commit, writes_of(batch, meta, commit))
