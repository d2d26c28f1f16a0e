"""What an auditor runs: compute the ledger again from the topics and compare it with what was written.

Commits say in which order the inputs were taken; the core, given the same, must give the same bytes.  Beside that
the outputs are added up on their own, without the core: money in less money out is the balance.
Refuses to know how the worker works.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

import msgspec

from rater.contracts.codec import decode_cdr, encode
from rater.contracts.commits import Commit
from rater.core.inputs import CallRecord
from rater.core.money import format_micros, parse_ledger
from rater.core.outputs import AccountEvent, Balance, Debit, Output, RatedCall, RejectedCdr
from rater.core.reasons import EventKind, Outcome
from rater.core.settings import RatingSettings
from rater.core.state import Memory
from rater.core.step import RESERVED_TENANTS, Rules
from rater.core.tariff import Tariffs
from rater.kafka.changelog import META_KEY, pack, read_meta, state_key
from rater.kafka.client import read_partition
from rater.kafka.consume import SequenceCheck
from rater.kafka.decks import DeckReader
from rater.kafka.partitioning import admission
from rater.kafka.port import Consumed
from rater.kafka.records import record_key, records_of
from rater.kafka.settings import KafkaSettings
from rater.kafka.tape import Tape
from rater.kafka.topics import partitions_of
from rater.task import Batch, run_batch

#: Output topics that keep every record, in whose order they can be compared.
HISTORY = ("rated-calls", "debits", "account-events", "recharges", "rejected-cdrs")
#: Output topics that keep the latest record of a key.
LATEST = ("balances", "service-states")
FINDINGS_MAX = 20
_IN = (EventKind.FUNDS_ADDED, EventKind.RECHARGE_SUCCEEDED)

_commit_decoder = msgspec.json.Decoder(Commit)
_decoders: dict[str, msgspec.json.Decoder[Output]] = {
    "rated-calls": msgspec.json.Decoder(RatedCall),
    "debits": msgspec.json.Decoder(Debit),
    "account-events": msgspec.json.Decoder(AccountEvent),
    "rejected-cdrs": msgspec.json.Decoder(RejectedCdr),
}


class Report:
    """What was compared, and the first differences."""

    def __init__(self) -> None:
        self.partitions = self.commits = self.cdrs = self.commands = self.outputs = 0
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
            commit = _commit_decoder.decode(record.value or b"")
            self._in_line(before, commit)
            progress(await self._replay(commit))
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

    async def _replay(self, commit: Commit) -> int:
        """Rate what the commit took, and compare each output; how many records it took."""
        report = self._report
        commands = await self._tapes["commands"].until(commit.commands_next)
        cdrs = await self._tapes["cdrs"].until(commit.cdrs_next)
        rules = Rules(self._rating, self._tariffs.without(commit.unknown_decks))
        batch = run_batch(self._memory, rules, records_of(commands, cdrs), admit=self._admit)
        self._memory.merge(batch.state)
        if batch.counts != commit.outcomes:
            report.find(
                f"commits/{self._partition}: commit {commit.sequence}: expected outcomes {dict(batch.counts)},"
                f" found {commit.outcomes}"
            )
        for topic, outputs in batch.by_topic().items():
            for output in outputs:
                await self._compare(topic, output)
        self._note_offered(cdrs)
        self._count(commit, commands, cdrs, batch)
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
            case AccountEvent(tenant=tenant, event=event, amount=str(amount)) if event in _IN:
                self._ledger[tenant] += parse_ledger(amount)
            case RatedCall(tenant=tenant, usage_id=usage_id):
                self._accounted.add((tenant, usage_id))
            case RejectedCdr(usage_id=str(usage_id)):
                self._accounted.add((output.claimed_tenant or output.tenant, usage_id))
            case _:
                pass

    def _note_offered(self, cdrs: Sequence[Consumed]) -> None:
        for record in cdrs:
            cdr = decode_cdr(record.value or b"")
            # one that is in another tenant's partition is compared as the dead letter that it is
            if isinstance(cdr, CallRecord) and self._admit(cdr.tenant) is None:
                self._offered.add((cdr.tenant, cdr.usage_id))

    def _count(self, commit: Commit, commands: Sequence[Consumed], cdrs: Sequence[Consumed], batch: Batch) -> None:
        report = self._report
        report.commits += 1
        report.commands += len(commands)
        report.cdrs += len(cdrs)
        report.outputs += len(batch.outputs)
        for outcome, count in commit.outcomes.items():
            report.outcomes[Outcome(outcome).value] += count

    async def _compare_latest(self) -> None:
        for topic in LATEST:
            found: dict[bytes, bytes | None] = {}
            tape = Tape(self._read(topic))
            while (record := await tape.take()) is not None:
                found[record.key or b""] = record.value
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
        for kind, entities in self._memory.entities.items():
            for key, entity in entities.items() if kind != "call" else ():
                if found.get(state_key(kind, key)) != pack(entity):
                    self._report.find(f"{where}: {kind} {'/'.join(key)} is not what the replay ends with")

    def _compare_calls(self) -> None:
        """Every record that decodes has a rated call or a dead letter."""
        for tenant, usage_id in sorted(self._offered - self._accounted):
            self._report.find(f"cdrs/{self._partition}: tenant {tenant}: {usage_id} was neither rated nor refused")

    def _compare_money(self) -> None:
        """Money in less money out is the balance, for every tenant."""
        balances = {
            key.decode(): msgspec.json.decode(value, type=Balance)
            for key, value in self._latest["balances"].items()
        }
        for tenant in sorted(self._ledger.keys() | balances.keys() - RESERVED_TENANTS):
            stands = parse_ledger(balances[tenant].balance) if tenant in balances else 0
            if stands != self._ledger[tenant]:
                self._report.find(
                    f"tenant {tenant}: money in less money out is {format_micros(self._ledger[tenant])},"
                    f" the balance is {format_micros(stands)}"
                )


def _where(record: Consumed) -> str:
    return f"{record.topic}/{record.partition}@{record.offset}"


def _shown(value: bytes | None) -> str:
    return "nothing" if value is None else value.decode(errors="replace")[:400]
