"""`rater prune`: delete from a store what is older than it has to be kept."""

import sys
from datetime import UTC, date, datetime
from typing import Annotated

import msgspec
import orjson
import typer

from rater.cli.counting import counting
from rater.cli.run import DEFAULT_STORE, StoreOption, say_upgraded
from rater.embedded.retention import KEEP_DAYS, Pruned, days_to_keep, prune
from rater.embedded.store import Store
from rater.wire.errors import RaterError

#: A century: what is meant as "for ever" still is a day.
DAYS_MAX = 36_500
_WORDS = {
    "kept-inputs": "batches of inputs",
    "rated-calls": "rated calls",
    "rejected-cdrs": "dead letters that were dealt with",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("prune")(prune_store)


def prune_store(
    store: StoreOption = DEFAULT_STORE,
    keep: Annotated[
        int | None,
        typer.Option(min=1, max=DAYS_MAX, help="Days that inputs are kept; as the topic cdrs if not given."),
    ] = None,
    before: Annotated[
        str | None, typer.Option(help="Delete inputs that were rated before this day (YYYY-MM-DD).")
    ] = None,
    daily: Annotated[
        bool | None,
        typer.Option(
            "--daily/--not-daily", help="Whether rater run --watch prunes the store each day from now on."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    json: Annotated[bool, typer.Option("--json", help="What was deleted, as JSON on standard output.")] = False,
) -> None:
    """Delete old inputs, dead letters that were dealt with, and old rated calls, debits and events.

    Dead letters are kept 90 days and rated calls 400 in any case: a record that comes again is known so long, and
    corrections find what they correct. Age counts from the day on which a record was rated. The store is verified
    first, and rater verify computes it again from this checkpoint on. The file becomes smaller.

    Example: rater prune --keep 60 --daily

    Example: rater prune --store rater.db --before 2026-01-01 --dry-run
    """
    if keep is not None and before is not None:
        raise RaterError("expected either --keep or --before")
    today = datetime.now(UTC).date()
    kept = days_to_keep(keep, _day(before), today)
    opened = Store(store)
    say_upgraded(opened)
    try:
        with counting("records verified") as progress:
            done = prune(opened, kept, today, progress, dry_run=dry_run)
        if daily is not None and not dry_run:
            opened.set(KEEP_DAYS, str(kept.inputs) if daily else "")
    finally:
        opened.close()
    if json:
        typer.echo(orjson.dumps(msgspec.to_builtins(done)))
        return
    _print(done, dry_run)


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError as wrong:
        raise RaterError(f"--before: expected a day such as 2026-01-31, got {text!r}") from wrong


def _print(done: Pruned, dry_run: bool) -> None:
    kept = done.kept
    for table, count in done.rows.items():
        typer.echo(f"{count:,} {_WORDS.get(table, table)}")
    typer.echo(
        f"kept: inputs {kept.inputs} days, dead letters {kept.letters}, calls, debits and events {kept.records}",
        err=True,
    )
    if dry_run:
        print("nothing was deleted: without --dry-run it is", file=sys.stderr)
    else:
        print(f"{done.bytes_before:,} bytes before, {done.bytes_after:,} now", file=sys.stderr)
