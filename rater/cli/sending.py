"""Orders of people: to Kafka or into a store, and their outcomes."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from rater.cli.kafka_options import kafka_settings, talk
from rater.cli.run import DEFAULT_STORE, gateway_for, say_upgraded, settings_for
from rater.core import AnyCommand, Outcome
from rater.embedded.payments import payments_of
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Store
from rater.kafka.batch_publisher import publish
from rater.ops.masking import mask_people
from rater.wire.codec import encode_input
from rater.wire.errors import Exit
from rater.wire.instants import read_instant
from rater.wire.lookalikes import Lookalikes
from rater.wire.visible import visible
from rater.wire.words import did_you_mean

#: Why a command changed nothing, and what to type if it should.
USED_BEFORE = "this id was used before; if this is another order, give it an --id of its own"

Tenant = Annotated[str, typer.Argument(help="The tenant.")]
Id = Annotated[str | None, typer.Option("--id", help="The command's id: the same one again changes nothing.")]
At = Annotated[str | None, typer.Option(help="When it holds from (RFC 3339); now if not given.")]
StoreOption = Annotated[Path | None, typer.Option(help=f"The store ({DEFAULT_STORE}), if no broker is given.")]
Bootstrap = Annotated[
    str | None, typer.Option(envvar="RATER_BOOTSTRAP", help="Addresses of brokers: the command goes to Kafka.")
]
Json = Annotated[bool, typer.Option("--json", help="The command as JSON on standard output.")]
Currency = Annotated[str | None, typer.Option(help="ISO 4217, such as USD.")]


def instant(option: str, text: str | None) -> datetime | None:
    """What an option says, if it is given."""
    return read_instant(f"--{option}", text) if text else None


def at_or_now(at: str | None) -> datetime:
    """What --at says; the present where it is not given."""
    return instant("at", at) or datetime.now(UTC)


def send(
    command: AnyCommand, store: Path | None, bootstrap: str | None, prefix: str, gateway: str | None, json: bool
) -> None:
    """Send the command, print its id, and its outcome as far as it is known."""
    if bootstrap is not None and store is None:
        settings = kafka_settings(bootstrap, prefix)
        message = "commands", command.tenant, encode_input(command)
        talk(settings, "publisher", publish(settings, [message]))
        _print(command, json)
        said = f"published; what becomes of it: rater consume account-events --tenant {command.tenant}"
        print(f"{said}, or rater dlq ls", file=sys.stderr)
        return
    opened = Store(store or DEFAULT_STORE)
    say_upgraded(opened)
    try:
        rater = EmbeddedRater(opened, settings_for(opened), gateway_for(opened, gateway))
        outcome, refused = rater.apply(command, datetime.now(UTC))
        tenants, payments = opened.tenants(), payments_of(opened)
    finally:
        opened.close()
    _print(command, json)
    for remark in Lookalikes(tenants).remarks([command.tenant]):
        print(f"rater: {remark}", file=sys.stderr)
    if payments.note:
        print(f"rater: {payments.note}", file=sys.stderr)
    if outcome in (Outcome.REJECTED, Outcome.CONFLICTING_DUPLICATE):
        why = f"{refused.field}: {refused.message}" if refused else "as before, see rater dlq ls"
        meant = "" if command.tenant in tenants else did_you_mean(command.tenant, tenants)
        print(visible(f"rater: {command.tenant}: refused: {mask_people(why)}{meant}"), file=sys.stderr)
        raise typer.Exit(Exit.REFUSED)
    print(f"nothing changed: {USED_BEFORE}" if outcome is Outcome.DUPLICATE else "done", file=sys.stderr)


def _print(command: AnyCommand, json: bool) -> None:
    typer.echo(encode_input(command) if json else command.id)
