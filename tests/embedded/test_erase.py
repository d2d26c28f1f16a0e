"""`rater erase` on a store: no name is left in the file, no money moves, and what comes later is recognised."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rater.core.money import parse_ledger
from rater.core.outputs import Debit
from rater.embedded.store import open_reader
from rater.wire.errors import Exit
from tests.commands import rater
from tests.world import DECK

DIRECTORY = "db03c14b-06eb-4189-939b-7cbf3a20ba27"
SETUP = f"""\
{{"command":"tenant_configured","tenant":"contoso","id":"s","at":"2025-01-01T00:00:00Z","currency":"USD",\
"credits":"enabled","domains":["contoso.example"]}}
{{"command":"funds_added","tenant":"contoso","id":"f","at":"2025-02-01T00:00:00Z","amount":"10"}}
{{"command":"user_configured","tenant":"contoso","id":"u","at":"2025-01-01T00:00:00Z","user":"Ada@contoso.example",\
"object_id":"{DIRECTORY}"}}
{{"command":"license_assigned","tenant":"contoso","id":"l1","at":"2025-01-01T00:00:00Z","user":"ada@contoso.example",\
"sku":"MCOPSTN8","country":"US"}}
{{"command":"license_assigned","tenant":"contoso","id":"l2","at":"2025-01-01T00:00:00Z","user":"ada@contoso.example",\
"sku":"MCOPSTNPP","country":"US"}}
{{"command":"license_assigned","tenant":"contoso","id":"l3","at":"2025-01-01T00:00:00Z","user":"bob@contoso.example",\
"sku":"MCOPSTN1","country":"US"}}
{{"command":"brake_configured","tenant":"contoso","id":"b","at":"2025-01-01T00:00:00Z","brake":"daily","scope":"user",\
"measure":"spend","window":"day","limit":"0.5","mode":"stop","only":"ada@contoso.example"}}
"""
CALL = {
    "tenant": "contoso",
    "type": "user_out",
    "answered_at": "2025-03-01T10:00:00Z",
    "duration_s": 61,
    "user": "ada@contoso.example",
    "calling": "+14255550100",
    "called": "+12065550123",
    "user_object_id": DIRECTORY,
    "user_display_name": "Ada Lovelace",
}
#: Calls of ada, in her pool and to London at 0.05 a minute, and of bob, who calls her address and a number.
CALLS = (
    {"usage_id": "c1"},
    {"usage_id": "c2", "duration_s": 610, "called": "+442079460123"},
    {
        "usage_id": "c3",
        "user": "bob@contoso.example",
        "called": "sip:ada@contoso.example",
        "calling": "+14255550199",
    },
    {"usage_id": "c4", "user": "bob@contoso.example", "called": "+12065550124", "calling": "+14255550199"},
)
#: What says who it was: names, ids, addresses, subscribers' numbers.
WHO = ("ada@", "lovelace", DIRECTORY, DIRECTORY.replace("-", ""), "5550100", "5550123", "79460123")


def lines(*calls: dict[str, Any]) -> str:
    base = {name: value for name, value in CALL.items() if not name.startswith("user_")}
    return "".join(
        json.dumps((CALL if "user" not in call else base) | call, separators=(",", ":")) + "\n" for call in calls
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with ada's and bob's calls of March."""
    (tmp_path / "deck.csv").write_bytes(DECK.read_bytes())
    (tmp_path / "setup.jsonl").write_text(SETUP)
    (tmp_path / "cdrs.jsonl").write_text(lines(*CALLS))
    rater("run", "cdrs.jsonl", "--commands", "setup.jsonl", "--deck", "deck.csv", cwd=tmp_path, code=Exit.OK)
    return tmp_path


def erase(folder: Path, *words: str, code: int = Exit.OK) -> dict[str, Any]:
    done = rater(
        "erase", "contoso", "ada@contoso.example", "--reason", "request 4711", "--by", "kim", "--json", *words,
        cwd=folder, code=code,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout) if code == Exit.OK else {}
    return found | {"said": done.stderr}


def debited(folder: Path) -> list[int]:
    """Every debit in micro-units, in order."""
    reader = open_reader(folder / "rater.db")
    try:
        return [parse_ledger(msgspec.json.decode(value, type=Debit).amount) for _, value in reader.topic("debits")]
    finally:
        reader.close()


def balance(folder: Path) -> str:
    found: str = json.loads(rater("show", "balance", "contoso", "--json", cwd=folder, code=Exit.OK).stdout)[
        "balance"
    ]
    return found


def bytes_of(folder: Path) -> bytes:
    """All files of the store, in lower case."""
    return b"".join(path.read_bytes() for path in sorted(folder.glob("rater.db*"))).lower()


def usage(folder: Path) -> list[dict[str, Any]]:
    lines = rater("export", "usage", "--format", "jsonl", cwd=folder, code=Exit.OK).stdout.splitlines()
    return [json.loads(line) for line in lines]


def test_without_yes_nothing_is_done(folder: Path) -> None:
    """It says what would be done, and what stays."""
    before = (folder / "rater.db").read_bytes()
    found = erase(folder)
    assert found["rows"] == {"rated-calls": 3, "debits": 1, "account-events": 4, "service-states": 1}
    assert found["names"] == ["ada@contoso.example", "Ada@contoso.example", DIRECTORY]
    assert any("billing law" in line for line in found["remarks"])
    assert (folder / "rater.db").read_bytes() == before


def test_no_name_is_left_in_the_file(folder: Path) -> None:
    """Not in rows, not in free pages, not in the log beside it; bob's call is whole."""
    assert all(word.encode() in bytes_of(folder) for word in ("ada@", "lovelace", DIRECTORY))
    erase(folder, "--yes")
    assert [word for word in WHO if word.encode() in bytes_of(folder)] == []
    assert b"+12065550124" in bytes_of(folder)


def test_no_money_moves(folder: Path) -> None:
    """10 - 11 minutes x 0.05 = 9.45, before and after; each debit is the same, and verify finds no difference."""
    before = debited(folder)
    assert (balance(folder), sum(before)) == ("9.45", 550_000)
    erase(folder, "--yes")
    assert (balance(folder), debited(folder)) == ("9.45", before)
    verified = json.loads(rater("verify", "--store", "rater.db", "--json", cwd=folder, code=Exit.OK).stdout)
    assert verified["differences"] == 0
    assert "a user was erased then" in verified["not_computed_again"]


def test_sums_by_user_stay(folder: Path) -> None:
    """All of ada's calls are under one name, as before, with their charges."""
    before = [row["Charge"] for row in usage(folder) if row["UPN"].casefold() == "ada@contoso.example"]
    erase(folder, "--yes")
    names = {row["UPN"] for row in usage(folder)} - {"bob@contoso.example"}
    assert len(names) == 1
    assert [row["Charge"] for row in usage(folder) if row["UPN"] in names] == before


def test_twice_is_once(folder: Path) -> None:
    """By the old name, which only its hash is kept of."""
    erase(folder, "--yes")
    before = usage(folder)
    assert set(erase(folder, "--yes")["rows"].values()) == {0}
    assert usage(folder) == before
    assert [word for word in WHO if word.encode() in bytes_of(folder)] == []


def test_records_that_come_later(folder: Path) -> None:
    """The same file again is a duplicate, a correction is one, a new call is the pseudonym's; verify computes them."""
    erase(folder, "--yes")
    later = lines(
        CALLS[0], CALLS[1] | {"version": 2, "duration_s": 60}, {"usage_id": "c5", "called": "+442079460125"}
    )
    (folder / "later.jsonl").write_text(later)
    ran = rater("run", "later.jsonl", "--json", cwd=folder, code=Exit.OK)
    assert json.loads(ran.stdout)["calls"] == {"corrected": 1, "duplicate": 1, "rated": 1}
    assert balance(folder) == "9.85"  # 10 - 0.05 - 2 x 0.05
    assert all(row["UPN"].startswith("erased-") for row in usage(folder) if row["UsageId"] == "c5")
    verified = json.loads(rater("verify", "--store", "rater.db", "--json", cwd=folder, code=Exit.OK).stdout)
    assert (verified["differences"], verified["records"]) == (0, 3)


def test_dead_letters_that_wait_come_first(folder: Path) -> None:
    """Erased, they could never be rated; one that was dropped keeps its reason and loses its bytes."""
    (folder / "bad.jsonl").write_text(lines({"usage_id": "bad", "called": "12345"}))
    rater("run", "bad.jsonl", cwd=folder, code=Exit.REFUSED)
    before = usage(folder)
    assert "1 dead letters of this user wait" in erase(folder, "--yes", code=Exit.FAILED)["said"]
    assert usage(folder) == before
    rater("dlq", "drop", "--all", "--note", "test", "--by", "kim", cwd=folder, code=Exit.OK)
    assert erase(folder, "--yes")["rows"]["rejected-cdrs"] == 1
    assert [word for word in WHO if word.encode() in bytes_of(folder)] == []
    (letter,) = json.loads(rater("dlq", "ls", "--all", "--json", "--reveal", cwd=folder, code=Exit.OK).stdout)
    assert (letter["reason"], letter["state"], letter["raw"]) == ("not_e164", "dropped", "")


def test_a_store_that_differs_is_not_erased(folder: Path) -> None:
    """What somebody changed could not be found any more afterwards."""
    with sqlite3.connect(folder / "rater.db") as store:
        store.execute("UPDATE debits SET value = replace(value, '0.55', '0.56')")
    store.close()
    before = usage(folder)
    assert "differences from what its inputs give" in erase(folder, "--yes", code=Exit.FAILED)["said"]
    assert usage(folder) == before


def test_a_checkpoint_that_was_changed_is_found(folder: Path) -> None:
    """Its state has a hash."""
    erase(folder, "--yes")
    with sqlite3.connect(folder / "rater.db") as store:
        store.execute("DELETE FROM \"base-entities\" WHERE kind = 'pool'")
    store.close()
    found = rater("verify", "--store", "rater.db", cwd=folder, code=Exit.FAILED)
    assert "checkpoint: expected a state with digest" in found.stdout


def test_a_tenant_that_is_not_there(folder: Path) -> None:
    """It is refused; a user that is not there is erased for the future."""
    assert "no such tenant" in rater("erase", "contos", "ada", cwd=folder, code=Exit.FAILED).stderr
    rater("erase", "contoso", "eve@contoso.example", "--yes", cwd=folder, code=Exit.OK)
    (folder / "eve.jsonl").write_text(lines({"usage_id": "e", "user": "Eve@contoso.example"}))
    rater("run", "eve.jsonl", cwd=folder, code=Exit.OK)
    assert usage(folder)[-1]["UPN"].startswith("erased-")
