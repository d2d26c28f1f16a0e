"""`rater erase`: a user is known under a pseudonym only, from now on and in what is stored."""

import sys
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import Annotated
from uuid import uuid4

import orjson
import typer

from rater.cli.counting import counting
from rater.cli.kafka_options import Prefix, kafka_settings, talk
from rater.cli.lookup import known_account
from rater.cli.run import DEFAULT_STORE, say_upgraded, settings_for
from rater.cli.sending import Bootstrap, StoreOption, Tenant
from rater.cli.tenant_commands import Erasing, checked
from rater.core import Account, RejectedCdr, UserErased
from rater.embedded.erasure import erase, names_of, person_of, rows_of, waiting_letters
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Store, open_reader
from rater.kafka.batch_publisher import publish
from rater.kafka.erasure import names_of as names_on_kafka
from rater.kafka.erasure import what_stays
from rater.kafka.settings import KafkaSettings
from rater.kafka.tenant_topics import answer_to, answers_end, state_of
from rater.ops.masking import mask_people
from rater.wire.codec import encode_input
from rater.wire.errors import Exit, RaterError
from rater.wire.visible import visible

#: How long an erasure on Kafka waits for its event.
WAIT_S = 60.0
_LAW = (
    "charges, minutes, times, countries and prefixes stay, under the pseudonym",
    "billing law asks for them, in the EU commonly for 6 to 10 years: check your law",
    "backups, exports, invoices and what switches and payment providers keep are not reached: delete them there",
    "usage ids, call ids and ids of commands stay as they are: use none that names a person",
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("erase")(erase_user)


def erase_user(
    tenant: Tenant,
    user: Annotated[str, typer.Argument(help="The user: its name, another name of it, or its object id.")],
    also: Annotated[
        list[str] | None, typer.Option(help="One more name or object id of the same user; may be given again.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why, in words that do not name the user.")] = None,
    by: Annotated[str | None, typer.Option(envvar="RATER_OPERATOR", help="Who decided it.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it, only say what would be done.")] = False,
    store: StoreOption = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
    json: Annotated[
        bool, typer.Option("--json", help="What was found or done, as JSON on standard output.")
    ] = False,
) -> None:
    """Erase a user: a pseudonym replaces its name, in the store, or on Kafka from now on.

    Called and calling numbers of its calls lose their last four digits. No charge and no minute changes. Doing it
    twice changes nothing. What stays, and until when, is printed.

    Example: rater erase contoso ada@contoso.example --reason "request 4711" --by kim

    Example: rater erase contoso ada@contoso.example --bootstrap 127.0.0.1:9092 --yes
    """
    said = (user, *(also or ()))
    if bootstrap is not None and store is None:
        settings = kafka_settings(bootstrap, prefix)
        memory = talk(settings, "operators", state_of(settings, tenant))
        account = memory.load("account", (tenant, ""))
        if not isinstance(account, Account):
            raise RaterError(f"{tenant}: no worker has committed anything of this tenant", Exit.FAILED)
        command = _command(account, names_on_kafka(memory, tenant, said) or list(said), reason, by)
        found = {"tenant": tenant, "names": [command.user, *command.also], "done": yes}
        _say(_on_kafka(settings, command, yes), found, yes, json)
        return
    path = store or DEFAULT_STORE
    reader = open_reader(path)
    try:
        command = _command(known_account(reader, tenant), names_of(reader, tenant, said) or list(said), reason, by)
    finally:
        reader.close()
    rows = _in_store(path, command) if yes else _counted(path, command)
    found = {"tenant": tenant, "names": [command.user, *command.also], "rows": rows, "done": yes}
    lines = [f"{topic}: {count} records name the user" for topic, count in rows.items() if count]
    _say([*lines, *_LAW], found, yes, json)


def _command(account: Account, names: list[str], reason: str | None, by: str | None) -> UserErased:
    """Checked, with a key of its own, which the tenant keeps if it has none; no time passes for the tenant."""
    order = checked(
        Erasing,
        tenant=account.tenant,
        id=f"erase-{uuid4().hex}",
        at=account.clock,
        user=names[0],
        also=tuple(names[1:]),
        key=token_hex(32),
        reason=reason,
        by=by,
    )
    return order.command()


def _counted(path: Path, command: UserErased) -> dict[str, int]:
    """How many records of each topic name the user; a line for dead letters that wait."""
    reader, counts = open_reader(path), dict[str, int]()
    try:
        person = person_of(reader, command)
        for row in rows_of(reader, person):
            counts[row.topic] = counts.get(row.topic, 0) + 1
        if waiting := waiting_letters(reader, person):
            print(
                f"rater: {len(waiting)} dead letters of the user wait: replay or drop them first", file=sys.stderr
            )
    finally:
        reader.close()
    return counts


def _in_store(path: Path, command: UserErased) -> dict[str, int]:
    """Erase, and how many records were rewritten."""
    opened = Store(path)
    say_upgraded(opened)
    try:
        rater = EmbeddedRater(opened, settings_for(opened), None)  # nothing is collected meanwhile
        with counting("records verified") as progress:
            done = erase(opened, rater, command, progress)
    finally:
        opened.close()
    print(
        f"{path}: the user is {done.pseudonym} from now on; verified before, a checkpoint begins", file=sys.stderr
    )
    return done.rows


def _on_kafka(settings: KafkaSettings, command: UserErased, yes: bool) -> Iterator[str]:
    """Publish the command and wait for its event; the lines to print."""
    if yes:
        raw = encode_input(command)
        ends = talk(settings, "operators", answers_end(settings))
        talk(settings, "publisher", publish(settings, [("commands", command.tenant, raw)]))
        found = talk(settings, "operators", answer_to(settings, command.tenant, command.id, raw, ends, WAIT_S))
        if isinstance(found, RejectedCdr):
            why = f"{found.field}: {mask_people(found.message)}"
            raise RaterError(visible(f"{command.tenant}: refused: {why}"), Exit.REFUSED)
        if found is None:
            yield f"published, and no worker rated it within {WAIT_S:.0f} s; it is done when one does"
        else:
            yield f"the user is {found.user} from now on"
    yield from what_stays()
    yield from _LAW


def _say(lines: Iterator[str] | list[str], found: dict[str, object], done: bool, json: bool) -> None:
    """Facts on standard output as JSON, or all of it in lines."""
    shown = list(lines)
    if json:
        typer.echo(orjson.dumps(found | {"remarks": shown}))
        return
    for line in shown:
        typer.echo(visible(line))
    if not done:
        typer.echo("nothing was done yet: --yes does it", err=True)
