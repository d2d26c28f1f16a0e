"""`rater partition`: partitions that stopped, that are too few, or whose site is gone."""

import getpass
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
import typer

from rater.cli.kafka_options import Bootstrap, Prefix, kafka_settings, talk
from rater.cli.partition_move import move_partitions, take_over
from rater.core import Source
from rater.kafka.at_fault import TOPIC, skip_order
from rater.kafka.batch_publisher import publish_to
from rater.kafka.client import record_at
from rater.kafka.input_topics import COMMANDS, Missing, decision
from rater.kafka.settings import DEFAULT_BOOTSTRAP, KafkaSettings
from rater.kafka.standing import missing_of
from rater.kafka.topics import partitions_of
from rater.wire.dead_letters import LetterAction
from rater.wire.errors import Exit, RaterError

_SHOWN_BYTES = 300
Number = Annotated[int, typer.Option("--partition", min=0, max=2**31 - 1, help="The stopped partition.")]
Note = Annotated[str, typer.Option(help="Why, for the audit.")]
By = Annotated[str | None, typer.Option(envvar="RATER_OPERATOR", help="Who does it, for the audit.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Partitions that stopped, more partitions, a second site.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command("skip")(skip)
    group.command("accept-loss")(accept_loss)
    group.command("accept-new-topic")(accept_new_topic)
    group.command("move")(move_partitions)
    group.command("take-over")(take_over)
    app.add_typer(group, name="partition")


def skip(
    partition: Number,
    offset: Annotated[
        int, typer.Option(min=0, max=2**63 - 1, help="The record at fault, as log and /healthz name it.")
    ],
    note: Note,
    topic: Annotated[Literal["cdrs", "commands"], typer.Option(help="Its topic.")] = "cdrs",
    by: By = None,
    yes: Yes = False,
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


def accept_loss(
    partition: Number,
    note: Note,
    topic: Annotated[Literal["cdrs", "commands"], typer.Option(help="Whose records are gone.")] = "cdrs",
    by: By = None,
    yes: Yes = False,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    prefix: Prefix = "",
) -> None:
    """Give up records that were deleted before they were rated, and rate those after them; then restart the worker.

    Which offsets, who and when is in the commits, where `rater verify` finds it.

    Example: rater partition accept-loss --partition 3 --topic cdrs --note "outage; 1,204 calls billed by hand"
    """
    settings = kafka_settings(bootstrap, prefix)
    _give_up(settings, partition, topic, LetterAction.LOSS_ACCEPTED, (note, by), yes=yes)


def accept_new_topic(
    partition: Number,
    note: Note,
    topic: Annotated[Literal["cdrs", "commands", "rated-calls"], typer.Option(help="Which one.")] = "cdrs",
    by: By = None,
    yes: Yes = False,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    prefix: Prefix = "",
) -> None:
    """Read a topic that was deleted and created again from its first record; then restart the worker.

    What the former topic kept and nobody had rated is lost.  Of a new `rated-calls` calls that come again are
    rated again.

    Example: rater partition accept-new-topic --partition 3 --topic cdrs --note "created again with 48 partitions"
    """
    settings = kafka_settings(bootstrap, prefix)
    _give_up(settings, partition, topic, LetterAction.TOPIC_ACCEPTED, (note, by), yes=yes)


def _give_up(
    settings: KafkaSettings,
    partition: int,
    topic: str,
    action: LetterAction,
    why: tuple[str, str | None],
    *,
    yes: bool,
) -> None:
    """Show what is missing, ask, and note the decision; `why`: the note, and who decides."""
    found = talk(settings, "operators", _missing(settings, partition))
    missing = next((one for one in found if (one.topic, one.action) == (topic, action)), None)
    if missing is None:
        others = "; ".join(f"{one.topic}: {one.said}: {COMMANDS[one.action]}" for one in found)
        raise RaterError(
            f"{topic}[{partition}]: nothing of that kind is missing{'; ' if others else ''}{others}", Exit.FAILED
        )
    typer.echo(f"{topic}[{partition}]: {missing.said}; reading goes on at {missing.goes_on_at}", err=True)
    if not yes:
        typer.confirm("Give up what is gone?", abort=True, err=True)
    note, by = why
    order = decision(partition, missing, _name(by), datetime.now(UTC), note)
    talk(settings, "operators", publish_to(settings, TOPIC, partition, order.tenant, msgspec.json.encode(order)))
    typer.echo("noted; restart the worker that stopped, then `rater verify`", err=True)


async def _missing(settings: KafkaSettings, partition: int) -> list[Missing]:
    count = await partitions_of(settings, "cdrs")
    if partition >= count:
        raise RaterError(f"--partition {partition}: cdrs has {count} partitions, 0 to {count - 1}")
    return (await missing_of(settings, [partition]))[partition]


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
