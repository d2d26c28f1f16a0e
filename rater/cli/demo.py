"""`rater demo`: a month of three tenants, rated and shown."""

import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from rater.core import month_start, parse_period
from rater.dev.demo import story
from rater.dev.demo.chart import Curve, draw
from rater.dev.demo.findings import Findings, find
from rater.dev.demo.show import show_tenant
from rater.embedded.payments import PRETENDED
from rater.embedded.store import Reader, open_reader
from rater.files.export import write
from rater.files.export_tables import table_of
from rater.files.extras import MissingExtraError
from rater.files.statement import statement_of, write_statement

_EXPORTS = (("usage", "csv"), ("usage", "xlsx"), ("pools", "csv"), ("debits", "parquet"), ("balances", "jsonl"))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    out: Annotated[Path, typer.Option(help="A folder that the demo writes anew.")] = Path("demo-output"),
    deck: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A price list instead of the bundled deck.")
    ] = None,
) -> None:
    """Rate a generated month of three tenants and print what happened.

    Example: rater demo
    """
    console = Console(width=110 if not sys.stdout.isatty() else None)
    started = time.monotonic()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    rates, origin = story.prepare_deck(out, deck)
    console.print(f"Rates: {origin}.")
    inputs = story.write_inputs(out, rates)
    summary = story.rate(out, rates, inputs)
    reader = open_reader(out / "rater.db")
    found: list[tuple[str, Findings]] = []
    for tenant, what, _ in story.TENANTS:
        found.append((tenant, find(reader, tenant)))
        show_tenant(console, found[-1][1], what)
    console.rule()
    console.print(
        f"{summary.calls.total():,} call records and {summary.commands.total():,} commands in"
        f" {time.monotonic() - started:.1f} s; call records:"
        f" {', '.join(f'{outcome.value} {count:,}' for outcome, count in sorted(summary.calls.items()))}."
        f" Refused: {', '.join(f'{reason} {count}' for reason, count in sorted(summary.rejected.items()))}."
    )
    console.print(f"{PRETENDED[0].upper()}{PRETENDED[1:]}.")
    for missing in _write_files(reader, found, out):
        console.print(f"Not written: {missing}.", markup=False)
    reader.close()
    store = out / "rater.db"
    console.print(f"Written to {out}/: {', '.join(_written(out))}.")
    console.print(f"Look further: rater show pools contoso --store {store} · rater dlq ls --store {store}")
    console.print("See it as a page: make page (rater dev page)")


def _written(out: Path) -> list[str]:
    """The files to look at, without those that the store keeps for itself."""
    own = ("rater.db-wal", "rater.db-shm", "rater.db.lock")
    return sorted(path.name for path in out.iterdir() if path.name not in own)


def _write_files(reader: Reader, found: list[tuple[str, Findings]], out: Path) -> Iterator[str]:
    """Write tables and the picture; which of them need a library that is not installed."""
    for name, format in _EXPORTS:
        table = table_of(reader, name, None)
        try:
            write(table, table.rows(reader, None, None), format, str(out / f"{name}.{format}"))
        except MissingExtraError as missing:
            yield str(missing)
    month = parse_period(story.MONTH)
    made = statement_of(reader, story.TENANTS[0][0], month_start(month), month_start(month + 1))
    write_statement(made, "html", str(out / "statement.html"))
    curves = [Curve(tenant, month.curve, month.recharged, month.suspended) for tenant, month in found]
    try:
        draw(curves, "USD", out / "balances.png")
    except MissingExtraError as missing:
        yield str(missing)
