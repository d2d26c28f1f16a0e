"""Calls of a store that are rated again: which ones another price list changes, and the run that does it."""

from collections.abc import Callable

from rater.core import RateDeck, RatingSettings, Rules, Tariffs
from rater.embedded.store import Reader
from rater.engine.rerating import Order, Plan, Standing, plan_of


def planned(
    reader: Reader,
    settings: RatingSettings,
    order: Order,
    deck: RateDeck | None,
    progress: Callable[[int], None] = lambda _: None,
) -> Plan:
    """What the order changes in a store; `deck` is one that is not published there yet."""
    rules = Rules(settings, Tariffs.of([*reader.decks(), *([deck] if deck else [])]))
    plan, standing = Plan(), Standing(order)
    for _, value in reader.topic("rated-calls", order.tenant):
        standing.note(value)
    plan_of(reader, rules, order, standing.calls(), plan, progress)
    return plan


def knows_deck(reader: Reader, version: str) -> bool:
    """Whether a version was published in a store."""
    return any(deck.version == version for deck in reader.decks())
