"""`rater rerate`: the sums first, then calls are rated again with the right price list; A12."""

import csv
import io
import json
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rater.core.inputs import CallRecord
from rater.core.reasons import CallType
from rater.core.settings import RatingSettings
from rater.embedded.rerate import planned
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Store, open_reader
from rater.engine.rerating import Order
from rater.files.deck_csv import read_deck
from rater.wire.codec import encode_input
from tests.commands import rater
from tests.world import DECK, HARARE, LONDON, US, at

MARCH = ("--from", "2025-03-01T00:00:00Z", "--to", "2025-04-01T00:00:00Z")
AT = "2025-03-01T00:00:00Z"
#: Harare 10 minutes at 0.2, London 5 and 1 at 0.05, the United States 2 at 0.01.
CALLS = [(HARARE, 600), (LONDON, 300), (LONDON, 30), (US, 65)]


def written(path: Path, calls: list[tuple[str, int]], version: int = 1) -> None:
    """The calls as records, one a day from 10 March on."""
    lines = [
        encode_input(
            CallRecord(
                tenant="contoso",
                usage_id=f"call-{number}",
                version=version,
                type=CallType.USER_OUT,
                answered_at=at(f"2025-03-{10 + number} 10:00"),
                duration_s=seconds,
                user="ada",
                calling="+14255550100",
                called=called,
            )
        )
        for number, (called, seconds) in enumerate(calls)
    ]
    path.write_bytes(b"\n".join(lines) + b"\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with four calls, rated with a list ten times too dear: 20 + 2.5 + 0.5 + 0.2 = 23.2 of 100."""
    rater("tenant", "add", "contoso", "--currency", "USD", "--credits", "enabled", "--at", AT, cwd=tmp_path, code=0)
    rater("tenant", "fund", "contoso", "100", "--id", "bought", "--at", AT, cwd=tmp_path, code=0)
    rater("tenant", "license", "contoso", "ada", "MCOPSTNPP", "--country", "US", "--at", AT, cwd=tmp_path, code=0)
    (tmp_path / "right.csv").write_bytes(DECK.read_bytes())
    rows = list(csv.DictReader(io.StringIO(DECK.read_text())))
    with (tmp_path / "wrong.csv").open("w", newline="") as file:
        wrong = csv.DictWriter(file, rows[0].keys())
        wrong.writeheader()
        for row in rows:
            whole, _, part = row["price_per_minute"].partition(".")
            wrong.writerow(row | {"price_per_minute": f"{whole}{part[:1] or '0'}.{part[1:] or '0'}"})
    written(tmp_path / "calls.jsonl", CALLS)
    rater("run", "calls.jsonl", "--deck", "wrong.csv", "--arrived", "2025-03-15T00:00:00Z", cwd=tmp_path, code=0)
    return tmp_path


def balance(folder: Path) -> str:
    return str(json.loads(rater("show", "balance", "contoso", "--json", cwd=folder, code=0).stdout)["balance"])


def tables(folder: Path) -> dict[str, list[Any]]:
    with closing(sqlite3.connect(folder / "rater.db")) as connection:
        names = ("decks", "rated-calls", "debits", "entities", "account-events")
        return {name: connection.execute(f'SELECT * FROM "{name}" ORDER BY 1, 2').fetchall() for name in names}


def rerate(folder: Path, *words: str, code: int = 0) -> dict[str, Any]:
    done = rater("rerate", "--deck", "right.csv", "--tenant", "contoso", *MARCH, *words, "--json", cwd=folder, code=code)  # fmt: skip
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_the_sums_come_first_and_change_nothing(folder: Path) -> None:
    """A12: by tenant and destination; 23.2 become 2.32."""
    before = tables(folder)
    sums = rerate(folder, "--dry-run")["sums"]
    columns = ("destination", "old", "new", "difference", "calls", "minutes")
    assert [tuple(line[name] for name in columns) for line in sums] == [
        ("United Kingdom", "3", "0.3", "-2.7", 2, 6),
        ("United States", "0.2", "0.02", "-0.18", 1, 2),
        ("Zimbabwe", "20", "2", "-18", 1, 10),
    ]
    assert tables(folder) == before
    words = ("rerate", "--deck", "right.csv", "--all", *MARCH, "--dry-run")
    shown = rater(*words, cwd=folder, code=0)
    assert "4 calls of 18 minutes: 23.2 -> 2.32 USD, difference -20.88" in shown.stdout
    assert shown.stderr.endswith("nothing was changed\n")
    assert tables(folder) == before


def test_what_was_too_much_comes_back(folder: Path) -> None:
    """A12: 100 - 2.32; the second time there is nothing to do, and the export shows the last rating."""
    assert balance(folder) == "76.8"
    assert rerate(folder, "--yes", "--reason", "ten times too dear")["came"] == {
        "rated_again": 4,
        "done_before": 0,
        "refused": {},
        "waiting": 0,
    }
    assert balance(folder) == "97.68"
    after = tables(folder)
    again = rerate(folder, "--yes")
    assert (again["sums"], again["unchanged"], "came" in again) == ([], 4, False)
    assert tables(folder) == after
    usage = rater("export", "usage", "--tenant", "contoso", cwd=folder, code=0).stdout
    assert [row["Charge"] for row in csv.DictReader(io.StringIO(usage))] == ["2.00", "0.25", "0.05", "0.02"]
    listed = json.loads(rater("show", "calls", "contoso", "--json", cwd=folder, code=0).stdout)
    assert [(call["charge"], call["rating"]) for call in listed if call["usage_id"] == "call-0"] == [
        ("20", "replaced"),
        ("2", "stands"),
    ]
    explained = rater("explain", "call-0", cwd=folder, code=0).stdout
    assert re.search(r"Rated again \(rating 1\) with deck \S+: ten times too dear\.", explained)
    assert explained.count("This rating counts no more") == 1
    assert explained.index("counts no more") < explained.index("of deck") < explained.index("Rated again")


def test_no_terminal_and_no_yes(folder: Path) -> None:
    """A12: it is shown, and refused in one line; nothing is changed."""
    before = tables(folder)
    done = rater("rerate", "--deck", "right.csv", "--all", *MARCH, cwd=folder, code=2)
    assert "Zimbabwe" in done.stdout
    assert done.stderr.splitlines()[-1] == (
        "rater: nothing was changed: no terminal to ask on; look at the sums, then run it with --yes"
    )
    assert tables(folder) == before


def test_a_run_that_ended_in_the_middle_goes_on(folder: Path) -> None:
    """A12: what was rated again stays as it is, and the rest follows."""
    deck = read_deck(folder / "right.csv")
    order = Order(deck.version, None, at("2025-03-01"), at("2025-04-01"), None)
    with closing(open_reader(folder / "rater.db")) as reader:
        plan = planned(reader, RatingSettings(), order, deck)
    with closing(Store(folder / "rater.db")) as store:
        killed = EmbeddedRater(store, RatingSettings(), None)
        killed.publish(deck)
        killed.apply_all(plan.commands[:2], datetime.now(UTC))
    came = rerate(folder, "--yes")
    assert (came["came"]["rated_again"], came["unchanged"], balance(folder)) == (2, 2, "97.68")
    with closing(Store(folder / "rater.db")) as store:
        late = EmbeddedRater(store, RatingSettings(), None)
        outcomes, refused = late.apply_all(plan.commands, datetime.now(UTC))
    assert (dict(outcomes), refused, balance(folder)) == ({"duplicate": 4}, [], "97.68")


def test_corrections_and_duplicates_come_afterwards(folder: Path) -> None:
    """A12: the same file is all duplicates; the next version of a call gives back what the new rating cost."""
    rerate(folder, "--yes")
    rater("run", "--deck", "right.csv", "--accept-changes", cwd=folder, code=0)
    (folder / "again.jsonl").write_bytes((folder / "calls.jsonl").read_bytes() + b"\n")
    written(folder / "corrected.jsonl", [(HARARE, 300)], version=2)
    done = rater("run", "again.jsonl", "corrected.jsonl", "--json", cwd=folder, code=0)
    assert json.loads(done.stdout)["outcomes"] == {"duplicate": 4, "corrected": 1}
    assert balance(folder) == "98.68"  # five minutes to Harare less: 97.68 + 2 - 1


def test_another_deck_in_force_is_reported(folder: Path) -> None:
    """A12: until the right deck is in force, late records and corrections are priced with the wrong one."""
    words = ("rerate", "--deck", "right.csv", "--tenant", "contoso", *MARCH, "--yes")
    assert "which is in force; activate" in rater(*words, cwd=folder, code=0).stderr
    rater("run", "--deck", "right.csv", "--accept-changes", cwd=folder, code=0)
    assert "in force" not in rater(*words, cwd=folder, code=0).stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--deck", "right.csv", *MARCH), "either --tenant TENANT or --all"),
        (("--deck", "right.csv", "--all", "--tenant", "contoso", *MARCH), "either --tenant TENANT or --all"),
        (
            ("--deck", "right.csv", "--all", "--from", "2025-04-01T00:00:00Z", "--to", AT),
            "--to: expected a time after",
        ),
        (("--deck", "right.csv", "--all", "--from", "March", "--to", AT), "--from: expected"),
        (("--deck", "0123456789ab", "--all", *MARCH), "--deck: expected a CSV file or the version of a deck"),
        (("--deck", "none.csv", "--all", *MARCH), "none.csv"),
        (("--deck", "right.csv", "--all", *MARCH, "--store", "none.db"), "none.db: no such store"),
        (("--deck", "right.csv", "--tenant", "contosso", *MARCH), "did you mean contoso?"),
    ],
)
def test_what_cannot_be_asked_for(folder: Path, words: tuple[str, ...], expected: str) -> None:
    """A12: one line says what was expected."""
    done = rater("rerate", *words, cwd=folder)
    assert done.returncode in (1, 2)
    assert len(done.stderr.splitlines()) == 1
    assert expected in done.stderr


def test_a_published_deck_is_named_by_its_version(folder: Path) -> None:
    """A12: the version of a deck that a run was given."""
    rater("run", "--deck", "right.csv", "--accept-changes", cwd=folder, code=0)
    version = read_deck(folder / "right.csv").version
    words = ("rerate", "--deck", version, "--all", *MARCH, "--yes")
    assert "4 calls rated again" in rater(*words, cwd=folder, code=0).stderr
