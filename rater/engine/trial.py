"""What a command or a record would cause: it is applied to an overlay that is dropped."""

from collections.abc import Iterable, Sequence
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
    Refusal,
    Rules,
    Source,
    State,
    Tariffs,
)
from rater.engine.batch import Record, run_batch
from rater.wire.codec import encode_input

_APPLIED = frozenset({Outcome.RATED, Outcome.CORRECTED})


class Trial(NamedTuple):
    """What records would cause: their outcomes, why some are refused, their outputs, and the state after them."""

    outcomes: list[Outcome]
    refusals: list[Refusal]
    outputs: list[Output]
    after: State

    @property
    def refused(self) -> Refusal | None:
        """Why the first of those would be refused that would."""
        return self.refusals[0] if self.refusals else None

    @property
    def changes_nothing(self) -> bool:
        """Whether their ids were used before, for the same."""
        return not self.refusals and _APPLIED.isdisjoint(self.outcomes)

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
    record = Record("command", Source("trial", 0, 0), encode_input(command), command, arrived_at=arrived_at)
    return tried_records(committed, settings, decks, [record])


def tried_records(
    committed: Committed, settings: RatingSettings, decks: Iterable[RateDeck], records: Sequence[Record]
) -> Trial:
    """Try records one after the other; nothing is kept."""
    batch = run_batch(committed, Rules(settings, Tariffs.of(decks)), records)
    refusals = [rejection.refusal for rejection in batch.rejections]
    return Trial(batch.outcomes, refusals, batch.outputs, batch.state)
