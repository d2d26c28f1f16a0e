"""`rater rerate`: calls that a wrong price list priced are rated again with a right one."""

import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import orjson
import typer

from rater.cli.counting import counting
from rater.cli.kafka_options import Prefix, kafka_settings, talk
from rater.cli.lookup import known_account
from rater.cli.printing import show_rows
from rater.cli.run import DEFAULT_STORE, GatewayOption, gateway_for, say_upgraded, settings_for
from rater.cli.sending import Bootstrap, StoreOption
from rater.core import IDENTIFIER_LENGTH_MAX, Outcome, RateDeck
from rater.embedded.rerate import knows_deck, planned
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Store, open_reader
from rater.embedded.store_settings import kept_settings
from rater.engine.rerating import COLUMNS, Order, Plan
from rater.files.deck_csv import read_deck
from rater.kafka import rerate as on_kafka
from rater.kafka.batch_publisher import publish
from rater.kafka.settings import rating_of_environment
from rater.wire.codec import encode_input
from rater.wire.errors import Exit, RaterError
from rater.wire.instants import read_instant
from rater.wire.visible import visible

Deck = Annotated[str, typer.Option(help="The right price list: a CSV file, or a version that was published.")]
Since = Annotated[str, typer.Option("--from", help="Calls that started then or later (RFC 3339).")]
Until = Annotated[str, typer.Option("--to", help="Calls that started before then (RFC 3339).")]
OfTenant = Annotated[str | None, typer.Option("--tenant", help="Only this tenant's calls.")]
Every = Annotated[bool, typer.Option("--all", help="The calls of all tenants.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show the sums; nothing is written.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before it is done.")]
Currency = Annotated[str, typer.Option(help="The currency of the CSV file.")]
Reason = Annotated[str | None, typer.Option(help="Why, in words: rater explain shows it.")]
By = Annotated[str | None, typer.Option(envvar="RATER_OPERATOR", help="Who does it.")]
At = Annotated[
    str | None,
    typer.Option(
        help="When it is done (RFC 3339): time passes up to then, and money expires. Else: on Kafka now; in a store"
        " each tenant's own time, so that none passes."
    ),
]
Wait = Annotated[float, typer.Option(min=0, max=86_400, help="Seconds to wait for a worker; on Kafka.")]
Json = Annotated[bool, typer.Option("--json", help="The sums and the outcome as JSON on standard output.")]
_WORDS_MAX = 256


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("rerate")(rerate)


def rerate(
    deck: Deck,
    since: Since,
    until: Until,
    tenant: OfTenant = None,
    every: Every = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    currency: Currency = "USD",
    reason: Reason = None,
    by: By = None,
    at: At = None,
    store: StoreOption = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
    gateway: GatewayOption = None,
    wait: Wait = 60.0,
    json: Json = False,
) -> None:
    """Rate calls again that a wrong price list priced: each is given back and rated with the right list.

    Calls keep their month, and minutes and money go back to where they came from.  Calls whose charge and minutes
    stay as they are are left alone.  The same command again changes nothing, also after it was interrupted.

    Example: rater rerate --deck right.csv --all --from 2025-03-03T00:00:00Z --to 2025-03-05T00:00:00Z --dry-run
    """
    read = _read(deck, currency)
    order = _order(read.version if read else deck, tenant, every, since, until, at, reason, by)
    on_broker = bootstrap is not None and store is None
    desk = _OnKafka(bootstrap or "", prefix, wait) if on_broker else _InStore(store or DEFAULT_STORE, gateway)
    with counting("calls looked at") as progress:
        plan = desk.plan(order, read, progress)
    _show(plan, order, json)
    came = None
    if plan.commands and not dry_run:
        _ask(yes, len(plan.commands))
        with counting("calls rated again") as progress:
            came = desk.carry_out(plan, read, progress)
    _end(plan, came, json)


def _read(deck: str, currency: str) -> RateDeck | None:
    """The deck of a CSV file; None for the version of a published one."""
    path = Path(deck)
    return read_deck(path, currency=currency) if path.suffix == ".csv" or path.is_file() else None


def _order(
    version: str,
    tenant: str | None,
    every: bool,
    since: str,
    until: str,
    at: str | None,
    reason: str | None,
    by: str | None,
) -> Order:
    if every == (tenant is not None):
        raise RaterError("expected either --tenant TENANT or --all")
    if not 0 < len(version) <= IDENTIFIER_LENGTH_MAX:
        raise RaterError(f"--deck: expected 1 to {IDENTIFIER_LENGTH_MAX} letters, got {len(version)}")
    for option, words in (("--reason", reason), ("--by", by)):
        if words is not None and len(words) > _WORDS_MAX:
            raise RaterError(f"{option}: expected at most {_WORDS_MAX} letters, got {len(words)}")
    first, beyond = read_instant("--from", since), read_instant("--to", until)
    if beyond <= first:
        raise RaterError(f"--to: expected a time after --from {since}, got {until}")
    return Order(version, tenant, first, beyond, read_instant("--at", at) if at else None, reason, by)


class _InStore:
    """The calls of a store."""

    def __init__(self, path: Path, gateway: str | None) -> None:
        self._path, self._gateway = path, gateway

    def plan(self, order: Order, deck: RateDeck | None, progress: Callable[[int], None]) -> Plan:
        """What the order changes."""
        with closing(open_reader(self._path)) as reader:
            if order.tenant is not None:
                known_account(reader, order.tenant)
            if deck is None and not knows_deck(reader, order.deck):
                raise RaterError(
                    f"--deck: expected a CSV file or the version of a deck in {self._path}, got {order.deck!r}"
                )
            return planned(reader, kept_settings(reader), order, deck, progress)

    def carry_out(self, plan: Plan, deck: RateDeck | None, progress: Callable[[int], None]) -> dict[str, Any]:
        """Apply the commands; their outcome."""
        with closing(Store(self._path)) as opened:
            say_upgraded(opened)
            rater = EmbeddedRater(opened, settings_for(opened), gateway_for(opened, self._gateway))
            if deck is not None:
                rater.publish(deck)
            outcomes, refused = rater.apply_all(plan.commands, datetime.now(UTC), progress)
        counts = msgspec.to_builtins({letter.reason: 0 for letter in refused})
        for letter in refused:
            counts[letter.reason.value] += 1
        return {
            "rated_again": outcomes[Outcome.CORRECTED],
            "done_before": outcomes[Outcome.DUPLICATE],
            "refused": counts,
            "waiting": 0,
        }


class _OnKafka:
    """The calls of a deployment."""

    def __init__(self, bootstrap: str, prefix: str, wait_s: float) -> None:
        self._settings = kafka_settings(bootstrap, prefix)
        self._wait_s = wait_s
        self._planned: on_kafka.Planned | None = None

    def plan(self, order: Order, deck: RateDeck | None, progress: Callable[[int], None]) -> Plan:
        """What the order changes."""
        now = order if order.at else msgspec.structs.replace(order, at=datetime.now(UTC))
        work = on_kafka.planned(self._settings, rating_of_environment(), now, deck, progress)
        self._planned = talk(self._settings, "operators", work)
        return self._planned.plan

    def carry_out(self, plan: Plan, deck: RateDeck | None, progress: Callable[[int], None]) -> dict[str, Any]:
        """Publish the deck, then the commands; their outcome."""
        assert self._planned is not None, "planned"
        assert self._planned.plan is plan
        if deck is not None:
            messages = [("rate-decks", deck.version, encode_input(deck))]
            talk(self._settings, "publisher", publish(self._settings, messages))
        came = talk(
            self._settings, "operators", on_kafka.send(self._settings, self._planned, self._wait_s, progress)
        )
        return {
            "rated_again": came.rated,
            "done_before": came.repeated,
            "refused": {reason.value: count for reason, count in came.refused.items()},
            "waiting": came.waiting,
        }


def _show(plan: Plan, order: Order, json: bool) -> None:
    """The sums by tenant and destination, then of each currency; and what to know beside them."""
    if plan.commands and not json:
        show_rows(COLUMNS, plan.rows(), json)
        _show_sums(plan)
    for line in _remarks(plan, order):
        print(visible(f"rater: {line}"), file=sys.stderr)


def _show_sums(plan: Plan) -> None:
    for line in plan.sums().values():
        old, new, more = line.amounts()
        typer.echo(
            f"{line.calls:,} calls of {line.minutes:,} minutes: {old} -> {new} {line.currency}, difference {more}"
        )


def _remarks(plan: Plan, order: Order) -> list[str]:
    """What to know beside the sums."""
    lines = [f"{plan.unchanged:,} calls stay as they are"]
    lines += [f"{count:,} calls cannot be rated again: {reason.value}" for reason, count in plan.refused.items()]
    lines += [
        f"{tenant}: late records and corrections of this time are priced with deck {stands}, which is in force;"
        f" activate {order.deck} for it"
        for tenant, stands in sorted(plan.priced_otherwise.items())
    ]
    return lines


def _ask(yes: bool, calls: int) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise RaterError("nothing was changed: no terminal to ask on; look at the sums, then run it with --yes")
    typer.confirm(f"Rate {calls:,} calls again?", abort=True, err=True)


def _end(plan: Plan, came: dict[str, Any] | None, json: bool) -> None:
    """Print the outcome; exit 3 if something was refused or is not rated yet."""
    _say(plan, came, json)
    if came and (came["refused"] or came["waiting"]):
        raise typer.Exit(Exit.REFUSED)


def _say(plan: Plan, came: dict[str, Any] | None, json: bool) -> None:
    if json:
        rows = [dict(zip(COLUMNS, row, strict=True)) for row in plan.rows()]
        facts = {"sums": rows, "unchanged": plan.unchanged}
        refused = {reason.value: count for reason, count in plan.refused.items()}
        typer.echo(orjson.dumps(facts | {"cannot": refused} | ({"came": came} if came else {})))
        return
    if came is None:
        print("nothing was changed" if plan.commands else "nothing to rate again", file=sys.stderr)
        return
    said = [f"{came['rated_again']:,} calls rated again"]
    if came["done_before"]:
        said.append(f"{came['done_before']:,} had been before")
    said += [f"{count:,} refused: {reason}" for reason, count in came["refused"].items()]
    if came["waiting"]:
        said.append(f"{came['waiting']:,} wait for a worker; the same command again changes nothing")
    print("; ".join(said), file=sys.stderr)
