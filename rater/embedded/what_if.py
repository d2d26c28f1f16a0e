"""`rater what-if` over a store: its kept inputs are replayed with substitutes, and what is in it is what was.

The replay begins with the last snapshot before the month, or where the kept inputs begin.
"""

import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec

from rater.core import AccountEvent, RatingSettings, RechargeRequest, Rules, Tariffs
from rater.embedded.kept_inputs import Base, base_of, kept_batches, records_of
from rater.embedded.replicas import form_of
from rater.embedded.snapshots import last_state_before
from rater.embedded.store import Reader, open_reader
from rater.embedded.what_if_ledger import WhatIfLedger
from rater.engine.comparison import Comparison, nothing_of
from rater.engine.counted import EVENT_MARKS, ReadCall, is_corrected, is_of, read_call
from rater.engine.difference import History
from rater.engine.past_payments import PastPayments, past_payments
from rater.engine.substitutes import Substitutes
from rater.engine.what_if import Replay
from rater.wire.errors import RaterError

_requests = msgspec.json.Decoder(RechargeRequest).decode
_events = msgspec.json.Decoder(AccountEvent).decode


def compare(
    path: Path,
    substitutes: Substitutes,
    progress: Callable[[int], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Replay what a store keeps of its inputs with substitutes; nothing is written.

    `say` is given what to know, such as snapshots that were discarded.
    Raises RaterError: a replica, no kept inputs, or none of the month.
    """
    with closing(open_reader(path)) as reader:
        connection = reader.connection
        if form_of(connection) is not None:
            raise RaterError(
                f"{path}: a replica of Kafka's topics keeps no inputs; expected --bootstrap or a store"
            )
        connection.execute("BEGIN")
        base = base_of(connection) if reader.has("kept-inputs") else None
        if base is None:
            raise RaterError(f"{path}: the store keeps no inputs yet: it does from the next `rater run` on")
        was = History(substitutes.period)
        with ExitStack() as opened:
            snapshot = last_state_before(connection, substitutes.since, say)
            if snapshot is not None:
                opened.callback(snapshot.close)
            ledger = opened.enter_context(closing(WhatIfLedger(connection, base, snapshot, substitutes.tenant)))
            _read_calls(reader, ledger.calls_until, substitutes, was)
            past = _read_events(reader, base, substitutes.tenant, was)
            left_out = _before(connection, base, substitutes) if snapshot is None else 0
            replay = Replay(ledger, substitutes, past)
            after = 0 if snapshot is None else snapshot.snapshot.batch
            records = _replay(reader, after, replay, substitutes, progress)
    if was.is_empty and replay.history.is_empty:
        raise RaterError(f"{path}: {nothing_of(substitutes, left_out, base.why)}")
    substitutes.check_in_force(replay.in_force, was.currencies.values())
    assumed = replay.assumed_paid, replay.assumed_declined
    substituted = replay.refused, replay.remarks
    return Comparison(was, replay.history, records, *assumed, *substituted, left_out, base.why)


def _replay(
    reader: Reader, after: int, replay: Replay, substitutes: Substitutes, progress: Callable[[int], None]
) -> int:
    """Replay every kept batch behind another by its own settings and decks; how many records there were."""
    decks = {deck.version: deck for deck in reader.decks()}
    published: tuple[str, ...] | None = None
    rules, count = Rules(RatingSettings(), Tariffs()), 0
    for _, batch in kept_batches(reader.connection, after):
        if batch.decks != published:
            published = batch.decks
            tariffs = Tariffs.of(decks[version] for version in published if version in decks)
            if substitutes.deck is not None:
                tariffs.publish(substitutes.deck)
            rules = Rules(batch.settings, tariffs)
        rules = Rules(batch.settings, rules.tariffs)
        records = records_of(batch)
        replay.apply(rules, records)
        count += len(records)
        progress(len(records))
    replay.finish(rules)
    return count


def _read_calls(reader: Reader, after: int, substitutes: Substitutes, was: History) -> None:
    """The calls of the month as they were, by what the store has of them behind an offset."""
    for offset, value in reader.topic("rated-calls", substitutes.tenant, after=after):
        corrected = is_corrected(value)
        if not (corrected or is_of(value, substitutes.period)):
            continue
        call = read_call(value)
        was.add_call(call, _replaced(reader.connection, call, offset) if corrected else None)


def _read_events(reader: Reader, base: Base, only: str | None, was: History) -> PastPayments:
    """What else is counted, and all payments that were asked for, and how they were answered."""
    topic = reader.topic("recharges", only, after=base.offsets["recharges"])
    requests = [_requests(value) for _, value in topic]
    marks = " OR ".join(["instr(value, ?)"] * len(EVENT_MARKS))
    rows = reader.connection.execute(
        f'SELECT value FROM "account-events" WHERE offset > ? AND ({marks}) ORDER BY offset',  # noqa: S608 - marks only
        (base.offsets["account-events"], *EVENT_MARKS),
    )
    events = [event for (value,) in rows if only in (None, (event := _events(value)).tenant)]
    outputs: list[RechargeRequest | AccountEvent] = [*requests, *events]
    for output in outputs:
        was.add(output)
    return past_payments(requests, events)


def _replaced(connection: sqlite3.Connection, call: ReadCall, offset: int) -> ReadCall | None:
    """The rating that a rated call replaced."""
    row = connection.execute(
        'SELECT value FROM "rated-calls" WHERE key=? AND tenant=? AND offset<? ORDER BY offset DESC LIMIT 1',
        (call.usage_id, call.tenant, offset),
    ).fetchone()
    return None if row is None else read_call(row[0])


def _before(connection: sqlite3.Connection, base: Base, substitutes: Substitutes) -> int:
    """How many rated calls of the month were rated before the first input that is kept."""
    if not base.offsets["rated-calls"]:
        return 0
    find = 'SELECT count(*) FROM "rated-calls" WHERE offset <= ? AND instr(value, ?)'
    mark = f'"period":"{substitutes.period}"'.encode()
    values: tuple[object, ...] = (base.offsets["rated-calls"], mark)
    if substitutes.tenant is not None:
        find, values = f"{find} AND tenant=?", (*values, substitutes.tenant)
    return int(connection.execute(find, values).fetchone()[0])
