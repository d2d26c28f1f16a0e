"""`rater partition move`: everything of a deployment in topics of another prefix, with more partitions."""

from typing import Annotated

import typer

from rater.cli.kafka_options import Bootstrap, Prefix, kafka_settings, talk
from rater.kafka.move.moving import Order, abandon, move
from rater.kafka.settings import DEFAULT_BOOTSTRAP

ToPrefix = Annotated[str, typer.Option(help="Stands before every new topic's name.")]
Partitions = Annotated[int, typer.Option(min=1, max=10_000, help="How many the new topics have.")]


def move_partitions(
    to_prefix: ToPrefix,
    partitions: Partitions,
    group: Annotated[
        list[str] | None, typer.Option(help="A consumer group that has read all: it goes on behind what is copied.")
    ] = None,
    with_unrated: Annotated[
        bool, typer.Option("--with-unrated", help="Carry over records that no worker can rate here.")
    ] = False,
    give_up: Annotated[
        bool, typer.Option("--abandon", help="Open the former topics again; the new ones must not be open.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    prefix: Prefix = "",
) -> None:
    """Carry state, ledger and decks over to new topics with more partitions; nobody may work meanwhile.

    Killed at any point, the same command completes it.  Run once more later, it carries over what was still
    published in the former topics.  It needs the rights of whoever made the topics.

    Example: rater partition move --to-prefix p96- --partitions 96 --group rater-billing
    """
    settings = kafka_settings(bootstrap, prefix)
    order = Order(settings, kafka_settings(bootstrap, to_prefix), partitions, tuple(group or ()), with_unrated)
    if give_up:
        talk(settings, "topics", abandon(order, _say))
        return
    if not yes:
        asked = f"Close the topics of prefix {prefix!r} for good, and go on in those of prefix {to_prefix!r}?"
        typer.confirm(asked, abort=True, err=True)
    talk(settings, "topics", move(order, _say))


def _say(line: str) -> None:
    typer.echo(line, err=True)
