"""What an auditor runs: compute the ledger again from the topics and compare it with what was written.

Commits say in which order the inputs were taken; the core, given the same, must give the same bytes.  Beside that
the outputs are added up on their own, without the core: money in less money out is the balance.

It compares what was committed when it looked at a partition; work goes on meanwhile.

Commits of earlier rules (A51) and commits whose inputs are deleted by now are not computed again: their outputs are
followed and added up (see `former_commits`), up to the next snapshot (see `snapshot`).  Its digest must be the one
in its commit, its balances must be what was added up; from there on every commit is computed again.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType

import msgspec

from rater.core import (
    RESERVED_TENANTS,
    RULES,
    Account,
    AccountEvent,
    Balance,
    CallRecord,
    Debit,
    Entity,
    Memory,
    Outcome,
    Output,
    RatedCall,
    RatingSettings,
    RejectedCdr,
    Rules,
    Tariffs,
    credited_by,
    format_micros,
    normal_usage_id,
    parse_ledger,
)
from rater.engine.batch import run_batch
from rater.kafka.changelog import entity_of, pack, state_key
from rater.kafka.consume import SequenceCheck
from rater.kafka.decks import DeckReader
from rater.kafka.ends import ends_of_partition, read_until
from rater.kafka.former_commits import FormerOutputs, Marks, said_of
from rater.kafka.index import indexed
from rater.kafka.latest import Latest, Read, StateAsOf, is_later
from rater.kafka.partition_reader import Tape
from rater.kafka.port import Consumed
from rater.kafka.publisher import admission
from rater.kafka.records import record_key, records_of, source_of
from rater.kafka.settings import KafkaSettings
from rater.kafka.snapshot import HISTORY, Snapshot
from rater.kafka.topics import partitions_of
from rater.wire.codec import decode_cdr, encode
from rater.wire.commits import Commit

#: Output topics that keep the latest record of a key.
LATEST = ("balances", "service-states")
#: Everything that is read.
READ = ("cdrs", "commands", "commits", "state", *HISTORY, *LATEST)
FINDINGS_MAX = 20

_commit_decoder = msgspec.json.Decoder(Commit)
_decoders: dict[str, msgspec.json.Decoder[Output]] = {
    "rated-calls": msgspec.json.Decoder(RatedCall),
    "debits": msgspec.json.Decoder(Debit),
    "account-events": msgspec.json.Decoder(AccountEvent),
    "rejected-cdrs": msgspec.json.Decoder(RejectedCdr),
}
_rated_calls = msgspec.json.Decoder(RatedCall).decode


class Report:
    """What was compared, and the first differences."""

    def __init__(self) -> None:
        self.partitions = self.commits = self.cdrs = self.commands = self.outputs = 0
        #: Commits of earlier rules, by the number of their rules: followed and added up, not computed again.
        self.former: dict[int, int] = defaultdict(int)
        self.outcomes: dict[str, int] = defaultdict(int)
        self.findings: list[str] = []
        self.found = 0
        #: What was not compared, and why; and what operators gave up.
        self.remarks: list[str] = []
        #: Commits that were followed and added up, because what it takes to compute them is gone.
        self.followed = 0
        #: When the ends were looked at up to which was compared: the first and the last partition's.
        self.as_of: list[datetime] = []

    def find(self, finding: str) -> None:
        """Note a difference; only the first are kept in words."""
        self.found += 1
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(finding)


async def verify(
    settings: KafkaSettings, rating: RatingSettings, progress: Callable[[int], None] = lambda _: None
) -> Report:
    """Compare every partition; the report's findings are empty when all is as it must be."""
    report = Report()
    decks = DeckReader(settings, 0)
    await decks.start()
    try:
        report.partitions = await partitions_of(settings, "cdrs")
        for partition in range(report.partitions):
            ends = await ends_of_partition(settings, READ, partition)
            report.as_of.append(datetime.now(UTC))
            await decks.read_to_end()  # what a commit before the ends names is published by now
            read = partial(read_until, settings, partition, ends)
            await verify_partition(read, rating, decks.tariffs, report, partition, progress, ends.first)
    finally:
        await decks.stop()
    return report


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
    """One partition's comparison."""

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
        self._checks = {
            topic: SequenceCheck(topic, compacted=False, begun=first.get(topic, 0) > 0) for topic in HISTORY
        }
        self._latest: dict[str, dict[bytes, bytes]] = {topic: {} for topic in LATEST}
        self._ledger: dict[str, int] = defaultdict(int)
        self._offered: set[tuple[str, str]] = set()
        self._accounted: set[tuple[str, str]] = set()
        self._former = FormerOutputs(self._tapes, HISTORY)
        self._snapshot = Snapshot()
        self._marks = Marks()
        self._as_of: dict[str, Latest] = {topic: Latest() for topic in LATEST}
        self._state = StateAsOf()
        #: Whether the state is known that the next commit begins with.
        self._known = not first.get("commits")
        #: Whether everything that moved money was added up: from the beginning, or from a snapshot's balances on.
        self._whole = not any(first.get(topic) for topic in ("commits", "debits", "account-events"))
        self._followed: list[int] = []

    async def verify(self, progress: Callable[[int], None]) -> None:
        """Replay commit by commit, then compare what stands at the end."""
        last = await self._marks.read(self._read("commits"))
        if last is not None:  # before it takes long: what compacts away meanwhile cannot be compared
            for topic in LATEST:
                await self._as_of[topic].read(self._read, topic, last)
            await self._state.read(self._read, "state", last)
        before = Commit(
            partition=self._partition,
            sequence=0,
            commands_first=0,
            commands_next=0,
            cdrs_first=0,
            cdrs_next=0,
            outcomes={},
        )
        while (record := await self._tapes["commits"].take()) is not None:
            if self._snapshot.add(record):
                continue
            commit = _commit_decoder.decode(record.value or b"")
            self._in_line(before, commit)
            progress(await self._check(commit))
            before = commit
        for topic in HISTORY:
            while (extra := await self._tapes[topic].take()) is not None:
                if not is_later(extra.value or b"", before):
                    self._report.find(f"{_where(extra)}: no commit says where it came from")
        self._compare_latest()
        self._compare_state(before)
        self._compare_calls()
        self._say_what_was_not_compared()
        if self._whole:
            self._compare_money(
                {
                    key.decode(): parse_ledger(msgspec.json.decode(value, type=Balance).balance)
                    for key, value in self._as_of["balances"].found.items()
                    if key not in self._as_of["balances"].later
                }
            )

    def _in_line(self, before: Commit, commit: Commit) -> None:
        """Commits follow each other without gap or overlap; before the first one lies what was never kept."""
        if not before.sequence and self._first.get("commits"):
            return
        where = f"commits/{self._partition}: commit {commit.sequence}"
        if commit.sequence != before.sequence + 1:
            self._report.find(f"{where}: expected commit {before.sequence + 1}")
        gaps = {gap.topic: gap for gap in commit.gaps}
        self._report.remarks += [f"{where}: {said_of(gap)}" for gap in commit.gaps]
        for topic, first, next in (
            ("cdrs", commit.cdrs_first, before.cdrs_next),
            ("commands", commit.commands_first, before.commands_next),
        ):
            gap = gaps.get(topic)
            expected = gap.goes_on_at if gap is not None and gap.next_was == next else next
            if first != expected:
                self._report.find(f"{where}: expected to begin at offset {expected} of {topic}, begins at {first}")

    async def _check(self, commit: Commit) -> int:
        """Compare one commit as its rules and what is kept allow; how many records it took."""
        if commit.rules < RULES:
            self._report.former[commit.rules] += 1
            self._known = False
            return await self._follow(commit)
        if commit.migrated is not None:
            self._begin_with(commit, commit.migrated)
        if self._known and not self._inputs_gone(commit):
            return await self._replay(commit)
        self._known = False
        self._latest = {topic: {} for topic in LATEST}  # what is followed may have written them again
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

    async def _inputs(self, topic: str, commit: Commit, next: int) -> list[Consumed]:
        """What is kept of a commit's inputs."""
        return [] if self._marks.is_former(topic, commit) else await self._tapes[topic].until(next)

    async def _follow(self, commit: Commit) -> int:
        """What is not computed again: sequences, ids and sums; and the live calls, which later ones look for."""
        commands = await self._inputs("commands", commit, commit.commands_next)
        cdrs = await self._inputs("cdrs", commit, commit.cdrs_next)
        async for topic, record, wrong in self._former.of(commit, self._marks.outputs_after(commit)):
            if wrong is not None:
                self._report.find(f"{_where(record)}: {wrong}")
            self._add_up(topic, record)
            self._report.outputs += 1
            if topic == "rated-calls":
                self._memory.entities["call"].update(indexed(_rated_calls(record.value or b"")))
        self._note_offered([record for record in cdrs if source_of(record) not in commit.skipped])
        self._count(commit, commands, cdrs)
        return len(commands) + len(cdrs)

    def _begin_with(self, commit: Commit, digest: str) -> None:
        """The state that a commit begins with; its balances are what was added up so far."""
        where = f"commits/{self._partition}: commit {commit.sequence}"
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
            self._compare_money()
        else:
            self._ledger = defaultdict(int, self._balances())
            self._whole = True

    async def _replay(self, commit: Commit) -> int:
        """Rate what the commit took, and compare each output; how many records it took."""
        report = self._report
        commands = await self._tapes["commands"].until(commit.commands_next)
        cdrs = await self._tapes["cdrs"].until(commit.cdrs_next)
        rules = Rules(self._rating, self._tariffs.without(commit.unknown_decks))
        given = records_of(commands, cdrs, commit.skipped)
        batch = run_batch(self._memory, rules, given, admit=self._admit)
        self._memory.merge(batch.state)
        if batch.counts != commit.outcomes:
            report.find(
                f"commits/{self._partition}: commit {commit.sequence}: expected outcomes {dict(batch.counts)},"
                f" found {commit.outcomes}"
            )
        for topic, outputs in batch.by_topic().items():
            for output in outputs:
                await self._compare(topic, output)
        self._note_offered([record for record in cdrs if source_of(record) not in commit.skipped])
        report.outputs += len(batch.outputs)
        self._count(commit, commands, cdrs)
        return len(commands) + len(cdrs)

    async def _compare(self, topic: str, output: Output) -> None:
        expected = encode(output)
        if topic in LATEST:
            self._latest[topic][record_key(output)] = expected
            return
        found = await self._tapes[topic].take()
        if found is None:
            self._report.find(f"{topic}/{self._partition}: missing {_shown(expected)}")
            return
        if found.value != expected:
            self._report.find(f"{_where(found)}: expected {_shown(expected)}, found {_shown(found.value)}")
        self._add_up(topic, found)

    def _add_up(self, topic: str, found: Consumed) -> None:
        """The ledger from the outputs alone: what came in, what went out, which calls are accounted for."""
        wrong = self._checks[topic].check(found)
        if wrong:
            self._report.find(wrong)
        output = _decoders[topic].decode(found.value or b"") if topic in _decoders else None
        match output:
            case Debit(tenant=tenant, amount=amount):
                self._ledger[tenant] -= parse_ledger(amount)
            case AccountEvent(tenant=tenant):
                self._ledger[tenant] += credited_by(output)
            case RatedCall(tenant=tenant, usage_id=usage_id):
                self._accounted.add((tenant, normal_usage_id(usage_id)))
            case RejectedCdr(usage_id=str(usage_id)):
                self._accounted.add((output.claimed_tenant or output.tenant, normal_usage_id(usage_id)))
            case _:
                pass

    def _note_offered(self, cdrs: Sequence[Consumed]) -> None:
        for record in cdrs:
            cdr = decode_cdr(record.value or b"")
            # one that is in another tenant's partition is compared as the dead letter that it is
            if isinstance(cdr, CallRecord) and self._admit(cdr.tenant) is None:
                self._offered.add((cdr.tenant, normal_usage_id(cdr.usage_id)))

    def _count(self, commit: Commit, commands: Sequence[Consumed], cdrs: Sequence[Consumed]) -> None:
        report = self._report
        report.commits += 1
        report.commands += len(commands)
        report.cdrs += len(cdrs)
        for outcome, count in commit.outcomes.items():
            report.outcomes[Outcome(outcome).value] += count

    def _compare_latest(self) -> None:
        for topic in LATEST:
            latest = self._as_of[topic]
            for key, expected in self._latest[topic].items():
                found = latest.found.get(key)
                if found != expected and key not in latest.later:
                    self._report.find(
                        f"{topic}/{self._partition}: key {key.decode()}: expected {_shown(expected)},"
                        f" found {_shown(found)}"
                    )

    def _compare_state(self, last: Commit) -> None:
        """The changelog must hold what the replay ended with: what a new owner would start from."""
        where, state = f"state/{self._partition}", self._state
        commits = state.meta.commits if state.meta is not None else 0
        if commits != last.sequence and not (state.later and commits < last.sequence):
            self._report.find(f"{where}: expected {last.sequence} commits, found {commits}")
        if not self._known:  # nothing was computed: balances are all that can be compared
            self._memory.entities["account"] = {
                key: entity
                for kind, key, entity in (entity_of(key, value) for key, value in state.found.items())
                if kind == "account"
            }
            return
        for kind, entities in self._memory.entities.items():
            for key, entity in entities.items() if kind != "call" else ():
                name = state_key(kind, key)
                if name not in state.later and not _is(entity, name, state.found.get(name)):
                    self._report.find(f"{where}: {kind} {'/'.join(key)} is not what the replay ends with")

    def _compare_calls(self) -> None:
        """Every record that decodes has a rated call or a dead letter."""
        for tenant, usage_id in sorted(self._offered - self._accounted):
            self._report.find(f"cdrs/{self._partition}: tenant {tenant}: {usage_id} was neither rated nor refused")

    def _balances(self) -> dict[str, int]:
        """Where the accounts in memory stand."""
        return {
            account.tenant: account.balance
            for account in self._memory.entities["account"].values()
            if isinstance(account, Account)
        }

    def _say_what_was_not_compared(self) -> None:
        """One line for commits that were only followed, one for money that could not be added up."""
        where = f"partition {self._partition}"
        if self._followed:
            self._report.remarks.append(
                f"{where}: commits {self._followed[0]:,} to {self._followed[-1]:,} were followed and added up, not"
                " computed again: their inputs are deleted, or the state that they begin with is not kept"
            )
        if not self._whole:
            self._report.remarks.append(
                f"{where}: balances were not added up: the first debits or credits are deleted"
            )

    def _compare_money(self, emitted: Mapping[str, int] = MappingProxyType({})) -> None:
        """Money in less money out is the balance, for every tenant; `emitted`: balances as published."""
        balances = {**self._balances(), **emitted}
        unknown = set() if self._known else {_tenant_of(key) for key in self._state.later}
        for tenant in sorted((self._ledger.keys() | balances.keys() - RESERVED_TENANTS) - unknown):
            stands = balances.get(tenant, 0)
            if stands != self._ledger[tenant]:
                self._report.find(
                    f"tenant {tenant}: money in less money out is {format_micros(self._ledger[tenant])},"
                    f" the balance is {format_micros(stands)}"
                )


def _is(entity: Entity, key: bytes, value: bytes | None) -> bool:
    """Whether a record is this entity; one that no commit changed since is written as an earlier release did."""
    return value is not None and (value == pack(entity) or entity_of(key, value)[2] == entity)


def _tenant_of(key: bytes) -> str:
    """The tenant of a record of the changelog."""
    return key.decode().split("/")[1].replace("%2F", "/").replace("%25", "%")


def _where(record: Consumed) -> str:
    return f"{record.topic}/{record.partition}@{record.offset}"


def _shown(value: bytes | None) -> str:
    return "nothing" if value is None else value.decode(errors="replace")[:400]
