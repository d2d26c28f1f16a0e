"""`rater verify`: compute the ledger again from the topics, and compare."""

from collections.abc import Callable
from typing import Annotated

import orjson
import typer

from rater.cli.counting import counting
from rater.cli.kafka_options import Bootstrap, Prefix, kafka_settings, talk
from rater.deploy.held import must_hold, service_named
from rater.exits import Exit
from rater.kafka.settings import DEFAULT_BOOTSTRAP, KafkaSettings, rating_of_environment
from rater.kafka.verify import Report, verify
from rater.top.settled import settled


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify")(verify_topics)


def verify_topics(
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    prefix: Prefix = "",
    json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Replay all topics through the rules and compare every byte; exit 1 with the first differences.

    Example: rater verify --bootstrap 127.0.0.1:9092

    It begins when nothing waits to be rated, or nobody rates: a commit that lands in the middle looks like a
    difference.
    """
    with counting("records replayed") as progress:
        settings = kafka_settings(bootstrap, prefix)
        work = _verify(settings, progress)
        report = talk(settings, "operators", work)
    if json:
        typer.echo(orjson.dumps(_plain(report)))
    else:
        _print(report)
    if report.found:
        raise typer.Exit(Exit.FAILED)


async def _verify(settings: KafkaSettings, progress: Callable[[int], None]) -> Report:
    """Look before whether everything may be read: a client of a topic that it may not see only waits."""
    await must_hold(settings, service_named("operators"), reading=True)
    waiting = await settled(settings, lambda count: typer.echo(f"{count:,} records wait to be rated", err=True))
    if waiting:
        typer.echo(f"nobody rates the {waiting:,} records that wait; comparing what was rated", err=True)
    return await verify(settings, rating_of_environment(), progress)


def _print(report: Report) -> None:
    for finding in report.findings:
        typer.echo(finding)
    if report.found > len(report.findings):
        typer.echo(f"... and {report.found - len(report.findings)} more")
    say_former(report)
    outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(report.outcomes.items()))
    typer.echo(
        f"{report.cdrs:,} call records and {report.commands:,} commands in {report.commits:,} commits of"
        f" {report.partitions} partitions: {outcomes or 'nothing'}; {report.outputs:,} outputs compared,"
        f" {report.found:,} differences",
        err=True,
    )


def say_former(report: Report) -> None:
    """What was not computed again: the release that wrote it does that (A51)."""
    for rules, commits in sorted(report.former.items()):
        wrote = "release 0.3.0 replays them" if rules == 1 else "the release that wrote them replays them"
        typer.echo(f"{commits:,} commits of rules {rules}: sequences, ids and sums checked; {wrote}", err=True)


def _plain(report: Report) -> dict[str, object]:
    return {
        "partitions": report.partitions,
        "commits": report.commits,
        "former_commits": {str(rules): commits for rules, commits in sorted(report.former.items())},
        "cdrs": report.cdrs,
        "commands": report.commands,
        "outputs": report.outputs,
        "outcomes": dict(report.outcomes),
        "differences": report.found,
        "findings": report.findings,
    }
