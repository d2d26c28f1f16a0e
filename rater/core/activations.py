"""Which deck is in force when: the dated activations of a tenant, or of everybody, in their order.

An activation holds for calls that start at its instant or later, None for all; of two with the same instant the
later one counts.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Protocol

Activation = tuple[datetime | None, str]
Activations = tuple[Activation, ...]
_EARLIEST = datetime.min.replace(tzinfo=UTC)


class InCurrency(Protocol):
    """A deck, or what prices are looked up in."""

    @property
    def currency(self) -> str:
        """ISO 4217."""


def with_activation(activations: Activations, since: datetime | None, version: str) -> Activations:
    """The activations with one more, which counts before others of its instant."""
    return tuple(sorted((*activations, (since, version)), key=_by_since))


def activation_in_force(
    activations: Activations, at: datetime, currency: str, decks: Mapping[str, InCurrency]
) -> Activation | None:
    """The latest activation at or before an instant of a deck in the currency.

    A deck that this process has not read yet counts as one: who authorises must not answer before it has.
    """
    for since, version in reversed(activations):
        if since is None or since <= at:
            deck = decks.get(version)
            if deck is None or deck.currency == currency:
                return since, version
    return None


def _by_since(activation: Activation) -> datetime:
    return activation[0] or _EARLIEST
