"""Exports and explanations: what comes out of a store for people and programs."""

import csv
import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from openpyxl import load_workbook

from rater.core.entitlements import new_user, with_license
from rater.core.explanation import explain
from rater.core.settings import RatingSettings
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Reader, Store, open_reader
from rater.engine.gateway import LocalGateway
from rater.files.atomic import whole_file
from rater.files.deck_csv import read_deck
from rater.files.export import write
from rater.files.export_tables import TABLES, table_of
from rater.files.source import InputFile
from rater.files.usage_csv import COLUMNS
from rater.wire.errors import Exit, RaterError
from tests.world import DECK, GB_SPECIAL, HARARE, NOWHERE, US, World, at

SETUP = """\
{"command":"tenant_configured","tenant":"contoso","id":"s","at":"2025-01-01T00:00:00Z","currency":"USD","credits":"enabled"}
{"command":"funds_added","tenant":"contoso","id":"f","at":"2025-02-01T00:00:00Z","amount":"10"}
{"command":"license_assigned","tenant":"contoso","id":"l","at":"2025-01-01T00:00:00Z","user":"ada","sku":"MCOPSTN5","country":"US"}
{"command":"license_assigned","tenant":"contoso","id":"m","at":"2025-01-01T00:00:00Z","user":"ada","sku":"MCOPSTNPP"}
"""
CALL = (
    '{{"tenant":"contoso","usage_id":"{id}","type":"user_out","answered_at":"2025-03-10T10:00:00Z","duration_s":{s},'
    '"version":{v},"user":"ada","calling":"+14255550100","called":"{to}"}}'
)
CALLS = [
    CALL.format(id="a", s=118 * 60, v=1, to=US),
    CALL.format(id="b", s=301, v=1, to=US),
    CALL.format(id="c", s=600, v=1, to=HARARE),
    CALL.format(id="c", s=60, v=2, to=HARARE),
    CALL.format(id="d", s=121, v=1, to="+390612345678"),
]


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    """A store with four calls, one of which was corrected."""
    (tmp_path / "setup.jsonl").write_text(SETUP)
    (tmp_path / "cdrs.jsonl").write_text("\n".join(CALLS) + "\n")
    store = Store(tmp_path / "rater.db")
    rater = EmbeddedRater(store, RatingSettings(), LocalGateway())
    rater.publish(read_deck(DECK, version="deck-1"))
    rater.consume(InputFile(str(tmp_path / "setup.jsonl"), "commands"))
    rater.activate("deck-1")
    rater.consume(InputFile(str(tmp_path / "cdrs.jsonl")))
    store.close()
    return open_reader(tmp_path / "rater.db")


def export(reader: Reader, what: str, format: str, out: Path) -> Path:
    table = table_of(reader, what, None)
    write(table, table.rows(reader, None, None), format, str(out))
    return out


def test_usage_has_the_twenty_columns(reader: Reader, tmp_path: Path) -> None:
    """Rules 2.1, A3, A18: the export's columns, two decimals half up, the version that stands, MCOPSTNPP for money."""
    path = export(reader, "usage", "csv", tmp_path / "usage.csv")
    with path.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert tuple(rows[0]) == COLUMNS
    shown = [(r["UsageId"], r["Duration Seconds"], r["Connection Fee"], r["Charge"], r["Capability"]) for r in rows]
    assert shown == [
        ("a", "7080", "0.00", "0.00", "MCOPSTN5"),
        ("b", "301", "0.00", "0.04", "MCOPSTNPP"),
        ("c", "60", "0.00", "0.20", "MCOPSTNPP"),
        ("d", "121", "0.05", "0.18", "MCOPSTNPP"),
    ]
    assert (rows[0]["Start Time"], rows[0]["Destination Number"]) == ("2025-03-10T10:00:00Z", US)


@pytest.mark.parametrize("what", ["usage", "pools", "debits", "funds", "balances"])
def test_every_format_says_the_same(reader: Reader, tmp_path: Path, what: str) -> None:
    """CSV, JSON Lines, Parquet and Excel hold the same rows; numbers such as +1425... are text, not formulas."""
    names = [name for name, _ in TABLES[what].columns]
    with export(reader, what, "csv", tmp_path / "x.csv").open(newline="") as lines:
        expected = len(list(csv.reader(lines))) - 1
    lines_ = export(reader, what, "jsonl", tmp_path / "x.jsonl").read_text().splitlines()
    parquet = pq.read_table(export(reader, what, "parquet", tmp_path / "x.parquet"))
    sheet = load_workbook(export(reader, what, "xlsx", tmp_path / "x.xlsx")).active
    assert sheet is not None
    cells = list(sheet.iter_rows(values_only=True))
    assert expected == len(lines_) == parquet.num_rows == len(cells) - 1 > 0
    assert names == list(json.loads(lines_[0])) == parquet.column_names == list(cells[0])
    assert not any(cell.data_type == "f" for row in sheet.iter_rows() for cell in row)


def test_debits_and_pools(reader: Reader, tmp_path: Path) -> None:
    """Debits keep all decimals and add up to the balance; pools have the minute-pool report's columns."""
    debits = pq.read_table(export(reader, "debits", "parquet", tmp_path / "d.parquet")).to_pylist()
    assert sum(debit["amount"] for debit in debits) == Decimal("0.04") + Decimal("0.2") + Decimal("0.176")
    (pool,) = map(json.loads, export(reader, "pools", "jsonl", tmp_path / "p.jsonl").read_text().splitlines())
    assert pool["Country"] == "United States (including Puerto Rico)"
    assert (pool["Total minutes"], pool["Minutes used"], pool["Percent used"]) == (120, 120, 100.0)


def test_excel_has_times_and_numbers(reader: Reader, tmp_path: Path) -> None:
    """A time can be reckoned with, a share is a number, and the sheet says what it is."""
    usage = load_workbook(export(reader, "usage", "xlsx", tmp_path / "u.xlsx"))
    assert usage.sheetnames == ["usage"]
    started = usage["usage"].cell(2, COLUMNS.index("Start Time") + 1)
    assert (started.value, started.number_format) == (datetime(2025, 3, 10, 10), 'yyyy-mm-dd"T"hh:mm:ss"Z"')
    pools = load_workbook(export(reader, "pools", "xlsx", tmp_path / "p.xlsx"))
    assert pools["pools"].cell(2, 9).value == 100
    assert pq.read_table(export(reader, "pools", "parquet", tmp_path / "p.parquet"))[
        "Percent used"
    ].to_pylist() == [100]


def test_balances_count_lots_with_money(reader: Reader, tmp_path: Path) -> None:
    """What was used up is no lot of `rater show balance` either."""
    (row,) = map(json.loads, export(reader, "balances", "jsonl", tmp_path / "b.jsonl").read_text().splitlines())
    assert (row["balance"], row["lots"]) == ("9.584000", 1)


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet", "xlsx"])
def test_a_place_that_cannot_be_written(reader: Reader, tmp_path: Path, format: str) -> None:
    """One clear error and no half file: a folder that is not there is a wrong command, a full disk is exit 6."""
    with pytest.raises(RaterError, match="no such folder") as missing:
        export(reader, "usage", format, tmp_path / "nowhere" / "x")
    with pytest.raises(RaterError, match="expected a file, got a folder"):
        export(reader, "usage", format, tmp_path)
    with pytest.raises(RaterError, match="the disk is full, nothing was written") as full:
        export(reader, "usage", format, Path("/dev/full"))
    assert (missing.value.exit, full.value.exit) == (Exit.USAGE, Exit.DISK_FULL)
    # the store, and what it was made of
    assert {path.name.partition(".")[0] for path in tmp_path.iterdir()} == {"rater", "setup", "cdrs"}


def test_of_a_file_that_finds_no_room_nothing_is_kept(tmp_path: Path) -> None:
    """Neither the file nor what was written beside it: here every write finds the disk full."""
    (tmp_path / ".full.part").symlink_to("/dev/full")
    with (
        pytest.raises(RaterError, match="the disk is full, nothing was written"),
        whole_file(tmp_path / "full") as out,
    ):
        out.write("2025-03,4.02\n" * 100_000)
    assert [*tmp_path.iterdir()] == []


def test_a_device_is_written_to_and_not_replaced(reader: Reader, tmp_path: Path) -> None:
    """`--out /dev/null` by root must not make a file of it."""
    export(reader, "usage", "csv", Path("/dev/null"))
    assert Path("/dev/null").is_char_device()


def lines(*calls: tuple[str, int], country: str = "US", skus: tuple[str, ...] = ("MCOPSTN5", "MCOPSTNPP")) -> str:
    world = World().user("ada", country, *skus)
    for called, seconds in calls[:-1]:
        world.call(called, seconds)
    return "\n".join(explain(world.call(*calls[-1])))


def test_explain_a_call_that_straddles() -> None:
    """301 s = 6 minutes, 118 + 2 = 120 of the pool, 4 x 0.01 from a lot."""
    said = lines((US, 118 * 60), (US, 301))
    assert "301 s = 6 minutes (301 / 60, rounded up)" in said
    assert "2 min from pool MCOPSTN5/US-PR/2025-03: 118 + 2 = 120 of 120 used." in said
    assert "4 min from credit: 4 x 0.01 = 0.04 USD, 0.04 from lot funds-1." in said


@pytest.mark.parametrize(
    ("call", "country", "skus", "said"),
    [
        ((GB_SPECIAL, 61), "GB", ("MCOPSTNPP",), "2 x 0.5 + connection fee 0.15 = 1.15 USD"),
        (("+390612345678", 61), "US", ("MCOPSTNPP",), "61 s in increments of 30/6 s at 0.06 a minute"),
        ((NOWHERE, 60), "US", ("MCOPSTNPP",), "no row of the deck matches the number"),
        ((HARARE, 60), "US", ("MCOEV",), "not debited"),
        ((HARARE, 0), "US", ("MCOPSTNPP",), "not connected"),
        ((HARARE, 60), "US", ("MCOPSTNPP",), "60 s = 1 minute (60 / 60, rounded up)"),
        (
            ("+448441234567", 60),
            "GB",
            ("MCOPSTNPP",),
            "prefix 44844 (United Kingdom (premium)) of rater's own list of",
        ),
        (("+448441234567", 60), "GB", ("MCOPSTNPP",), "deck deck-1 has no price for it"),
        (("+448441234567", 60), "GB", ("MCOPSTNPP",), "add a row of type premium with its prefix to the deck"),
        (("911", 60), "US", ("MCOPSTN1",), "1 min free"),
    ],
)
def test_explain(call: tuple[str, int], country: str, skus: tuple[str, ...], said: str) -> None:
    """Every kind of price in words."""
    assert said in lines(call, country=country, skus=skus)


def test_explain_a_licence_that_came_later() -> None:
    """Rules 14, 50: nobody debits a call of 10 March for a licence that is effective from 11 March on, and a note says it."""
    world = World().user("ada", "US")
    world.assign("ada", "MCOPSTNPP", "2025-03-11")
    call = world.call(HARARE, 60, "2025-03-10")
    ada = new_user("ada", "US")
    assert "holds" not in "\n".join(explain(call, ada))
    later = with_license(ada, "MCOPSTNPP", at("2025-03-11"), None)
    note = "Note: ada holds MCOPSTNPP only from 2025-03-11T00:00:00Z on, after this call."
    assert note in "\n".join(explain(call, later))
