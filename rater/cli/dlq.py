"""`rater dlq`: records that were refused, why, and rating them again after a fix."""

import sys
from base64 import b64decode
from typing import Annotated

import msgspec
import orjson
import typer
from rich.console import Console
from rich.table import Table

from rater.cli.run import DEFAULT_STORE, StoreOption, gateway_of
from rater.core.inputs import Source
from rater.core.outputs import RejectedCdr
from rater.core.settings import RatingSettings
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Reader, Store, open_reader
from rater.formats.source import reader_of
from rater.task import Envelope, Record

_letters = msgspec.json.Decoder(RejectedCdr)
TenantOption = Annotated[str | None, typer.Option(help="Only this tenant's.")]
ReasonOption = Annotated[str | None, typer.Option(help="Only those refused for this reason.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Records that were refused: dead letters.", no_args_is_help=True)
    group.command("ls")(ls)
    group.command("replay")(replay)
    app.add_typer(group, name="dlq")


def ls(
    tenant: TenantOption = None,
    reason: ReasonOption = None,
    store: StoreOption = DEFAULT_STORE,
    json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """List dead letters that were not accepted since."""
    letters = _letters_of(open_reader(store), tenant, reason)
    if json:
        typer.echo(orjson.dumps([msgspec.to_builtins(letter) for letter in letters]))
        return
    table = Table("id", "from", "tenant", "reason", "field", "message")
    for letter in letters:
        source = f"{letter.source.topic}:{letter.source.offset}"
        named = letter.claimed_tenant or letter.tenant
        table.add_row(letter.id[:12], source, named, letter.reason.value, letter.field or "", letter.message)
    Console().print(table)


def replay(
    tenant: TenantOption = None,
    reason: ReasonOption = None,
    store: StoreOption = DEFAULT_STORE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be tried.")] = False,
    gateway: Annotated[str, typer.Option(help="As for rater run.")] = "approve",
) -> None:
    """Rate dead letters again, for example after their tenant was configured.

    Example: rater dlq replay --reason unknown_tenant
    """
    if dry_run:
        print(f"{len(_letters_of(open_reader(store), tenant, reason))} records would be tried", file=sys.stderr)
        return
    opened = Store(store)
    try:
        letters = _letters_of(opened, tenant, reason)
        rater = EmbeddedRater(opened, RatingSettings(), gateway_of(gateway))
        outcomes = rater.replay((letter.id, _record(number, letter)) for number, letter in enumerate(letters))
    finally:
        opened.close()
    accepted = sum(outcome.value not in ("rejected", "conflicting_duplicate") for outcome in outcomes.values())
    print(f"{accepted} of {len(outcomes)} records accepted", file=sys.stderr)


def _letters_of(reader: Reader, tenant: str | None, reason: str | None) -> list[RejectedCdr]:
    replayed = reader.replayed()
    letters = [_letters.decode(value) for _, value in reader.topic("rejected-cdrs")]
    return [
        letter
        for letter in letters
        if letter.id not in replayed
        and tenant in (None, letter.tenant, letter.claimed_tenant)
        and reason in (None, letter.reason.value)
    ]


def _record(number: int, letter: RejectedCdr) -> Record:
    raw = letter.raw.encode() if letter.raw_encoding == "utf-8" else b64decode(letter.raw)
    envelope = Envelope(letter.format, letter.claimed_tenant or letter.tenant, letter.header)
    kind, decode = reader_of(envelope)
    return Record(kind, Source("dlq", 0, number), raw, decode(raw) if decode else None, envelope)
