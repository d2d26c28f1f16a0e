"""`rater statement`: what a tenant had, what moved it by kind, and what is left, as text or as a file."""

import sys
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import IO, Annotated

import typer

from rater.cli.kafka_options import Prefix, kafka_settings, talk
from rater.cli.lookup import check_period, known_account
from rater.cli.run import DEFAULT_STORE
from rater.cli.sending import Bootstrap, StoreOption, Tenant, instant
from rater.core import format_micros, month_start, parse_period
from rater.embedded.lookup import looked_up
from rater.embedded.store import open_reader
from rater.files.statement import ON_SCREEN, Format, Statement, as_text, statement_of, write_statement
from rater.kafka.settings import KafkaSettings
from rater.kafka.tenant_books import books_of
from rater.wire.errors import Exit, RaterError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("statement")(statement)


def statement(
    tenant: Tenant,
    period: Annotated[str | None, typer.Option(help="This month, in UTC (YYYY-MM).")] = None,
    since: Annotated[str | None, typer.Option(help="From when (RFC 3339); what was before is the opening.")] = None,
    until: Annotated[str | None, typer.Option(help="Up to when (RFC 3339), which is not in it.")] = None,
    format: Annotated[Format, typer.Option(help="The file format.")] = "text",
    out: Annotated[str, typer.Option(help="The file, or - for standard output (text, json, csv).")] = "-",
    store: StoreOption = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
) -> None:
    """A tenant's opening balance, what came in and went out by kind, and the closing balance, to the micro-unit.

    Exit 1 if it does not add up. Without --period, --since and --until it goes from the first record to the last.

    A call stands in the period in which it was debited. A late one names its own month, whose minutes and prices it
    has; if its record does not say when it was received, it stands at the beginning of the next month.

    Amounts have the decimals of their currency where that is exact, and all six where it is not: none is rounded.
    In CSV a text that a spreadsheet would compute gets an apostrophe before it. A file is its owner's alone (0600).

    Example: rater statement contoso --period 2025-03 --format xlsx --out march.xlsx
    """
    if out == "-" and format not in ON_SCREEN:
        raise RaterError(f"--out: {format} cannot go to standard output; name a file")
    begin, end = _bounds(period, since, until)
    kafka = kafka_settings(bootstrap, prefix) if bootstrap is not None and store is None else None
    made = _statement(tenant, begin, end, store, kafka)
    write_statement(made, format, out)
    if out != "-":
        print(f"{out}: the statement of {tenant}", file=sys.stderr)
    _check(made)


def print_statement(tenant: str, store: Path | None, kafka: KafkaSettings | None, file: IO[str]) -> None:
    """Print the statement from the first record to the last; RaterError if it does not add up."""
    made = _statement(tenant, None, None, store, kafka)
    print(as_text(made), end="", file=file, flush=True)
    _check(made)


def _bounds(period: str | None, since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    """From when until when; RaterError for what is no period."""
    check_period(period)
    if period is not None:
        if since is not None or until is not None:
            raise RaterError("--period: expected either a month or --since and --until, got both")
        month = parse_period(period)
        return month_start(month), month_start(month + 1)
    begin, end = instant("since", since), instant("until", until)
    if begin is not None and end is not None and begin >= end:
        raise RaterError(f"--until: expected an instant after --since {since}, got {until}")
    return begin, end


def _statement(
    tenant: str, since: datetime | None, until: datetime | None, store: Path | None, kafka: KafkaSettings | None
) -> Statement:
    if kafka is None:
        with closing(open_reader(store or DEFAULT_STORE)) as reader:
            known_account(reader, tenant)
            if since is None and until is None:
                return statement_of(reader, tenant, None, None)
            return looked_up(reader, lambda lookup: lookup.statement(tenant, since, until))
    with closing(talk(kafka, "operators", books_of(kafka, tenant))) as books:
        if books.account(tenant) is None:
            raise RaterError(f"{tenant}: no worker has committed anything of this tenant", Exit.FAILED)
        return statement_of(books, tenant, since, until)


def _check(made: Statement) -> None:
    if not made.adds_up:
        balance, differs = format_micros(made.balance), format_micros(made.unexplained)
        raise RaterError(
            f"{made.tenant}: the balance is {balance}: it differs by {differs}; run rater verify", Exit.FAILED
        )
