"""The laws of brakes on new countries (A50): what becomes known follows from the calls, not from how they arrive."""

from collections.abc import Iterable
from datetime import timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from rater.core.entities import Spent
from rater.core.inputs import CallRecord
from rater.core.outputs import RatedCall
from rater.core.reasons import CallType
from rater.core.spent_windows import is_known
from rater.wire.codec import encode_input
from tests.world import CA, HARARE, LONDON, PARIS, TOKYO, US, T, ada, at

FIRST = at("2025-03-10")
#: After it every window of the calls has passed, and is dropped with the next call.
AFTER = "2025-03-20 10:00"
COUNTRIES = ("CA", "FR", "GB", "US", "ZW")


@st.composite
def records(draw: st.DrawFn, versions: int) -> list[CallRecord]:
    """Outbound calls of ada within two days, so that none comes too late to be counted; some last no time."""
    found = [
        CallRecord(
            tenant=T,
            usage_id=f"call-{draw(st.integers(0, 5)) if versions > 1 else number}",
            version=draw(st.integers(1, versions)),
            type=CallType.USER_OUT,
            answered_at=FIRST + timedelta(minutes=draw(st.integers(0, 2 * 24 * 60 - 20))),
            duration_s=draw(st.sampled_from([0, 60, 600])),
            user="ada",
            calling="+14255550100",
            called=draw(st.sampled_from([CA, HARARE, LONDON, PARIS, US])),
        )
        for number in range(draw(st.integers(1, 12)))
    ]
    return [msgspec.structs.replace(one, call_id=str(number)) for number, one in enumerate(found)]


def known_after(history: Iterable[CallRecord], mode: str, window: str) -> tuple[set[str], set[str]]:
    """Which countries are not new to ada once all windows have passed; and those of calls that stand and were charged."""
    world = ada("MCOPSTNPP")
    world.brake("abroad", "user", "1", mode, measure="new_countries", window=window)
    live: dict[str, RatedCall] = {}
    for record in history:
        world.raw(encode_input(record))
        live |= {one.usage_id: one for one in world.outputs if isinstance(one, RatedCall)}
    charged = {one.country for one in live.values() if one.charge != "0" and one.country is not None}
    world.call(TOKYO, 60, AFTER, id="last")
    found = world.engine.committed().load("spent", (T, "user/ada"))
    assert isinstance(found, Spent)
    return {country for country in COUNTRIES if is_known(found, "abroad", country, at(AFTER))}, charged


modes, windows = st.sampled_from(["shadow", "notify"]), st.sampled_from(["hour", "day"])


@given(st.data(), modes, windows)
def test_what_is_known_is_what_was_called_in_any_order(data: st.DataObject, mode: str, window: str) -> None:
    """A50: each country that a charged call went to, whatever the limit, and no other."""
    history = data.draw(records(versions=1))
    known, charged = known_after(data.draw(st.permutations(history)), mode, window)
    assert known == charged


@given(records(versions=3), modes, windows)
def test_what_was_corrected_away_makes_nothing_known(history: list[CallRecord], mode: str, window: str) -> None:
    """A50, A12: a country is known only by versions of calls that stand."""
    known, charged = known_after(history, mode, window)
    assert known <= charged
