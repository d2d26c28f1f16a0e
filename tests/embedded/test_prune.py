"""`rater prune`: what is past its retention is deleted, no money moves, and the rest can still be computed again.

The tables say when rows were written; the tests say that it was long ago.
"""

import json
import sqlite3
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rater.embedded.retention import Daily, retention
from rater.embedded.store import Store
from rater.wire.errors import Exit
from tests.commands import rater
from tests.embedded.test_files import month
from tests.embedded.usage import SETUP
from tests.world import DECK

TODAY = datetime.now(UTC).date()
OLD, RECENT = TODAY - timedelta(days=500), TODAY - timedelta(days=10)
LONDON = {"duration_s": 60, "called": "+442079460000"}


def line(id: str, **more: Any) -> str:
    call = {
        "tenant": "contoso",
        "usage_id": id,
        "type": "user_out",
        "answered_at": "2025-03-01T10:00:00Z",
        "user": "ada@contoso.example",
        "calling": "+14255550100",
    }
    return json.dumps(call | LONDON | more) + "\n"


def rate(folder: Path, name: str, text: str, *words: str, code: int = Exit.OK) -> dict[str, Any]:
    (folder / name).write_text(text)
    ran = rater("run", name, "--json", *words, cwd=folder, code=code)
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def written_on(folder: Path, day: date) -> None:
    """What was written last was written on that day: what the store noted of its last day is of that day."""
    with sqlite3.connect(folder / "rater.db") as store:
        store.execute("UPDATE days SET day=? WHERE day=(SELECT max(day) FROM days)", (day.isoformat(),))
    store.close()


def count(folder: Path, table: str) -> int:
    with sqlite3.connect(folder / "rater.db") as store:
        (found,) = store.execute(f'SELECT count(*) FROM "{table}"').fetchone()
    store.close()
    return int(found)


def ask(folder: Path, *words: str, code: int = Exit.OK) -> Any:
    return json.loads(rater(*words, "--json", cwd=folder, code=code).stdout)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with two calls of 500 days ago, one of which was corrected 10 days ago; 10 - 0.05 - 0.10 = 9.85."""
    (tmp_path / "deck.csv").write_bytes(DECK.read_bytes())
    (tmp_path / "setup.jsonl").write_text(SETUP)
    rate(tmp_path, "old.jsonl", line("a") + line("b"), "--commands", "setup.jsonl", "--deck", "deck.csv")
    written_on(tmp_path, OLD)
    rate(tmp_path, "new.jsonl", line("b", version=2, duration_s=120))
    written_on(tmp_path, RECENT)
    return tmp_path


def test_what_is_past_its_retention_is_deleted(folder: Path) -> None:
    """The inputs and the call of 500 days ago; the call that a kept record corrects stays."""
    kept = retention()
    assert (kept.inputs, kept.letters, kept.records) == (30, 90, 400)
    done = ask(folder, "prune")
    assert done["rows"]["rated-calls"] == 1
    assert [row["UsageId"] for row in exported(folder)] == ["b"]
    assert (count(folder, "rated-calls"), count(folder, "kept-inputs")) == (2, 1)


def exported(folder: Path) -> list[dict[str, Any]]:
    text = rater("export", "usage", "--format", "jsonl", cwd=folder, code=Exit.OK).stdout
    return [json.loads(row) for row in text.splitlines()]


def test_no_money_moves(folder: Path) -> None:
    """The balance, what verify adds up, and the statement, whose opening is what was deleted."""
    ask(folder, "prune")
    assert ask(folder, "show", "balance", "contoso")["balance"] == "9.85"
    verified = ask(folder, "verify", "--store", "rater.db")
    assert (verified["differences"], verified["records"]) == (0, 1)
    assert "rater prune deleted inputs" in verified["not_computed_again"]
    said = json.loads(rater("statement", "contoso", "--format", "json", cwd=folder, code=Exit.OK).stdout)
    assert (said["unexplained"], said["closing"], said["kept_since"] is None) == ("0", "9.85", False)


def test_twice_is_once(folder: Path) -> None:
    """Also on the same day; and calls that come afterwards are computed again from there."""
    ask(folder, "prune")
    assert ask(folder, "prune")["rows"] == {}
    assert rate(folder, "more.jsonl", line("c") + line("b", version=2, duration_s=120))["calls"] == {
        "duplicate": 1,
        "rated": 1,
    }
    assert ask(folder, "prune")["rows"] == {}
    verified = ask(folder, "verify", "--store", "rater.db")
    assert (verified["differences"], verified["records"]) == (0, 3)


def test_a_dry_run_deletes_nothing(folder: Path) -> None:
    """It counts the same."""
    would = ask(folder, "prune", "--dry-run")["rows"]
    assert count(folder, "rated-calls") == 3
    assert ask(folder, "prune")["rows"] == would


@pytest.mark.parametrize("option", ["--keep", "--before"])
def test_what_replays_and_corrections_need_is_kept(folder: Path, option: str) -> None:
    """Fewer days than inputs are kept in Kafka's topics are refused, with the last day that may be said."""
    today = datetime.now(UTC).date()  # the tests of this file may have begun yesterday
    value = {"--keep": "29", "--before": (today - timedelta(days=29)).isoformat()}[option]
    said = rater("prune", option, value, cwd=folder, code=Exit.USAGE).stderr
    assert f"expected at least 30 days, so {today - timedelta(days=30)} or before" in said
    assert count(folder, "rated-calls") == 3


def test_more_days_keep_more(folder: Path) -> None:
    """With 600 days nothing is old enough; with 499 all that one without options deletes."""
    assert ask(folder, "prune", "--keep", "600")["rows"] == {}
    before = (TODAY - timedelta(days=499)).isoformat()
    assert ask(folder, "prune", "--before", before)["rows"]["rated-calls"] == 1


def test_a_record_that_comes_again_after_that_is_known_as_long_as_its_call_is(folder: Path) -> None:
    """Rule 68: within 400 days it is a duplicate, though its input was deleted."""
    written_on(folder, TODAY - timedelta(days=100))
    rate(folder, "middle.jsonl", line("m"))
    written_on(folder, TODAY - timedelta(days=60))
    rate(folder, "last.jsonl", line("l"))
    assert ask(folder, "prune")["rows"]["kept-inputs"] > 0
    assert rate(folder, "again.jsonl", line("m"))["calls"] == {"duplicate": 1}
    assert ask(folder, "verify", "--store", "rater.db")["differences"] == 0


def test_dead_letters_wait_until_somebody_deals_with_them(folder: Path) -> None:
    """One that was dropped goes after 90 days; one that waits stays."""
    written_on(folder, TODAY - timedelta(days=100))
    rate(folder, "bad.jsonl", line("x", called="1") + line("y", called="2"), code=Exit.REFUSED)
    (first, _) = ask(folder, "dlq", "ls")
    rater("dlq", "drop", first["id"], "--note", "test", "--by", "kim", cwd=folder, code=Exit.OK)
    written_on(folder, TODAY - timedelta(days=91))
    rate(folder, "last.jsonl", line("l"))
    assert ask(folder, "prune")["rows"]["rejected-cdrs"] == 1
    assert [letter["state"] for letter in ask(folder, "dlq", "ls", "--all")] == ["waiting"]
    assert ask(folder, "verify", "--store", "rater.db")["differences"] == 0


def test_a_store_that_differs_is_not_pruned(folder: Path) -> None:
    """What somebody changed could not be found afterwards."""
    with sqlite3.connect(folder / "rater.db") as store:
        store.execute("UPDATE debits SET value = replace(value, '0.05', '0.06')")
    store.close()
    said = rater("prune", cwd=folder, code=Exit.FAILED).stderr
    assert "differences from what its inputs give; nothing was deleted" in said
    assert count(folder, "rated-calls") == 3


def test_the_file_becomes_smaller(tmp_path: Path) -> None:
    """A month of 9,000 calls, all but the last rated long ago; from the second time on page by page."""
    month(tmp_path)
    (tmp_path / "deck.csv").write_bytes(DECK.read_bytes())
    rater("run", "cdrs.jsonl", "--commands", "setup.jsonl", "--deck", "deck.csv", cwd=tmp_path, code=Exit.REFUSED)
    written_on(tmp_path, OLD)
    rate(tmp_path, "last.jsonl", line("l", tenant="tenant-0000", user="user000000@tenant-0000.example"))
    done = ask(tmp_path, "prune")
    assert done["bytes_after"] * 2 < done["bytes_before"]
    assert (tmp_path / "rater.db").stat().st_size == done["bytes_after"]
    assert ask(tmp_path, "verify", "--store", "rater.db")["differences"] == 0


def test_a_run_that_watches_prunes_daily(folder: Path) -> None:
    """Where a setting of the store asks for it; once a day, with one line."""
    ask(folder, "prune", "--keep", "600", "--daily")
    said: list[str] = []
    store = Store(folder / "rater.db")
    try:
        Daily(store, said.append).look()
        assert said == []  # pruned today already
        store.set("pruned_on", RECENT.isoformat())
        store.set("keep_days", "30")
        daily = Daily(store, said.append)
        daily.look()
        daily.look()
    finally:
        store.close()
    assert len(said) == 1
    assert "rows deleted" in said[0]
    assert count(folder, "rated-calls") == 2


def test_the_doctor_says_how_large_and_how_old_a_store_is(folder: Path) -> None:
    """And what to type when something is past its retention."""
    (check,) = ask(folder, "doctor", "--store", "rater.db")
    assert (check["name"], check["state"], check["fix"]) == ("store", "warn", "rater prune --store rater.db")
    assert "3 rated calls" in check["cause"]
    shown = rater("doctor", "--store", "rater.db", cwd=folder, code=Exit.OK).stdout
    assert (
        shown.splitlines()[-1] == "store: rater prune --store rater.db"
    )  # a line of its own, so that it can be pasted
    ask(folder, "prune")
    (check,) = ask(folder, "doctor", "--store", "rater.db")
    assert (check["state"], check["fix"]) == ("ok", "")


def test_the_doctor_names_closed_tenants_with_money(folder: Path) -> None:
    """It is to be paid out, or it is owed: here 9.85 were paid out, and 1 came in afterwards."""
    words = ("--reason", "ended", "--by", "kim", "--yes", "--at", "2025-03-20T00:00:00Z")
    rater("tenant", "close", "contoso", "--pay-out", *words, cwd=folder, code=Exit.OK)
    ask(folder, "prune")
    (check,) = ask(folder, "doctor", "--store", "rater.db")
    assert (check["state"], "contoso is closed" in check["cause"]) == ("ok", False)
    rater("tenant", "adjust", "contoso", "1", *words, cwd=folder, code=Exit.OK)
    (check,) = ask(folder, "doctor", "--store", "rater.db")
    assert (check["state"], check["fix"]) == ("warn", "rater statement NAME")
    assert "contoso is closed and 1 USD is to be paid out" in check["cause"]
