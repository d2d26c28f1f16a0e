"""`rater run`: rate files into a store."""

import importlib
import shlex
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from rater.cli.deck_review import AcceptChanges, look_at, say_in_force
from rater.cli.run_files import Intake
from rater.cli.run_report import report
from rater.cli.written_options import Encoding, MapOption, Times, Version, Zone, mapping_of, written
from rater.core import DURATION_S_MAX, EVERY_TENANT, HOURS_MAX, RateDeck, RatingSettings, ahead_of_arrival
from rater.embedded.decks import books_of, to_activate
from rater.embedded.payments import gateway_of, payments_of
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Store
from rater.embedded.store_settings import GivenSettings, rating_settings
from rater.embedded.watch import stop_by_signal
from rater.engine.deck_plan import with_decks
from rater.engine.gateway import PaymentGateway
from rater.files.deck_csv import read_deck
from rater.files.recognise import FORMATS, check_format
from rater.ops.garbage_collection import expect_long_lives
from rater.ops.metrics.meter import Metrics
from rater.ops.metrics.serve import serve
from rater.wire.errors import Exit, RaterError
from rater.wire.instants import read_instant
from rater.wire.lookalikes import Lookalikes

if TYPE_CHECKING:
    from rater.agents.notices.blocking import WaitingNotifier

GATEWAY_TOKEN_ENV = "RATER_GATEWAY_TOKEN"  # noqa: S105 - the name of a variable
DEFAULT_STORE = Path("rater.db")
_DEFAULTS = RatingSettings()
GatewayOption = Annotated[
    str | None,
    typer.Option(
        help="Who collects recharges: the URL of an HTTP gateway"
        f" (its token in {GATEWAY_TOKEN_ENV}), or to pretend payments: pretend, pretend:decline,"
        " pretend:decline:TENANT,...; none: they wait.  The store keeps it."
    ),
]
EmergencyNumbersOption = Annotated[
    str | None,
    typer.Option(
        envvar="RATER_EMERGENCY_NUMBERS",
        help="National emergency numbers that the numbering plan lacks, such as IT:1530,CH:1414; none: no more."
        "  The store keeps them.",
    ),
]
ClockAheadOption = Annotated[
    int | None,
    typer.Option(
        envvar="RATER_CLOCK_AHEAD_MAX_H",
        min=0,
        max=HOURS_MAX,
        help="Hours that a time may lie after a record's arrival; one further ahead is a wrong clock, and refused"
        f" (A43; {_DEFAULTS.clock_ahead_max_h} if never given).  The store keeps it.",
    ),
]
DurationOption = Annotated[
    int | None,
    typer.Option(
        envvar="RATER_CALL_DURATION_MAX_S",
        min=1,
        max=DURATION_S_MAX,
        help="Seconds of the longest call that is rated without acceptance, for tenants without an own setting"
        f" (A44; {_DEFAULTS.call_duration_max_s} if never given).  The store keeps it.",
    ),
]
StoreOption = Annotated[Path, typer.Option(help="The SQLite file that holds state and outputs.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run")(run)


def run(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files of CDRs or of events of running calls, folders, or - for standard input.", metavar="FILE..."
        ),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    commands: Annotated[
        list[Path] | None, typer.Option(help="Commands in JSON Lines, applied before the files.")
    ] = None,
    deck: Annotated[
        list[Path] | None, typer.Option(help="A rate deck in CSV, put in force for every tenant.")
    ] = None,
    accept_changes: AcceptChanges = False,
    currency: Annotated[str, typer.Option(help="The currency of the decks.")] = "USD",
    tenant: Annotated[str | None, typer.Option(help="The tenant of files that do not name one.")] = None,
    format: Annotated[
        str | None, typer.Option(help=f"One of {', '.join(FORMATS)}; recognised if not given.")
    ] = None,
    gateway: GatewayOption = None,
    emergency_numbers: EmergencyNumbersOption = None,
    clock_ahead_max_h: ClockAheadOption = None,
    call_duration_max_s: DurationOption = None,
    times: Times = None,
    zone: Zone = None,
    encoding: Encoding = None,
    call_version: Version = None,
    map: MapOption = None,
    until: Annotated[
        str | None, typer.Option(help="Let time pass up to this instant at the end (RFC 3339).")
    ] = None,
    arrived: Annotated[
        str | None,
        typer.Option(
            help="When the files arrived (RFC 3339); decides what is late and which clocks run ahead. Else: now."
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on with what comes into the folders, until Ctrl-C.")
    ] = False,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Show metrics on this port of 127.0.0.1 (0: a free one), as long as the run lasts.",
        ),
    ] = None,
    notify: Annotated[
        Path | None, typer.Option(help="Notify people by e-mail and webhook: settings in YAML (docs/operators.md).")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The summary as JSON on standard output.")] = False,
) -> None:
    """Rate call-detail records into one SQLite file.  Running a file twice changes nothing.

    Events of running calls (JSON Lines of `call-events`) give orders to disconnect those no longer covered.

    The orders: rater export call-commands

    A deck is compared with the one in force first; one that changes much is refused without --accept-changes.

    Example: rater run --deck rates.csv --commands setup.jsonl PSTN.calls.2025-03-01.csv --tenant contoso
    """
    check_format(format)
    as_written = written(times, zone, encoding, call_version)
    mapping = mapping_of(map, format, as_written)
    arrived_at = read_instant("--arrived", arrived) if arrived is not None else None
    started, broken_off = time.monotonic(), 0
    # before anything is printed: who read that it runs may stop it
    stop = stop_by_signal() if watch else None
    expect_long_lives()
    notices = _notices(notify)
    versions, now = [read_deck(path, currency=currency) for path in deck or ()], datetime.now(UTC)
    opened = Store(store)
    say_upgraded(opened)
    try:
        replaced = look_at_decks(opened, versions, now, accepted=accept_changes)
        settings = settings_for(
            opened,
            GivenSettings(
                emergency_numbers=emergency_numbers,
                clock_ahead_max_h=clock_ahead_max_h,
                call_duration_max_s=call_duration_max_s,
            ),
        )
        letters = opened.begin_run()
        rater = EmbeddedRater(opened, settings, gateway_for(opened, gateway), _served(metrics_port), notices.note)
        for version in versions:
            rater.publish(version)
        with _progress() as progress:
            task = progress.add_task("rating", total=None)
            intake = Intake(
                rater, store, format, tenant, lambda n: progress.advance(task, n), arrived_at, as_written, mapping
            )
            for path in commands or ():
                intake.commands(path)
            for version in versions:
                rater.activate(version.version, now)
            if stop is not None:
                for _ in intake.watched(files or [], stop):
                    notices.send()
            else:
                intake.files(files or [])
        if until is not None:
            rater.tick(not_ahead("--until", until, settings))
        notices.send()
        # Of this run, and of one that was killed before it and that it goes on with.
        broken_off = opened.count_letters() - letters - rater.summary.rejected.total()
        opened.end_run()
        payments = payments_of(opened)
        alike = [*Lookalikes(opened.tenants()).remarks(rater.summary.appeared)]
    finally:
        opened.close()
        notices.close()
    own_store = store if store != DEFAULT_STORE else None
    unread = list(intake.unread.values())
    report(rater.summary, payments, unread, alike, own_store, time.monotonic() - started, json=json)
    for version in versions[-1:]:
        say_in_force(version, replaced, EVERY_TENANT, store_option(store))
    if intake.unread:
        raise typer.Exit(Exit.USAGE)
    if broken_off > 0:
        print(f"rater: the run before was broken off; records refused in it: {broken_off}", file=sys.stderr)
    if rater.summary.rejected or rater.summary.incomplete or broken_off > 0:
        raise typer.Exit(Exit.REFUSED)


def store_option(store: Path) -> str:
    """The option that names a store in a command that is printed for people to type."""
    return "" if store == DEFAULT_STORE else f" --store {shlex.quote(str(store))}"


def look_at_decks(store: Store, versions: list[RateDeck], now: datetime, *, accepted: bool) -> RateDeck | None:
    """Compare the last deck, which will be in force, with the one that is; RaterError before anything is done."""
    if not versions:
        return None
    books = books_of(store)
    new = to_activate(with_decks(books, versions), versions, now)
    nothing = "nothing was published, nothing was rated"
    return look_at(books, (new or versions)[-1], now, accepted=accepted, nothing=nothing)


def not_ahead(option: str, text: str, settings: RatingSettings) -> datetime:
    """Up to when time is to pass: not further ahead than clocks differ, for it forfeits money (A43)."""
    instant, now = read_instant(option, text), datetime.now(UTC)
    wrong = ahead_of_arrival(option, instant, now, settings.clock_ahead_max_h)
    if wrong is not None:
        raise RaterError(f"{wrong.field}: {wrong.message}")
    return instant


def say_upgraded(store: Store) -> None:
    """What was done to a store that an older release wrote, once (A51)."""
    for line in store.upgraded:
        print(f"{store.path}: {line}", file=sys.stderr)


def gateway_for(store: Store, given: str | None) -> PaymentGateway | None:
    """The gateway of a store, or the given one, which the store keeps from now on."""
    return gateway_of(store, given, _http_gateway, lambda line: print(f"rater: {line}", file=sys.stderr))


def settings_for(store: Store, given: GivenSettings | None = None) -> RatingSettings:
    """The rules' settings of a store, which keeps those that are given."""
    return rating_settings(store, given, lambda line: print(f"rater: {line}", file=sys.stderr))


def _http_gateway(url: str) -> PaymentGateway:
    # Only who uses it waits for the import of an HTTP client.
    return importlib.import_module("rater.agents.payments.blocking").waiting_gateway(url, GATEWAY_TOKEN_ENV)  # type: ignore[no-any-return]


class _NobodyTold:
    """What stands for a notifier where no settings were given."""

    note = None

    def send(self) -> None:
        """There is nothing to send."""

    def close(self) -> None:
        """There is nothing to close."""


def _notices(path: Path | None) -> "WaitingNotifier | _NobodyTold":
    # Only a run with --notify waits for the import of mail and HTTP clients.
    return (
        importlib.import_module("rater.agents.notices.blocking").waiting_notifier(path) if path else _NobodyTold()
    )


def _served(port: int | None) -> Metrics | None:
    """Metrics behind a port, where one was given."""
    if port is None:
        return None
    metrics = Metrics(CollectorRegistry())
    taken = serve(metrics.registry, port).server_port
    print(f"rater: metrics on http://127.0.0.1:{taken}/metrics", file=sys.stderr, flush=True)
    return metrics


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description} {task.completed:,} records"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
