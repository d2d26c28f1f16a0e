"""What an auditor runs: compute the ledger again from the topics and compare it with what was written.

Commits say in which order the inputs were taken; the core, given the same, must give the same bytes.  Beside that
the outputs are added up on their own, without the core: money in less money out is the balance.

Commits of earlier rules are not computed again (A51, see `former`): their outputs are followed and added up, up to
the first commit of the present rules.  That begins with a snapshot, which stands in parts before it
(see `upgrade`): its digest must be the one in the commit, its balances must be what was added up.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

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
from rater.kafka.changelog import META_KEY, entity_of, pack, read_meta, state_key
from rater.kafka.client import read_partition
from rater.kafka.consume import SequenceCheck
from rater.kafka.decks import DeckReader
from rater.kafka.former_commits import FormerOutputs
from rater.kafka.index import indexed
from rater.kafka.partition_reader import Tape
from rater.kafka.port import Consumed
from rater.kafka.publisher import admission
from rater.kafka.records import record_key, records_of, source_of
from rater.kafka.settings import KafkaSettings
from rater.kafka.snapshot import Snapshot
from rater.kafka.topics import partitions_of
from rater.wire.codec import decode_cdr, encode
from rater.wire.commits import Commit

#: Output topics that keep every record, in whose order they can be compared.
HISTORY = ("rated-calls", "debits", "account-events", "recharges", "rejected-cdrs")
#: Output topics that keep the latest record of a key.
LATEST = ("balances", "service-states")
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

    def find(self, finding: str) -> None:
        """Note a difference; only the first are kept in words."""
        self.found += 1
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(finding)


#: Reads a topic of the partition from the start to its end.
Read = Callable[[str], AsyncIterator[Sequence[Consumed]]]


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
            read = partial(_read, settings, partition)
            await verify_partition(read, rating, decks.tariffs, report, partition, progress)
    finally:
        await decks.stop()
    return report


def _read(settings: KafkaSettings, partition: int, topic: str) -> AsyncIterator[Sequence[Consumed]]:
    return read_partition(settings, topic, partition, None)


async def verify_partition(
    read: Read,
    rating: RatingSettings,
    tariffs: Tariffs,
    report: Report,
    partition: int,
    progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Compare one partition and add to the report, which knows how many partitions there are."""
    await _Partition(read, rating, tariffs, report, partition).verify(progress)


class _Partition:
    """One partition's comparison."""

    def __init__(
        self, read: Read, rating: RatingSettings, tariffs: Tariffs, report: Report, partition: int
    ) -> None:
        self._read, self._rating, self._report, self._partition = read, rating, report, partition
        self._tariffs = tariffs
        self._memory = Memory()
        self._admit = admission(partition, report.partitions)
        self._tapes = {topic: Tape(read(topic)) for topic in ("cdrs", "commands", "commits", *HISTORY)}
        self._checks = {topic: SequenceCheck(topic, compacted=False) for topic in HISTORY}
        self._latest: dict[str, dict[bytes, bytes]] = {topic: {} for topic in LATEST}
        self._ledger: dict[str, int] = defaultdict(int)
        self._offered: set[tuple[str, str]] = set()
        self._accounted: set[tuple[str, str]] = set()
        self._former = FormerOutputs(self._tapes, HISTORY)
        self._snapshot = Snapshot()
        self._found_balances: dict[str, bytes] = {}

    async def verify(self, progress: Callable[[int], None]) -> None:
        """Replay commit by commit, then compare what stands at the end."""
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
                self._report.find(f"{_where(extra)}: no commit says where it came from")
        await self._compare_latest()
        await self._compare_state(before)
        self._compare_calls()
        self._compare_money()

    def _in_line(self, before: Commit, commit: Commit) -> None:
        """Commits follow each other without gap or overlap; before the first one lies what was never kept."""
        where = f"commits/{self._partition}: commit {commit.sequence}"
        if commit.sequence != before.sequence + 1:
            self._report.find(f"{where}: expected commit {before.sequence + 1}")
        for topic, first, expected in (
            ("cdrs", commit.cdrs_first, before.cdrs_next),
            ("commands", commit.commands_first, before.commands_next),
        ):
            if first != expected:
                self._report.find(f"{where}: expected to begin at offset {expected} of {topic}, begins at {first}")

    async def _check(self, commit: Commit) -> int:
        """Compare one commit as its rules allow; how many records it took."""
        if commit.rules < RULES:
            return await self._follow(commit)
        if commit.migrated is not None:
            self._begin_with(commit, commit.migrated)
        return await self._replay(commit)

    async def _follow(self, commit: Commit) -> int:
        """What earlier rules wrote: sequences, ids and sums; and the live calls, which later ones look for."""
        commands = await self._tapes["commands"].until(commit.commands_next)
        cdrs = await self._tapes["cdrs"].until(commit.cdrs_next)
        async for topic, record, wrong in self._former.of(commit):
            if wrong is not None:
                self._report.find(f"{_where(record)}: {wrong}")
            self._add_up(topic, record)
            self._report.outputs += 1
            if topic == "rated-calls":
                self._memory.entities["call"].update(indexed(_rated_calls(record.value or b"")))
        self._report.former[commit.rules] += 1
        self._note_offered(cdrs)
        self._count(commit, commands, cdrs)
        return len(commands) + len(cdrs)

    def _begin_with(self, commit: Commit, digest: str) -> None:
        """The state that the first commit of new rules begins with; its balances are what was added up so far."""
        where = f"commits/{self._partition}: commit {commit.sequence}"
        migrated = self._snapshot.memory(digest)
        if migrated is None:
            self._report.find(f"{where}: expected a migrated state with digest {digest} before it, found another")
            return
        migrated.entities["call"] = self._memory.entities["call"]
        self._memory = migrated
        self._compare_money()

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

    async def _compare_latest(self) -> None:
        for topic in LATEST:
            found: dict[bytes, bytes | None] = {}
            tape = Tape(self._read(topic))
            while (record := await tape.take()) is not None:
                found[record.key or b""] = record.value
            if topic == "balances":
                self._found_balances = {key.decode(): value for key, value in found.items() if value}
            for key, expected in self._latest[topic].items():
                if found.get(key) != expected:
                    self._report.find(
                        f"{topic}/{self._partition}: key {key.decode()}: expected {_shown(expected)},"
                        f" found {_shown(found.get(key))}"
                    )

    async def _compare_state(self, last: Commit) -> None:
        """The changelog must hold what the replay ended with: what a new owner would start from."""
        found: dict[bytes, bytes | None] = {}
        tape = Tape(self._read("state"))
        while (record := await tape.take()) is not None:
            found[record.key or b""] = record.value
        where = f"state/{self._partition}"
        meta = read_meta(found.pop(META_KEY, None) or pack({"version": 1, "commits": 0, "positions": {}}))
        if meta.commits != last.sequence:
            self._report.find(f"{where}: expected {last.sequence} commits, found {meta.commits}")
        if last.rules < RULES:  # nobody has upgraded it: balances are all that can be compared
            self._memory.entities["account"] = {
                key: entity
                for kind, key, entity in (entity_of(key, value) for key, value in found.items() if value)
                if kind == "account"
            }
            return
        for kind, entities in self._memory.entities.items():
            for key, entity in entities.items() if kind != "call" else ():
                if not _is(entity, state_key(kind, key), found.get(state_key(kind, key))):
                    self._report.find(f"{where}: {kind} {'/'.join(key)} is not what the replay ends with")

    def _compare_calls(self) -> None:
        """Every record that decodes has a rated call or a dead letter."""
        for tenant, usage_id in sorted(self._offered - self._accounted):
            self._report.find(f"cdrs/{self._partition}: tenant {tenant}: {usage_id} was neither rated nor refused")

    def _compare_money(self) -> None:
        """Money in less money out is the balance, for every tenant."""
        stood = {
            account.tenant: account.balance
            for account in self._memory.entities["account"].values()
            if isinstance(account, Account)
        }
        emitted = {
            tenant: parse_ledger(msgspec.json.decode(value, type=Balance).balance)
            for tenant, value in self._found_balances.items()
        }
        balances = stood | emitted
        for tenant in sorted(self._ledger.keys() | balances.keys() - RESERVED_TENANTS):
            stands = balances.get(tenant, 0)
            if stands != self._ledger[tenant]:
                self._report.find(
                    f"tenant {tenant}: money in less money out is {format_micros(self._ledger[tenant])},"
                    f" the balance is {format_micros(stands)}"
                )


def _is(entity: Entity, key: bytes, value: bytes | None) -> bool:
    """Whether a record is this entity; one that no commit changed since is written as an earlier release did."""
    return value is not None and (value == pack(entity) or entity_of(key, value)[2] == entity)


def _where(record: Consumed) -> str:
    return f"{record.topic}/{record.partition}@{record.offset}"


def _shown(value: bytes | None) -> str:
    return "nothing" if value is None else value.decode(errors="replace")[:400]
