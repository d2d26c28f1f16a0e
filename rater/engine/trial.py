"""What a command would cause: it is applied to an overlay that is dropped."""

from collections.abc import Iterable
from datetime import datetime

from rater.core import (
    AnyCommand,
    Committed,
    Outcome,
    Output,
    RateDeck,
    RatingSettings,
    Rules,
    Source,
    State,
    Tariffs,
)
from rater.engine.batch import Record, run_batch
from rater.wire.codec import encode_input


def tried(
    committed: Committed,
    settings: RatingSettings,
    decks: Iterable[RateDeck],
    command: AnyCommand,
    arrived_at: datetime,
) -> tuple[Outcome, list[Output], State]:
    """The outcome, the outputs, and the state after it; nothing is kept."""
    rules = Rules(settings, Tariffs())
    for deck in decks:
        rules.tariffs.publish(deck)
    record = Record("command", Source("trial", 0, 0), encode_input(command), command, arrived_at=arrived_at)
    batch = run_batch(committed, rules, [record])
    return batch.outcomes[0], batch.outputs, batch.state
