"""What a call is quoted at is what its record is charged: hypothesis looks for a past in which it is not."""

from collections.abc import Iterable
from datetime import timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from rater.core.inputs import CallRecord
from rater.core.money import format_micros
from rater.core.outputs import RatedCall, Segment
from rater.core.quotes import Cost, Question, Reserved
from rater.core.quoting import cost_of
from rater.core.reasons import CallType
from tests.laws.test_laws import USERS, History, Input, calls, histories

LENGTHS = (1, 60, 61, 600, 3_000, 7_201, 40_000)


def parts(segments: Iterable[Segment]) -> list[Segment]:
    """Segments without the lots that paid: a quote debits nothing."""
    return [msgspec.structs.replace(segment, lots=()) for segment in segments]


@given(histories, calls(), st.sampled_from([*USERS, "nobody"]), st.sampled_from(LENGTHS), st.integers(0, 40 * 1440))
def test_a_call_is_charged_what_it_was_quoted(
    history: list[Input], like: CallRecord, user: str, seconds: int, minutes_later: int
) -> None:
    """Rules 50 to 54, A17: charge, fee, segments with their pools, and who pays, for a call that is rated at once."""
    past = History()
    for value in history:
        past.apply(value)
    now = past.world.account.clock + timedelta(minutes=minutes_later)
    payer = None if like.type is CallType.UCAP_IN else user
    question = Question(
        tenant="contoso",
        type=like.type,
        user=payer,
        calling=like.calling,
        called=like.called,
        number_type=like.number_type,
    )
    engine = past.world.engine
    quoted = cost_of(engine.committed(), engine.rules, question, seconds, now, Reserved())
    record = CallRecord(
        tenant="contoso",
        usage_id="the call that was asked about",
        type=like.type,
        answered_at=now,
        duration_s=seconds,
        user=payer,
        calling=like.calling,
        called=like.called,
        number_type=like.number_type,
        received_at=now,
    )
    before = len(past.outputs)
    past.apply(record)
    rated = [output for output in past.outputs[before:] if isinstance(output, RatedCall)]
    if not isinstance(quoted, Cost):
        assert rated == []
        return
    (call,) = rated
    assert (call.charge, call.connection_fee, call.unfunded_charge) == tuple(
        map(format_micros, (quoted.charge, quoted.fee, quoted.unfunded))
    )
    assert (parts(call.segments), call.minutes) == (parts(quoted.segments), quoted.minutes)
    assert quoted.user == (None if payer == "nobody" else call.user)  # the record names an unknown user, too
    if call.price_per_minute is not None:  # plans pay without one; the quote names it all the same
        assert quoted.rate is not None
        assert call.price_per_minute == quoted.rate.price_text
