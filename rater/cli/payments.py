"""`rater payments reconcile`: the gateway's settlement file beside the ledger."""

import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer

from rater.cli.kafka_options import Prefix, kafka_options, kafka_settings, talk
from rater.cli.printing import show_rows, text_of
from rater.cli.run import DEFAULT_STORE, store_option
from rater.cli.sending import Bootstrap, StoreOption, instant
from rater.core import format_micros
from rater.embedded.store import open_reader
from rater.files.atomic import whole_file
from rater.files.export import write
from rater.files.export_funds import fund_rows
from rater.files.export_tables import Row, Table
from rater.files.ledger_payments import ledger_of
from rater.files.settlement import reconcile
from rater.files.settlement_csv import FIELDS, Reading, Settlement, read_settlement
from rater.files.settlement_lines import Difference, Kind, Ledger, Line, Period
from rater.files.settlement_mending import mending
from rater.kafka.consume import read_topic
from rater.kafka.settings import KafkaSettings
from rater.wire.errors import Exit, RaterError
from rater.wire.visible import visible

#: A recharge is settled within so many hours, by default; weekends included.
GRACE_H = 72
COLUMNS = ("difference", "kind", "reference", "tenant", "here", "there", "currency", "at", "rows", "mend")
_TABLE = Table("differences", tuple((name, "time" if name == "at" else "text") for name in COLUMNS), fund_rows)
Pairs = list[str] | None


def register(app: typer.Typer) -> None:
    """Add the command."""
    group = typer.Typer(help="Payments: what the gateway says beside the ledger.", no_args_is_help=True)
    group.callback()(_group)
    group.command("reconcile")(reconcile_payments)
    app.add_typer(group, name="payments")


def _group() -> None:
    """Payments: what the gateway says beside the ledger."""


def reconcile_payments(
    files: Annotated[list[Path], typer.Argument(help="Settlement files in CSV.", metavar="FILE...")],
    store: StoreOption = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
    column: Annotated[Pairs, typer.Option(help=f"FIELD=NAME of a column; fields: {', '.join(FIELDS)}.")] = None,
    type: Annotated[
        Pairs, typer.Option(help=f"WORD=KIND of the type column; kinds: {', '.join(Kind)}, ignore.")
    ] = None,
    decimal: Annotated[Literal["point", "comma"], typer.Option(help="1234.56 or 1.234,56.")] = "point",
    minor_units: Annotated[bool, typer.Option("--minor-units", help="Amounts are whole cents.")] = False,
    currency: Annotated[str | None, typer.Option(help="Of a file that does not say it.")] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Such as windows-1252; UTF-8 or UTF-16 if not given.")
    ] = None,
    delimiter: Annotated[str | None, typer.Option(help="Between cells; recognised if not given.")] = None,
    time_zone: Annotated[str, typer.Option(help="Of times that do not say theirs.")] = "UTC",
    time_format: Annotated[str | None, typer.Option(help="How times are written, such as '%m/%d/%Y'.")] = None,
    begin: Annotated[
        str | None, typer.Option("--from", help="RFC 3339; the file's first instant if not given.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="RFC 3339; the file's last instant if not given.")] = None,
    grace_h: Annotated[
        int, typer.Option(min=0, max=24 * 366, help="Hours in which a payment is settled.")
    ] = GRACE_H,
    recharges_only: Annotated[
        bool, typer.Option("--recharges-only", help="Purchases by hand are not paid through the gateway.")
    ] = False,
    by: Annotated[str, typer.Option(envvar="RATER_OPERATOR", help="Who corrects, in the commands.")] = "reconcile",
    format: Annotated[Literal["table", "csv", "json"], typer.Option(help="How differences are written.")] = "table",
    out: Annotated[str, typer.Option(help="The file, or - for standard output.")] = "-",
) -> None:
    """Compare what a gateway says it collected and paid back with the ledger; exit 1 if there are differences.

    Files of Stripe (itemized balance or payout reconciliation), Adyen (settlement details) and PayPal (settlement
    report, activity) are recognised; of others give the columns. The last column is the command that
    corrects a difference; each has an id, so that typing it twice changes nothing.

    What happened in the last --grace-h hours may be in the next file and is no difference. To check them, too,
    give both files.

    Example: rater payments reconcile payouts-2025-03.csv --from 2025-03-01T00:00:00Z

    Example: rater payments reconcile march.csv --column amount=Betrag --column reference=Zweck --decimal comma
    """
    reading = Reading(
        columns=_columns(column or []),
        types=_types(type or []),
        decimal=decimal,
        minor_units=minor_units,
        encoding=encoding,
        delimiter=delimiter,
        zone=time_zone,
        time_format=time_format,
        currency=currency,
    )
    settlements = [(path, read_settlement(path, reading)) for path in files]
    lines = _of_all([settlement for _, settlement in settlements])
    period = _period(lines, instant("from", begin), instant("to", end), timedelta(hours=grace_h))
    ledger, where = _ledger(store, bootstrap, prefix, purchases=not recharges_only)
    found = reconcile(lines, ledger, period)
    rows = [_row(one, mending(one, where, by)) for one in found.differences]
    _write(rows, format, out)
    for path, settlement in settlements:
        _say_read(path, settlement)
    print(
        f"{text_of(period.begin)} to {text_of(period.end)}: {len(lines)} lines; {found.agreed} agree,"
        f" {found.in_flight} may be in the next file, {len(rows)} differences",
        file=sys.stderr,
    )
    if rows:
        raise typer.Exit(Exit.FAILED)


def _ledger(store: Path | None, bootstrap: str | None, prefix: str, *, purchases: bool) -> tuple[Ledger, str]:
    """What the rater has, and the options that name where."""
    if bootstrap is not None and store is None:
        settings = kafka_settings(bootstrap, prefix)
        values = talk(settings, "operators", _events_about_money(settings))
        return ledger_of(values, purchases=purchases), kafka_options(bootstrap, prefix)
    path = store or DEFAULT_STORE
    with closing(open_reader(path)) as reader:
        values_here = (value for _, value in reader.topic("account-events"))
        return ledger_of(values_here, purchases=purchases), store_option(path)


async def _events_about_money(settings: KafkaSettings) -> list[bytes]:
    """Those events that can be of a purchase, a recharge or an adjustment; the rest is not kept in memory."""
    values: list[bytes] = []
    async for records in read_topic(settings, "account-events"):
        values.extend(record.value for record in records if record.value and b'"amount"' in record.value)
    return values


def _of_all(settlements: Iterable[Settlement]) -> list[Line]:
    return [line for settlement in settlements for line in settlement.lines]


def _period(lines: list[Line], begin: datetime | None, end: datetime | None, grace: timedelta) -> Period:
    """What was asked for, else from the first to the last instant; a file with days only ends with its last day."""
    instants = [line.at for line in lines if line.at is not None]
    if not (begin and end) and not instants:
        raise RaterError(
            "no line of the files has a time: name its column with --column at=NAME, or give --from and --to"
        )
    last = end or max(instants)
    if end is None and all(at.time() == last.time() for at in instants) and not (last.minute or last.second):
        last += timedelta(days=1, microseconds=-1)
    period = Period(begin or min(instants), last, grace)
    if period.begin > period.end:
        raise RaterError(f"--to: expected a time after {text_of(period.begin)}, got {text_of(period.end)}")
    return period


def _columns(pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        field, _, name = pair.partition("=")
        if field not in FIELDS or not name:
            raise RaterError(f"--column: expected one of {', '.join(FIELDS)}, then = and a column, got {pair!r}")
        found[field] = name
    return found


def _types(pairs: list[str]) -> dict[str, Kind | None]:
    found: dict[str, Kind | None] = {}
    for pair in pairs:
        word, _, kind = pair.rpartition("=")
        if not word or kind not in (*Kind, "ignore"):
            raise RaterError(f"--type: expected a word, then = and one of {', '.join(Kind)}, ignore, got {pair!r}")
        found[word] = None if kind == "ignore" else Kind(kind)
    return found


def _row(one: Difference, mend: str) -> Row:
    here, there = (None if amount is None else format_micros(amount) for amount in (one.here, one.there))
    rows = " ".join(map(str, one.rows))
    return one.found.value, one.kind.value, one.reference, one.tenant, here, there, one.currency, one.at, rows, mend


def _write(rows: list[Row], format: str, out: str) -> None:
    """The differences, on standard output or as a whole file."""
    if format == "csv":
        write(_TABLE, rows, "csv", out)
        return
    if format == "json":
        text = msgspec.json.encode([dict(zip(COLUMNS, row, strict=True)) for row in rows]).decode()
        if out == "-":
            typer.echo(text)
        else:
            with whole_file(Path(out), private=True) as target:
                target.write(text + "\n")
        return
    if out != "-":
        raise RaterError("--out: expected --format csv or json with it")
    if rows:
        show_rows(COLUMNS[:-1], [row[:-1] for row in rows], json=False)
    for row in rows:
        typer.echo(visible(f"{row[0]}, {row[2]}: {row[-1]}"))


def _say_read(path: Path, settlement: Settlement) -> None:
    """How a file was read, and which rows were not compared."""
    kinds = Counter(line.kind.value for line in settlement.lines)
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "no payments"
    print(f"{path}: read as {settlement.format}: {counts}", file=sys.stderr)
    for word, count in sorted(settlement.skipped.items()):
        print(f"{path}: {count} of type {word!r} not compared", file=sys.stderr)
    for word, count in sorted(settlement.unknown.items()):
        say = f"give its meaning with --type {word}=payment, or {word}=ignore"
        print(
            f"rater: {path}: {count} of the unknown type {word!r} not compared; {say}",
            file=sys.stderr,
        )
