"""Killed after any commit and run again: the same bytes in every table, with payments, retries and running calls."""

import sqlite3
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from rater.core.call_control import CallEvent, CallProgress
from rater.core.inputs import CallRecord
from rater.core.outputs import OUTPUT_TOPICS
from rater.core.settings import RatingSettings
from rater.dev.generate import Spec, generate_calls, generate_commands
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Store
from rater.embedded.verify import verify_store
from rater.engine.gateway import LocalGateway
from rater.files.deck_csv import read_deck
from rater.files.source import InputFile
from rater.wire.codec import encode_input
from tests.world import DECK

#: The second tenant's card is declined: its recharge is tried again after 1, 6 and 24 hours, then its credit runs out.
SPEC = Spec(seed=2, tenants=2, calls=400, users=6, funds="8")
DECLINED = ("tenant-0001",)
PIECES = 10
TABLES = (*OUTPUT_TOPICS, "entities", "seen", "call-commands", "running-calls")


class Killed(Exception):
    """The process is no more: what it held in memory is gone, what it committed is there."""


class MortalStore(Store):
    """Lives for so many commits."""

    lives = 0

    def commit(self, *what: Any) -> None:
        """See Store."""
        super().commit(*what)
        self.lives -= 1
        if self.lives == 0:
            raise Killed


def events_of(call: CallRecord) -> Iterator[CallEvent]:
    """The events of a call: its start, each half minute, its end."""
    ends_at = call.answered_at + timedelta(seconds=call.duration_s)
    at, progress = call.answered_at, CallProgress.STARTED
    while at < ends_at:
        yield event(call, progress, at)
        at, progress = at + timedelta(seconds=30), CallProgress.HEARTBEAT
    yield event(call, CallProgress.ENDED, ends_at)


def event(call: CallRecord, progress: CallProgress, at: datetime) -> CallEvent:
    return CallEvent(
        tenant=call.tenant,
        usage_id=call.usage_id,
        type=call.type,
        event=progress,
        at=at,
        started_at=call.answered_at,
        user=call.user,
        calling=call.calling,
        called=call.called,
        number_type=call.number_type,
        emergency=call.emergency,
    )


def month(folder: Path) -> list[Path]:
    """A month in pieces of time: the events of calls in each, then the records of those that ended in it."""
    (folder / "setup.jsonl").write_bytes(b"\n".join(map(encode_input, generate_commands(SPEC))) + b"\n")
    calls = [call for call in generate_calls(SPEC) if isinstance(call, CallRecord) and call.received_at is None]
    events = sorted((event for call in calls for event in events_of(call)), key=lambda event: event.at)
    calls.sort(key=lambda call: call.answered_at + timedelta(seconds=call.duration_s))
    size, files = len(calls) // PIECES, []
    for number, start in enumerate(range(0, len(calls), size)):
        piece, rest = calls[start : start + size], calls[start + size :]
        until = rest[0].answered_at + timedelta(seconds=rest[0].duration_s) if rest else datetime.max
        earlier = [event for event in events if not rest or event.at < until]
        events = events[len(earlier) :]
        files.append(write(folder / f"{number:02}-events.jsonl", map(msgspec.json.encode, earlier)))
        files.append(write(folder / f"{number:02}-records.jsonl", map(encode_input, piece)))
    return files


def write(path: Path, lines: Iterable[bytes]) -> Path:
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def live(path: Path, files: list[Path], lives: int = 0) -> EmbeddedRater:
    """Rate the month, or begin to."""
    store = MortalStore(path)
    store.lives = lives
    try:
        rater = EmbeddedRater(store, RatingSettings(), LocalGateway(DECLINED))
        deck = read_deck(DECK, version="d")
        rater.publish(deck)
        rater.consume(InputFile(str(files[0].with_name("setup.jsonl")), "commands"))
        rater.activate("d")
        for file in files:
            rater.consume(InputFile(str(file)))
        return rater
    finally:
        store.close()


def tables(path: Path) -> dict[str, list[Any]]:
    connection = sqlite3.connect(path)
    try:
        return {name: connection.execute(f'SELECT * FROM "{name}" ORDER BY 1, 2').fetchall() for name in TABLES}
    finally:
        connection.close()


def commits(path: Path, files: list[Path]) -> Iterator[int]:
    """The numbers of commits after which a run can be killed."""
    number = 0
    while True:
        number += 1
        path.unlink(missing_ok=True)
        try:
            live(path, files, number)
        except Killed:
            yield number
        else:
            return


def test_killed_after_any_commit(tmp_path: Path) -> None:
    """Recharges, their retries, dead cards, orders to end calls: each is there once, as if nothing had happened."""
    files = month(tmp_path)
    summary = live(tmp_path / "whole.db", files).summary
    assert set(summary.disconnects) == {"credits_suspended", "credit_used_up"}
    assert summary.events["recharge.failed"] == 4
    whole = tables(tmp_path / "whole.db")
    points = 0
    for number in commits(tmp_path / "killed.db", files):
        live(tmp_path / "killed.db", files)
        assert tables(tmp_path / "killed.db") == whole, number
        assert verify_store(tmp_path / "killed.db").findings == [], number
        points += 1
    assert points > 2 * PIECES
