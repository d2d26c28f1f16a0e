"""Records of the topics become a file that answers as a store; without Kafka, on the model of it."""

import random
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from rater.core import RateDeck, RatingSettings
from rater.dev.generate import Spec
from rater.embedded.lookup import open_lookup
from rater.embedded.store import Store, open_reader
from rater.files.statement import statement_of
from rater.kafka.port import Consumed
from rater.serve.replica.file import ReplicaFile
from rater.serve.replica.rows import KEPT, LATEST, TOPICS, Place, Reading
from rater.wire.errors import RaterError
from tests.commands import invoke
from tests.engines import OnSimulatedBroker
from tests.kafka.deployment import calls, provisioning
from tests.serve.replicas import IDS, NOW, Log, answers, embedded, filled, pieces, rows
from tests.world import at

SPEC = Spec(seed=5, tenants=3, calls=150, users=20, funds="20", duplicate_share=0.05, poison_share=0.02)


@pytest.fixture(scope="module")
def story() -> list[tuple[str, str, bytes]]:
    """A deck, what sets three tenants up, and their calls; topic, key and value of each."""
    return [*provisioning(SPEC), *calls(SPEC)]


@pytest.fixture(scope="module")
def log(story: list[tuple[str, str, bytes]]) -> Log:
    """What the topics hold once a worker has rated the story."""
    engine = OnSimulatedBroker(RatingSettings())
    decks: list[Consumed] = []
    for topic, key, value in story:
        if topic == "rate-decks":
            decks.append(Consumed(topic, 0, len(decks), key.encode(), value))
            engine.publish(msgspec.json.decode(value, type=RateDeck))
        else:
            engine.submit("command" if topic == "commands" else "cdr", value, datetime.now(UTC))
    found = {Place(topic, 0): engine._broker.read((topic, 0), 0) for topic in TOPICS}
    engine.close()
    return found | {Place("rate-decks", 0): decks}


@pytest.fixture(scope="module")
def expected(story: list[tuple[str, str, bytes]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What a store answers in which a run rated the same."""
    return answers(embedded(story, tmp_path_factory.mktemp("embedded")))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_replica_answers_as_a_store(log: Log, expected: dict[str, object], tmp_path: Path, seed: int) -> None:
    """`rater show balance` and all others, in whatever pieces the records come, in whatever order the topics."""
    filled(tmp_path / "replica.db", log, seed).close()
    assert answers(tmp_path / "replica.db") == expected


def test_a_statement_while_topics_are_read(log: Log, tmp_path: Path) -> None:
    """State and topics are read in any order: what the account does not have yet is in no figure, as in a plain loop."""
    file, reading, compared = ReplicaFile(tmp_path / "replica.db"), Reading(), 0
    file.fit(IDS, NOW)
    for number, (place, records) in enumerate(pieces(log, 3)):
        reading.add(place, records)
        file.apply(reading.changes(), None)
        if number % 5 == 0:
            with closing(open_reader(tmp_path / "replica.db")) as reader, closing(open_lookup(reader)) as lookup:
                for tenant in reader.tenants():
                    for since, until in pairwise([None, at("2025-03-10"), at("2025-03-20"), None]):
                        period = (tenant, since, until)
                        assert lookup.statement(*period) == statement_of(reader, *period)
                        compared += 1
    file.close()
    assert compared > 50


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_any_commit(log: Log, expected: dict[str, object], tmp_path: Path, seed: int) -> None:
    """What was read and not committed is read again from the positions in the file; nothing is there twice."""
    chance, path = random.Random(seed), tmp_path / "replica.db"
    kills = 0
    while True:
        file, reading = ReplicaFile(path), Reading()
        file.fit(IDS, NOW)
        known = file.positions()
        rest = {
            place: [r for r in records if place not in known or r.offset >= known[place].offset]
            for place, records in log.items()
        }
        killed = False
        for place, records in pieces(rest, seed + kills):
            reading.add(place, records)
            if killed := chance.random() < 0.05:  # after it read, before it committed
                break
            file.apply(reading.changes(), None)
        file.close()
        kills += killed
        if not killed:
            break
    assert kills > 1
    assert answers(path) == expected


def test_topics_that_were_made_anew_are_read_anew(log: Log, expected: dict[str, object], tmp_path: Path) -> None:
    """Another id of one topic: all are read from their first records, and it is reported."""
    path = tmp_path / "replica.db"
    file = filled(path, log)
    why = file.fit(IDS | {"debits": "another"}, NOW)
    assert (file.positions(), len(rows(path, "debits"))) == ({}, 0)
    reading = Reading()
    for place, records in log.items():
        reading.add(place, records)
    file.apply(reading.changes(), None)
    assert file.fit(IDS | {"debits": "another"}, NOW) == ""
    file.close()
    assert why == "deleted and created again: debits; all topics are read from their first records"
    assert answers(path) == expected


def test_after_a_long_pause_compacted_topics_are_read_again(log: Log, tmp_path: Path) -> None:
    """A day: for so long `state` keeps the record that says a key is gone.  Calls are not read again."""
    path = tmp_path / "replica.db"
    file = filled(path, log)
    file.note(NOW)
    assert file.fit(IDS, NOW + timedelta(hours=24)) == ""
    why = file.fit(IDS, NOW + timedelta(hours=24, seconds=1))
    read = {place.topic for place in file.positions()}
    file.close()
    assert why.startswith("what was deleted since 2026-11-27T12:00:00+00:00 can have gone unseen")
    assert read == {place.topic for place in log if log[place]} - {"state", *LATEST, "rate-decks"}
    assert {"rated-calls", "debits"} <= read <= set(KEPT)


def test_a_file_of_older_rules_is_made_anew(log: Log, tmp_path: Path) -> None:
    """And it is reported."""
    path = tmp_path / "replica.db"
    filled(path, log).close()
    with sqlite3.connect(path) as older:
        older.execute("UPDATE rules SET number=1")
    file = ReplicaFile(path)
    remade, known = file.remade, file.positions()
    file.close()
    assert (remade.startswith("an older release wrote it (rules 1"), known) == (True, {})


def test_a_store_is_never_opened_as_a_replica(tmp_path: Path) -> None:
    """It may be the only copy of a ledger."""
    path = tmp_path / "rater.db"
    Store(path).close()
    before = path.read_bytes()
    with pytest.raises(RaterError, match="expected a replica of Kafka's topics, got a store"):
        ReplicaFile(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "words",
    [
        ["run", "calls.jsonl"],
        ["tenant", "adjust", "contoso", "1", "--reason", "x", "--by", "kim"],
        ["prune", "--keep", "400"],
        ["dlq", "drop", "--all", "--note", "n"],
        ["erase", "tenant-0000", "ada", "--yes"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_writers_refuse_a_replica(log: Log, tmp_path: Path, words: list[str]) -> None:
    """One line that says who writes it, and nothing is changed."""
    path = tmp_path / "replica.db"
    filled(path, log).close()
    (tmp_path / "calls.jsonl").write_text("")
    before = path.read_bytes()
    said = invoke(*[str(tmp_path / word) if word == "calls.jsonl" else word for word in words], f"--store={path}")
    assert "which only `rater serve --replica` writes" in str(said.exception) + said.output
    assert path.read_bytes() == before


def test_a_replica_is_verified_on_kafka(log: Log, tmp_path: Path) -> None:
    """Its inputs are there, and it may have lost what their retention ended."""
    filled(tmp_path / "replica.db", log).close()
    said = invoke("verify", f"--store={tmp_path / 'replica.db'}")
    assert "what was rated is verified there: rater verify" in str(said.exception)


def test_one_process_writes_a_replica(tmp_path: Path) -> None:
    """A second one is refused."""
    file = ReplicaFile(tmp_path / "replica.db")
    with pytest.raises(RaterError, match="in use by process"):
        ReplicaFile(tmp_path / "replica.db")
    file.close()


def test_a_copy_is_a_replica_too(log: Log, expected: dict[str, object], tmp_path: Path) -> None:
    """So it can be read elsewhere."""
    filled(tmp_path / "replica.db", log).close()
    shutil.copy(tmp_path / "replica.db", tmp_path / "copy.db")
    assert answers(tmp_path / "copy.db") == expected


def test_a_forecast_of_a_replica_is_that_of_a_store(
    log: Log, story: list[tuple[str, str, bytes]], tmp_path: Path
) -> None:
    """The same past and the same state; the rules' settings are those of the deployment."""
    filled(tmp_path / "replica.db", log).close()
    store = embedded(story, tmp_path / "store")
    for tenant in ("tenant-0000", "tenant-0001"):
        replica, of_store = (
            invoke("forecast", tenant, "--format=csv", "--days=14", "--runs=10", f"--store={path}")
            for path in (tmp_path / "replica.db", store)
        )
        assert (replica.exit_code, replica.stdout) == (0, of_store.stdout), replica.output
    wrong = invoke("forecast", "tenant-0000", f"--store={tmp_path / 'replica.db'}", RATER_CLOCK_AHEAD_MAX_H="soon")
    assert "RATER_CLOCK_AHEAD_MAX_H" in str(wrong.exception)
