"""`rater dlq`: records that were refused, why, and what to do about them, in a store or on Kafka."""

import getpass
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import orjson
import typer
from rich.markup import escape
from rich.table import Column, Table

from rater.cli.dlq_hints import say_accepted, say_how_many, say_not_tried, what_to_do
from rater.cli.dlq_options import (
    Accept,
    AcceptAt,
    Bootstrap,
    By,
    DryRun,
    Ids,
    Json,
    Limit,
    ReasonOption,
    Reveal,
    Since,
    Store,
    Tenant,
    Wait,
)
from rater.cli.dlq_shown import shown_facts
from rater.cli.kafka_options import Prefix, kafka_settings, talk
from rater.cli.printing import counted, show_facts, show_table, text_of
from rater.cli.run import DEFAULT_STORE, GatewayOption, gateway_for, not_ahead, settings_for
from rater.core import RatingSettings, Reason
from rater.embedded.dead_letters import StoreLetters
from rater.embedded.payments import payments_of
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import open_reader
from rater.kafka.dead_letters import KafkaLetters
from rater.ops.masking import mask_people
from rater.wire.dead_letters import (
    Choice,
    DlqAudit,
    Letter,
    LetterBox,
    LetterState,
    place_of,
    raw_bytes,
)
from rater.wire.errors import Exit, RaterError
from rater.wire.instants import read_instant
from rater.wire.visible import visible, visible_lines


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Records that were refused: dead letters.", no_args_is_help=True)
    group.command("ls")(ls)
    group.command("show")(show)
    group.command("replay")(replay)
    group.command("drop")(drop)
    app.add_typer(group, name="dlq")


def ls(
    tenant: Tenant = None,
    reason: ReasonOption = None,
    since: Since = None,
    limit: Limit = None,
    every: Annotated[bool, typer.Option("--all", help="Also those that were accepted or dropped since.")] = False,
    reveal: Reveal = False,
    store: Store = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
    json: Json = False,
) -> None:
    """List dead letters that were neither accepted nor dropped since; numbers and addresses are masked.

    Example: rater dlq ls --reason unknown_tenant --bootstrap 127.0.0.1:9092
    """
    box = _box(store, bootstrap, prefix)
    found = _choice(None, tenant, reason, since, None, settled=every).of(box.letters())
    letters = found[:limit]
    if json:
        typer.echo(orjson.dumps([shown_facts(letter, reveal) for letter in letters]))
        return
    names = ("from", "tenant", "reason", "message", "state")
    table = Table(Column("id", no_wrap=True), *[Column(name, overflow="fold") for name in names], box=None)
    for letter in letters:
        about = letter.letter
        message = about.message if reveal else mask_people(about.message)
        message = f"{about.field}: {message}" if about.field else message
        cells = (about.id[:12], place_of(about), letter.owner, about.reason.value, message, letter.state.value)
        table.add_row(*[escape(visible(cell)) for cell in cells])
    show_table(table)
    say_how_many(found, len(letters))


def show(
    id: Annotated[str, typer.Argument(help="Its id, or the beginning of it.")],
    store: Store = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
    raw: Annotated[bool, typer.Option("--raw", help="Only its bytes, as they came; nothing is masked.")] = False,
    reveal: Reveal = False,
    json: Json = False,
) -> None:
    """Show a dead letter: why it was refused, its bytes, and what was done about it.

    Numbers and addresses are masked; what is stored and what is replayed stays whole.

    Example: rater dlq show 667382bba8ea --reveal
    """
    letters = Choice(ids=(id,), settled=True).of(_box(store, bootstrap, prefix).letters())
    if not letters:
        raise RaterError(f"{id}: no dead letter with this id; `rater dlq ls --all` lists them", Exit.FAILED)
    for letter in letters:
        if raw:
            sys.stdout.buffer.write(raw_bytes(letter.letter) + b"\n")
        elif json:
            typer.echo(orjson.dumps(shown_facts(letter, reveal)))
        else:
            _print(letter, reveal)


def replay(
    ids: Ids = None,
    tenant: Tenant = None,
    reason: ReasonOption = None,
    since: Since = None,
    limit: Limit = None,
    accept: Accept = False,
    at: AcceptAt = None,
    dry_run: DryRun = False,
    by: By = None,
    store: Store = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
    wait: Wait = 30,
    gateway: GatewayOption = None,
    json: Json = False,
) -> None:
    """Give dead letters to the rater again, for example after their tenant was configured.

    Doing it twice changes nothing.  A record that is held because it lasted too long is rated with --accept.
    Exit 3 if some were refused again.

    Example: rater dlq replay --reason unknown_tenant --dry-run
    """
    accept_at = _accept_at(accept, at)
    box = _box(store, bootstrap, prefix, gateway, wait)
    letters = _choice(ids, tenant, reason, since, limit).of(box.letters())
    if dry_run:
        _say_dry("tried", letters, json)
        return
    now = datetime.now(UTC)
    audits = box.replay(letters, _name(by), now, accept=accept, accept_at=accept_at) if letters else []
    say_not_tried(letters, audits)
    _report(audits, json)
    _say_payments(store, bootstrap)
    say_accepted(letters, audits)


def _accept_at(accept: bool, at: str | None) -> datetime | None:
    """The acceptance time of held records, if given."""
    if at is None:
        return None
    if not accept:
        raise RaterError("--at: expected --accept, too: it says when held records are let through")
    return not_ahead("--at", at, RatingSettings())


def drop(
    ids: Ids = None,
    tenant: Tenant = None,
    reason: ReasonOption = None,
    since: Since = None,
    limit: Limit = None,
    every: Annotated[bool, typer.Option("--all", help="All of them, where nothing else says which.")] = False,
    note: Annotated[str, typer.Option(help="Why, for the audit.")] = "",
    dry_run: DryRun = False,
    by: By = None,
    store: Store = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
    json: Json = False,
) -> None:
    """Note that dead letters are never to be rated; they are not listed any more, and stay where they are.

    Example: rater dlq drop --reason malformed --tenant contoso --note "a test of the new switch"
    """
    if not (ids or tenant or reason or since or every):
        raise RaterError("expected ids, --reason, --tenant or --since to choose letters, or --all")
    box = _box(store, bootstrap, prefix)
    letters = _choice(ids, tenant, reason, since, limit).of(box.letters())
    if dry_run:
        _say_dry("dropped", letters, json)
        return
    if letters and not note:
        raise RaterError("--note: expected why these records will never be rated, for the audit")
    audits = box.drop(letters, _name(by), datetime.now(UTC), note) if letters else []
    _report(audits, json)
    print(f"{counted(len(audits), 'record')} dropped", file=sys.stderr)


def _box(
    store: Path | None, bootstrap: str | None, prefix: str, gateway: str | None = None, wait_s: float = 0
) -> LetterBox:
    """Where the letters are: on Kafka if a broker is given and no store."""
    if bootstrap is not None and store is None:
        settings = kafka_settings(bootstrap, prefix)
        return KafkaLetters(settings, partial(talk, settings, "operators"), wait_s)
    return StoreLetters(
        store or DEFAULT_STORE,
        lambda opened: EmbeddedRater(opened, settings_for(opened), gateway_for(opened, gateway)),
    )


def _say_payments(store: Path | None, bootstrap: str | None) -> None:
    """Report that payments of a store are pretended, or wait."""
    if bootstrap is not None and store is None:
        return
    reader = open_reader(store or DEFAULT_STORE)
    try:
        if note := payments_of(reader).note:
            print(f"rater: {note}", file=sys.stderr)
    finally:
        reader.close()


def _choice(
    ids: list[str] | None,
    tenant: str | None,
    reason: str | None,
    since: str | None,
    limit: int | None,
    *,
    settled: bool = False,
) -> Choice:
    known = [known.value for known in Reason]
    if reason is not None and reason not in known:
        raise RaterError(f"--reason: expected one of {', '.join(known)}, got {reason!r}")
    from_then = read_instant("--since", since) if since else None
    return Choice(tuple(ids or ()), reason, tenant, from_then, settled, limit)


def _name(by: str | None) -> str:
    """Who does it; in a container the user may have no name."""
    try:
        return by or getpass.getuser()
    except (KeyError, OSError):
        raise RaterError("--by: expected a name for the audit; this user has none") from None


def _print(letter: Letter, reveal: bool) -> None:
    shown = shown_facts(letter, reveal)
    facts = shown | {"source": place_of(letter.letter), "refused_at": letter.refused_at}
    came = {True: ": accepted", False: ": refused again", None: ""}
    facts["history"] = [
        f"{text_of(audit.at)} {audit.action.value} by {audit.by}{came[audit.accepted]}"
        + (f" ({audit.note})" if audit.note else "")
        for audit in letter.history
    ]
    show_facts({name: value for name, value in facts.items() if name != "raw" and value not in (None, [])}, False)
    typer.echo(visible_lines(shown["raw"]))
    if letter.state in (LetterState.WAITING, LetterState.REFUSED_AGAIN):
        typer.echo(what_to_do(letter.letter), err=True)


def _say_dry(what: str, letters: list[Letter], json: bool) -> None:
    if json:
        typer.echo(orjson.dumps([letter.letter.id for letter in letters]))
    print(f"{counted(len(letters), 'record')} would be {what}", file=sys.stderr)


def _report(audits: list[DlqAudit], json: bool) -> None:
    if json:
        typer.echo(orjson.dumps([msgspec.to_builtins(audit) for audit in audits]))
