"""What `rater run` says when it is done: as a table for people, or as one JSON object."""

import shlex
import sys
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any

import msgspec
import orjson
import typer
from rich.console import Console
from rich.table import Table

from rater.core import EventKind, Outcome, format_micros
from rater.embedded.payments import Payments
from rater.embedded.summary import Summary
from rater.ops.masking import mask_people
from rater.wire.visible import visible

ALREADY_SHOWN_MAX = 5


def report(
    summary: Summary,
    payments: Payments,
    unread: list[str],
    alike: list[str],
    store: Path | None,
    seconds: float,
    *,
    json: bool,
) -> None:
    """JSON on standard output; or a table, and below it which rows were refused and how to look at them.

    `store` is the store if it is not the default of every command.
    """
    for notice in chain(summary.incomplete.values(), *summary.remarks.values(), alike):
        print(f"rater: {visible(notice)}", file=sys.stderr)
    for line in _already(summary.already):
        print(f"rater: {visible(line)}", file=sys.stderr)
    facts = _facts(summary, payments, unread, alike, seconds)
    if json:
        typer.echo(orjson.dumps(facts))
        return
    table = Table("what", "count", title="this run")
    for name in ("calls", "commands", "debited", "events", "rejected", "disconnects"):
        for key, value in facts[name].items():
            table.add_row(f"{name}: {key}", str(value))
    for reason, count in sorted(summary.not_selected.items()):
        table.add_row(f"not selected: {reason}", str(count))
    if summary.call_events:
        table.add_row("call events", str(summary.call_events))
    Console(stderr=True).print(table)
    if payments.note:
        print(payments.note, file=sys.stderr)
    _say_refused(summary, store)
    if unread:
        print(f"{len(unread)} of the files could not be read: see above", file=sys.stderr)


def _facts(
    summary: Summary, payments: Payments, unread: list[str], alike: list[str], seconds: float
) -> dict[str, Any]:
    """The summary for programs."""
    return {
        "records": summary.records,
        "calls": _by_word(summary.calls),
        "commands": _by_word(summary.commands, rated="applied"),
        "outcomes": {outcome.value: count for outcome, count in sorted(summary.outcomes.items())},
        "unfunded_calls": summary.unfunded,
        "debited": {currency: format_micros(sum) for currency, sum in sorted(summary.debited.items())},
        "events": dict(sorted(summary.events.items())),
        "rejected": dict(sorted(summary.rejected.items())),
        "not_selected": dict(sorted(summary.not_selected.items())),
        "refused_rows": [mask_people(line) for line in summary.refused],
        "unread_files": unread,
        "lookalike_tenants": alike,
        "payments": msgspec.structs.asdict(payments),
        "already_rated": [*summary.already],
        "call_events": summary.call_events,
        "disconnects": dict(sorted(summary.disconnects.items())),
        "seconds": round(seconds, 3),
    }


def _by_word(counts: Mapping[Outcome, int], rated: str = Outcome.RATED.value) -> dict[str, int]:
    """Outcomes in words; a command is not rated, but applied."""
    words = {Outcome.RATED: rated}
    return {words.get(outcome, outcome.value): count for outcome, count in sorted(counts.items())}


def _already(files: dict[str, str | None]) -> Iterator[str]:
    """Files in which nothing was new: the first by name, of the others how many."""
    for path, day in islice(files.items(), ALREADY_SHOWN_MAX):
        yield f"{path}: already rated{f' on {day}' if day else ''}; nothing in it is new"
    if (left := len(files) - ALREADY_SHOWN_MAX) > 0:
        yield f"{left} more files were already rated"


def _say_refused(summary: Summary, store: Path | None) -> None:
    """The first refused rows, the command that shows all, and the one that shows calls without a price."""
    where = "" if store is None else f" --store {shlex.quote(str(store))}"
    if looked := summary.events[EventKind.RATING_EXCEPTION.value]:
        print(
            f"{_many(looked, 'call')} rated without a price: rater show calls TENANT --anomalies{where}",
            file=sys.stderr,
        )
    refused = summary.rejected.total()
    if summary.unfunded:
        print(
            f"{_many(summary.unfunded, 'call')} rated and paid by nobody: their users have no licence to spend"
            f" credits (MCOPSTNC): rater show calls TENANT --flag unfunded{where}",
            file=sys.stderr,
        )
    if (before := summary.calls[Outcome.REJECTED] - refused) > 0:
        print(f"{_many(before, 'record')} refused before, too: rater dlq ls --all{where}", file=sys.stderr)
    for line in summary.refused if refused else ():
        print(visible(mask_people(line)), file=sys.stderr)
    if refused:
        print(f"{_many(refused, 'record')} refused: rater dlq ls{where}", file=sys.stderr)


def _many(count: int, what: str) -> str:
    return f"1 {what} was" if count == 1 else f"{count} {what}s were"
