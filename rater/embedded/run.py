"""The embedded rater's loop: batches of records, each one transaction, and what follows from each.

A batch ends at fixed places of its input (records, bytes, its end) and where a payment is asked for; the answer is
a batch of its own, and is applied before the next record.  So a run that was killed and started again gives the
same bytes as one that was not.
Decks, running calls, payments, notices and metrics are collaborators.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple

import msgspec

from rater.core import (
    AccountEvent,
    AnyCommand,
    CallCommand,
    CallEvent,
    Outcome,
    RateDeck,
    RatingSettings,
    RechargeRequest,
    RejectedCdr,
    Rules,
    Source,
    Tariffs,
    Tick,
    funds_of,
    ticks_due,
)
from rater.embedded.call_desk import CallDesk
from rater.embedded.decks import StoreDecks
from rater.embedded.kept_inputs import to_keep
from rater.embedded.notices import Notices
from rater.embedded.observed import Observed
from rater.embedded.payments import unanswered
from rater.embedded.positions import Position
from rater.embedded.rows import Rows
from rater.embedded.store import Store
from rater.embedded.summary import Summary
from rater.engine.batch import Batch, Record, run_batch
from rater.engine.gateway import PaymentGateway
from rater.files.lines import STANDARD_INPUT
from rater.files.source import InputFile
from rater.ops.metrics.meter import Metrics
from rater.wire.codec import encode_input

BATCH_RECORDS = 10_000
#: A batch of large records ends earlier, so that memory stays bounded.
BATCH_BYTES_MAX = 16_000_000
#: Records that are looked up in the store together: a few questions to SQLite for all of them.
LOOKUP_SIZE = 1_000


class _Rated(NamedTuple):
    """The records that a batch consumed, the batch, and its outputs as the store keeps them."""

    records: list[Record]
    batch: Batch
    rows: Rows


class Arrived(NamedTuple):
    """What was committed: the batch, the payments that it asked for, the orders to end calls that follow by now."""

    batch: Batch
    requests: list[RechargeRequest]
    orders: list[CallCommand]


class EmbeddedRater:
    """A store with the loop around it.

    Without a gateway recharges are requested and wait: a command or a later run with a gateway answers them.
    """

    def __init__(
        self,
        store: Store,
        settings: RatingSettings,
        gateway: PaymentGateway | None,
        metrics: Metrics | None = None,
        note: Callable[[list[AccountEvent]], None] | None = None,
    ) -> None:
        self.store = store
        self.summary = Summary()
        self._rules = Rules(settings, Tariffs())
        self._gateway = gateway
        accounts = [account for tenant in store.tenants() if (account := store.account(tenant))]
        self._observed = Observed(metrics, accounts)
        self._decks = StoreDecks(store, self._rules.tariffs)
        self._desk = CallDesk(store, self._rules)
        self._notices = Notices(note)
        self._notices.of((), accounts)
        self._settle(unanswered(store))
        self._tick_due(store.tenants())

    @property
    def rules(self) -> Rules:
        """What records are rated by."""
        return self._rules

    @property
    def desk(self) -> CallDesk:
        """Calls in progress."""
        return self._desk

    def publish(self, deck: RateDeck) -> None:
        """Keep a version of a rate deck for ever."""
        self._decks.publish(deck)

    def activate(self, version: str, now: datetime | None = None) -> None:
        """Price calls with a deck that was published; see StoreDecks.activation."""
        if (command := self._decks.activation(version, now)) is not None:
            self._batches(_records_of([command], "decks"))

    def consume(self, file: InputFile, progress: Callable[[int], None] = lambda _: None) -> None:
        """Rate what is new in a source."""
        before = self._position(file) if file.name != STANDARD_INPUT else Position()
        batch: list[Record | CallEvent] = []
        ends_after = (before.records // BATCH_RECORDS, before.size // BATCH_BYTES_MAX)
        for record in file.records(before.records, before.digest, before.arrival):
            batch.append(record)
            # Fixed places of the file, so that a run that was killed goes on with the same batches.
            if (place := _batch_place(file)) != ends_after:
                self._commit_file(file, batch, progress)
                batch, ends_after = [], place
        if batch or (file.records_read, file.digest) != (before.records, before.digest) or before.arrival:
            self._commit_file(file, batch, progress)
        elif before.records and not file.of_commands:
            self.summary.already[file.path] = before.rated_at
        self.summary.add_file(file)

    def apply_arrived(self, records: Iterable[Record | CallEvent], now: datetime) -> Arrived:
        """Rate what arrived together, in one transaction.

        Payments are not collected here, and no ticks follow: who serves switches does both beside it.
        """
        self._desk.pass_time(now)
        rated = self._rate(self._apply_call_events([*records]))
        return Arrived(rated.batch, rated.rows.rare_of(RechargeRequest), self._commit(rated))

    def tick(self, at: datetime) -> None:
        """Let time pass for every tenant up to an instant."""
        ticks = [Tick(tenant=tenant, id=f"tick-{at.isoformat()}", at=at) for tenant in self.store.tenants()]
        self._batches(_records_of(ticks, "clock"))

    def apply(self, command: AnyCommand, arrived_at: datetime | None = None) -> tuple[Outcome, RejectedCdr | None]:
        """Apply one command that arrived then; its outcome, and why it was rejected if that is new."""
        rated = self._rate(_records_of([command], "people", arrived_at))
        self._commit_and_follow(rated)
        refused = next(iter(rated.rows.rare_of(RejectedCdr)), None)
        return rated.batch.outcomes[0], refused

    def apply_all(
        self, commands: Iterable[AnyCommand], arrived_at: datetime, progress: Callable[[int], None] = lambda _: None
    ) -> tuple[Counter[Outcome], list[RejectedCdr]]:
        """Apply commands in order; how many had each outcome, and why some were rejected, where that is new."""
        outcomes: Counter[Outcome] = Counter()
        refused: list[RejectedCdr] = []
        records = _records_of(commands, "people", arrived_at)
        while held := list(islice(records, BATCH_RECORDS)):
            rated = self._rate(held)
            self._commit_and_follow(rated)
            outcomes.update(rated.batch.outcomes)
            refused += rated.rows.rare_of(RejectedCdr)
            progress(rated.batch.consumed)
        return outcomes, refused

    def replay(self, records: Iterable[tuple[str, Record]]) -> dict[str, Outcome]:
        """Apply dead letters again, each by its id; those that are accepted now are noted as replayed."""
        outcomes: dict[str, Outcome] = {}
        for id, record in records:
            rated = self._rate([record])
            outcomes[id] = rated.batch.outcomes[0]
            accepted = outcomes[id] in (Outcome.RATED, Outcome.CORRECTED, Outcome.DUPLICATE)
            self._commit_and_follow(rated, replayed=[id] if accepted else [])
        return outcomes

    def _commit_file(
        self, file: InputFile, records: list[Record | CallEvent], progress: Callable[[int], None]
    ) -> None:
        """Commit records with the position after them; where one asks for a payment, the answer comes first.

        What is committed before that has no position yet: read again after a kill, it is all duplicates.  The rest
        of the file keeps its arrival until it was read to its end (A43).
        """
        arrival, ended = (None, _today()) if file.ended else (file.arrival, None)
        position = Position(file.records_read, file.bytes_read, file.digest, arrival, ended)
        left = self._apply_call_events(records)
        while True:
            rated = self._rate(left, until_payment=True)
            self.summary.add_refused(file.path, rated.rows.rare)
            left = left[rated.batch.consumed :]
            self._commit_and_follow(rated, {file.key: self._begun(file) if left else position})
            progress(rated.batch.consumed)
            if not left:
                break

    def _position(self, file: InputFile) -> Position:
        return self.store.position(file.key, file.name, file.tenant)

    def _begun(self, file: InputFile) -> Position:
        """The position before a batch of which a part is committed, with the arrival of the rest."""
        return msgspec.structs.replace(self._position(file), arrival=file.arrival)

    def _apply_call_events(self, records: list[Record | CallEvent]) -> list[Record]:
        """Apply the events of running calls, to be committed with the next batch; the other records."""
        events = [record for record in records if isinstance(record, CallEvent)]
        others = [record for record in records if not isinstance(record, CallEvent)]
        self._desk.apply(events)
        self.summary.call_events += len(events)
        self._observed.call_events(len(events), others)
        return others

    def _batches(self, records: Iterator[Record]) -> None:
        while held := list(islice(records, BATCH_RECORDS)):
            self._commit_and_follow(self._rate(held))

    def _commit_and_follow(
        self, rated: _Rated, positions: dict[str, Position] | None = None, replayed: Iterable[str] = ()
    ) -> None:
        """Commit a batch, then commit what follows from it: answers of the gateway, and ticks that are due."""
        self._commit(rated, positions, replayed)
        self._settle(rated.rows.rare_of(RechargeRequest))
        self._tick_due(rated.batch.state.accounts)

    def _rate(self, given: Iterable[Record], *, until_payment: bool = False) -> _Rated:
        """Rate a batch, or its beginning up to a payment; nothing is committed."""
        began = time.perf_counter()
        records = [*given]
        rows = Rows(with_sums=self._observed.sums)
        batch = run_batch(
            self.store, self._rules, records, until_payment=until_payment, write=rows.add, part_records=LOOKUP_SIZE
        )
        rows.switch_lines = batch.switch_lines
        self._observed.rated(time.perf_counter() - began)
        return _Rated(records[: batch.consumed], batch, rows)

    def _commit(
        self, rated: _Rated, positions: dict[str, Position] | None = None, replayed: Iterable[str] = ()
    ) -> list[CallCommand]:
        """Commit a batch; the orders that were committed with it."""
        records, batch, rows = rated
        inputs = to_keep(self._rules.settings, self._decks.published, records)
        events = rows.rare_of(AccountEvent)
        # Before the commit: a run that is killed in between is run again, with the same events and ids.
        self._notices.of(events, batch.state.accounts.values())
        self._desk.accounts_changed(batch.state)
        calls = self._desk.changes()
        began = time.perf_counter()
        self.store.commit(batch.state, rows, positions or {}, replayed, calls, inputs)
        self._desk.committed()
        of_calls = Counter(one for record, one in zip(records, batch.outcomes, strict=True) if record.kind == "cdr")
        self.summary.add(batch, of_calls, rows, calls.orders)
        self._observed.committed(batch, rows, calls.orders, len(self._desk), time.perf_counter() - began)
        return list(calls.orders)

    def _settle(self, requests: list[RechargeRequest]) -> None:
        while requests and self._gateway:
            answers: list[AnyCommand] = [self._gateway.collect(request) for request in requests]
            rated = self._rate(_records_of(answers, "gateway"))
            self._commit(rated)
            requests = rated.rows.rare_of(RechargeRequest)

    def _tick_due(self, tenants: Iterable[str]) -> None:
        """Let time pass where it is due by each tenant's own clock, until it changes nothing any more."""
        ticks: list[AnyCommand] = []
        while (due := self._ticks_due(tenants)) and due != ticks:
            ticks = due
            rated = self._rate(_records_of(ticks, "clock"))
            self._commit(rated)
            self._settle(rated.rows.rare_of(RechargeRequest))

    def _ticks_due(self, tenants: Iterable[str]) -> list[AnyCommand]:
        accounts = [account for tenant in sorted(tenants) if (account := self.store.account(tenant))]
        settings = self._rules.settings
        return [
            tick for account in accounts for tick in ticks_due(funds_of(account), None, account.clock, settings)
        ]


def _today() -> str:
    """For people: on which day a file was read to its end."""
    return datetime.now(UTC).date().isoformat()


def _batch_place(file: InputFile) -> tuple[int, int]:
    """Changes with the record that a batch ends with."""
    return file.records_read // BATCH_RECORDS, file.bytes_read // BATCH_BYTES_MAX


def _records_of(commands: Iterable[AnyCommand], topic: str, arrived_at: datetime | None = None) -> Iterator[Record]:
    for number, command in enumerate(commands):
        source = Source(topic, 0, number)
        yield Record("command", source, encode_input(command), command, arrived_at=arrived_at)
