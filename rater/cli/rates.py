"""`rater import rates|licenses` and `rater rates lint`: what people have, into what rater reads."""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import orjson
import typer

from rater.cli import rate_decks, unreadable_decks
from rater.cli.list_options import Column, DecimalMark, Rounded, list_options
from rater.cli.written_options import Encoding, Times, Zone
from rater.core import RateDeck
from rater.files.atomic import whole_file
from rater.files.deck_csv import write_deck
from rater.files.deck_lint import Finding, lint
from rater.files.licenses import Licenses
from rater.files.price_list import read_any_deck, read_price_list
from rater.files.toll_free import PUBLISHED, published_toll_free, what_is_priced
from rater.files.toll_free import toll_free_elsewhere as elsewhere_row
from rater.wire.codec import encode_input
from rater.wire.errors import Exit
from rater.wire.instants import read_instant

#: Of each kind of warning; a price list may have hundreds.
FEW_WARNINGS = 3

More = Annotated[
    list[Path] | None, typer.Option("--with", help="Another deck whose rows are added, e.g. premium numbers.")
]
PublishedTollFree = Annotated[
    bool,
    typer.Option(
        "--with-published-toll-free",
        help="Add the inbound toll-free prices that are published, in USD: of calls from"
        f" {', '.join(PUBLISHED)}; from US and CA by the list's own area codes."
        "  None is published for other countries, also those that share +1.",
    ),
]
TollFreeElsewhere = Annotated[
    str | None,
    typer.Option(
        help="Your own price per minute of toll-free calls from countries without a row, and from withheld"
        " numbers; without it such calls are rated free with an exception.",
        metavar="PRICE",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    imports = typer.Typer(help="Turn price lists and licence lists into what rater reads.", no_args_is_help=True)
    imports.command("rates")(import_rates)
    imports.command("licenses")(import_licenses)
    app.add_typer(imports, name="import")
    rates = typer.Typer(help="Look after rate decks.", no_args_is_help=True)
    rates.command("lint")(lint_rates)
    rate_decks.register(rates)
    rates.command("remove-unreadable")(unreadable_decks.remove)
    app.add_typer(rates, name="rates")


def import_rates(
    file: Annotated[Path, typer.Argument(help="A deck in our columns, or a price list.")],
    out: Annotated[Path, typer.Option(help="The deck to write.")],
    more: More = None,
    with_published_toll_free: PublishedTollFree = False,
    toll_free_elsewhere: TollFreeElsewhere = None,
    currency: Annotated[str, typer.Option(help="The currency of the prices; give it again with --deck.")] = "USD",
    column: Column = None,
    times: Times = None,
    zone: Zone = None,
    encoding: Encoding = None,
    decimal: DecimalMark = None,
    rounded: Rounded = False,
) -> None:
    """Read a price list, check every row, and write it as a deck.

    Known are the names of columns that carriers use; others are given with --column.  A cell may hold several
    prefixes and ranges (4477-4479), prices a currency sign, dates the first day (`valid_to`: the last).

    Example: rater import rates a-z.csv --column prefix="Dial codes" --times day-first --out deck.csv

    Example: rater import rates prices.csv --with premium.csv --with-published-toll-free --out deck.csv
    """
    options = list_options(column, times, zone, encoding, decimal, rounded=rounded)
    listed = read_price_list(file, options, currency=currency)
    deck, rows = listed.deck, [*listed.deck.rows]
    for remark in listed.remarks:
        print(f"{file}: {remark}", file=sys.stderr)
    for path in more or ():
        rows.extend(read_any_deck(path, currency=currency).rows)
    if with_published_toll_free:
        rows.extend(published_toll_free(rows))
    if toll_free_elsewhere is not None:
        rows.append(elsewhere_row(toll_free_elsewhere))
    write_deck(RateDeck(version=deck.version, currency=deck.currency, rows=tuple(rows)), out)
    for sentence in what_is_priced(rows) if with_published_toll_free else ():
        print(sentence, file=sys.stderr)
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
    with whole_file(out, private=True) as commands:
        commands.writelines(encode_input(command).decode() + "\n" for command in licenses.commands(tenant, instant))
    print(f"{out}: {len(licenses.assignments)} licences", file=sys.stderr)


def lint_rates(
    files: Annotated[list[Path], typer.Argument(help="Decks, or price lists.", metavar="FILE...")],
    every: Annotated[
        bool, typer.Option("--all", help=f"Every warning, not only the first {FEW_WARNINGS} of each kind.")
    ] = False,
    currency: Annotated[str, typer.Option(help="The currency of the prices.")] = "USD",
    column: Column = None,
    times: Times = None,
    zone: Zone = None,
    encoding: Encoding = None,
    decimal: DecimalMark = None,
    rounded: Rounded = False,
    json: Annotated[bool, typer.Option("--json", help="Every finding as JSON on standard output.")] = False,
) -> None:
    """List what is wrong with a deck: every error, then the warnings by kind; exit 1 if there are errors.

    Price lists of carriers are read as by rater import rates, with the same options.

    Example: rater rates lint deck.csv
    """
    options = list_options(column, times, zone, encoding, decimal, rounded=rounded)
    listed = [(path, read_price_list(path, options, currency=currency)) for path in files]
    found = [(path, finding) for path, each in listed for finding in lint(each.deck, each.numbers)]
    if json:
        typer.echo(orjson.dumps([{"file": str(path)} | msgspec.to_builtins(finding) for path, finding in found]))
    else:
        _echo(found, every)
    if any(finding.severity == "error" for _, finding in found):
        raise typer.Exit(Exit.FAILED)


def _echo(found: list[tuple[Path, Finding]], every: bool) -> None:
    """Errors first; of each kind of warning the first few, so that nobody has to look for the errors."""
    kinds: dict[str, list[tuple[Path, Finding]]] = {}
    for path, finding in found:
        kinds.setdefault("" if finding.severity == "error" else finding.kind, []).append((path, finding))
    for kind, group in sorted(kinds.items()):
        shown = group if every or not kind else group[:FEW_WARNINGS]
        for path, finding in shown:
            row = f":{finding.row}" if finding.row else ""
            typer.echo(f"{finding.severity}: {path}{row}: {finding.prefix}: {finding.kind}: {finding.message}")
        if left := len(group) - len(shown):
            typer.echo(f"warning: {kind}: {left} more, {len(group)} in all; see them with --all")
    errors = len(kinds.get("", []))
    print(f"errors: {errors}, warnings: {len(found) - errors}", file=sys.stderr)
