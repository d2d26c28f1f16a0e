"""A store's ledger is computed again from its own inputs, and every byte is compared; its file is copied whole."""

import json
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from rater.core import Outcome
from rater.embedded.store import Store
from rater.embedded.verify import verify_store
from rater.wire.errors import Exit
from tests.commands import rater
from tests.conftest import ROOT

RUN = (
    "run",
    "--commands",
    "g/commands.jsonl",
    "--deck",
    "deck.csv",
    "--gateway",
    "pretend",
    "--json",
    "g/cdrs.jsonl",
)


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rated: 400 calls of two tenants with recharges, duplicates, corrections and records that do not decode."""
    folder = tmp_path_factory.mktemp("month")
    (folder / "deck.csv").write_bytes((ROOT / "tests" / "fixtures" / "deck.csv").read_bytes())
    generated = ("--calls", "400", "--users", "8", "--tenants", "2", "--funds", "60", "--poison", "0.02")
    rater("generate", "--out", "g", "--duplicates", "0.1", *generated, cwd=folder, code=0)
    rater(*RUN, cwd=folder, code=Exit.REFUSED)
    return folder


@pytest.fixture
def folder(month: Path, tmp_path: Path) -> Path:
    """A copy of the month's store, of one's own."""
    rater("backup", tmp_path / "rater.db", cwd=month, code=0)
    (tmp_path / "g").symlink_to(month / "g")
    (tmp_path / "deck.csv").symlink_to(month / "deck.csv")
    return tmp_path


def change(folder: Path, statement: str, *values: object) -> None:
    """What somebody does to the file with another program."""
    with closing(sqlite3.connect(folder / "rater.db", isolation_level=None)) as connection:
        connection.execute(statement, values)


def test_a_backup_has_the_same_ledger_and_is_its_owners_alone(folder: Path) -> None:
    """It was made by `rater backup`: nothing differs, nothing lies beside it, and rating goes on with it."""
    store = folder / "rater.db"
    assert stat.S_IMODE(store.stat().st_mode) == 0o600
    done = rater("verify", "--store", "rater.db", "--json", cwd=folder, code=0)
    report = json.loads(done.stdout)
    assert (report["differences"], report["not_computed_again"]) == (0, None)
    assert report["records"] == sum(report["outcomes"].values()) > 400
    again = json.loads(rater(*RUN, cwd=folder, code=0).stdout)
    assert (again["records"], again["already_rated"]) == (0, ["g/cdrs.jsonl"])


def test_a_backup_while_a_run_writes_is_of_one_moment(folder: Path) -> None:
    """Half of a transaction is not copied; a copy onto the store itself, or onto one in use, is refused."""
    with closing(sqlite3.connect(folder / "rater.db", isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM debits")
        rater("backup", "copy.db", cwd=folder, code=0)
        done = rater("backup", "other.db", "--store", "copy.db", cwd=folder, code=0)
        assert "verified" in done.stderr
        assert "itself" in rater("backup", "rater.db", cwd=folder, code=Exit.USAGE).stderr
        in_use = rater("backup", "rater.db", "--store", "copy.db", cwd=folder, code=Exit.USAGE)
        assert "a store that is in use" in in_use.stderr
        writer.execute("ROLLBACK")
    assert verify_store(folder / "copy.db").found == 0


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM debits WHERE offset = 5", "debits:6: expected"),
        ('UPDATE debits SET value = replace(value, \'"amount":"\', \'"amount":"1\')', "debits:"),
        ("DELETE FROM entities WHERE kind = 'pool'", "state: pool"),
        ('UPDATE "rated-calls" SET value = replace(value, \'"minutes":2\', \'"minutes":3\')', "rated-calls:"),
        ('DELETE FROM "rejected-cdrs" WHERE offset = (SELECT max(offset) FROM "rejected-cdrs")', "missing"),
        ("INSERT INTO recharges (tenant, key, value) VALUES ('tenant-0000', 'x', '{}')", "no kept input causes it"),
    ],
)
def test_a_changed_ledger_is_found(folder: Path, statement: str, said: str) -> None:
    """Exit 1; the first difference says where."""
    change(folder, statement)
    done = rater("verify", "--store", "rater.db", cwd=folder, code=Exit.FAILED)
    assert said in done.stdout


def test_files_of_every_format_letters_and_settings_are_replayed(folder: Path) -> None:
    """A usage export, its refused rows after a fix, a longer limit, and time that passes."""
    rows = (
        "UsageId,User Principal Name,Call Type,Start Time,End Time,Duration Seconds,"
        "Destination Number,Caller Number\n"
        "a1,ada@new.example,user_out,2025-03-10T10:00:00Z,2025-03-10T10:02:00Z,120,+14255550100,+14255550101\n"
        "a2,ada@new.example,user_out,2025-03-10T10:00:00Z,2025-03-11T10:02:00Z,86520,+14255550100,+14255550101\n"
        "a3,ada@new.example,user_out,yesterday,2025-03-10T10:02:00Z,120,+14255550100,+14255550101\n"
    )
    (folder / "usage.csv").write_text(rows)
    rater("run", "usage.csv", "--tenant", "new", cwd=folder)
    configured = {"tenant": "new", "id": "1", "at": "2025-03-01T00:00:00Z", "command": "tenant_configured"}
    (folder / "new.jsonl").write_text(json.dumps(configured | {"currency": "USD", "country": "US"}) + "\n")
    rater("run", "--commands", "new.jsonl", cwd=folder)
    rater("dlq", "replay", cwd=folder)
    rater("run", "--call-duration-max-s", "90000", cwd=folder, code=0)
    rater("dlq", "replay", cwd=folder)
    rater("run", "--until", "2025-05-01T00:00:00Z", cwd=folder, code=0)
    report = verify_store(folder / "rater.db")
    assert report.findings == []
    assert report.outcomes[Outcome.RATED] > 350


def test_what_the_inputs_of_a_store_cost(folder: Path) -> None:
    """At most 150 bytes a record: a compressed block for each batch; a rated call has some 850."""
    with closing(sqlite3.connect(folder / "rater.db")) as connection:
        records, size = connection.execute('SELECT sum(records), sum(length(value)) FROM "kept-inputs"').fetchone()
    assert records > 400
    assert size <= 150 * records


def test_a_store_of_an_older_release_is_added_up_and_replayed_from_its_upgrade_on(folder: Path) -> None:
    """It kept no inputs: what it has is the base, and what comes is computed again."""
    for table in ("kept-inputs", "base-entities", "base-seen"):
        change(folder, f'DROP TABLE "{table}"')
    change(folder, "DELETE FROM settings WHERE name = 'kept_base'")
    done = rater("verify", "--store", "rater.db", cwd=folder, code=0)
    assert "the store keeps no inputs" in done.stderr
    rater("run", "--until", "2025-05-01T00:00:00Z", cwd=folder, code=0)
    done = rater("verify", "--store", "rater.db", cwd=folder, code=0)
    assert "rated calls were added up, not computed again: an older release rated them" in done.stderr
    change(folder, "DELETE FROM debits WHERE offset = 5")
    assert "credits less debits are" in rater("verify", "--store", "rater.db", cwd=folder, code=1).stdout


@pytest.mark.parametrize("command", ["show tenant tenant-0000", "verify", "backup copy.db", "export usage", "run"])
def test_a_damaged_store_is_one_line_with_what_to_do(folder: Path, command: str) -> None:
    """Pages in the middle are not what was written; nothing is printed but the line, and its exit code is 10."""
    store = folder / "rater.db"
    whole = bytearray(store.read_bytes())
    for page in range(16_384, len(whole), 16_384):
        whole[page : page + 64] = b"\xff" * 64
    store.write_bytes(whole)
    done = rater(*command.split(), "--store", "rater.db", cwd=folder, code=Exit.STORE_DAMAGED)
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("rater: rater.db: damaged (")
    assert "`rater backup`" in done.stderr


@pytest.mark.parametrize("command", ["show tenant tenant-0000", "verify", "backup copy.db", "dlq ls"])
def test_an_empty_store_is_one_line_with_what_to_do(folder: Path, command: str) -> None:
    """A file of no bytes, as a full disk leaves it."""
    (folder / "rater.db").write_bytes(b"")
    done = rater(*command.split(), "--store", "rater.db", cwd=folder, code=Exit.USAGE)
    assert done.stderr.startswith("rater: rater.db: empty; ")
    assert done.stderr.count("\n") == 1


def test_a_run_writes_again_into_a_store_that_a_killed_one_left_empty(folder: Path) -> None:
    """Between making the file and its tables: the next run makes them."""
    (folder / "rater.db").write_bytes(b"")
    opened = Store(folder / "rater.db")
    try:
        assert opened.tenants() == []
    finally:
        opened.close()
