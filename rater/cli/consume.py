"""`rater consume`: print an output topic, and check ids and sequences while reading."""

import sys
from typing import Annotated

import typer

from rater.cli.kafka_options import Bootstrap, Prefix, kafka_settings, talk
from rater.core import OUTPUT_TOPICS
from rater.kafka.consume import SequenceCheck, read_topic
from rater.kafka.settings import DEFAULT_BOOTSTRAP, KafkaSettings
from rater.wire.errors import Exit, RaterError
from rater.wire.topics import load_topics

LAST_MAX = 1_000_000_000


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("consume")(consume)


def consume(
    topic: Annotated[str, typer.Argument(help=f"One of {', '.join(OUTPUT_TOPICS)}.")],
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    prefix: Prefix = "",
    tenant: Annotated[str | None, typer.Option(help="Print only this tenant's records.")] = None,
    last: Annotated[
        int | None,
        typer.Option(
            help="Only about the last so many records of each partition; sequences are checked from there.",
            min=1,
            max=LAST_MAX,
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
) -> None:
    """Print committed records as JSON Lines; exit 1 if an id came twice or a sequence has a gap.

    Example: rater consume debits --tenant contoso | jq .amount

    Example: rater consume rated-calls --last 5000 | tail
    """
    if topic not in OUTPUT_TOPICS:
        raise RaterError(f"expected one of {', '.join(OUTPUT_TOPICS)}, got {topic!r}")
    settings = kafka_settings(bootstrap, prefix)
    wrong = talk(settings, "operators", _print(settings, topic, tenant, last, follow))
    if wrong:
        raise typer.Exit(Exit.FAILED)


async def _print(settings: KafkaSettings, topic: str, tenant: str | None, last: int | None, follow: bool) -> int:
    check = SequenceCheck(topic, compacted=load_topics()[topic].cleanup_policy == "compact", begun=last is not None)
    printed = wrong = 0
    key = tenant.encode() if tenant else None
    async for records in read_topic(settings, topic, follow=follow, last=last):
        for record in records:
            finding = check.check(record)
            if finding:
                wrong += 1
                typer.echo(finding, err=True)
            if record.value is not None and (key is None or record.key == key):
                printed += 1
                sys.stdout.buffer.write(record.value + b"\n")
        sys.stdout.flush()
    typer.echo(f"{printed} records, {wrong} findings", err=True)
    return wrong
