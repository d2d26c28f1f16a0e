"""A history whose call records are gone, replayed from its rated calls: `rater what-if` after Kafka deleted them."""

import msgspec
from hypothesis import given

from rater.core.inputs import CallRecord, Source
from rater.core.outputs import Output, RatedCall
from rater.core.reasons import Outcome
from rater.core.rerating import call_as_rated
from rater.core.settings import RatingSettings
from rater.dev.scenarios.engine import EmbeddedEngine
from rater.engine.batch import Record, run_batch
from rater.wire.codec import encode, encode_input
from tests.laws.test_laws import History, Input, histories

NOWHERE = Source("", 0, 0)
#: The same hours of grace as in the history.
GRACE_H = RatingSettings().grace_hours


@given(histories)
def test_calls_are_rated_alike_by_what_their_ratings_say(history: list[Input]) -> None:
    """With licences, money by hand, brakes, corrections and new ratings: the same in every field.

    But for records that come twice, which move the clock (A37) and leave no rating.
    """
    past, records = History(), []
    for number, one in enumerate(history):
        value = msgspec.structs.replace(one, version=number) if isinstance(one, CallRecord) else one
        outcome = past.apply(value)
        if not isinstance(value, CallRecord):
            records += [Record("command", NOWHERE, encode_input(past.applied[-1]))] if outcome is not None else []
        elif outcome in (Outcome.RATED, Outcome.CORRECTED):
            call = msgspec.json.decode(encode(past.rated[-1]), type=RatedCall)
            records.append(Record("cdr", NOWHERE, b"", call_as_rated(call, GRACE_H)))
    assert ratings(past.outputs) == ratings(replayed(records))


def replayed(records: list[Record]) -> list[Output]:
    """What they cause in the world that the history began with."""
    engine = History().world.engine
    assert isinstance(engine, EmbeddedEngine)
    outputs: list[Output] = []
    for record in records:
        batch = run_batch(engine.memory, engine.rules, [record])
        engine.memory.merge(batch.state)
        outputs += batch.outputs
    return outputs


def ratings(outputs: list[Output]) -> list[RatedCall]:
    """Of every call, without where its record stood."""
    return [msgspec.structs.replace(one, source=NOWHERE) for one in outputs if isinstance(one, RatedCall)]
