"""`rater rates remove-unreadable`: remove a record of `rate-decks` that is no deck."""

from typing import Annotated

import typer

from rater.cli.kafka_options import Bootstrap, Prefix, kafka_settings, talk
from rater.kafka.settings import DEFAULT_BOOTSTRAP
from rater.kafka.unreadable_decks import TOPIC, find_unreadable, remove_unreadable
from rater.wire.visible import visible

_SHOWN = 100


def remove(
    partition: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Where it stands, as `rater doctor` says.")],
    offset: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Where it stands in its partition.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    prefix: Prefix = "",
) -> None:
    """Remove a record of rate-decks that cannot be read; a deck that can be read is never removed.

    Example: rater rates remove-unreadable --partition 0 --offset 12
    """
    settings = kafka_settings(bootstrap, prefix)
    record = talk(settings, "publisher", find_unreadable(settings, partition, offset))
    key = record.key.decode(errors="replace")[:_SHOWN]
    typer.echo(visible(f"{TOPIC}[{partition}]:{offset}: key {key!r}: {record.why}"), err=True)
    if not yes:
        typer.confirm("Remove every record with this key?", abort=True, err=True)
    talk(settings, "publisher", remove_unreadable(settings, record))
    typer.echo("removed; workers go on as they are", err=True)
