"""A43: when a file arrived is kept with its position, so that a run that was killed goes on with the same arrival."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from rater.core.settings import RatingSettings
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Store
from rater.engine.gateway import LocalGateway
from rater.files.arrival import Arrival
from rater.files.source import InputFile
from tests.embedded.test_kills import Killed, MortalStore
from tests.embedded.usage import SETUP, run

#: Calls of 2025-03-01, which is more than 36 hours ahead of February.
FEBRUARY, MARCH = datetime(2025, 2, 1, tzinfo=UTC), datetime(2025, 3, 2, tzinfo=UTC)


def call(id: int) -> str:
    return json.dumps(
        {
            "tenant": "contoso",
            "usage_id": f"call-{id}",
            "type": "user_out",
            "user": "ada@contoso.example",
            "answered_at": "2025-03-01T10:00:00Z",
            "duration_s": 61,
            "called": "+12065550100",
        }
    )


def calls(path: Path, first: int, end: int) -> Path:
    with path.open("a") as file:
        file.writelines(call(id) + "\n" for id in range(first, end))
    return path


def consume(folder: Path, *files: InputFile, lives: int = 0) -> EmbeddedRater:
    """Rate files until the process is killed after so many commits; 0: to the end."""
    store = MortalStore(folder / "rater.db")
    try:
        rater = EmbeddedRater(store, RatingSettings(), LocalGateway())
        store.lives = lives
        for file in files:
            rater.consume(file)
        return rater
    finally:
        store.close()


def killed(folder: Path, *files: InputFile, lives: int = 1) -> None:
    with pytest.raises(Killed):
        consume(folder, *files, lives=lives)


def arrivals(folder: Path) -> list[Arrival]:
    """What is kept of inputs with which a run is not through."""
    with closing(sqlite3.connect(folder / "rater.db")) as connection, connection:
        rows = connection.execute("SELECT arrival FROM inputs WHERE arrival IS NOT NULL").fetchall()
    return [msgspec.json.decode(text, type=Arrival) for (text,) in rows]


@pytest.fixture
def small(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a tenant that is set up; batches are of four records."""
    monkeypatch.setattr("rater.embedded.run.BATCH_RECORDS", 4)
    consume(folder, InputFile(str(folder / "setup.jsonl"), "commands"))
    return folder


@pytest.mark.parametrize("arrived", [FEBRUARY, MARCH])
def test_the_rest_of_a_file_arrived_with_its_beginning(small: Path, arrived: datetime) -> None:
    """Killed after the first batch, a run without `--arrived` goes on with what the first one said."""
    path = calls(small / "cdrs.jsonl", 0, 10)
    killed(small, InputFile(str(path), arrived=arrived))
    assert arrivals(small) == [Arrival(arrived, True, path.stat().st_size)]
    rater = consume(small, InputFile(str(path)))
    assert rater.summary.records == 6
    assert rater.summary.rejected == ({"impossible_time": 6} if arrived == FEBRUARY else {})
    assert arrivals(small) == []


def test_the_clock_of_the_run_is_kept_too(small: Path) -> None:
    """The clock is read once a file, however often its run is killed."""
    path = calls(small / "cdrs.jsonl", 0, 20)
    before = datetime.now(UTC)
    killed(small, InputFile(str(path)))
    (first,) = arrivals(small)
    assert before <= first.at <= datetime.now(UTC)
    assert not first.given
    for _ in range(2):
        killed(small, InputFile(str(path)))
        assert arrivals(small) == [first]
    consume(small, InputFile(str(path)))
    assert arrivals(small) == []


def test_a_kill_between_a_payment_and_its_batch_keeps_the_arrival(small: Path) -> None:
    """What was committed before the payment has no position yet; the arrival is there for the rest."""
    (small / "more.jsonl").write_text(
        '{"command":"tenant_configured","tenant":"contoso","id":"r","at":"2025-02-02T00:00:00Z",'
        '"recharge":{"enabled":true,"trigger":"50","amount":"100"}}\n'
        '{"command":"funds_added","tenant":"contoso","id":"f2","at":"2025-02-03T00:00:00Z","amount":"1"}\n'
    )
    killed(small, InputFile(str(small / "more.jsonl"), "commands", arrived=MARCH))
    assert arrivals(small) == [Arrival(MARCH, True, (small / "more.jsonl").stat().st_size)]
    consume(small, InputFile(str(small / "more.jsonl"), "commands"))
    assert arrivals(small) == []


def test_commands_arrived_with_their_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--commands`: a command dated after the arrival that is kept is refused, whenever the run goes on."""
    monkeypatch.setattr("rater.embedded.run.BATCH_RECORDS", 1)
    setup = folder / "setup.jsonl"
    setup.write_text(SETUP)
    killed(folder, InputFile(str(setup), "commands", arrived=datetime(2025, 1, 2, tzinfo=UTC)))
    rater = consume(folder, InputFile(str(setup), "commands"))
    assert (rater.summary.records, rater.summary.rejected) == (3, {"impossible_time": 1})  # the funds of February


def test_what_a_file_gained_since_arrives_with_the_run_that_reads_it(small: Path) -> None:
    """Only what was there arrived then: the lines that were added later are judged by the later clock."""
    path = calls(small / "cdrs.jsonl", 0, 10)
    killed(small, InputFile(str(path), arrived=FEBRUARY))
    calls(path, 10, 15)
    rater = consume(small, InputFile(str(path)))
    assert (rater.summary.records, rater.summary.rejected) == (11, {"impossible_time": 6})


def test_a_file_that_was_read_to_its_end_arrives_anew(small: Path) -> None:
    """Nothing is kept of it; neither where it ends with a batch."""
    path = calls(small / "cdrs.jsonl", 0, 8)
    consume(small, InputFile(str(path), arrived=MARCH))
    assert arrivals(small) == []
    calls(path, 8, 10)
    assert consume(small, InputFile(str(path))).summary.rejected == {}


def test_another_file_under_the_name_arrives_anew(small: Path) -> None:
    """Its beginning is not what was read."""
    path = calls(small / "cdrs.jsonl", 0, 10)
    killed(small, InputFile(str(path), arrived=FEBRUARY))
    path.unlink()
    calls(path, 100, 110)
    rater = consume(small, InputFile(str(path)))
    assert (rater.summary.records, rater.summary.rejected) == (10, {})


def test_who_says_when_the_rest_arrived_is_believed(small: Path) -> None:
    """`--arrived` of the run that goes on is given by a person, and newer."""
    path = calls(small / "cdrs.jsonl", 0, 10)
    killed(small, InputFile(str(path), arrived=FEBRUARY))
    assert consume(small, InputFile(str(path), arrived=MARCH)).summary.rejected == {}


def test_a_position_without_arrival_is_of_an_older_store(folder: Path) -> None:
    """The column is added when the store is opened; what was consumed stays consumed."""
    path = calls(folder / "cdrs.jsonl", 0, 3)
    run(folder, "cdrs.jsonl")
    with closing(sqlite3.connect(folder / "rater.db")) as connection, connection:
        connection.execute("ALTER TABLE inputs DROP COLUMN arrival")
    Store(folder / "rater.db").close()
    assert run(folder, path.name)["records"] == 0


def test_a_compressed_file_has_more_bytes_than_on_the_disk() -> None:
    """As long as it does not change, all of it was there."""
    arrival = Arrival(MARCH, False, 1_000)
    assert arrival.covers(1_000, 50_000)
    assert not arrival.covers(1_200, 50_000)
    assert arrival.covers(1_200, 1_000)
