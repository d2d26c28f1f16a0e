"""`rater rates compare` and `rater rates activate`: a list beside another one, and one that counts again."""

import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import orjson
import typer

from rater.cli.deck_review import AcceptChanges, look_at, print_review, review, say_in_force
from rater.cli.kafka_options import Prefix, kafka_options, kafka_settings, talk
from rater.cli.run import DEFAULT_STORE, gateway_for, say_upgraded, settings_for, store_option
from rater.cli.sending import Bootstrap, StoreOption, at_or_now, instant
from rater.core import EVERY_TENANT, DeckActivated, Outcome, RateDeck
from rater.embedded.decks import books_of
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Store
from rater.engine.deck_plan import DeckBooks, activation_of
from rater.files.price_list import read_any_deck
from rater.kafka.batch_publisher import publish
from rater.kafka.deck_books import deck_books
from rater.kafka.settings import deck_limits_of_environment
from rater.wire.codec import encode_input
from rater.wire.errors import Exit, RaterError

From = Annotated[
    str | None,
    typer.Option(
        "--from",
        help="For calls that start then or later (RFC 3339); else from when the replaced deck holds.",
    ),
]
Tenants = Annotated[
    list[str] | None,
    typer.Option("--tenant", help="Only for this tenant (may be given again); else for everybody."),
]


def register(group: typer.Typer) -> None:
    """Add the commands to `rater rates`."""
    group.command("compare")(compare)
    group.command("activate")(activate)


def compare(
    old: Annotated[Path, typer.Argument(help="A deck, or a price list.")],
    new: Annotated[Path, typer.Argument(help="The one that is to replace it.")],
    at: Annotated[str | None, typer.Option(help="From when rows count (RFC 3339); now if not given.")] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Show what a new price list changes; exit 1 if it is so much that `publish` and `run` need --accept-changes.

    Example: rater rates compare deck-2025-03.csv deck-2025-04.csv
    """
    when = at_or_now(at)
    found = review(read_any_deck(old), read_any_deck(new), when, deck_limits_of_environment())
    if json:
        typer.echo(orjson.dumps(found.facts()))
    else:
        print_review(found)
    for sentence in found.beyond:
        print(f"rater: {sentence}", file=sys.stderr)
    if found.beyond:
        raise typer.Exit(Exit.FAILED)


def activate(
    version: Annotated[str, typer.Argument(help="A deck that was published: its version.")],
    since: From = None,
    tenant: Tenants = None,
    accept_changes: AcceptChanges = False,
    store: StoreOption = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
) -> None:
    """Put a published deck in force (again), in place of the one that is: this takes a wrong price list back.

    One that counted before needs no --accept-changes.  Twice changes nothing.

    Example: rater rates activate 3f0c5a9d1b2e --tenant contoso
    """
    now, start = datetime.now(UTC), instant("from", since)
    owners = tenant or [EVERY_TENANT]
    if bootstrap is not None and store is None:
        settings = kafka_settings(bootstrap, prefix)
        books = talk(settings, "publisher", deck_books(settings, owners))
        where = kafka_options(bootstrap, prefix)
        _must_be_configured([owner for owner in owners if not books[owner].configured], settings.bootstrap)
        plans = [_Activation(books[owner], version, start, now) for owner in owners]
        commands = _looked_at(plans, accept_changes)
        messages = [("commands", command.tenant, encode_input(command)) for command in commands]
        talk(settings, "publisher", publish(settings, messages))
    else:
        path = store or DEFAULT_STORE
        where = store_option(path)
        plans = _activate_in_store(path, owners, version, start, now, accept_changes)
    for plan in plans:
        plan.say(where)


class _Activation:
    """What putting one published deck in force comes to for one owner."""

    def __init__(self, books: DeckBooks, version: str, since: datetime | None, now: datetime) -> None:
        found = books.decks.get(version)
        if found is None:
            known = ", ".join(sorted(books.decks)) or "none"
            raise RaterError(f"expected the version of a published deck ({known}), got {version!r}")
        self.deck: RateDeck = found
        self.command: DeckActivated | None = activation_of(books, found, now, since)
        self._books, self._since, self._now = books, since, now
        self._replaced: RateDeck | None = None

    def look(self, accepted: bool) -> None:
        """Compare with the deck in force; RaterError if somebody has to accept the changes."""
        known = self._books.counted_before(self.deck.version)
        self._replaced = look_at(
            self._books,
            self.deck,
            self._now,
            accepted=accepted or known,
            nothing="nothing was changed",
            since=self._since,
        )

    def say(self, where: str) -> None:
        """Which deck counts from when, what comes later, and how calls that were priced before are rated again."""
        if self.command is None:
            return
        say_in_force(self.deck, self._replaced, self._books.owner, where)
        from_then = self.command.effective_from
        for since, version in self._books.later(self.deck.currency, from_then or self._now):
            if version != self.deck.version:
                print(f"from {since:%Y-%m-%dT%H:%M:%SZ} on deck {version} counts, as before", file=sys.stderr)
        start = f"{from_then:%Y-%m-%dT%H:%M:%SZ}" if from_then else "TIME"
        span = "now" if from_then else "from when the wrong list began to count, to now"
        whose = "--all" if self._books.owner == EVERY_TENANT else f"--tenant {shlex.quote(self._books.owner)}"
        again = f"rater rerate --deck {shlex.quote(self.deck.version)} --from {start} --to TIME {whose}{where}"
        print(f"calls already priced: {again} ({span}); it asks first", file=sys.stderr)


def _looked_at(plans: list[_Activation], accepted: bool) -> list[DeckActivated]:
    """The commands, once the changes of all are known to be wanted."""
    for plan in plans:
        plan.look(accepted)
    return [plan.command for plan in plans if plan.command is not None]


def _must_be_configured(unknown: list[str], where: object) -> None:
    if unknown:
        raise RaterError(f"--tenant: {unknown[0]!r} is not configured in {where}; nothing was changed")


def _activate_in_store(
    path: Path, owners: list[str], version: str, since: datetime | None, now: datetime, accepted: bool
) -> list[_Activation]:
    opened = Store(path)
    say_upgraded(opened)
    try:
        unknown = [owner for owner in owners if owner != EVERY_TENANT and opened.account(owner) is None]
        _must_be_configured(unknown, path)
        plans = [_Activation(books_of(opened, owner), version, since, now) for owner in owners]
        commands = _looked_at(plans, accepted)
        rater = EmbeddedRater(opened, settings_for(opened), gateway_for(opened, None))
        for command in commands:
            outcome, refused = rater.apply(command, now)
            if outcome is not Outcome.RATED:
                why = f"{refused.field}: {refused.message}" if refused else outcome.value
                raise RaterError(f"{command.tenant}: refused: {why}", Exit.REFUSED)
    finally:
        opened.close()
    return plans
