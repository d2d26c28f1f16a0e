"""`rater verify`: compute the ledger again from the topics, and compare."""

import asyncio
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from rater.cli.kafka_options import Bootstrap, Prefix, kafka_settings
from rater.core.settings import RatingSettings
from rater.exits import Exit
from rater.kafka.settings import DEFAULT_BOOTSTRAP
from rater.kafka.verify import Report, verify


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify")(verify_topics)


def verify_topics(
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    prefix: Prefix = "",
    json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Replay all topics through the rules and compare every byte; exit 1 with the first differences.

    Run it while nothing is rated: a commit that lands in the middle looks like a difference.
    """
    columns = SpinnerColumn(), TextColumn("{task.description} {task.completed:,}"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("records replayed", total=None)
        settings = kafka_settings(bootstrap, prefix)
        report = asyncio.run(verify(settings, RatingSettings(), lambda n: progress.advance(task, n)))
    if json:
        typer.echo(orjson.dumps(_plain(report)))
    else:
        _print(report)
    if report.found:
        raise typer.Exit(Exit.FAILED)


def _print(report: Report) -> None:
    for finding in report.findings:
        typer.echo(finding)
    if report.found > len(report.findings):
        typer.echo(f"... and {report.found - len(report.findings)} more")
    outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(report.outcomes.items()))
    typer.echo(
        f"{report.cdrs:,} call records and {report.commands:,} commands in {report.commits:,} commits of"
        f" {report.partitions} partitions: {outcomes or 'nothing'}; {report.outputs:,} outputs compared,"
        f" {report.found:,} differences",
        err=True,
    )


def _plain(report: Report) -> dict[str, object]:
    return {
        "partitions": report.partitions,
        "commits": report.commits,
        "cdrs": report.cdrs,
        "commands": report.commands,
        "outputs": report.outputs,
        "outcomes": dict(report.outcomes),
        "differences": report.found,
        "findings": report.findings,
    }
