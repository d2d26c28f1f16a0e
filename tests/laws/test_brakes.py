"""The laws of brakes (A50): what is counted is what live calls cost, and nothing that is charged changes."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from rater.core.brakes import shares
from rater.core.entities import Account, Spent, SpentWindow
from rater.core.inputs import BrakeConfigured, BrakeReleased
from rater.core.money import parse_micros
from rater.core.outputs import Debit, Output, RatedCall
from rater.core.settings import RatingSettings
from rater.core.spent_windows import place_of, window_of
from tests.agents.switch import may
from tests.laws.test_laws import START, History, Input, brakes, calls, commands, reratings
from tests.world import HARARE, ada, at

set_at_first = st.lists(brakes("first", START), min_size=1, max_size=1)
histories = st.lists(st.one_of(calls(), calls(), calls(), commands(), reratings), min_size=1, max_size=40)


def play(history: Sequence[Input]) -> History:
    """All inputs in order."""
    past = History()
    for value in history:
        past.apply(value)
    return past


def kept(past: History) -> dict[tuple[str, str], list[SpentWindow]]:
    """The windows of each subject in which calls are still counted."""
    account = past.world.account
    return {key: _open(account, one.windows) for key, one in _spent(past).items()}


def _spent(past: History) -> dict[tuple[str, str], Spent]:
    found = past.world.memory.entities["spent"]
    return {key: one for key, one in found.items() if isinstance(one, Spent)}


def _open(account: Account, windows: tuple[SpentWindow, ...]) -> list[SpentWindow]:
    grace = timedelta(hours=RatingSettings().grace_hours)
    return [window for window in windows if window.end + grace > account.clock]


@given(set_at_first, histories)
def test_a_window_has_what_its_live_calls_cost(first: list[Input], history: list[Input]) -> None:
    """A50, A12: no sum is negative, and each is the sum of those versions of calls that stand."""
    past = play([*first, *history])
    money: Counter[tuple[object, ...]] = Counter()
    over: Counter[tuple[object, ...]] = Counter()
    live = {call.usage_id: call for call in past.rated}
    for call in live.values():
        for share in shares(call.brakes, call.user):
            place = (share.key, share.brake, *window_of(share.window, share.start), share.country)
            money[place] += parse_micros(call.charge)
            over[place] += share.over
    for (_, key), windows in kept(past).items():
        for window in windows:
            place = (key, *place_of(window))
            assert window.spent >= 0
            assert (window.spent, window.over_calls) == (money[place], over[place])


limits = st.sampled_from(["0", "0.1", "0.2", "1", "1.1", "3", "5"])
#: A limit that is set, or a call of so many seconds.
one_by_one = st.lists(st.one_of(limits, st.sampled_from([60, 300, 900])), min_size=2, max_size=12)


@given(st.sampled_from(["tenant", "user", "country", "class"]), limits, one_by_one)
def test_shadow_marks_what_stop_refuses(scope: str, first: str, happening: list[str | int]) -> None:
    """A50: one call after the other, at one price, whenever the limit is set again."""
    shadow, stop = ada("MCOPSTNPP"), ada("MCOPSTNPP")
    for number, one in enumerate([first, *happening]):
        when = f"2025-03-10 {number:02}:00"
        if isinstance(one, str):
            shadow.brake("daily", scope, one, "shadow", at=at(when))
            stop.brake("daily", scope, one, "stop", at=at(when))
        else:
            refused = may(stop, HARARE, when)[0] == "brake_reached"
            stop.call(HARARE, one, when)
            assert shadow.call(HARARE, one, when).brakes[0].over == refused


@given(set_at_first, histories)
def test_brakes_change_no_charge(first: list[Input], history: list[Input]) -> None:
    """A50: calls and debits are the same as without brakes, to the micro-unit."""
    unreleased = [value for value in (*first, *history) if not isinstance(value, BrakeReleased)]
    off = [
        msgspec.structs.replace(value, mode="off") if isinstance(value, BrakeConfigured) else value
        for value in unreleased
    ]
    with_brakes, without = play(unreleased), play(off)
    assert _charged(with_brakes.outputs) == _charged(without.outputs)


def _charged(outputs: list[Output]) -> list[Output]:
    """Rated calls and debits without what says where they come from and what counted them."""
    source = outputs[0].source if outputs else None
    found: list[Output] = []
    for output in outputs:
        if isinstance(output, RatedCall):
            found.append(msgspec.structs.replace(output, source=source, brakes=()))
        elif isinstance(output, Debit):
            found.append(msgspec.structs.replace(output, source=source))
    return found
