"""One partition of a site that is gone, computed again from its mirror in the order that its commits say.

1. outputs up to a snapshot are those of the mirror
2. each commit after it whose inputs are there is computed; what the mirror has of its outputs must be the same
3. the first commit whose inputs are not there ends it: inputs that are left are to be rated anew, outputs that are
   left were ahead of it
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from rater.core import RULES, RatedCall, RatingSettings, Rules, Tariffs
from rater.engine.batch import Batch, run_batch
from rater.kafka.audit_report import shown
from rater.kafka.changelog import pack, state_key
from rater.kafka.client import read_partition
from rater.kafka.commit_order import out_of_line
from rater.kafka.compacted import LATEST
from rater.kafka.index import indexed
from rater.kafka.input_topics import INPUTS
from rater.kafka.move.history import Start, commits_of, owned, reached, sequences_of, start_of
from rater.kafka.move.mirrored import inputs_as_they_were, offset_of_first
from rater.kafka.move.routes import Pairs
from rater.kafka.partition_reader import Tape
from rater.kafka.port import Consumed
from rater.kafka.publisher import admission
from rater.kafka.records import deck_named_by, erased_states, record_key, records_of
from rater.kafka.settings import KafkaSettings
from rater.kafka.snapshot import HISTORY, Snapshot
from rater.wire.codec import decode_command, encode
from rater.wire.commits import Commit
from rater.wire.errors import Exit, RaterError

#: Outputs that are handed on at a time.
_PORTION = 5_000
_rated_call = msgspec.json.Decoder(RatedCall).decode


class Mirror(NamedTuple):
    """The mirrored topics, with what they were rated with."""

    settings: KafkaSettings
    rating: RatingSettings
    tariffs: Tariffs
    partitions: int


class Replay:
    """One partition; `outputs` first, then everything else."""

    def __init__(self, mirror: Mirror, number: int, start: Start, first: Mapping[str, int], cut: set[str]) -> None:
        #: Topics whose first records the mirror lacks.
        self.cut = cut | ({"commits"} if start.commit.sequence else set())
        #: Commits that were computed again.
        self.commits = 0
        self.memory = start.state
        self._mirror, self._number, self._start = mirror, number, start
        self._tapes = {topic: Tape(read_partition(mirror.settings, topic, number, None)) for topic in HISTORY}
        self._inputs = {
            topic: Tape(inputs_as_they_were(mirror.settings, topic, number, first[topic])) for topic in INPUTS
        }
        self._unrated: dict[str, list[Consumed]] = {topic: [] for topic in INPUTS}
        self._positions = {"commands": start.commit.commands_next, "cdrs": start.commit.cdrs_next}
        #: None: the user was erased.
        self._latest: dict[tuple[str, bytes], bytes | None] = {}
        self._counts = dict.fromkeys(HISTORY, 0)
        self._admit = admission(number, mirror.partitions)

    @classmethod
    async def of(cls, mirror: Mirror, number: int) -> "Replay":
        """Find where it begins; RaterError if the mirror is not enough."""
        first = {topic: await offset_of_first(mirror.settings, topic, number) for topic in INPUTS}
        found = await reached(mirror.settings, number)
        return cls(mirror, number, await start_of(mirror.settings, number, found, first), first, found.cut())

    async def outputs(self) -> AsyncIterator[list[Consumed]]:
        """The ledger in its order, each topic's records numbered from 0; at last the state is that after it."""
        portion: list[Consumed] = []
        before = sequences_of(self.memory)
        for topic, tape in self._tapes.items():
            while (record := await tape.peek()) is not None:
                output = owned(record.value or b"")
                if output.sequence > before.get((topic, output.tenant), 0):
                    break
                await tape.next()
                if topic == "rated-calls":
                    self.memory.entities["call"].update(indexed(_rated_call(record.value or b"")))
                portion.append(self._numbered(record))
                if len(portion) >= _PORTION:
                    yield portion
                    portion = []
        async for records in self._computed():
            portion += records
            if len(portion) >= _PORTION:
                yield portion
                portion = []
        if portion:
            yield portion

    async def _computed(self) -> AsyncIterator[list[Consumed]]:
        before = self._start.commit
        async for commit in commits_of(self._mirror.settings, self._number, Snapshot()):
            if commit.sequence <= self._start.commit.sequence:
                continue
            wrong = (
                [f"written by rules {commit.rules}"] if commit.rules != RULES else list(out_of_line(before, commit))
            )
            if wrong:
                raise self._misfit(commit, f"{wrong[0]}; it cannot be computed again")
            given = await self._given(commit)
            if given is None or self._lacks_a_deck(commit, given["commands"]):
                return
            yield await self._apply(commit, given)
            before = commit
            self.commits += 1
            self._positions = {"commands": commit.commands_next, "cdrs": commit.cdrs_next}

    async def _given(self, commit: Commit) -> dict[str, list[Consumed]] | None:
        """What a commit read; None, and all of it is unrated, if some of that is not there."""
        given = {}
        for topic, first, next in (
            ("commands", commit.commands_first, commit.commands_next),
            ("cdrs", commit.cdrs_first, commit.cdrs_next),
        ):
            self._unrated[topic] = await self._inputs[topic].until(next)
            given[topic] = [record for record in self._unrated[topic] if record.offset >= first]
            if next > first and (not given[topic] or given[topic][-1].offset != next - 1):
                return None
        return given

    def _lacks_a_deck(self, commit: Commit, commands: Sequence[Consumed]) -> bool:
        """Whether a command names a deck that was known at the other site and is not mirrored."""
        named = {deck_named_by(decode_command(record.value or b"")) for record in commands} - {None}
        return any(version not in self._mirror.tariffs for version in named - set(commit.unknown_decks))

    async def _apply(self, commit: Commit, given: Mapping[str, Sequence[Consumed]]) -> list[Consumed]:
        rules = Rules(self._mirror.rating, self._mirror.tariffs.without(commit.unknown_decks))
        records = records_of([*given["commands"], *given["cdrs"]], commit.skipped)
        batch = run_batch(self.memory, rules, records, admit=self._admit)
        if batch.counts != commit.outcomes:
            raise self._misfit(commit, f"its outcomes were {commit.outcomes}, computed again {dict(batch.counts)}")
        self.memory.merge(batch.state)
        return await self._compared(commit, batch)

    async def _compared(self, commit: Commit, batch: Batch) -> list[Consumed]:
        """The outputs of a batch, with the times of the mirror where it has them."""
        found = []
        for topic, outputs in batch.by_topic().items():
            for output in outputs:
                key, value = record_key(output), encode(output)
                if topic in LATEST:
                    self._latest[(topic, key)] = value
                    continue
                there = await self._tapes[topic].next()
                if there is not None and there.value != value:
                    raise self._misfit(commit, f"{topic}: mirrored {shown(there.value)}, computed {shown(value)}")
                stamp = there.published_ms if there is not None else 0
                found.append(self._numbered(Consumed(topic, self._number, 0, key, value, stamp)))
        self._latest |= {("service-states", key): None for key in erased_states(batch)}
        return found

    def _numbered(self, record: Consumed) -> Consumed:
        number = self._counts[record.topic]
        self._counts[record.topic] = number + 1
        return msgspec.structs.replace(record, offset=number)

    def _misfit(self, commit: Commit, said: str) -> RaterError:
        return RaterError(
            f"{self._mirror.settings.topic('commits')}[{self._number}]: commit {commit.sequence}: {said}; nothing"
            ' was opened. The mirror does not fit (deploy/drills.md, "A second site")',
            Exit.FAILED,
        )

    async def unrated(self) -> list[Consumed]:
        """Inputs behind the last commit that was computed: commands first."""
        for topic, tape in self._inputs.items():
            while (record := await tape.next()) is not None:
                self._unrated[topic].append(record)
        return [
            record for topic in INPUTS for record in self._unrated[topic] if record.offset >= self._positions[topic]
        ]

    async def ahead(self) -> list[Consumed]:
        """Outputs of commits that could not be computed: their inputs, or what says their order, are not there."""
        found = []
        for tape in self._tapes.values():
            while (record := await tape.next()) is not None:
                found.append(record)
        return found

    async def latest(self) -> list[Consumed]:
        """The compacted topics as of the last commit that was computed."""
        stands = sequences_of(self.memory)
        found: dict[tuple[str, bytes], bytes] = {}
        for topic in LATEST:
            async for records in read_partition(self._mirror.settings, topic, self._number, None):
                for record in records:
                    if not record.value:
                        found.pop((topic, record.key or b""), None)
                        continue
                    output = owned(record.value)
                    if output.sequence <= stands.get((topic, output.tenant), 0):
                        found[(topic, record.key or b"")] = record.value
        latest: dict[tuple[str, bytes], bytes | None] = {**found, **self._latest}
        return [
            Consumed(topic, self._number, 0, key, value)
            for (topic, key), value in latest.items()
            if value is not None
        ]

    def state(self) -> Pairs:
        """Every entity, as the topic has it; live calls are found again in the rated calls."""
        return {
            state_key(kind, key): pack(entity)
            for kind, entities in self.memory.entities.items()
            if kind != "call"
            for key, entity in entities.items()
        }
