"""Exports and explanations: what comes out of a store for people and programs."""

import csv
import json
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from openpyxl import load_workbook

from rater.core.settings import RatingSettings
from rater.embedded.gateway import LocalGateway
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Reader, Store, open_reader
from rater.errors import RaterError
from rater.export.files import write
from rater.export.tables import TABLES
from rater.formats.deck_csv import read_deck
from rater.formats.pstn_csv import COLUMNS
from rater.formats.source import InputFile
from rater.report.explain import explain
from tests.world import DECK, GB_SPECIAL, HARARE, NOWHERE, US, World

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
    rater.take(InputFile(str(tmp_path / "setup.jsonl"), "commands"))
    rater.activate("deck-1")
    rater.take(InputFile(str(tmp_path / "cdrs.jsonl")))
    store.close()
    return open_reader(tmp_path / "rater.db")


def export(reader: Reader, what: str, format: str, out: Path) -> Path:
    table = TABLES[what]
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


@pytest.mark.parametrize("what", ["usage", "pools", "debits", "balances"])
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
    assert (pool["Total minutes"], pool["Minutes used"], pool["Percent used"]) == (120, 120, "100.0")


def test_a_place_that_cannot_be_written(reader: Reader, tmp_path: Path) -> None:
    """Bad input: one clear error and no half file."""
    with pytest.raises(RaterError, match="cannot be written"):
        export(reader, "usage", "csv", tmp_path / "nowhere" / "x.csv")
    (tmp_path / ".full.csv.part").symlink_to("/dev/full")
    with pytest.raises(RaterError, match="No space left"):
        export(reader, "usage", "csv", tmp_path / "full.csv")
    assert not list(tmp_path.glob(".*.part"))


def lines(*calls: tuple[str, int], country: str = "US", skus: tuple[str, ...] = ("MCOPSTN5", "MCOPSTNPP")) -> str:
    world = World().user("ada", country, *skus)
    for called, seconds in calls[:-1]:
        world.call(called, seconds)
    return "\n".join(explain(world.call(*calls[-1])))


def test_explain_a_call_that_straddles() -> None:
    """Issue, explain: 301 s = 6 minutes, 118 + 2 = 120 of the pool, 4 x 0.01 from a lot."""
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
        (("911", 60), "US", ("MCOPSTN1",), "1 min free"),
    ],
)
def test_explain(call: tuple[str, int], country: str, skus: tuple[str, ...], said: str) -> None:
    """Issue, explain: every kind of price in words."""
    assert said in lines(call, country=country, skus=skus)
