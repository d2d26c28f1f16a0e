"""`rater verify`: compute the ledger again from the topics, or a store's inputs, and compare."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import orjson
import typer

from rater.cli.counting import counting
from rater.cli.kafka_options import Bootstrap, Prefix, kafka_settings, talk
from rater.core import Outcome
from rater.embedded.verify import StoreReport, verify_store
from rater.kafka.audit_report import Report
from rater.kafka.settings import DEFAULT_BOOTSTRAP, KafkaSettings, rating_of_environment
from rater.kafka.verify import verify
from rater.ops.doctor.rights import must_hold, service_named
from rater.wire.errors import Exit

REMARKS_MAX = 20


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify")(verify_topics)


def verify_topics(
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    prefix: Prefix = "",
    store: Annotated[Path | None, typer.Option(help="Verify this store instead of topics.")] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Replay all topics through the rules and compare every byte; exit 1 with the first differences.

    Example: rater verify --bootstrap 127.0.0.1:9092

    Example: rater verify --store rater.db

    A store keeps its inputs for this. Its file is checked, too, and its money is added up.

    Work goes on meanwhile: it compares what was committed when it began.  Commits whose inputs retention has
    deleted are followed and added up; from the next snapshot on every byte is computed again.
    """
    if store is not None:
        _verify_store(store, json)
        return
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


def _verify_store(store: Path, json: bool) -> None:
    """Print what was compared in a store; exit 1 if something differs."""
    with counting("records replayed") as progress:
        report = verify_store(store, progress)
    if json:
        typer.echo(orjson.dumps(_plain_of_store(report)))
    for finding in [] if json else report.findings:
        typer.echo(finding)
    if not json and report.found > len(report.findings):
        typer.echo(f"... and {report.found - len(report.findings)} more")
    if (remark := _not_replayed(report)) is not None:
        typer.echo(remark, err=True)
    typer.echo(
        f"{report.records:,} records in {report.batches:,} batches: {_outcomes(report.outcomes.items())};"
        f" {report.outputs:,} outputs compared, {report.found:,} differences",
        err=True,
    )
    if report.found:
        raise typer.Exit(Exit.FAILED)


def _outcomes(counts: Iterable[tuple[str, int]]) -> str:
    """How many inputs had each outcome; calls are rated, commands are applied."""
    words = {Outcome.RATED.value: "rated or applied"}
    return ", ".join(f"{count:,} {words.get(str(one), one)}" for one, count in sorted(counts)) or "nothing"


def _not_replayed(report: StoreReport) -> str | None:
    """What was only added up, and why."""
    if report.base is None:
        return (
            "the file was checked and its money added up; nothing was computed again, because the store keeps no"
            " inputs yet: it does from the next `rater run` on"
        )
    if report.base.why is None:
        return None
    calls = report.base.offsets["rated-calls"]
    carried = "; what was deleted counts with its sums" if report.base.carried else ""
    return f"the first {calls:,} rated calls were added up, not computed again: {report.base.why}{carried}"


def _plain_of_store(report: StoreReport) -> dict[str, object]:
    return {
        "batches": report.batches,
        "records": report.records,
        "outputs": report.outputs,
        "outcomes": {outcome.value: count for outcome, count in report.outcomes.items()},
        "differences": report.found,
        "findings": report.findings,
        "not_computed_again": _not_replayed(report),
    }


async def _verify(settings: KafkaSettings, progress: Callable[[int], None]) -> Report:
    """Look before whether everything may be read: a client of a topic that it may not see only waits."""
    await must_hold(settings, service_named("operators"), reading=True)
    return await verify(settings, rating_of_environment(), progress)


def _print(report: Report) -> None:
    for finding in report.findings:
        typer.echo(finding)
    if report.found > len(report.findings):
        typer.echo(f"... and {report.found - len(report.findings)} more")
    say_former(report)
    for remark in report.remarks[:REMARKS_MAX]:
        typer.echo(remark, err=True)
    if len(report.remarks) > REMARKS_MAX:
        typer.echo(f"... and {len(report.remarks) - REMARKS_MAX} more remarks; --json has all", err=True)
    if report.as_of:
        typer.echo(
            f"as of {report.as_of[0]:%Y-%m-%d %H:%M:%S} UTC; what was committed since is not compared", err=True
        )
    typer.echo(
        f"{report.cdrs:,} call records and {report.commands:,} commands in {report.commits:,} commits of"
        f" {report.partitions} partitions: {_outcomes(report.outcomes.items())};"
        f" {report.outputs:,} outputs compared, {report.found:,} differences",
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
        "followed_commits": report.followed,
        "remarks": report.remarks,
        "as_of": report.as_of[0] if report.as_of else None,
    }
