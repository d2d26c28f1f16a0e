"""What time alone makes due."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from rater.agents.clock import AGAIN_INITIAL_S, Ticking
from rater.agents.tenants import Tenants
from rater.core.due import due_instants, funds_in, recharge_due, ticks_due
from rater.core.inputs import Tick
from rater.core.outputs import Balance
from rater.core.recharge import is_wanted, limit_reached, may_retry
from rater.core.settings import RatingSettings
from rater.kafka.publisher import NotStored
from rater.ops.metrics.meter import Metrics
from tests.agents.world import NOW, Clock, balance, consumed, lot, service
from tests.world import at

SETTINGS = RatingSettings()
FAILED = {"recharge_failures": 1, "recharge_attempt": 1, "recharge_retry_at": at("2025-03-10 10:00:00")}
FIVE = tuple(at(f"2025-03-10 11:{minute:02d}:00") for minute in (10, 20, 30, 40, 50))


@pytest.mark.parametrize(
    ("changes", "restricted", "due"),
    [
        ({}, None, []),
        (FAILED, None, ["2025-03-10 10:00:00"]),
        ({**FAILED, "recharge_retry_at": at("2025-03-10 12:00:01")}, None, []),
        ({**FAILED, "recharge_enabled": False}, None, []),
        ({**FAILED, "balance": "50"}, None, []),
        ({**FAILED, "recharge_in_flight": "r1"}, None, []),
        ({**FAILED, "recharge_retry_at": None}, None, []),
        ({"recharge_suppressed": True, "recharge_requests": FIVE}, None, []),
        ({"recharge_suppressed": True, "recharge_requests": FIVE, "recharge_enabled": False}, None, []),
        (
            {"recharge_suppressed": True, "recharge_requests": tuple(at - timedelta(hours=1) for at in FIVE)},
            None,
            ["2025-03-10 11:10:00"],  # 10:10, the first of five, and an hour
        ),
        ({"lots": (lot("a", "2025-03-10"), lot("b", "2025-03-11"))}, None, ["2025-03-10"]),
        ({"lots": (lot("a", "2025-03-09"), lot("b", "2025-03-10"))}, None, ["2025-03-09", "2025-03-10"]),
        ({}, "2025-02-28 23:59:59", ["2025-03-01"]),
        ({}, "2024-11-05", ["2025-03-01"]),
        ({}, "2025-03-01", []),
        ({**FAILED, "lots": (lot("a", "2025-03-10"),)}, "2025-02-01", ["2025-03-01", "2025-03-10", "2025-03-10 10:00:00"]),
    ],
)  # fmt: skip
def test_what_is_due_at_noon(changes: dict[str, Any], restricted: str | None, due: list[str]) -> None:
    """A6 to A8, rules 53 and 63: retries, windows of limits, expiry, the month's start; oldest first."""
    ticks = ticks_due(funds_in(balance(**changes)), at(restricted) if restricted else None, NOW, SETTINGS)
    assert [tick.at for tick in ticks] == [at(text) for text in due]


def test_a_tick_is_made_of_its_instant() -> None:
    """Whoever notices, and whenever: the same tick with the same id."""
    due = funds_in(balance(**FAILED))
    first = ticks_due(due, None, NOW, SETTINGS)
    assert first == ticks_due(due, None, NOW + timedelta(days=3), SETTINGS)
    assert [tick.id for tick in first] == ["tick-2025-03-10T10:00:00+00:00"]


def test_a_retry_that_meets_a_limit_is_due_twice() -> None:
    """First an event reports the limit; once that is noted, the end of the window is due."""
    requests = tuple(at(f"2025-03-10 09:{minute:02d}:00") for minute in (30, 40, 45, 50, 55))
    waiting = balance(**FAILED, recharge_requests=requests)
    assert recharge_due(funds_in(waiting), SETTINGS) == at("2025-03-10 10:00:00")
    noted = msgspec.structs.replace(waiting, recharge_suppressed=True)
    assert recharge_due(funds_in(noted), SETTINGS) == at(
        "2025-03-10 10:30:00"
    )  # 09:30, the first of five, and an hour


def test_a_limit_of_none_is_never_due() -> None:
    """With no recharge allowed at all there is no end of the window to wait for."""
    none = RatingSettings(recharges_per_hour_max=0)
    assert recharge_due(funds_in(balance(recharge_suppressed=True)), none) is None


instants = st.integers(0, 40 * 24 * 60).map(lambda minutes: at("2025-02-01") + timedelta(minutes=minutes))
waiting_balances = st.builds(
    lambda requests, failures, retry, suppressed, at: balance(
        at=at,
        recharge_requests=tuple(sorted(requests)),
        recharge_failures=failures,
        recharge_retry_at=retry if failures else None,
        recharge_suppressed=suppressed,
    ),
    st.lists(instants, max_size=12),
    st.integers(0, 3),
    instants,
    st.booleans(),
    instants,
)


def _asks(waiting: Balance, now: datetime, limits: RatingSettings) -> bool:
    """Whether a recharge is asked for when time reaches an instant."""
    funds = funds_in(waiting)
    recharge = funds.recharge
    wanted = is_wanted(recharge, funds.credits, funds.balance) and may_retry(recharge, now)
    return wanted and limit_reached(recharge, now, limits) is None


@given(waiting_balances, st.integers(1, 3), st.integers(1, 5), st.integers(0, 72))
def test_a_recharge_is_asked_for_at_the_instant_and_not_before(
    waiting: Balance, hourly: int, daily: int, earlier_h: int
) -> None:
    """The law: what was held back is asked for at the instant that was found, and at none before it."""
    limits = RatingSettings(recharges_per_hour_max=hourly, recharges_per_day_max=daily, recharges_per_month_max=9)
    waiting = msgspec.structs.replace(waiting, recharge_suppressed=True)
    due = recharge_due(funds_in(waiting), limits)
    if due is None:
        return
    assert _asks(waiting, due, limits)
    asked_after = [asked for asked in waiting.recharge_requests if asked > due]
    before = due - timedelta(hours=earlier_h, minutes=1)
    if not asked_after and waiting.recharge_requests and before > waiting.recharge_requests[-1]:
        assert not _asks(waiting, before, limits)


@given(waiting_balances)
def test_what_is_due_is_found_beforehand(waiting: Balance) -> None:
    """A balance is looked at again only from its first instant on: no tick of its money can be due before."""
    funds = funds_in(waiting)
    first = min(due_instants(funds, SETTINGS), default=None)
    if first is not None:
        assert ticks_due(funds, None, first - timedelta(seconds=1), SETTINGS) == ()
        assert ticks_due(funds, None, first, SETTINGS) != ()


class _Looking:
    """A clock of the agents over what a test feeds it."""

    def __init__(self, *, ours: bool = True) -> None:
        self.tenants = Tenants(Metrics(CollectorRegistry()))
        self.published: list[Tick] = []
        self.stored = True
        self.now = NOW
        self.clock = Clock()
        self.ticking = Ticking(
            self.tenants,
            self._publish,
            lambda _: ours,
            SETTINGS,
            others_after_s=60,
            now=self._now,
            clock=self.clock,
        )

    def look(self) -> int:
        return asyncio.run(self.ticking.look())

    def feed(self, *outputs: Any) -> None:
        for output in outputs:
            self.tenants.apply(consumed("balances" if isinstance(output, Balance) else "service-states", output))

    async def _publish(self, tick: Tick) -> None:
        if not self.stored:
            raise NotStored("commands", OSError("down"))
        self.published.append(tick)

    def _now(self) -> datetime:
        return self.now


def test_a_tick_is_published_once_then_again_if_it_had_no_effect() -> None:
    """The same tick after a minute, then after two; none once the balance has moved on."""
    looking = _Looking()
    looking.feed(balance(**FAILED))
    assert [looking.look(), looking.look()] == [1, 0]
    looking.clock.seconds += AGAIN_INITIAL_S
    assert [looking.look(), looking.look()] == [1, 0]
    looking.clock.seconds += AGAIN_INITIAL_S
    assert looking.look() == 0
    looking.clock.seconds += AGAIN_INITIAL_S
    assert looking.look() == 1
    looking.feed(balance(recharge_in_flight="r2"))
    looking.clock.seconds += 100 * AGAIN_INITIAL_S
    assert looking.look() == 0


def test_what_comes_due_later_is_seen_then() -> None:
    """Between two looks nothing has to arrive but time; a restricted user waits for the month."""
    looking = _Looking()
    looking.feed(balance(lots=(lot("a", "2025-03-11"),)), service("ada", "restricted", "2025-03-10"))
    assert looking.look() == 0
    looking.now = at("2025-03-11")
    assert looking.look() == 1
    looking.now = at("2025-04-01")
    assert looking.look() == 1
    assert [tick.at for tick in looking.published] == [at("2025-03-11"), at("2025-04-01")]
    looking.feed(service("ada", "allowed", "2025-04-01"), balance())
    looking.now = at("2025-05-01")
    assert looking.look() == 0


def test_what_is_not_ours_is_left_to_others_for_a_minute() -> None:
    """Its process may be stuck; the same tick from two processes does no harm."""
    looking = _Looking(ours=False)
    looking.feed(balance(**FAILED))
    assert looking.look() == 0
    looking.clock.seconds += 59
    assert looking.look() == 0
    looking.clock.seconds += 1
    assert looking.look() == 1


def test_a_tick_that_was_not_stored_is_published_at_the_next_look() -> None:
    """No broker answers for a while."""
    looking = _Looking()
    looking.feed(balance(**FAILED))
    looking.stored = False
    assert looking.look() == 0
    looking.stored = True
    assert looking.look() == 1
