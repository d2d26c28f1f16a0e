"""What single records of the topics change in a replica's file, and what a topic deletes."""

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from rater.core import CallCommand, ServiceState, Source
from rater.embedded.replicas import as_of
from rater.embedded.store import Store, open_reader
from rater.kafka.changelog import META_KEY, STATE_VERSION, Meta, pack, state_key
from rater.kafka.port import Consumed
from rater.serve.replica.file import ReplicaFile
from rater.serve.replica.lag import Seen, lag_of
from rater.serve.replica.rows import HELD_MAX, TOPICS, Place, Reading
from rater.wire.codec import encode
from rater.wire.dead_letters import DlqAudit, LetterAction
from rater.wire.errors import Exit, RaterError
from tests.serve.replicas import IDS, NOW, rows


def kept(topic: str, offsets: Sequence[int]) -> list[Consumed]:
    """Debits of contoso, or whatever has a tenant and an id, at these offsets."""
    values = [b'{"tenant":"contoso","id":"%d","usage_id":"u%d","event":"credit.low"}' % (n, n) for n in offsets]
    return [Consumed(topic, 0, offset, b"contoso", value, 1) for offset, value in zip(offsets, values, strict=True)]


@pytest.mark.parametrize(
    ("first", "left"),
    [
        (0, [3, 4, 6, 9, 10]),
        (4, [4, 6, 9, 10]),  # within a run of offsets
        (5, [6, 9, 10]),  # a transaction's marker
        (10, [10]),
        (11, []),
    ],
    ids=["nothing", "part of a run", "a run", "all but one", "all"],
)
def test_what_a_topic_deleted_is_deleted(tmp_path: Path, first: int, left: list[int]) -> None:
    """Rows stand for offsets 3, 4, 6, 9 and 10; a new row gets no number that was there before."""
    path = tmp_path / "replica.db"
    file, reading, place = ReplicaFile(path), Reading(), Place("debits", 0)
    file.fit(IDS, NOW)
    for offsets in ([3, 4, 6], [9, 10]):
        reading.add(place, kept("debits", offsets))
        file.apply(reading.changes(), None)
    assert file.forget_before({place: first}) == 5 - len(left)
    assert file.forget_before({place: first}) == 0
    reading.add(place, kept("debits", [12]))
    file.apply(reading.changes(), None)
    file.close()
    ids = [msgspec.json.decode(value)["id"] for _, value in rows(path, "debits")]
    assert ids == [*map(str, left), "12"]
    assert rows(path, "debits")[-1][0] == 6  # the sixth that was ever there


def test_of_compacted_topics_the_last_of_each_key_stands(tmp_path: Path) -> None:
    """As if the broker had compacted already; an erased user's key is gone with its row."""
    path = tmp_path / "replica.db"
    file, reading, place = ReplicaFile(path), Reading(), Place("service-states", 0)
    file.fit(IDS, NOW)

    def state(offset: int, user: str | None, says: Literal["active", "suspended", "restricted"] | None) -> Consumed:
        key = b"contoso" if user is None else b"contoso/" + user.encode()
        scope: Literal["tenant", "user"] = "tenant" if user is None else "user"
        value = None
        if says is not None:
            value = encode(
                ServiceState(
                    tenant="contoso",
                    id=str(offset),
                    sequence=offset,
                    source=Source("test", 0, offset),
                    scope=scope,
                    state=says,
                    since=NOW,
                    reason="test",
                    user=user,
                )
            )
        return Consumed("service-states", 0, offset, key, value, 1)

    for records in (
        [state(0, None, "active"), state(1, "ada", "restricted"), state(2, None, "suspended")],
        [state(4, "bob", "restricted"), state(5, None, "active")],
        [state(7, "ada", None)],
    ):
        reading.add(place, records)
        file.apply(reading.changes(), None)
    file.close()
    found = [msgspec.json.decode(value) for _, value in rows(path, "service-states")]
    assert [(one.get("user"), one["state"]) for one in found] == [("bob", "restricted"), (None, "active")]
    assert b"ada" not in path.read_bytes()


def test_a_transaction_of_the_state_is_applied_whole(tmp_path: Path) -> None:
    """Its meta record ends it; until then the position stays before it."""
    reading, place = Reading(), Place("state", 0)
    meta, key = (
        Consumed("state", 0, 2, META_KEY, pack(Meta(STATE_VERSION, 1, {}))),
        state_key("user", ("contoso", "ada")),
    )
    reading.add(place, [Consumed("state", 0, 0, key, b"1"), Consumed("state", 0, 1, key, b"2")])
    assert (reading.held, reading.changes().positions) == (2, {})
    reading.add(place, [meta, Consumed("state", 0, 4, key, None)])
    changes = reading.changes()
    assert changes.entities == {("user", "contoso", "ada"): b"2"}
    assert (changes.positions[place].offset, reading.held) == (3, 1)


def test_what_compaction_left_of_many_transactions_is_not_held_for_ever() -> None:
    """One meta record is left, the last: memory stays bounded before it."""
    reading, place = Reading(), Place("state", 0)
    many = [Consumed("state", 0, n, state_key("user", ("contoso", f"u{n}")), b"1") for n in range(HELD_MAX + 1)]
    reading.add(place, many)
    assert (reading.held, len(reading.changes().entities)) == (0, HELD_MAX + 1)


def test_a_newer_state_stops_it() -> None:
    """In one line."""
    newer = Consumed("state", 0, 0, META_KEY, pack(Meta(STATE_VERSION + 1, 1, {})))
    with pytest.raises(RaterError, match="written by a newer rater"):
        Reading().add(Place("state", 0), [newer])


@pytest.mark.parametrize("topic", [topic for topic in TOPICS if topic != "state"])
def test_what_cannot_be_read_is_passed_over(topic: str) -> None:
    """It is counted, and what comes after it is read."""
    reading, place = Reading(), Place(topic, 0)
    reading.add(place, [Consumed(topic, 0, 7, b"contoso", b"\xff{", 1)])
    changes = reading.changes()
    assert (changes.unreadable, changes.positions[place].offset) == ([(place, 7)], 8)


def test_orders_and_audits_are_there_once(tmp_path: Path) -> None:
    """An order is published at least once, and known by its id; each audit is one."""
    path = tmp_path / "replica.db"
    file, reading = ReplicaFile(path), Reading()
    file.fit(IDS, NOW)
    order = {
        "tenant": "contoso", "id": "order-1", "command": "disconnect", "usage_id": "run", "at": NOW, "reason": "credit_used_up",
        "authorized_s": 300,
    }  # fmt: skip
    value = msgspec.json.encode(msgspec.convert(order, CallCommand))
    audit = DlqAudit(tenant="contoso", id="x", action=LetterAction.DROPPED, by="kim", at=NOW)
    for offset in (0, 2):
        reading.add(Place("call-commands", 0), [Consumed("call-commands", 0, offset, b"contoso", value, 1)])
        reading.add(
            Place("dlq-audit", 0), [Consumed("dlq-audit", 0, offset, b"contoso", msgspec.json.encode(audit), 1)]
        )
        file.apply(reading.changes(), None)
    file.close()
    reader = open_reader(path)
    assert [one.id for one in reader.orders("contoso")] == ["order-1"]
    assert reader.audits() == [audit, audit]
    reader.close()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("UPDATE rules SET number=999", "rules 999"),
        ("UPDATE settings SET value='999' WHERE name='replica'", "form 999"),
        ("PRAGMA user_version=999", "store version 999"),
    ],
    ids=["rules", "form", "tables"],
)
def test_a_file_of_a_newer_program_is_left_alone(tmp_path: Path, change: str, says: str) -> None:
    """One line, and nothing is changed."""
    path = tmp_path / "replica.db"
    ReplicaFile(path).close()
    with sqlite3.connect(path) as newer:
        newer.execute(change)
    with pytest.raises(RaterError, match=says) as wrong:
        ReplicaFile(path)
    assert wrong.value.exit is Exit.STORE_TOO_NEW


@pytest.mark.parametrize(
    ("partitions", "records", "seconds", "reached"),
    [
        (
            [Seen(5, 5, 9_900, 100), Seen(7, 7, 9_800, 0)],
            0,
            0.0,
            9_800,
        ),  # all read: when the broker was asked first
        (
            [Seen(5, 8, 9_900, 7_000), Seen(7, 7, 9_800, 0)],
            3,
            3.0,
            7_000,
        ),  # 10,000 - 7,000: the last that was applied
        ([Seen(5, 8, 9_900, 1_000)], 3, 5.0, 5_000),  # it was known to be as far as 5,000
    ],
    ids=["caught up", "behind", "behind after a pause"],
)
def test_how_far_it_is_behind(partitions: list[Seen], records: int, seconds: float, reached: int) -> None:
    """At 10,000 ms; at 5,000 ms everything was in the file."""
    start = datetime(1970, 1, 1, tzinfo=UTC)
    lag = lag_of(partitions, start + timedelta(seconds=5), 10_000)
    assert lag == (records, seconds, start + timedelta(milliseconds=reached))


def test_until_when_everything_is_there(tmp_path: Path) -> None:
    """It never goes back; a store has no such instant."""
    path = tmp_path / "replica.db"
    file = ReplicaFile(path)
    file.fit(IDS, NOW)
    file.note(NOW)
    file.note(NOW - timedelta(seconds=1))
    reader = open_reader(path)
    assert as_of(reader.connection) == NOW
    reader.close()
    file.close()
    Store(tmp_path / "rater.db").close()
    store = open_reader(tmp_path / "rater.db")
    assert as_of(store.connection) is None
    store.close()
