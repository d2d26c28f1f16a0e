"""One partition of `rater verify`: its ledger computed again from its inputs, compared with what was written.

Commits say in which order the inputs were applied; the core, given the same, must give the same bytes.  Beside that
the outputs are added up on their own, without the core (`output_sums`), and the compacted topics are compared with
what the replay ends with (`compacted`).

Commits of earlier rules (A51) and commits whose inputs or outputs are deleted by now are not computed again: their
outputs are followed and added up (see `former_commits`), up to the next snapshot (see `snapshot`).  Its digest must
be the one in its commit, its balances must be what was added up; from there on every commit is computed again.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence

import msgspec

from rater.core import (
    RULES,
    CallRecord,
    Memory,
    Outcome,
    Output,
    RatedCall,
    RatingSettings,
    Rules,
    Tariffs,
)
from rater.engine.batch import run_batch
from rater.kafka.audit_report import Report, place_of, shown, unlike
from rater.kafka.commit_order import out_of_line
from rater.kafka.compacted import LATEST, Compacted, balances_of
from rater.kafka.former_commits import FormerOutputs, Marks, said_of
from rater.kafka.index import indexed
from rater.kafka.latest import Read, is_later
from rater.kafka.output_sums import OutputSums
from rater.kafka.partition_reader import Tape
from rater.kafka.port import Consumed
from rater.kafka.publisher import admission
from rater.kafka.records import erased_states, record_key, records_of, source_of
from rater.kafka.snapshot import HISTORY, Snapshot
from rater.wire.codec import decode_cdr, encode
from rater.wire.commits import Commit, Moved

#: Together they say all that ever moved money, while each keeps its first records.
_MONEY = ("commits", "debits", "account-events")
_commit_decoder = msgspec.json.Decoder(Commit)
_rated_calls = msgspec.json.Decoder(RatedCall).decode


async def verify_partition(
    read: Read,
    rating: RatingSettings,
    tariffs: Tariffs,
    report: Report,
    partition: int,
    progress: Callable[[int], None] = lambda _: None,
    first: Mapping[str, int] | None = None,
) -> None:
    """Compare one partition and add to the report, which knows how many partitions there are.

    `first` are the first offsets that topics keep; what it does not name keeps everything.
    """
    await _Partition(read, rating, tariffs, report, partition, first or {}).verify(progress)


class _Partition:
    """One partition's comparison: its commits in their order, each computed again or followed."""

    def __init__(
        self,
        read: Read,
        rating: RatingSettings,
        tariffs: Tariffs,
        report: Report,
        partition: int,
        first: Mapping[str, int],
    ) -> None:
        self._first = first
        self._read, self._rating, self._report, self._partition = read, rating, report, partition
        self._tariffs = tariffs
        self._memory = Memory()
        self._admit = admission(partition, report.partitions)
        self._tapes = {topic: Tape(read(topic)) for topic in ("cdrs", "commands", "commits", *HISTORY)}
        self._sums = OutputSums(report, partition, first)
        self._compacted = Compacted(report, partition)
        self._former = FormerOutputs(self._tapes, HISTORY)
        self._snapshot = Snapshot()
        self._marks = Marks()
        #: Whether the state is known that the next commit begins with.
        self._known = not first.get("commits")
        #: Whether everything that moved money was added up: from the beginning, or from a snapshot's balances on.
        self._whole = not any(first.get(topic) for topic in _MONEY)
        self._followed: list[int] = []

    async def verify(self, progress: Callable[[int], None]) -> None:
        """Replay commit by commit, then compare what stands at the end."""
        last = await self._marks.read(self._read("commits"))
        if last is not None:  # before it takes long: what compacts away meanwhile cannot be compared
            await self._compacted.read(self._read, last, self._marks.copied())
        if cut := self._marks.cut():
            self._sums = OutputSums(self._report, self._partition, {**self._first, **cut})
        before = Commit(
            partition=self._partition,
            sequence=0,
            commands_first=0,
            commands_next=0,
            cdrs_first=0,
            cdrs_next=0,
            outcomes={},
        )
        while (record := await self._tapes["commits"].next()) is not None:
            if self._snapshot.add(record):
                continue
            commit = _commit_decoder.decode(record.value or b"")
            self._in_line(before, commit)
            progress(await self._check(commit))
            before = commit
        await self._compare_ends(before)

    async def _compare_ends(self, last: Commit) -> None:
        for topic in HISTORY:
            while (extra := await self._tapes[topic].next()) is not None:
                if not is_later(extra.value or b"", last):
                    self._report.find(f"{place_of(extra)}: no commit says where it came from")
        self._compacted.compare_latest()
        self._compacted.compare_commits(last)
        if self._known:
            self._compacted.compare_state(self._memory)
        else:  # nothing was computed: balances are all that can be compared
            self._memory.entities["account"] = self._compacted.accounts()
        self._sums.compare_calls()
        self._say_what_was_not_compared()
        if self._whole:
            unknown = frozenset() if self._known else self._compacted.tenants_of_later_commits()
            self._sums.compare_money({**balances_of(self._memory), **self._compacted.emitted_balances()}, unknown)

    def _in_line(self, before: Commit, commit: Commit) -> None:
        """Commits follow each other without gap or overlap; before the first one lies what was never kept."""
        if not before.sequence and self._first.get("commits"):
            return
        self._report.remarks += [f"{self._name(commit)}: {said_of(gap)}" for gap in commit.gaps]
        for wrong in out_of_line(before, commit):
            self._report.find(f"{self._name(commit)}: {wrong}")

    async def _check(self, commit: Commit) -> int:
        """Compare one commit as its rules and what is kept allow; how many records it read."""
        if commit.moved is not None:
            return await self._follow_moved(commit, commit.moved)
        if commit.rules < RULES:
            self._report.former[commit.rules] += 1
            self._known = False
            return await self._follow(commit)
        if commit.migrated is not None:
            self._begin_with(commit, commit.migrated)
        if self._known and not self._inputs_gone(commit) and not self._outputs_gone(commit):
            return await self._replay(commit)
        self._known = False
        self._compacted.expect_nothing()
        self._report.followed += 1
        self._followed.append(commit.sequence)
        return await self._follow(commit)

    def _inputs_gone(self, commit: Commit) -> bool:
        return any(
            next > first and (first < self._first.get(topic, 0) or self._marks.is_former(topic, commit))
            for topic, first, next in (
                ("cdrs", commit.cdrs_first, commit.cdrs_next),
                ("commands", commit.commands_first, commit.commands_next),
            )
        )

    def _outputs_gone(self, commit: Commit) -> bool:
        """Whether outputs of a commit may be deleted: they are kept after a snapshot whose ends are."""
        ends = self._marks.outputs_before(commit)
        return any(self._first.get(topic, 0) > ends.get(topic, 0) for topic in HISTORY)

    async def _inputs(self, topic: str, commit: Commit, next: int) -> list[Consumed]:
        """What is kept of a commit's inputs."""
        return [] if self._marks.is_former(topic, commit) else await self._tapes[topic].until(next)

    async def _follow(self, commit: Commit) -> int:
        """What is not computed again: sequences, ids and sums; and the live calls, which later ones look for."""
        commands = await self._inputs("commands", commit, commit.commands_next)
        cdrs = await self._inputs("cdrs", commit, commit.cdrs_next)
        await self._add_up(self._former.of(commit, self._marks.outputs_after(commit)))
        if not self._outputs_gone(commit):
            self._offer(commit, cdrs)
        self._count(commit, commands, cdrs)
        return len(commands) + len(cdrs)

    async def _follow_moved(self, commit: Commit, moved: Moved) -> int:
        """Outputs that were copied from other topics are added up; what follows begins with the state of those."""
        await self._add_up(self._former.before(commit.outputs))
        self._known, self._whole = False, self._whole and not any(topic in moved.cut for topic in _MONEY)
        self._begin_with(commit, commit.migrated or "")
        self._known = self._known and commit.rules == RULES
        self._report.commits += 1
        self._report.remarks.append(
            f"partition {self._partition}: everything before commit {commit.sequence} was moved from prefix"
            f" {moved.prefix!r}, which had {moved.partitions} partitions: it was added up, not computed again"
        )
        return 0

    async def _add_up(self, outputs: AsyncIterator[tuple[str, Consumed, str | None]]) -> None:
        """Sequences, ids and sums of outputs, and the live calls, which later ones look for."""
        async for topic, record, wrong in outputs:
            if wrong is not None:
                self._report.find(f"{place_of(record)}: {wrong}")
            self._sums.add(topic, record)
            self._report.outputs += 1
            if topic == "rated-calls":
                self._memory.entities["call"].update(indexed(_rated_calls(record.value or b"")))

    def _begin_with(self, commit: Commit, digest: str) -> None:
        """The state that a commit begins with; its balances are what was added up so far."""
        where = self._name(commit)
        migrated = self._snapshot.memory(digest)
        if migrated is None:
            self._report.find(f"{where}: expected a state with digest {digest} before it, found another")
            return
        migrated.entities["call"] = self._memory.entities["call"]
        if self._known:
            for kind, entities in migrated.entities.items():
                if kind != "call" and entities != self._memory.entities[kind]:
                    self._report.find(f"{where}: the {kind} entities before it are not what the replay ends with")
            return
        self._memory, self._known = migrated, True
        if self._whole:
            self._sums.compare_money(balances_of(self._memory))
        elif not self._outputs_gone(commit):
            self._sums.begin_with(balances_of(self._memory))
            self._whole = True

    async def _replay(self, commit: Commit) -> int:
        """Rate what the commit read, and compare each output; how many records it read."""
        report = self._report
        commands = await self._tapes["commands"].until(commit.commands_next)
        cdrs = await self._tapes["cdrs"].until(commit.cdrs_next)
        rules = Rules(self._rating, self._tariffs.without(commit.unknown_decks))
        given = records_of([*commands, *cdrs], commit.skipped)
        batch = run_batch(self._memory, rules, given, admit=self._admit)
        self._memory.merge(batch.state)
        if batch.counts != commit.outcomes:
            report.find(f"{self._name(commit)}: expected outcomes {dict(batch.counts)}, found {commit.outcomes}")
        for topic, outputs in batch.by_topic().items():
            for output in outputs:
                await self._compare(topic, output)
        for key in erased_states(batch):
            self._compacted.expect("service-states", key, None)
        self._offer(commit, cdrs)
        report.outputs += len(batch.outputs)
        self._count(commit, commands, cdrs)
        return len(commands) + len(cdrs)

    async def _compare(self, topic: str, output: Output) -> None:
        expected = encode(output)
        if topic in LATEST:
            self._compacted.expect(topic, record_key(output), expected)
            return
        found = await self._tapes[topic].next()
        if found is None:
            self._report.find(f"{topic}/{self._partition}: missing {shown(expected)}")
            return
        if found.value != expected:
            self._report.find(f"{place_of(found)}: {unlike(expected, found.value)}")
        self._sums.add(topic, found)

    def _offer(self, commit: Commit, cdrs: Sequence[Consumed]) -> None:
        """Note the calls that a commit read; one in another tenant's partition is compared as a dead letter."""
        decoded = [decode_cdr(record.value or b"") for record in cdrs if source_of(record) not in commit.skipped]
        self._sums.offer(cdr for cdr in decoded if isinstance(cdr, CallRecord) and self._admit(cdr.tenant) is None)

    def _count(self, commit: Commit, commands: Sequence[Consumed], cdrs: Sequence[Consumed]) -> None:
        report = self._report
        report.commits += 1
        report.commands += len(commands)
        report.cdrs += len(cdrs)
        for outcome, count in commit.outcomes.items():
            report.outcomes[Outcome(outcome).value] += count

    def _say_what_was_not_compared(self) -> None:
        """One line for commits that were only followed, one for money that could not be added up."""
        where = f"partition {self._partition}"
        if self._followed:
            self._report.remarks.append(
                f"{where}: commits {self._followed[0]:,} to {self._followed[-1]:,} were followed and added up,"
                " not computed again: inputs or outputs are deleted, or the state that they begin with is not kept"
            )
        if not self._whole:
            self._report.remarks.append(
                f"{where}: balances were not added up: the first debits or credits are deleted"
            )

    def _name(self, commit: Commit) -> str:
        return f"commits/{self._partition}: commit {commit.sequence}"
