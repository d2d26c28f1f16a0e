"""`rater generate`: a synthetic month of calls, the same for the same seed."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from rater.cli.lookup import check_period
from rater.core import YEARS, MoneyError, parse_micros
from rater.dev.generate import Spec, generate_calls, generate_commands
from rater.wire.codec import encode_input
from rater.wire.errors import RaterError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("generate")(generate)


#: Calls begin a day before the month and may end after it: the calendar of rating has room for both.
_YEARS = range(YEARS[0] + 1, YEARS[-1])


def generate(
    out: Annotated[Path, typer.Option(help="The folder for commands.jsonl and cdrs.jsonl.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same files.")] = 1,
    tenants: Annotated[int, typer.Option(min=1, max=1_000_000)] = 3,
    users: Annotated[int, typer.Option(min=1, max=10_000_000, help="Over all tenants.")] = 60,
    calls: Annotated[int, typer.Option(min=0, max=1_000_000_000, help="Over all tenants.")] = 10_000,
    month: Annotated[str, typer.Option(help="YYYY-MM.")] = "2025-03",
    poison: Annotated[float, typer.Option(min=0, max=1, help="Share of records that do not decode.")] = 0.0,
    duplicates: Annotated[float, typer.Option(min=0, max=1, help="Share of records that come twice.")] = 0.01,
    funds: Annotated[str, typer.Option(help="What each tenant has bought before the month begins.")] = "1000",
) -> None:
    """Write the commands that set tenants up, and their calls of a month.

    Example: rater generate --seed 7 --tenants 3 --users 60 --calls 10000 --out month/
    """
    check_period(month, "--month")
    if int(month[:4]) not in _YEARS:
        expected = f"expected a month from {_YEARS[0]}-01 to {_YEARS[-1]}-12"
        raise RaterError(f"--month: {expected}, got {month!r}")
    spec = Spec(
        seed=seed,
        tenants=tenants,
        users=users,
        calls=calls,
        month=month,
        poison_share=poison,
        duplicate_share=duplicates,
        funds=_amount("--funds", funds),
    )
    write_month(spec, out)
    print(f"{out}: commands.jsonl and cdrs.jsonl, {calls} records", file=sys.stderr)


def _amount(option: str, text: str) -> str:
    try:
        if parse_micros(text) > 0:
            return text
    except MoneyError as wrong:
        raise RaterError(f"{option}: {wrong}") from wrong
    raise RaterError(f"{option}: expected an amount above zero, got {text!r}")


def write_month(spec: Spec, out: Path) -> None:
    """Write both files."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / "commands.jsonl").open("wb") as commands:
        commands.writelines(encode_input(command) + b"\n" for command in generate_commands(spec))
    with (out / "cdrs.jsonl").open("wb") as cdrs:
        cdrs.writelines(
            (call if isinstance(call, bytes) else encode_input(call)) + b"\n" for call in generate_calls(spec)
        )
