"""Decimals of currencies in what people see: yen have none, dollars two, Kuwaiti dinars three (A18, ISO 4217)."""

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from openpyxl import load_workbook

from rater.embedded.store import Reader, open_reader
from rater.files.export import write
from rater.files.export_tables import table_of
from rater.ops.top.picture import picture_of
from tests.agents.world import balance
from tests.commands import rater

HEADER = (
    "direction,prefix,destination,country,type,price_per_minute,connection_fee,increment_first_s,increment_next_s,"
    "valid_from,valid_to\n"
)
#: One minute is 12.345 + 0.5 = 12.845.
ROW = "outbound,263,Zimbabwe,ZW,landline,12.345,0.5,60,60,,\n"
SETUP = """\
{{"command":"tenant_configured","tenant":"contoso","id":"s","at":"2025-01-01T00:00:00Z","currency":"{currency}",\
"credits":"enabled","recharge":{{"enabled":true,"trigger":"50","amount":"100"}}}}
{{"command":"funds_added","tenant":"contoso","id":"f","at":"2025-02-01T00:00:00Z","amount":"100"}}
{{"command":"license_assigned","tenant":"contoso","id":"l","at":"2025-01-01T00:00:00Z","user":"ada",\
"sku":"MCOPSTNPP","country":"US"}}
"""
CALL = (
    '{"tenant":"contoso","usage_id":"a","type":"user_out","answered_at":"2025-03-10T10:00:00Z","duration_s":60,'
    '"user":"ada","calling":"+14255550100","called":"+263242700000"}\n'
)
#: Currency -> fee and charge as the usage export shows them, and how Excel shows these, the debit and the balance.
EXPECTED = {
    "JPY": ("1", "13", "0", "0.000"),
    "USD": ("0.50", "12.85", "0.00", "0.000"),
    "KWD": ("0.500", "12.845", "0.000", "0.000"),
}


def said_by(folder: Path, *words: str) -> str:
    done = rater(*words, cwd=folder, code=0, environment={"COLUMNS": "200"})
    return done.stdout + done.stderr


@pytest.fixture(params=EXPECTED)
def rated(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path, str]:
    """A call in a currency: the currency, the folder with its store, and what the run said."""
    currency = str(request.param)
    (tmp_path / "deck.csv").write_text(HEADER + ROW)
    (tmp_path / "setup.jsonl").write_text(SETUP.format(currency=currency))
    (tmp_path / "cdrs.jsonl").write_text(CALL)
    words = ("--commands", "setup.jsonl", "--deck", "deck.csv", "--currency", currency)
    return currency, tmp_path, said_by(tmp_path, "run", "cdrs.jsonl", *words)


@contextmanager
def reading(folder: Path) -> Iterator[Reader]:
    reader = open_reader(folder / "rater.db")
    try:
        yield reader
    finally:
        reader.close()


def export(folder: Path, what: str, format: str) -> Path:
    out = folder / f"{what}.{format}"
    with reading(folder) as reader:
        table = table_of(reader, what, None)
        write(table, table.rows(reader, None, None), format, str(out))
    return out


def test_usage_in_every_format(rated: tuple[str, Path, str]) -> None:
    """A18: fee and charge with the decimals of the currency, half up, in CSV, JSON Lines, Parquet and Excel alike."""
    currency, folder, _ = rated
    fee, charge, shown, _ = EXPECTED[currency]
    with export(folder, "usage", "csv").open(newline="") as lines:
        (row,) = csv.DictReader(lines)
    assert (row["Connection Fee"], row["Charge"], row["Currency"]) == (fee, charge, currency)
    line = json.loads(export(folder, "usage", "jsonl").read_text())
    assert (line["Connection Fee"], line["Charge"]) == (fee, charge)
    (values,) = pq.read_table(export(folder, "usage", "parquet")).to_pylist()
    assert (values["Connection Fee"], values["Charge"]) == (Decimal(fee), Decimal(charge))
    cells = excel(export(folder, "usage", "xlsx"))
    assert [(cells[name].value, cells[name].number_format) for name in ("Connection Fee", "Charge")] == [
        (float(fee), shown),
        (float(charge), shown),
    ]


def test_debits_and_balances_are_exact_in_every_format(rated: tuple[str, Path, str]) -> None:
    """What billing reads is never rounded: 12.845 of any currency, and 100 - 12.845 = 87.155; Excel shows all of it."""
    currency, folder, _ = rated
    exact = EXPECTED[currency][3]
    with export(folder, "debits", "csv").open(newline="") as lines:
        (row,) = csv.DictReader(lines)
    assert (row["amount"], row["balance"], row["currency"]) == ("12.845", "87.155", currency)
    assert Decimal(json.loads(export(folder, "balances", "jsonl").read_text())["balance"]) == Decimal("87.155")
    (values,) = pq.read_table(export(folder, "debits", "parquet")).to_pylist()
    assert (values["amount"], values["balance"]) == (Decimal("12.845"), Decimal("87.155"))
    debit = excel(export(folder, "debits", "xlsx"))
    assert (debit["amount"].value, debit["amount"].number_format) == (12.845, exact)
    stands = excel(export(folder, "balances", "xlsx"))
    assert (stands["balance"].value, stands["balance"].number_format) == (87.155, exact)
    whole = {"JPY": "0", "USD": "0.00", "KWD": "0.000"}[currency]
    assert (stands["recharge_amount"].value, stands["recharge_amount"].number_format) == (100, whole)


def excel(path: Path) -> dict[str, Any]:
    """The cells of the first row below the header, by column."""
    sheet = load_workbook(path).active
    assert sheet is not None
    names, cells = list(sheet.iter_rows())[:2]
    return {str(name.value): cell for name, cell in zip(names, cells, strict=True)}


def test_what_people_read_is_exact_and_names_the_currency(rated: tuple[str, Path, str]) -> None:
    """Summary, tenant, balance, calls and explanation show the ledger's amount, not one with two decimals."""
    currency, folder, said = rated
    assert f"debited: {currency}" in said
    assert "12.845" in said
    for words in (("show", "balance", "contoso"), ("show", "tenant", "contoso")):
        shown = said_by(folder, *words)
        assert currency in shown
        assert "87.155" in shown
    assert "12.845" in said_by(folder, "show", "calls", "contoso")
    assert f"1 x 12.345 + connection fee 0.5 = 12.845 {currency}" in said_by(folder, "explain", "a")


@pytest.mark.parametrize("currency", EXPECTED)
def test_top_shows_exact_balances(currency: str) -> None:
    """The poorest tenants, with the ledger's amount and the currency."""
    (row,) = picture_of([], {"contoso": balance(currency=currency, balance="12.845")}).near_zero
    assert (row.balance, row.currency) == ("12.845", currency)
