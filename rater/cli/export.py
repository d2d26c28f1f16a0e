"""`rater export`: usage, pools, debits, funds, balances or orders to switches as a file."""

import sys
from contextlib import closing
from typing import Annotated, Literal

import typer

from rater.cli.lookup import check_period, known_account
from rater.cli.run import DEFAULT_STORE, StoreOption
from rater.embedded.store import open_reader
from rater.files.export import write
from rater.files.export_tables import table_of

Table = Literal["usage", "pools", "debits", "funds", "balances", "call-commands"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export")(export)


def export(
    what: Annotated[Table, typer.Argument(help="The table.")],
    store: StoreOption = DEFAULT_STORE,
    format: Annotated[Literal["csv", "jsonl", "parquet", "xlsx"], typer.Option(help="The file format.")] = "csv",
    out: Annotated[str, typer.Option(help="The file, or - for standard output (csv, jsonl).")] = "-",
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
    period: Annotated[str | None, typer.Option(help="Only this month (YYYY-MM).")] = None,
) -> None:
    """Write a table to a file.

    Usage: a call stands once. One that was corrected stands as its live version, with what that version cost;
    the reversal of the old one and the debit of the new one are in the debits, which have every entry.
    Without --tenant, and if the store has several, a column Tenant stands before the 20 of a usage export.

    Charges of usage are rounded to the decimals of their currency (cents; yen have none, Kuwaiti dinars three),
    half up, call by call: their sum is not what was debited.
    Exact amounts, all six decimals: rater export debits

    In CSV a text that a spreadsheet would compute, such as =1+1, gets an apostrophe before it; numbers such as
    +14255550100 stay as they are, and the other formats have every text as it is.  To get the text back, remove one
    apostrophe where apostrophes stand before = + - @ or a tab.

    A file is written for its owner alone (0600); one that is replaced keeps its rights.

    Funds: money that is no call's, with the sign with which it moved the balance, who moved it and why.
    Balances: lots counts those that have money left, as rater show balance lists them.

    Example: rater export usage --format xlsx --out usage.xlsx --tenant contoso --period 2025-03
    """
    check_period(period)
    with closing(open_reader(store)) as reader:
        if tenant is not None:
            known_account(reader, tenant)
        table = table_of(reader, what, tenant)
        # Closed before the store is: a reader of the output may have gone before the last row.
        with closing(table.rows(reader, tenant, period)) as rows:
            count = write(table, rows, format, out)
    if out != "-":
        print(f"{out}: {count} rows", file=sys.stderr)
