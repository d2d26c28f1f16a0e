"""A new price list is looked at before it counts: a table of its changes; too many need a person to accept them."""

import shlex
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import msgspec
import typer
from msgspec import UNSET
from rich.markup import escape
from rich.table import Table

from rater.cli.printing import show_table, text_of
from rater.core import (
    EVERY_TENANT,
    Change,
    DeckChange,
    DeckChanges,
    DeckLimits,
    RateDeck,
    RateRow,
    compare_decks,
    too_much,
)
from rater.engine.deck_plan import DeckBooks
from rater.kafka.settings import deck_limits_of_environment
from rater.ops.written_settings import variable_of
from rater.wire.errors import Exit, RaterError

AcceptChanges = Annotated[
    bool,
    typer.Option("--accept-changes", help="Put a price list in force although it changes much (RATER_DECK_*)."),
]
#: Of all changes; a list has ten thousand rows.
SHOWN_MAX = 20
COLUMNS = ("change", "direction", "prefix", "destination", "country", "before", "after", "times", "from")
_WORDS = {
    Change.COUNTRY_GONE: "country without a price",
    Change.PREMIUM_GONE: "premium row gone",
    Change.JUMP: "price jumps",
    Change.GONE: "row gone",
    Change.PRICE: "other price",
    Change.NEW: "new row",
}
_LIMITS = {
    "rows_gone_percent_max": "{count} % of its rows are gone",
    "countries_gone_max": "{count} countries have no price any more",
    "prices_beyond_factor_max": "{count} prices are more than {factor} times up or down",
    "premium_gone_max": "{count} premium rows are gone",
}


class Review(msgspec.Struct, frozen=True):
    """A comparison, and which limits it goes beyond, as sentences."""

    before: RateDeck
    after: RateDeck
    changes: DeckChanges
    beyond: tuple[str, ...]

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The worst changes for people, in the order of COLUMNS."""
        return [_row(change) for change in self.changes.changes[:SHOWN_MAX]]

    def counts(self) -> str:
        """How much changes, in one line."""
        found = self.changes
        if not found.changes:
            return f"{found.rows_after} rows, no prices changed"
        return (
            f"{found.rows_before} rows -> {found.rows_after}: {found.gone} gone, {found.new} new,"
            f" {found.dearer} dearer, {found.cheaper} cheaper; {found.count(Change.JUMP)} prices jump,"
            f" {found.count(Change.COUNTRY_GONE)} countries without a price,"
            f" {found.count(Change.PREMIUM_GONE)} premium rows gone"
        )

    def facts(self) -> dict[str, Any]:
        """The same for programs."""
        found = self.changes
        counted = {change.name.casefold(): found.count(change) for change in Change}
        return {
            "before": {"version": self.before.version, "rows": found.rows_before},
            "after": {"version": self.after.version, "rows": found.rows_after},
            "rows": {"gone": found.gone, "new": found.new, "dearer": found.dearer, "cheaper": found.cheaper},
            "changes": counted,
            "beyond": list(self.beyond),
            "worst": [dict(zip(COLUMNS, row, strict=True)) for row in self.rows],
        }


def review(before: RateDeck, after: RateDeck, at: datetime, limits: DeckLimits) -> Review:
    """Compare two lists with the limits of this deployment."""
    changes = compare_decks(before, after, at, limits)
    return Review(before, after, changes, tuple(_beyond(changes, limits)))


def look_at(
    books: DeckBooks, deck: RateDeck, now: datetime, *, accepted: bool, nothing: str, since: datetime | None = None
) -> RateDeck | None:
    """Show what changes for the owner when a deck is put in force; the deck that it replaces.

    RaterError where the changes go beyond a limit and nobody accepted them; `nothing` says what was not done.
    """
    before = books.in_force(deck.currency, since or now)
    if before is None:  # the first one of its currency has nothing to be compared with
        return None
    if before.version == deck.version:
        print(f"deck {deck.version} is in force {_for(books.owner)} already: no changes", file=sys.stderr)
        return None
    found = review(before, deck, since or now, deck_limits_of_environment())
    print(f"deck {deck.version} instead of {before.version} {_for(books.owner)}:", file=sys.stderr)
    print_review(found, stderr=True)
    if found.beyond and not accepted:
        raise RaterError(
            f"deck {deck.version} changes too much against {before.version}, which is in force:"
            f" {'; '.join(found.beyond)}; {nothing}; if the list is right, give --accept-changes",
            Exit.FAILED,
        )
    return before


def print_review(found: Review, *, stderr: bool = False) -> None:
    """The worst changes as a table, then all in numbers."""
    out = sys.stderr if stderr else sys.stdout
    if rows := found.rows:
        table = Table(*COLUMNS, box=None)
        for row in rows:
            table.add_row(*map(escape, row))
        show_table(table, fold=False, file=out)
    if left := len(found.changes.changes) - len(rows):
        print(f"and {left} more", file=out)
    print(found.counts(), file=out, flush=True)


def say_in_force(deck: RateDeck, replaced: RateDeck | None, owner: str, where: str) -> None:
    """Which deck counts now, and the command that takes it back; `where` are its options."""
    if replaced is None:
        return
    tenant = "" if owner == EVERY_TENANT else f" --tenant {shlex.quote(owner)}"
    back = f"rater rates activate {shlex.quote(replaced.version)}{tenant}{where}"
    print(f"deck {deck.version} counts {_for(owner)}; to take it back: {back}", file=sys.stderr)


def _for(owner: str) -> str:
    return "for everybody" if owner == EVERY_TENANT else f"for {owner}"


def _beyond(changes: DeckChanges, limits: DeckLimits) -> Iterator[str]:
    for name, count, limit in too_much(changes, limits):
        said = _LIMITS[name].format(count=count, factor=limits.price_factor_max)
        yield f"{said} ({variable_of(f'deck_{name}')} allows {limit})"


def _row(change: DeckChange) -> tuple[str, ...]:
    row = change.row
    return (
        _WORDS[change.change],
        change.direction,
        change.prefix,
        row.destination,
        row.country or "",
        _price(change.before, change.prefix),
        _price(change.after, change.prefix),
        _times(change),
        text_of(change.since),
    )


def _price(row: RateRow | None, prefix: str) -> str:
    """What a row asks for; where it is not the prefix's own, which one it is."""
    if row is None:
        return "none"
    fee = "" if row.connection_fee in (UNSET, "0") else f" + {row.connection_fee}"
    increments = (row.increment_first_s, row.increment_next_s)
    steps = "" if increments == (60, 60) else f" {increments[0]}/{increments[1]}"
    kind = f" {row.type}" if row.type in ("premium", "unsupported") else ""
    where = "" if row.prefix == prefix else f" (as {row.prefix})"
    return f"{row.price_per_minute}{fee}{steps}{kind}{where}"


def _times(change: DeckChange) -> str:
    if change.before is None or change.after is None:
        return ""
    tenths = change.tenths
    if tenths is None:
        return "to or from 0" if change.change is Change.JUMP else ""
    return f"{tenths // 10}.{tenths % 10}"
