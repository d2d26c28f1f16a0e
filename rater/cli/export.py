"""`rater export`: usage, pools, debits, balances or orders to switches as a file."""

import sys
from typing import Annotated, Literal

import typer

from rater.cli.run import DEFAULT_STORE, StoreOption
from rater.embedded.store import open_reader
from rater.export.files import write
from rater.export.tables import TABLES


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export")(export)


def export(
    what: Annotated[
        Literal["usage", "pools", "debits", "balances", "call-commands"], typer.Argument(help="The table.")
    ],
    store: StoreOption = DEFAULT_STORE,
    format: Annotated[Literal["csv", "jsonl", "parquet", "xlsx"], typer.Option(help="The file format.")] = "csv",
    out: Annotated[str, typer.Option(help="The file, or - for standard output (csv, jsonl).")] = "-",
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
    period: Annotated[str | None, typer.Option(help="Only this month (YYYY-MM).")] = None,
) -> None:
    """Write a table to a file.

    Usage: a call stands once. One that was corrected stands as its live version, with what that version cost;
    the reversal of the old one and the debit of the new one are in the debits, which have every entry.

    Example: rater export usage --format xlsx --out usage.xlsx --tenant contoso --period 2025-03
    """
    reader = open_reader(store)
    try:
        table = TABLES[what]
        rows = write(table, table.rows(reader, tenant, period), format, out)
    finally:
        reader.close()
    if out != "-":
        print(f"{out}: {rows} rows", file=sys.stderr)
