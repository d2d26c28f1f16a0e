"""`rater import rates|licenses` and `rater rates lint`: what people have, into what rater takes."""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import orjson
import typer

from rater.contracts.codec import encode_input
from rater.core.inputs import RateDeck
from rater.exits import Exit
from rater.instants import read_instant
from rater.licenses import Licenses
from rater.rates.lint import lint
from rater.rates.price_list import published_toll_free, read_any_deck, write_deck


def register(app: typer.Typer) -> None:
    """Add the commands."""
    imports = typer.Typer(help="Turn price lists and licence lists into what rater takes.", no_args_is_help=True)
    imports.command("rates")(import_rates)
    imports.command("licenses")(import_licenses)
    app.add_typer(imports, name="import")
    rates = typer.Typer(help="Look after rate decks.", no_args_is_help=True)
    rates.command("lint")(lint_rates)
    app.add_typer(rates, name="rates")


def import_rates(
    file: Annotated[Path, typer.Argument(help="A deck in our columns, or a price list.")],
    out: Annotated[Path, typer.Option(help="The deck to write.")],
    more: Annotated[
        list[Path] | None, typer.Option("--with", help="Another deck whose rows are added, e.g. premium numbers.")
    ] = None,
    with_published_toll_free: Annotated[
        bool, typer.Option("--with-published-toll-free", help="Add the published inbound toll-free prices.")
    ] = False,
) -> None:
    """Read a price list, check every row, and write it as a deck.

    Example: rater import rates prices.csv --with premium.csv --with-published-toll-free --out deck.csv
    """
    deck = read_any_deck(file)
    rows = [*deck.rows]
    for path in more or ():
        rows.extend(read_any_deck(path).rows)
    if with_published_toll_free:
        rows.extend(published_toll_free())
    write_deck(RateDeck(version=deck.version, currency=deck.currency, rows=tuple(rows)), out)
    print(f"{out}: {len(rows)} rows; look it over with: rater rates lint {out}", file=sys.stderr)


def import_licenses(
    file: Annotated[Path, typer.Argument(help="CSV with the columns UPN, SKU, Usage country.")],
    tenant: Annotated[str, typer.Option(help="The tenant that assigns them.")],
    at: Annotated[str, typer.Option(help="From when they are effective (RFC 3339).")],
    out: Annotated[Path, typer.Option(help="The commands to write, for rater run --commands.")],
    purchased: Annotated[
        Path | None, typer.Option(help="CSV with the columns SKU, Purchased, to check the counts.")
    ] = None,
) -> None:
    """Turn a list of licence assignments into commands.

    Example: rater import licenses users.csv --tenant contoso --at 2025-03-01T00:00:00Z --out licences.jsonl
    """
    licenses = Licenses(file)
    if purchased is not None:
        licenses.check_purchased(purchased)
    for warning in licenses.warnings:
        print(f"rater: {warning}", file=sys.stderr)
    instant = read_instant("--at", at)
    with out.open("wb") as commands:
        commands.writelines(encode_input(command) + b"\n" for command in licenses.commands(tenant, instant))
    print(f"{out}: {len(licenses.assignments)} licences", file=sys.stderr)


def lint_rates(
    files: Annotated[list[Path], typer.Argument(help="Decks, or price lists.", metavar="FILE...")],
    json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Say what is wrong with a deck; exit 1 if there are errors.

    Example: rater rates lint deck.csv
    """
    found = [(path, finding) for path in files for finding in lint(read_any_deck(path))]
    if json:
        typer.echo(orjson.dumps([{"file": str(path)} | msgspec.to_builtins(finding) for path, finding in found]))
    else:
        for path, finding in found:
            row = f":{finding.row}" if finding.row else ""
            typer.echo(f"{finding.severity}: {path}{row}: {finding.prefix}: {finding.kind}: {finding.message}")
    if any(finding.severity == "error" for _, finding in found):
        raise typer.Exit(Exit.FAILED)
