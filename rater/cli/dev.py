"""`rater dev`: what a developer needs around the rater, on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from rater.cli.dev_gateway import gateway
from rater.cli.dev_page import page
from rater.dev.local_kafka import LocalKafka, status_json, status_text

Folder = Annotated[Path, typer.Option(help="Where jars, data and logs lie.")]
KAFKA_FOLDER = Path(".kafka")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    dev = typer.Typer(
        help="What surrounds a rater, on this machine: a Kafka, a payment gateway, the page over a demo.",
        no_args_is_help=True,
    )
    kafka = typer.Typer(help="Start and stop Apache Kafka, without Docker.", no_args_is_help=True)
    kafka.command("start")(start)
    kafka.command("stop")(stop)
    kafka.command("status")(status)
    dev.add_typer(kafka, name="kafka")
    dev.command("gateway")(gateway)
    dev.command("page")(page)
    app.add_typer(dev, name="dev")


def start(
    brokers: Annotated[int, typer.Option(min=1, max=5, help="How many.")] = 1,
    port: Annotated[int, typer.Option(min=1, max=65_531, help="The first broker's.")] = 9092,
    folder: Folder = KAFKA_FOLDER,
) -> None:
    """Fetch Kafka by Maven if it is not there, start it, and print its address.

    Example: rater dev kafka start --brokers 3
    """
    typer.echo(LocalKafka(folder).start(brokers, port))


def stop(
    forget: Annotated[bool, typer.Option("--forget", help="Remove the data too.")] = False,
    folder: Folder = KAFKA_FOLDER,
) -> None:
    """Stop the brokers that run.

    Example: rater dev kafka stop --forget
    """
    kafka = LocalKafka(folder)
    typer.echo(f"stopped {kafka.stop()}", err=True)
    if forget:
        kafka.forget()


def status(
    json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
    folder: Folder = KAFKA_FOLDER,
) -> None:
    """List the brokers that run, and where.

    Example: rater dev kafka status --json
    """
    state = LocalKafka(folder).status()
    typer.echo(status_json(state) if json else status_text(state))
