"""A store that release 0.3.0 wrote: upgraded once, with a report, and nothing in it is rated again (A51)."""

import csv
import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rater.core.entities import Account, PoolMonth, User
from rater.core.lists import Holders, RestrictedPage, Restrictions
from rater.core.outputs import OUTPUT_TOPICS
from rater.embedded.schema import SCHEMA_VERSION
from rater.embedded.store import Store, open_reader
from rater.wire.errors import Exit
from tests.commands import rater
from tests.upgrade.release import money, records, stored

CALLS = ("PSTN.calls.2025-03.csv", "graph.json", "calls.jsonl")


def run(folder: Path, *args: str) -> dict[str, Any]:
    """`rater run` on the store of 0.3.0; the summary and the messages."""
    done = rater("run", *args, "--tenant", "contoso", "--gateway", "pretend:decline", "--json", cwd=folder)
    assert "Traceback" not in done.stderr, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary | {"said": done.stderr}


def upgraded(folder: Path) -> Path:
    """The store, upgraded as any writer does when it opens it."""
    Store(folder / "rater.db").close()
    return folder / "rater.db"


def test_the_upgrade_is_reported_once(folder: Path) -> None:
    """A51: `rater run` says how much changed and which users became one; the next run reports nothing."""
    said = run(folder)["said"]
    assert "rater.db: state upgraded to rules 2: " in said
    assert (
        "tenant contoso: Ada@Contoso.example and ada@contoso.example, ADA@contoso.example are one user now" in said
    )
    assert "tenant northwind: Dora@Northwind.example and dora@northwind.example are one user now" in said
    assert "5 rated calls are also found by the normal form of their usage id" in said
    assert "upgraded" not in run(folder)["said"]


def test_a_new_store_has_nothing_to_upgrade(tmp_path: Path) -> None:
    """It is of the present rules from its first moment."""
    store = Store(tmp_path / "new.db")
    assert store.upgraded == []
    store.close()
    open_reader(tmp_path / "new.db").close()


def test_money_is_the_same_before_and_after(folder: Path) -> None:
    """Balances, lots and debt of every tenant, to the micro-unit; and every output record, byte for byte."""
    before = money(folder / "rater.db"), {topic: records(folder / "rater.db", topic) for topic in OUTPUT_TOPICS}
    path = upgraded(folder)
    assert (money(path), {topic: records(path, topic) for topic in OUTPUT_TOPICS}) == before


def test_every_input_sent_again_is_a_duplicate(folder: Path) -> None:
    """A41, A42: the calls in every format, and the commands; no call is rated and nothing is debited."""
    calls, debits = records(folder / "rater.db", "rated-calls"), records(folder / "rater.db", "debits")
    upgraded(folder)
    run(folder)  # the payment that nobody had answered
    summary = run(folder, "--deck", "deck.csv", "--commands", "setup.jsonl", *CALLS)
    assert "rated" not in summary["outcomes"]
    assert "corrected" not in summary["outcomes"]
    assert summary["outcomes"]["duplicate"] == 44
    assert records(folder / "rater.db", "rated-calls") == calls
    assert records(folder / "rater.db", "debits") == debits


def test_calls_of_the_former_release_are_rated_again(folder: Path) -> None:
    """A12, A51: a rated call without `rating` has rating 0; and its ratings are counted from there on."""
    run(folder)  # the payment that nobody had answered
    rows = list(csv.DictReader((folder / "deck.csv").read_text().splitlines()))
    with (folder / "dear.csv").open("w", newline="") as file:
        dear = csv.DictWriter(file, rows[0].keys())
        dear.writeheader()
        dear.writerows([row | {"price_per_minute": str(3 * Decimal(row["price_per_minute"]))} for row in rows])
    words = ("--all", "--from", "2025-01-01T00:00:00Z", "--to", "2026-01-01T00:00:00Z", "--yes", "--json")
    first = json.loads(rater("rerate", "--deck", "dear.csv", *words, cwd=folder, code=0).stdout)
    assert first["came"]["rated_again"] == sum(line["calls"] for line in first["sums"]) > 0
    rated = [json.loads(value) for value in records(folder / "rater.db", "rated-calls")]
    assert sum(call.get("rating", 0) == 1 for call in rated) == first["came"]["rated_again"]
    again = json.loads(rater("rerate", "--deck", "dear.csv", *words, cwd=folder, code=0).stdout)
    assert (again["sums"], "came" in again) == ([], False)


def test_users_that_differ_in_case_are_one(folder: Path) -> None:
    """A40: one user by the key of its name, counted once for its plans, with the minutes that both used."""
    found = stored(upgraded(folder))
    users = {name: user.user for (kind, tenant, name), user in found.items() if isinstance(user, User)}
    assert users["ada@contoso.example"] == "Ada@Contoso.example"
    assert users["dora@northwind.example"] == "Dora@Northwind.example"
    assert all(name == name.casefold() for name in users)
    holders = found[("holders", "contoso", "MCOPSTN1/US-PR")]
    assert isinstance(holders, Holders)
    assert (sum(holders.standing.values()), holders.joins, holders.joined) == (1, {}, {})
    own = found[("pool", "northwind", "MCOPSTN8/Dora@Northwind.example/2025-03")]
    assert isinstance(own, PoolMonth)
    assert own.used == 240
    assert ("pool", "northwind", "MCOPSTN8/dora@northwind.example/2025-03") not in found
    assert ("holders", "northwind", "MCOPSTN8/dora@northwind.example") not in found
    assert ("restricted", "northwind", "") not in found
    restricted = found[("restrictions", "northwind", "0")]
    assert restricted == RestrictedPage(("dora@northwind.example", "emil@northwind.example"))
    northwind, dora = found[("account", "northwind", "")], found[("user", "northwind", "dora@northwind.example")]
    assert isinstance(northwind, Account)
    assert northwind.restrictions == Restrictions(users=2, listed=2)
    assert isinstance(dora, User)
    assert dora.user == "Dora@Northwind.example"
    assert str(dora.restricted_since) == "2025-03-02 12:02:00+00:00", "the earlier of 12:02 and 15:05"


@pytest.mark.parametrize("user", ["dora@northwind.example", "DORA@NORTHWIND.EXAMPLE"])
def test_a_correction_gives_the_minutes_back_to_the_one_user(folder: Path, user: str) -> None:
    """A12: the minutes that a call took under a spelling of its own go back to the pool as it is named now."""
    call = {
        "tenant": "northwind", "usage_id": "n-2", "version": 2, "type": "user_out", "user": user,
        "answered_at": "2025-03-02T13:00:00Z", "duration_s": 0, "calling": "+14255550200", "called": "+12065550100",
    }  # fmt: skip
    (folder / "correction.jsonl").write_text(json.dumps(call) + "\n")
    assert run(folder, "correction.jsonl")["outcomes"]["corrected"] == 1
    own = stored(folder / "rater.db")[("pool", "northwind", "MCOPSTN8/Dora@Northwind.example/2025-03")]
    assert isinstance(own, PoolMonth)
    assert own.used == 120


def test_usage_ids_are_found_in_every_spelling(folder: Path) -> None:
    """A41: as they were spelled when they were rated, and in the normal form."""
    reader = open_reader(upgraded(folder))
    spellings = ("{9C4984C7-6C3C-427D-A30C-BD0B2EACEE90}", "9c4984c7-6c3c-427d-a30c-bd0b2eacee90")
    assert [len(reader.rated_calls(spelling)) for spelling in spellings] == [1, 1]
    reader.close()


def test_the_store_can_be_shown_and_exported(folder: Path) -> None:
    """`rater show` and `rater export` read what 0.3.0 wrote, once it is upgraded."""
    upgraded(folder)
    for args in (
        ("show", "balance", "contoso"),
        ("show", "tenant", "contoso"),
        ("show", "pools", "northwind"),
        ("explain", "{9C4984C7-6C3C-427D-A30C-BD0B2EACEE90}"),
        ("export", "usage"),
        ("export", "debits"),
    ):
        done = rater(*args, cwd=folder)
        assert (done.returncode, done.stderr) == (Exit.OK, ""), args


def test_a_reader_gets_how_to_upgrade(folder: Path) -> None:
    """One line, and the file stays as it was."""
    before = (folder / "rater.db").read_bytes()
    done = rater("show", "tenant", "contoso", cwd=folder)
    assert done.returncode == Exit.USAGE
    assert done.stderr == (
        "rater: rater.db: written by an older rater (rules 1, this one has 2); `rater run --store rater.db` upgrades"
        " it; nothing was changed\n"
    )
    assert (folder / "rater.db").read_bytes() == before


def test_an_upgrade_that_is_broken_off_leaves_the_store_as_it_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is one transaction: begun again, it does the same."""

    def killed(connection: sqlite3.Connection) -> int:
        raise KeyboardInterrupt

    before = stored(folder / "rater.db")
    with monkeypatch.context() as broken:
        broken.setattr("rater.embedded.upgrade._rename_calls", killed)
        with pytest.raises(KeyboardInterrupt):
            Store(folder / "rater.db")
    assert stored(folder / "rater.db") == before
    assert "state upgraded to rules 2" in run(folder)["said"]


def moved(folder: Path) -> None:
    """Positions of 0.3.0 as they would be had it run in this folder: it kept whole paths, and no tenant."""
    with closing(sqlite3.connect(folder / "rater.db")) as connection, connection:
        for (name,) in connection.execute("SELECT name FROM inputs").fetchall():
            here = str((folder / Path(name).name).resolve())
            connection.execute("UPDATE inputs SET name=? WHERE name=?", (here, name))


def records_read(folder: Path, tenant: str, *files: str) -> int:
    done = rater("run", *files, "--tenant", tenant, "--gateway", "none", "--json", cwd=folder)
    return int(json.loads(done.stdout)["records"])


def test_files_that_0_3_0_consumed_are_not_read_again(folder: Path) -> None:
    """For the tenant with calls of them; of files that name their tenants, for all."""
    moved(folder)
    assert records_read(folder, "contoso", *CALLS) == 0
    done = rater("run", "calls.jsonl", "--gateway", "none", "--json", cwd=folder)
    assert json.loads(done.stdout)["records"] == 0


def test_a_file_that_0_3_0_read_for_another_tenant_is_read_for_the_right_one(folder: Path) -> None:
    """Who mistyped `--tenant` gives the file again: its calls are rated for this tenant, once."""
    moved(folder)
    rows = len((folder / CALLS[0]).read_text().splitlines()) - 1
    before = len(records(folder / "rater.db", "rated-calls"))
    assert records_read(folder, "northwind", CALLS[0]) == rows
    assert len(records(folder / "rater.db", "rated-calls")) > before
    assert records_read(folder, "northwind", CALLS[0]) == 0
    assert records_read(folder, "contoso", CALLS[0]) == 0


def test_a_file_of_which_0_3_0_rated_nothing_is_read_again(folder: Path) -> None:
    """All its rows were refused, since nobody had configured the mistyped tenant: now they are rated."""
    moved(folder)
    rows = (folder / CALLS[0]).read_text().splitlines()
    again = folder / "mistyped.csv"
    again.write_text("\n".join([rows[0], rows[1].replace(rows[1].split(",")[0], "other-call")]) + "\n")
    assert records_read(folder, "cotnoso", again.name) == 1
    with closing(sqlite3.connect(folder / "rater.db")) as connection, connection:
        connection.execute("UPDATE inputs SET name=? WHERE name LIKE '%mistyped.csv%'", (str(again.resolve()),))
    assert records_read(folder, "contoso", again.name) == 1
    reader = open_reader(folder / "rater.db")
    assert len(reader.rated_calls("other-call", "contoso")) == 1
    reader.close()


def test_going_back_is_refused(folder: Path) -> None:
    """Release 0.3.0 knows stores up to version 2 and says of a higher one: written by a newer rater, exit 5."""
    with closing(sqlite3.connect(upgraded(folder))) as connection, connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION > 2
