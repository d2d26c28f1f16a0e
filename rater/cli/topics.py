"""`rater topics`: create and compare the topics of `topics/*.yaml`."""

from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from rater.cli.kafka_options import Bootstrap, Prefix, kafka_settings, talk
from rater.kafka.settings import DEFAULT_BOOTSTRAP
from rater.kafka.topics import TopicState, apply, change_settings, compare
from rater.wire.errors import Exit
from rater.wire.topics import load_topics

Partitions = Annotated[int | None, typer.Option(min=1, max=10_000, help="In place of the number in topics/*.yaml.")]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    topics = typer.Typer(help="Create and compare topics.", no_args_is_help=True)
    topics.command("apply")(apply_topics)
    topics.command("diff")(diff_topics)
    topics.command("list")(list_topics)
    app.add_typer(topics, name="topics")


def apply_topics(
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    prefix: Prefix = "",
    partitions: Partitions = None,
    json: Json = False,
) -> None:
    """Create the topics that are missing; exit 1 if one that exists has other partitions or cleanup policy.

    Existing topics are given who stamps their records, and what their file has under `settings`.

    Example: rater topics apply --partitions 4
    """
    settings = kafka_settings(bootstrap, prefix)
    created, states = talk(settings, "topics", apply(settings, load_topics(), partitions))
    changed = talk(settings, "topics", change_settings(settings, load_topics(), states))
    if changed:
        states = talk(settings, "topics", compare(settings, load_topics(), partitions))
    if json:
        plain = [_plain(state) for state in states]
        typer.echo(orjson.dumps({"created": created, "changed": sorted(changed), "topics": plain}))
    else:
        typer.echo(f"created {', '.join(created)}" if created else "nothing was missing", err=True)
        for name, given in changed.items():
            typer.echo(f"{name}: set {', '.join(f'{key}={value}' for key, value in given.items())}", err=True)
        _print(states)
    if any(state.fatal for state in states):
        raise typer.Exit(Exit.FAILED)


def diff_topics(
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    prefix: Prefix = "",
    partitions: Partitions = None,
    json: Json = False,
) -> None:
    """Show how the cluster's topics differ from topics/*.yaml; exit 1 if any does.

    Example: rater topics diff --partitions 4
    """
    settings = kafka_settings(bootstrap, prefix)
    states = talk(settings, "operators", compare(settings, load_topics(), partitions))
    if json:
        typer.echo(orjson.dumps([_plain(state) for state in states]))
    else:
        _print(states)
    if any(state.state != "as expected" for state in states):
        raise typer.Exit(Exit.FAILED)


def list_topics(json: Json = False) -> None:
    """List the topics with their purpose; needs no cluster.

    Example: rater topics list --json
    """
    topics = load_topics().values()
    if json:
        typer.echo(orjson.dumps([topic.model_dump() for topic in topics]))
        return
    table = Table("topic", "key", "cleanup", "purpose", box=None)
    for topic in topics:
        table.add_row(topic.name, topic.key, topic.cleanup_policy, topic.purpose)
    Console().print(table)


def _print(states: list[TopicState]) -> None:
    for state in states:
        typer.echo(f"{state.name:16}{state.state}{''.join('; ' + text for text in state.differences)}")


def _plain(state: TopicState) -> dict[str, object]:
    return {
        "name": state.name,
        "state": state.state,
        "partitions": state.partitions,
        "differences": list(state.differences),
    }
