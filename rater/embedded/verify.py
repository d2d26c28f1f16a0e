"""`rater verify --store`: compute a store's ledger again from its kept inputs, and compare every byte.

It reads one snapshot of the store, so a run may go on meanwhile.  Live calls are looked up in the store itself,
among the rows that were compared before: memory grows with users and pools, not with calls.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from rater.core import (
    KINDS,
    Account,
    AccountEvent,
    Debit,
    MoneyError,
    Outcome,
    Rules,
    Tariffs,
    credited_by,
    format_micros,
    parse_ledger,
)
from rater.embedded.base_entities import BaseEntities
from rater.embedded.failures import damaged
from rater.embedded.kept_inputs import Base, base_digest, base_of, kept_batches, records_of
from rater.embedded.replicas import form_of
from rater.embedded.rows import Row, Rows
from rater.embedded.store import Reader, open_reader
from rater.engine.batch import run_batch
from rater.wire.errors import RaterError

FINDINGS_MAX = 20
_debits = msgspec.json.Decoder(Debit)
_events = msgspec.json.Decoder(AccountEvent)
_pack = msgspec.msgpack.Encoder().encode
_decode = {kind: msgspec.msgpack.Decoder(type).decode for kind, type in KINDS.items()}


class StoreReport:
    """What was compared, and the first differences."""

    def __init__(self, base: Base | None) -> None:
        self.base = base
        self.batches = self.records = self.outputs = self.found = 0
        self.outcomes: Counter[Outcome] = Counter()
        self.findings: list[str] = []

    def find(self, finding: str) -> None:
        """Note a difference; only the first are kept in words."""
        self.found += 1
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(finding)


def check_integrity(connection: sqlite3.Connection, path: Path) -> None:
    """Raise RaterError for a store whose pages or indexes are not what SQLite wrote."""
    found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise damaged(path, " ".join(str(found).split()))


class Checkpoint:
    """What a replay notes for a store that will begin later: after batch `after`, if there are others behind it."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.noted = False
        #: The state as rows of the tables of a base.
        self.entities: list[tuple[str, str, str, bytes]] = []
        self.seen: list[tuple[bytes, bytes]] = []
        #: The last offset of each topic then.
        self.offsets: dict[str, int] = {}
        #: Ids of calls that inputs behind it ask for.
        self.asked: set[str] = set()

    def note(self, entities: BaseEntities, offsets: Mapping[str, int]) -> None:
        """Note the state."""
        self.noted, self.offsets = True, dict(offsets)
        self.entities = [
            (kind, *key, _pack(entity)) for kind, of in entities.entities.items() for key, entity in of.items()
        ]
        self.seen = [(key, _pack(entity)) for key, entity in entities.seen.items()]


def verify_store(
    path: Path, progress: Callable[[int], None] = lambda _: None, checkpoint: Checkpoint | None = None
) -> StoreReport:
    """Check the file, add its money up, and replay what is kept of its inputs.

    Raises RaterError where the file is damaged.
    """
    reader = open_reader(path)
    try:
        connection = reader.connection
        if form_of(connection) is not None:
            raise RaterError(f"{path}: a replica of Kafka's topics; what was rated is verified there: rater verify")
        connection.execute("BEGIN")
        check_integrity(connection, path)
        kept = reader.has("kept-inputs")
        report = StoreReport(base_of(connection) if kept else None)
        if report.base is not None:
            _check_base(connection, report, report.base)
            _Replay(connection, reader, report, report.base).run(progress, checkpoint)
        _compare_money(reader, report)
    finally:
        reader.close()
    return report


def _check_base(connection: sqlite3.Connection, report: StoreReport, base: Base) -> None:
    """The state that the replay begins with is the one that was verified then."""
    if base.digest is not None and (found := base_digest(connection)) != base.digest:
        report.find(f"checkpoint: expected a state with digest {base.digest}, found {found}")


class _Replay:
    """The comparison of one store."""

    def __init__(self, connection: sqlite3.Connection, reader: Reader, report: StoreReport, base: Base) -> None:
        self._connection, self._report = connection, report
        self._entities = BaseEntities(connection, base)
        self._decks = {deck.version: deck for deck in reader.decks()}
        #: How far each topic was compared.
        self._offsets = dict(base.offsets)
        self._tapes = {topic: self._tape(topic, offset) for topic, offset in base.offsets.items()}

    def run(self, progress: Callable[[int], None], checkpoint: Checkpoint | None = None) -> None:
        """Replay batch by batch, then compare what stands at the end."""
        published: tuple[str, ...] = ()
        tariffs = Tariffs()
        previous = None
        for number, batch in kept_batches(self._connection):
            if checkpoint is not None and number > checkpoint.after:
                if previous is not None and previous <= checkpoint.after:
                    checkpoint.note(self._entities, self._offsets)
                self._entities.asked = checkpoint.asked
            previous = number
            if batch.decks != published:
                published = batch.decks
                tariffs = Tariffs.of(self._decks[version] for version in published if version in self._decks)
            records, rows = records_of(batch), Rows()
            done = run_batch(self._entities, Rules(batch.settings, tariffs), records, write=rows.add)
            for topic, made in rows.by_topic.items():
                for row in made:
                    self._compare(topic, row)
            self._entities.merge(done.state.changes(), done.state.gone)
            self._report.batches += 1
            self._report.records += len(records)
            self._report.outcomes.update(done.outcomes)
            progress(len(records))
        for topic, tape in self._tapes.items():
            for offset, *_ in tape:
                self._report.find(f"{topic}:{offset}: no kept input causes it")
        self._compare_entities()

    def _tape(self, topic: str, after: int) -> Iterator[tuple[int, str, str | None, bytes]]:
        return self._connection.execute(
            f'SELECT offset, tenant, key, value FROM "{topic}" WHERE offset > ? ORDER BY offset',  # noqa: S608 - closed list
            (after,),
        )

    def _compare(self, topic: str, made: Row) -> None:
        self._report.outputs += 1
        found = next(self._tapes[topic], None)
        if found is None:
            self._report.find(f"{topic}: missing {_shown(made[2])}")
            return
        offset, *row = found
        self._offsets[topic] = offset
        if topic == "rated-calls":
            self._entities.calls_until = offset
        if tuple(row) != made:
            self._report.find(f"{topic}:{offset}: expected {_shown(made[2])}, found {_shown(row[2])}")

    def _compare_entities(self) -> None:
        """What the next run would begin with is what the replay ends with."""
        left = {(kind, *key) for kind, entities in self._entities.entities.items() for key in entities}
        for kind, tenant, name, value in self._connection.execute("SELECT * FROM entities"):
            left.discard((kind, tenant, name))
            if self._entities.entities[kind].get((tenant, name)) != _decode[kind](value):
                self._report.find(f"state: {kind} {tenant}/{name} is not what the replay ends with")
        for kind, tenant, name in sorted(left):
            self._report.find(f"state: {kind} {tenant}/{name} is missing")


def _shown(value: bytes | str | None) -> str:
    """A record for people; text where another program wrote it."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _compare_money(reader: Reader, report: StoreReport) -> None:
    """Money in less money out is the balance, for every tenant, from the first record on and without the rules."""
    ledger: Counter[str] = Counter(report.base.carried if report.base is not None else {})
    for topic, moved in (("debits", debited), ("account-events", credited)):
        for offset, value in reader.topic(topic):
            try:
                tenant, micros = moved(value)
            except (msgspec.DecodeError, MoneyError) as wrong:
                report.find(f"{topic}:{offset}: {wrong}")
                continue
            ledger[tenant] += micros
    for tenant in reader.tenants():
        account = reader.account(tenant)
        assert isinstance(account, Account)
        if account.balance != ledger[tenant]:
            report.find(
                f"tenant {tenant}: credits less debits are {format_micros(ledger[tenant])}, the balance is"
                f" {format_micros(account.balance)}"
            )


def debited(value: bytes) -> tuple[str, int]:
    """What a debit adds to the balance, in micro-units: nothing or less, unless it is a reversal."""
    debit = _debits.decode(value)
    return debit.tenant, -parse_ledger(debit.amount)


def credited(value: bytes) -> tuple[str, int]:
    """What an event adds to the balance, in micro-units."""
    event = _events.decode(value)
    return event.tenant, credited_by(event)
