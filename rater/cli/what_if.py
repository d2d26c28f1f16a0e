"""`rater what-if`: a month replayed with another price list, other commands or other settings."""

import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from rater.cli.counting import counting
from rater.cli.lookup import check_period, known_account
from rater.cli.run import DEFAULT_STORE, StoreOption
from rater.cli.what_if_shown import Format, show
from rater.core import RateDeck
from rater.embedded.store import open_reader
from rater.embedded.what_if import Comparison, compare
from rater.engine.difference import lines_of
from rater.engine.substitutes import Substitutes, read_setting
from rater.files.command_file import read_commands
from rater.files.deck_csv import read_deck
from rater.ops.masking import mask_people
from rater.wire.errors import Exit, RaterError
from rater.wire.visible import visible

_REFUSED_MAX = 20

Period = Annotated[str, typer.Option(help="The month, in UTC (YYYY-MM).")]
Deck = Annotated[
    str | None,
    typer.Option(help="Another price list: a CSV file, or a version that was published.", metavar="DECK"),
]
Currency = Annotated[str, typer.Option(help="The currency of the CSV file.")]
Commands = Annotated[
    list[Path] | None,
    typer.Option(help="JSON Lines of commands within the month; one with the id of a real one replaces it."),
]
Setting = Annotated[
    list[str] | None, typer.Option(help="Another setting of the rules, such as straddle=whole_to_credits.")
]
OfTenant = Annotated[str | None, typer.Option("--tenant", help="Only this tenant.")]
FormatOption = Annotated[Format, typer.Option(help="The file format.")]
Out = Annotated[str, typer.Option(help="The file, or - for standard output (text, json, csv).")]
Lines = Annotated[int, typer.Option(min=1, max=100_000, help="How many lines of a table are printed, as text.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("what-if")(what_if)


def what_if(
    period: Period,
    deck: Deck = None,
    currency: Currency = "USD",
    commands: Commands = None,
    setting: Setting = None,
    tenant: OfTenant = None,
    store: StoreOption = DEFAULT_STORE,
    format: FormatOption = "text",
    out: Out = "-",
    lines: Lines = 10,
) -> None:
    """What a month would have cost with another price list, other licences or other settings; nothing is changed.

    Every input that the store keeps is replayed in its order through the same rules, with what you substitute from
    the beginning of the month on. What would have been different is shown by tenant, plan, destination and user.
    Without a substitute nothing is different, to the micro-unit; if something is, exit 1.

    A payment that was asked for in reality, too, is answered as it was; any other as the tenant's next one was,
    else as its last. Calls are those that were: one that a switch refused then is not there.

    Example: rater what-if --period 2025-03 --deck B.csv --format xlsx --out difference.xlsx
    """
    check_period(period)
    _check_out(out, format)
    substitutes = Substitutes(
        period=period,
        tenant=tenant,
        deck=_deck(deck, currency, store) if deck else None,
        commands=tuple([command for path in commands or () for command in read_commands(path)]),
        settings=dict(map(read_setting, setting or ())),
    )
    substitutes.check()
    if tenant is not None:
        with closing(open_reader(store)) as reader:
            known_account(reader, tenant)
    with counting("records replayed") as progress:
        found = compare(store, substitutes, progress)
    show(found, substitutes, format, out, lines)
    _end(found, substitutes)


def _check_out(out: str, format: Format) -> None:
    if out != "-" and format in ("text", "json"):
        raise RaterError(f"--out: {format} goes to standard output; for a file expected --format csv or xlsx")


def _deck(deck: str, currency: str, store: Path) -> RateDeck:
    """The deck of a CSV file, or the published one of a version."""
    path = Path(deck)
    if path.suffix == ".csv" or path.is_file():
        return read_deck(path, currency=currency)
    with closing(open_reader(store)) as reader:
        for known in reader.decks():
            if known.version == deck:
                return known
    raise RaterError(f"--deck: expected a CSV file or the version of a deck in {store}, got {deck!r}")


def _end(found: Comparison, substitutes: Substitutes) -> None:
    """Print what to know beside the figures; exit 3 if a substitute was refused, 1 for a difference without any."""
    for one in found.refused[:_REFUSED_MAX]:
        said = visible(f"rater: {one.command.tenant}, id {one.command.id}: refused: {mask_people(one.why)}")
        print(said, file=sys.stderr)
    if len(found.refused) > _REFUSED_MAX:
        print(f"rater: ... and {len(found.refused) - _REFUSED_MAX} more were refused", file=sys.stderr)
    if assumed := found.assumed_paid + found.assumed_declined:
        print(
            f"{assumed:,} recharges were not asked for in reality; answered as the tenant's next payment was:"
            f" {found.assumed_paid:,} paid, {found.assumed_declined:,} declined",
            file=sys.stderr,
        )
    if found.left_out:
        print(
            f"{found.left_out:,} calls of {substitutes.period} are left out, their inputs are not kept:"
            f" {found.why_left_out}",
            file=sys.stderr,
        )
    print(f"{found.records:,} records replayed; nothing was changed", file=sys.stderr)
    if found.refused:
        raise typer.Exit(Exit.REFUSED)
    if substitutes.is_empty and any(line.differs for line in lines_of(found.was, found.would_be)):
        raise RaterError("nothing was substituted, and figures differ: run rater verify --store", Exit.FAILED)
