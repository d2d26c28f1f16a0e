"""`rater partition`: what an operator does about a partition that stopped."""

import getpass
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
import typer

from rater.cli.kafka_options import Bootstrap, Prefix, kafka_settings, talk
from rater.core import Source
from rater.kafka.at_fault import TOPIC, skip_order
from rater.kafka.batch_publisher import publish_to
from rater.kafka.client import record_at
from rater.kafka.settings import DEFAULT_BOOTSTRAP, KafkaSettings
from rater.wire.errors import Exit, RaterError

_SHOWN_BYTES = 300


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Partitions that stopped.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command("skip")(skip)
    app.add_typer(group, name="partition")


def skip(
    partition: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="The stopped partition.")],
    offset: Annotated[
        int, typer.Option(min=0, max=2**63 - 1, help="The record at fault, as log and /healthz name it.")
    ],
    note: Annotated[str, typer.Option(help="Why, for the audit.")],
    topic: Annotated[Literal["cdrs", "commands"], typer.Option(help="Its topic.")] = "cdrs",
    by: Annotated[str | None, typer.Option(envvar="RATER_OPERATOR", help="Who does it, for the audit.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    prefix: Prefix = "",
) -> None:
    """Go past one record on which a worker stops: it becomes a dead letter, unread; then restart the worker.

    Example: rater partition skip --partition 3 --topic cdrs --offset 1742 --note "raises; repaired in 0.4.1"
    """
    settings = kafka_settings(bootstrap, prefix)
    record = Source(topic, partition, offset)
    raw = talk(settings, "operators", _record(settings, record))
    typer.echo(f"{topic}[{partition}]:{offset}: {len(raw)} bytes: {raw[:_SHOWN_BYTES]!r}", err=True)
    if not yes:
        typer.confirm("Never apply this record, and rate those after it?", abort=True, err=True)
    order = skip_order(record, _name(by), datetime.now(UTC), note)
    talk(settings, "operators", publish_to(settings, TOPIC, partition, order.tenant, msgspec.json.encode(order)))
    typer.echo("noted; restart the worker that stopped, then `rater verify`", err=True)


async def _record(settings: KafkaSettings, place: Source) -> bytes:
    if (record := await record_at(settings, place.topic, place.partition, place.offset)) is not None:
        return record.value or b""
    raise RaterError(
        f"{place.topic}[{place.partition}]:{place.offset}: no such record; the worker's log and"
        " /healthz?verbose name topic, partition and offset",
        Exit.FAILED,
    )


def _name(by: str | None) -> str:
    try:
        return by or getpass.getuser()
    except (KeyError, OSError):
        raise RaterError("--by: expected a name for the audit; this user has none") from None
