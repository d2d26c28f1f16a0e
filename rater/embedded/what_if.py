"""`rater what-if` over a store: its kept inputs are replayed with substitutes, and what is in it is what was."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec

from rater.core import (
    AccountEvent,
    EventKind,
    Outcome,
    Pocket,
    RatingSettings,
    RechargeRequest,
    Rules,
    ServiceState,
    Tariffs,
)
from rater.embedded.kept_inputs import Base, base_of, kept_batches, records_of
from rater.embedded.replicas import form_of
from rater.embedded.store import Reader, open_reader
from rater.embedded.what_if_ledger import WhatIfLedger
from rater.engine.difference import History
from rater.engine.past_payments import PastAnswer, PastPayments
from rater.engine.substitutes import Substitutes
from rater.engine.what_if import Refused, Replay
from rater.wire.errors import RaterError

_requests = msgspec.json.Decoder(RechargeRequest).decode
_events = msgspec.json.Decoder(AccountEvent).decode
_states = msgspec.json.Decoder(ServiceState).decode


class _Part(msgspec.Struct, frozen=True, gc=False):
    """As much of a segment as is counted."""

    pocket: Pocket
    minutes: int
    pool: str | None = None


class _Call(msgspec.Struct, frozen=True, gc=False):
    """As much of a rated call as is counted; see rater.engine.difference.Charged."""

    tenant: str
    usage_id: str
    outcome: Outcome
    period: str
    minutes: int
    currency: str
    charge: str
    segments: tuple[_Part, ...] = ()
    unfunded_charge: str = "0"
    user: str | None = None
    destination: str | None = None


_call = msgspec.json.Decoder(_Call).decode


class Comparison(msgspec.Struct, frozen=True):
    """What a month was, and what it would have been."""

    was: History
    would_be: History
    #: Inputs that were replayed.
    records: int
    assumed_paid: int
    assumed_declined: int
    refused: list[Refused]
    #: Rated calls of the month that cannot be replayed, because their inputs are not kept; they are in neither.
    left_out: int
    why_left_out: str | None


def compare(path: Path, substitutes: Substitutes, progress: Callable[[int], None] = lambda _: None) -> Comparison:
    """Replay what a store keeps of its inputs with substitutes; nothing is written.

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
        was = _read(reader, base, substitutes)
        left_out = _before(connection, base, substitutes)
        with closing(WhatIfLedger(connection, base)) as ledger:
            replay = Replay(ledger, substitutes, _past_payments(connection, base))
            records = _replay(reader, replay, substitutes, progress)
    if not was.lines and not replay.history.lines:
        raise RaterError(_nothing(path, substitutes, left_out, base))
    assumed = replay.assumed_paid, replay.assumed_declined
    return Comparison(was, replay.history, records, *assumed, replay.refused, left_out, base.why)


def _nothing(path: Path, substitutes: Substitutes, left_out: int, base: Base) -> str:
    whose = f" of {substitutes.tenant}" if substitutes.tenant else ""
    if left_out:
        return f"{path}: the inputs of {substitutes.period} are not kept{whose}: {base.why}"
    return f"{path}: expected a month with calls{whose}, got none in {substitutes.period}"


def _replay(reader: Reader, replay: Replay, substitutes: Substitutes, progress: Callable[[int], None]) -> int:
    """Replay every kept batch by its own settings and decks; how many records there were."""
    decks = {deck.version: deck for deck in reader.decks()}
    published: tuple[str, ...] | None = None
    rules, count = Rules(RatingSettings(), Tariffs()), 0
    for _, batch in kept_batches(reader.connection):
        if batch.decks != published:
            published, tariffs = batch.decks, Tariffs()
            for version in published:
                if version in decks:
                    tariffs.publish(decks[version])
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


def _past_payments(connection: sqlite3.Connection, base: Base) -> PastPayments:
    """The payments that were asked for, and how they were answered."""
    find = "SELECT value FROM recharges WHERE offset > ?"
    requests = (_requests(value) for (value,) in connection.execute(find, (base.offsets["recharges"],)))
    asked = {request.id: (request.amount, request.at) for request in requests}
    find = 'SELECT value FROM "account-events" WHERE offset > ? AND instr(value, ?) ORDER BY offset'
    answers: dict[str, list[PastAnswer]] = {}
    for kind in (EventKind.RECHARGE_SUCCEEDED, EventKind.RECHARGE_FAILED):
        mark = f'"event":"{kind}"'.encode()
        for (value,) in connection.execute(find, (base.offsets["account-events"], mark)):
            event = _events(value)
            declined = event.reason if event.event is EventKind.RECHARGE_FAILED else None
            answers.setdefault(event.tenant, []).append(PastAnswer(event.at, declined))
    return PastPayments(
        asked, {tenant: sorted(one, key=lambda answer: answer.at) for tenant, one in answers.items()}
    )


def _read(reader: Reader, base: Base, substitutes: Substitutes) -> History:
    """The month as it was, by what the store has of it."""
    history, only = History(substitutes.period), substitutes.tenant
    for offset, value in reader.topic("rated-calls", only):
        if offset <= base.offsets["rated-calls"] or not _may_count(value, substitutes):
            continue
        call = _call(value)
        history.add_call(call, _replaced(reader.connection, call, offset))
    for topic, decode in (("recharges", _requests), ("service-states", _states)):
        for offset, value in reader.topic(topic, only):
            if offset > base.offsets[topic]:
                history.add(decode(value))
    return history


def _may_count(value: bytes, substitutes: Substitutes) -> bool:
    """Whether a record is of the month, or replaces one that may be."""
    return f'"period":"{substitutes.period}"'.encode() in value or b'"outcome":"corrected"' in value


def _replaced(connection: sqlite3.Connection, call: _Call, offset: int) -> _Call | None:
    """The rating that a rated call replaced."""
    if call.outcome is not Outcome.CORRECTED:
        return None
    row = connection.execute(
        'SELECT value FROM "rated-calls" WHERE key=? AND tenant=? AND offset<? ORDER BY offset DESC LIMIT 1',
        (call.usage_id, call.tenant, offset),
    ).fetchone()
    return None if row is None else _call(row[0])


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
