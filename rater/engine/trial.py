"""What a command would cause: it is applied to an overlay that is dropped."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from rater.core import (
    AccountEvent,
    AnyCommand,
    Committed,
    Debit,
    EventKind,
    Outcome,
    Output,
    RateDeck,
    RatingSettings,
    RejectedCdr,
    Rules,
    Source,
    State,
    Tariffs,
)
from rater.engine.batch import Record, run_batch
from rater.wire.codec import encode_input


class Trial(NamedTuple):
    """What a command would cause: its outcome, its outputs, and the state after it."""

    outcome: Outcome
    outputs: list[Output]
    after: State

    @property
    def refused(self) -> RejectedCdr | None:
        """Why it would be refused, if it would."""
        return next((output for output in self.outputs if isinstance(output, RejectedCdr)), None)

    @property
    def changes_nothing(self) -> bool:
        """Whether its id was used before, for the same."""
        return self.outcome is not Outcome.RATED and self.refused is None

    @property
    def debits(self) -> list[Debit]:
        """The money that would leave the balance."""
        return [output for output in self.outputs if isinstance(output, Debit)]

    @property
    def events(self) -> list[EventKind]:
        """What would happen to the tenant."""
        return [output.event for output in self.outputs if isinstance(output, AccountEvent)]


def tried(
    committed: Committed,
    settings: RatingSettings,
    decks: Iterable[RateDeck],
    command: AnyCommand,
    arrived_at: datetime,
) -> Trial:
    """Try a command; nothing is kept."""
    rules = Rules(settings, Tariffs())
    for deck in decks:
        rules.tariffs.publish(deck)
    record = Record("command", Source("trial", 0, 0), encode_input(command), command, arrived_at=arrived_at)
    batch = run_batch(committed, rules, [record])
    return Trial(batch.outcomes[0], batch.outputs, batch.state)
