"""`rater partition move` and `take-over`: everything of a deployment in topics of another prefix."""

from pathlib import Path
from typing import Annotated

import orjson
import typer

from rater.cli.kafka_options import Bootstrap, Prefix, kafka_settings, talk
from rater.kafka.move.moving import Order, abandon, move
from rater.kafka.move.take_over import Report
from rater.kafka.move.take_over import take_over as take_over_from
from rater.kafka.port import Consumed
from rater.kafka.settings import DEFAULT_BOOTSTRAP, rating_of_environment

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
    published in the former topics.  It needs a user who may create, read and write the topics of both prefixes.

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


def take_over(
    to_prefix: ToPrefix,
    partitions: Partitions,
    ahead: Annotated[
        Path, typer.Option(help="Where to write outputs that the other site was ahead by, a line each.")
    ],
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    prefix: Prefix = "",
) -> None:
    """Go on in place of a site that is gone, from mirrored topics: compute its ledger again in its own order.

    Nothing may be mirrored any more.  Killed at any point, the same command completes it.

    Example: rater partition take-over --prefix A. --to-prefix b- --partitions 48 --ahead ahead.jsonl
    """
    settings = kafka_settings(bootstrap, prefix)
    order = Order(settings, kafka_settings(bootstrap, to_prefix), partitions)
    report = talk(settings, "topics", take_over_from(order, rating_of_environment(), _say))
    ahead.write_bytes(b"".join(_line(record) for record in report.ahead))
    _print(report, ahead, to_prefix)


def _line(record: Consumed) -> bytes:
    return orjson.dumps({"topic": record.topic, "output": orjson.loads(record.value or b"null")}) + b"\n"


def _print(report: Report, ahead: Path, to_prefix: str) -> None:
    typer.echo(
        f"{report.commits:,} commits computed again, {report.outputs:,} outputs; {report.unrated:,} records are to"
        f" be rated; {len(report.ahead):,} outputs of the other site were ahead, see {ahead}",
        err=True,
    )
    for request in report.recharges:
        typer.echo(
            f"recharge {request.id} of tenant {request.tenant}, {request.amount} {request.currency}: ask the"
            " gateway whether it was paid, before agents start",
            err=True,
        )
    _say(f"open: let switches send again what the mirror may lack, then start workers with --prefix {to_prefix!r}")


def _say(line: str) -> None:
    typer.echo(line, err=True)
