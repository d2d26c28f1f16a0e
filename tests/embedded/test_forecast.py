"""`rater forecast` and `rater recommend`: what is likely of a tenant's money, by weeks of its own past.

London costs 0.05 a minute, Seattle 0.01; ada has 120 minutes of MCOPSTN5 (US) and may spend credits.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache, partial
from math import exp
from pathlib import Path
from random import Random
from typing import Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rater.core import (
    Account,
    AnyCommand,
    CallRecord,
    CallType,
    Debit,
    Memory,
    Output,
    RatedCall,
    RatingSettings,
    Rules,
    Source,
    Tariffs,
    TenantConfigured,
    format_micros,
    parse_ledger,
    record_as_rated,
)
from rater.core.inputs import EVERY_TENANT, DeckActivated, FundsAdjusted, RechargeSettings
from rater.engine import likely_future
from rater.engine.batch import Record, run_batch
from rater.engine.forecast import Likely, charged_again, forecast, likely, runs_of, spared_pools
from rater.engine.funding_advice import Terms, advise, published_funding
from rater.engine.future_runs import DAY, Player, Run
from rater.engine.gateway import succeeded
from rater.engine.likely_future import WEEK, Past, past_of
from rater.files.deck_csv import read_deck
from rater.wire.codec import encode_input
from rater.wire.errors import Exit, RaterError
from tests.commands import rater
from tests.embedded.usage import SETUP
from tests.world import DECK, HARARE, PARIS, at

BEGINS = at("2025-03-03")  # a Monday
LONDON, SEATTLE = "+442079460000", "+12065550177"


def call(number: int, start: datetime, minutes: int, called: str = LONDON) -> bytes:
    record = {
        "tenant": "contoso", "usage_id": f"call-{number}", "type": "user_out", "user": "ada@contoso.example",
        "calling": "+14255550100", "called": called, "answered_at": start.isoformat(), "duration_s": 60 * minutes,
    }  # fmt: skip
    return json.dumps(record).encode()


def rated(folder: Path, lines: Iterable[bytes], setup: str = SETUP) -> Path:
    """A store with these calls; their file arrived when the last of them ended."""
    (folder / "setup.jsonl").write_text(setup)
    (folder / "calls.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    words = ["--commands", "setup.jsonl", "--deck", str(DECK), "--gateway", "pretend", "--arrived"]
    rater("run", "calls.jsonl", *words, "2025-05-01T00:00:00Z", cwd=folder)
    return folder


def same_weeks(weeks: int) -> list[bytes]:
    """Each Tuesday 10 minutes to London: 0.50 a week; each Sunday one minute to Seattle, which the plan pays."""
    tuesdays = [call(week, BEGINS + week * WEEK + timedelta(days=1, hours=9), 10) for week in range(weeks)]
    sundays = [
        call(100 + week, BEGINS + week * WEEK + timedelta(days=6, hours=23), 1, SEATTLE) for week in range(weeks)
    ]
    return [*tuesdays, *sundays]


def test_weeks_that_are_all_alike_have_no_band(tmp_path: Path) -> None:
    """Ten dollars, 0.50 a week: 7.50 after five weeks; in six weeks 3.00 more is spent, and nothing is used up."""
    folder = rated(tmp_path, same_weeks(5))
    found = json.loads(rater("forecast", "contoso", "--days", "42", "--format", "json", cwd=folder).stdout)
    assert (found["weeks"], found["balance"]) == (4, "7.5")
    assert found["spent"][41] == {"p10": "3", "p50": "3", "p90": "3"}
    assert found["balances"][13] == {"p10": "6.5", "p50": "6.5", "p90": "6.5"}
    assert found["first_zero"] == {"p10": None, "p50": None, "p90": None}


def test_when_credit_is_used_up(tmp_path: Path) -> None:
    """A cent less than six calls cost: the next one, on Tuesday the 8 April, takes what is left and more."""
    folder = rated(tmp_path, same_weeks(5), SETUP.replace('"amount":"10"', '"amount":"2.99"'))
    found = json.loads(rater("forecast", "contoso", "--format", "json", cwd=folder).stdout)
    assert found["balance"] == "0.49"
    assert found["first_zero"]["p50"].startswith("2025-04-08T09:10")
    assert "2025-04-08" in rater("forecast", "contoso", cwd=folder).stdout


def test_too_little_past_is_reported_and_nothing_is_guessed(tmp_path: Path) -> None:
    """26 days are too few; a tenant that is not configured has none."""
    folder = rated(tmp_path, same_weeks(4))
    said = rater("forecast", "contoso", cwd=folder, code=Exit.FAILED).stderr
    assert "expected at least 4 whole weeks of calls before" in said
    assert "got 26 days; nothing can be said" in said
    nobody = rater("forecast", "nobody", cwd=folder, code=Exit.FAILED).stderr
    assert nobody == "rater: nobody: expected a tenant that was configured\n"


def test_the_same_seed_is_the_same_forecast_and_nothing_is_changed(tmp_path: Path) -> None:
    """The store is what it was, byte for byte; another seed draws other weeks."""
    lines = [call(day, BEGINS + timedelta(days=day, hours=9), 1 + day * day % 11) for day in range(35)]
    folder = rated(tmp_path, lines)
    before = (folder / "rater.db").read_bytes()
    first, again, other = (
        rater("forecast", "contoso", "--seed", seed, "--format", "csv", cwd=folder).stdout
        for seed in ("1", "1", "2")
    )
    assert first == again != other
    assert (folder / "rater.db").read_bytes() == before
    assert first.splitlines()[0] == "day_end,balance_p10,balance_p50,balance_p90,spent_p10,spent_p50,spent_p90"
    assert len(first.splitlines()) == 1 + 60


RECHARGES = SETUP.replace(
    '"credits":"enabled"}', '"credits":"enabled","recharge":{"enabled":true,"trigger":"9","amount":"50"}}'
)


def test_payments_are_answered_as_the_last_one_was(tmp_path: Path) -> None:
    """Below 9: 50 are added once, and in 60 days no more is needed."""
    folder = rated(tmp_path, same_weeks(5), RECHARGES)
    found = json.loads(rater("forecast", "contoso", "--days", "28", "--format", "json", cwd=folder).stdout)
    assert found["balance"] == "57.5"
    assert found["recharges"] == {"p10": 0, "p50": 0, "p90": 0}


def test_what_is_recommended(tmp_path: Path) -> None:
    """No hour costs more than 0.50, no month more than 2.50: 1 and the least amount, which is 50."""
    folder = rated(tmp_path, same_weeks(5))
    found = json.loads(rater("recommend", "contoso", "--json", cwd=folder).stdout)
    assert (found["trigger"], found["amount"], found["confirmed"]) == (1, 50, True)
    assert (found["spent_while_paying"], found["spent_in_a_month"]) == ("0.5", "2.5")
    assert found["published"] == {"users": 1, "once": 1000, "trigger": 200}
    said = rater("recommend", "contoso", cwd=folder).stdout
    assert said.startswith(
        "Recharge 50 USD below 1 USD. It is the least that was tried with which nine of ten likely months have no zero"
        " and at most 4 recharges, whether they begin at 1 USD or with more; in nine of ten, no 60 minutes cost more"
        " than 0.5 USD, and the month no more than 2.5 USD.\n"
    )


def test_what_is_missing_to_the_trigger_is_bought_before(tmp_path: Path) -> None:
    """2.50 were spent, of nothing: from -2.50 to 1 USD it is 3.50."""
    folder = rated(tmp_path, same_weeks(5), SETUP.replace('"amount":"10"', '"amount":"0.01"'))
    found = json.loads(rater("recommend", "contoso", "--json", cwd=folder).stdout)
    assert (found["trigger"], found["confirmed"], found["buy_first"]) == (1, True, "3.49")
    said = rater("recommend", "contoso", cwd=folder).stdout
    assert "Buy 3.49 USD before: the balance is -2.49 USD." in said


@pytest.mark.parametrize("delay", [timedelta(hours=1), WEEK], ids=["an hour", "a week"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_recommended_trigger_lasts_for_a_payment_in_months_that_were_not_looked_at(
    delay: timedelta, seed: int
) -> None:
    """50 months of another seed that begin at the trigger, where each first call asks for a recharge."""
    months = Months(seed, tenants=1, calls_a_day=24)
    account = months.memory.load("account", ("tenant-0", ""))
    assert isinstance(account, Account)
    weeks, paid = past_of(months.calls("tenant-0"), months.now).weeks, partial(succeeded, took=delay)

    def player(first: Sequence[AnyCommand]) -> Player:
        return Player(months.memory, months.rules, "tenant-0", paid, first)

    found = advise(
        lambda first: runs_of(player(first), weeks, months.now, 30, 50, 1),
        lambda runs, first: charged_again(player(first), runs, months.now, 30),
        account,
        months.now,
        Terms(delay, 4),
    )
    assert found.confirmed
    adjusted = FundsAdjusted(
        tenant="tenant-0",
        id="a",
        at=months.now,
        amount=format_micros(found.trigger * 1_000_000 - account.balance),
        reason="x",
        by="x",
    )
    recharge = RechargeSettings(enabled=True, trigger=str(found.trigger), amount=str(found.amount))
    first: list[AnyCommand] = [
        adjusted,
        TenantConfigured(tenant="tenant-0", id="b", at=months.now, recharge=recharge, payment_method="replaced"),
    ]
    others = runs_of(player(first), weeks, months.now, 30, 50, 2)
    assert sum(run.first_zero is not None for run in others) <= 10


@pytest.mark.parametrize(
    ("users", "once", "trigger"),
    [
        (1, 1_000, 200), (249, 1_000, 200), (250, 1_000, 400), (500, 2_000, 500), (999, 2_000, 500),
        (1_000, 3_000, 1_000), (5_000, 5_000, 1_000), (10_000, 10_000, 1_000), (50_000, 15_000, 2_500),
        (100_000, 20_000, 2_500), (500_000, 20_000, 2_500),
    ],
)  # fmt: skip
def test_the_published_table(users: int, once: int, trigger: int) -> None:
    """Rules, section 3.2: ranges overlap at their edges, and the lower bound belongs to a range."""
    assert published_funding(users) == (once, trigger)


def test_pools_that_are_used_up_already_and_those_that_are_not(tmp_path: Path) -> None:
    """120 minutes of April are used on the 1st; of May and June they are in less than half of the runs."""
    used = call(999, at("2025-04-01T10:00"), 120, SEATTLE)
    folder = rated(tmp_path, [*same_weeks(5), used])
    found = json.loads(rater("forecast", "contoso", "--format", "json", cwd=folder).stdout)
    assert {pool: times["p50"] and times["p50"][:10] for pool, times in found["pools"].items()} == {
        "MCOPSTN5/US-PR/2025-04": found["now"][:10], "MCOPSTN5/US-PR/2025-05": None, "MCOPSTN5/US-PR/2025-06": None,
    }  # fmt: skip


def test_a_pool_that_is_never_used_up_is_named_once() -> None:
    """Without its months; of one that is used up in some month the others are named."""
    pools = ["A/2025-04", "A/2025-05", "B/2025-04", "B/2025-05"]
    assert spared_pools(pools, ["B/2025-04"]) == ["A", "B/2025-05"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3, 1, 2], (1, 2, 3)),
        (list(range(1, 101)), (10, 50, 90)),
        ([5, None, None], (5, None, None)),
        ([7], (7, 7, 7)),
    ],
)
def test_percentiles(values: list[int | None], expected: tuple[int | None, ...]) -> None:
    """By nearest rank; what does not happen comes last."""
    assert likely(values) == Likely(*expected)


class Months:
    """Tenants whose users call by chance, more on working days, here and abroad: rated up to a day; `later` is not."""

    def __init__(self, seed: int, tenants: int, calls_a_day: int) -> None:
        self.rules = Rules(RatingSettings(), Tariffs())
        deck = read_deck(DECK)
        self.rules.tariffs.publish(deck)
        self.memory, self.outputs = Memory(), list[Output]()
        self.now = at("2025-03-10")
        begin = DeckActivated(tenant=EVERY_TENANT, id="d", at=at("2024-12-01"), version=deck.version)
        self._apply("command", [encode_input(begin)])
        self.later: dict[str, list[CallRecord]] = {}
        for number in range(tenants):
            tenant, chance = f"tenant-{number}", Random(f"{seed}/{number}")
            setup = SETUP.replace("contoso", tenant).replace('"amount":"10"', '"amount":"100000"')
            self._apply("command", setup.encode().splitlines())
            made = sorted(made_by_chance(tenant, chance, calls_a_day), key=lambda one: one.answered_at)
            self._apply("cdr", [encode_input(one) for one in made if one.answered_at < self.now])
            self.later[tenant] = [one for one in made if one.answered_at >= self.now]

    def _apply(self, kind: Literal["command", "cdr"], lines: Iterable[bytes]) -> None:
        records = [Record(kind, Source(kind, 0, number), line) for number, line in enumerate(lines)]
        batch = run_batch(self.memory, self.rules, records)
        self.outputs += batch.outputs
        self.memory.merge(batch.state)

    def calls(self, tenant: str) -> list[RatedCall]:
        return [one for one in self.outputs if isinstance(one, RatedCall) and one.tenant == tenant]


def made_by_chance(tenant: str, chance: Random, calls_a_day: int) -> Iterator[CallRecord]:
    """Twelve weeks of calls of two minutes or so."""
    user = f"ada@{tenant}.example"
    for day in range(7 * 12):
        begins = at("2025-01-13") + day * DAY
        mean = calls_a_day * (0.2 if begins.weekday() > 4 else 1)
        for number in range(max(0, round(chance.gauss(mean, mean**0.5)))):
            yield CallRecord(
                tenant=tenant,
                usage_id=f"{day}-{number}",
                type=CallType.USER_OUT,
                answered_at=begins + timedelta(seconds=chance.randrange(7 * 3600, 19 * 3600)),
                duration_s=min(7_200, int(exp(chance.gauss(4.8, 1.1)))),
                user=user,
                calling="+14255550100",
                called=chance.choice([LONDON, SEATTLE, SEATTLE, SEATTLE, HARARE, PARIS]),
            )


def held(months: Months, days: Sequence[int], runs: int) -> list[bool]:
    """For each tenant and number of days: whether P10 to P90 of what is spent holds what was spent then."""
    found = []
    for tenant, truth in sorted(months.later.items()):
        player = Player(months.memory, months.rules, tenant, succeeded)
        past = past_of(months.calls(tenant), months.now)
        band = forecast(runs_of(player, past.weeks, months.now, max(days), runs, 1), months.now, max(days), {})
        real = player.play(truth, months.now, max(days))
        for day in days:
            low, _, high = band.spent[day - 1]
            assert low is not None
            assert high is not None
            found.append(low <= real.spent[day - 1] <= high)
    return found


def test_the_band_holds_the_truth_in_most_cases() -> None:
    """Generated tenants, eight weeks of past, 14 and 28 days ahead: P10 to P90 holds what was spent in 70 to 90 %."""
    found = [one for seed in (1, 2) for one in held(Months(seed, tenants=8, calls_a_day=8), (14, 28), runs=40)]
    assert 0.7 <= sum(found) / len(found) <= 0.9


def test_calls_are_played_by_the_same_rules() -> None:
    """What really came after: played, it costs what it costs when it is rated."""
    months = Months(1, tenants=1, calls_a_day=8)
    real = months.later["tenant-0"]
    spent = Player(months.memory, months.rules, "tenant-0", succeeded).play(real, months.now, 28).spent[-1]
    ended = sorted(real, key=lambda one: one.answered_at + timedelta(seconds=one.duration_s))
    batch = run_batch(
        months.memory, months.rules, [Record("cdr", Source("later", 0, 0), encode_input(one)) for one in ended]
    )
    assert spent == sum(parse_ledger(one.amount) for one in batch.outputs if isinstance(one, Debit)) > 0


@settings(max_examples=150, deadline=None)
@given(data=st.data(), most=st.integers(4, 8), now=st.integers(30, 150))
def test_the_weeks_that_are_drawn_are_those_of_a_plain_loop(data: st.DataObject, most: int, now: int) -> None:
    """Only so many weeks are kept while ratings come by, roughly in order; corrections replace what was before."""
    days = data.draw(st.lists(st.integers(0, now), min_size=1, max_size=60).map(sorted))
    shifts = data.draw(st.lists(st.integers(-2, 2), min_size=len(days), max_size=len(days)))
    rating = a_rating()
    ratings = [  # the same call again where it began on the same day or the next
        msgspec.structs.replace(rating, usage_id=f"c{day // 2}", answered_at=BEGINS + (day + shift) * DAY)
        for day, shift in zip(days, shifts, strict=True)
    ]
    until = BEGINS + now * DAY
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(likely_future, "_KEPT_AT_FIRST", 5)
        assert weeks_of(lambda: past_of(ratings, until, most)) == weeks_of(lambda: plainly(ratings, until, most))


@cache
def a_rating() -> RatedCall:
    """Any rated call."""
    return Months(1, tenants=1, calls_a_day=1).calls("tenant-0")[0]


def weeks_of(past: Callable[[], Past]) -> object:
    """The past, or the message where it is too short."""
    try:
        return past()
    except RaterError as wrong:
        return str(wrong)


def plainly(ratings: Sequence[RatedCall], now: datetime, most: int) -> Past:
    """All of it kept, then looked at: the standing ratings before now by the week that they are in."""
    standing = {one.usage_id: one for one in ratings}
    past = [one for one in standing.values() if one.answered_at < now]
    last = max((one.answered_at for one in past), default=now)
    since = min((one.answered_at for one in past), default=now)
    until = now
    while until > last + DAY:
        until -= WEEK
    count = min(most, (until - since) // WEEK)
    if count < 4:
        raise RaterError(
            f"expected at least 4 whole weeks of calls before {until.isoformat()}, got {max(0, (until - since) // DAY)} days;"
            " nothing can be said about the weeks to come"
        )
    weeks = [(until - (number + 1) * WEEK, until - number * WEEK) for number in range(count)]
    return Past(
        [
            [(one.answered_at - begins, record_as_rated(one)) for one in past if begins <= one.answered_at < ends]
            for begins, ends in weeks
        ],
        until,
    )


def test_what_calls_cost_is_played_again_with_other_settings_as_the_calls_are() -> None:
    """Half a day for a payment of 50 below 1: the same balances, recharges and first zero either way."""
    months = Months(2, tenants=1, calls_a_day=24)
    account = months.memory.load("account", ("tenant-0", ""))
    assert isinstance(account, Account)
    left = TenantConfigured(tenant="tenant-0", id="a", at=months.now, payment_method="replaced")
    settings = RechargeSettings(enabled=True, trigger="1", amount="50")
    recharge = msgspec.structs.replace(left, id="b", recharge=settings)
    spend = FundsAdjusted(
        tenant="tenant-0",
        id="c",
        at=months.now,
        amount=format_micros(5_000_000 - account.balance),
        reason="x",
        by="x",
    )
    weeks = past_of(months.calls("tenant-0"), months.now).weeks

    def player(*first: AnyCommand) -> Player:
        return Player(months.memory, months.rules, "tenant-0", partial(succeeded, took=DAY / 2), first)

    by_calls = runs_of(player(spend, recharge), weeks, months.now, 30, 5, 1)
    without = runs_of(player(left), weeks, months.now, 30, 5, 1)
    again = charged_again(player(spend, recharge), without, months.now, 30)
    kept = [(run.first_zero, run.next_recharge, run.recharges, run.balances, run.spent) for run in by_calls]
    assert [(run.first_zero, run.next_recharge, run.recharges, run.balances, run.spent) for run in again] == kept
    assert any(run.recharges > 1 for run in again)
    assert any(run.first_zero is not None for run in again)


def test_a_smaller_amount_is_tried_than_was_guessed_first() -> None:
    """No hour costs more than 99.5 and no month more than 2,000: 100 and 500 are guessed.  275 is enough.

    Halved four times: 275 enough, 162, 219 and 247 not.  The trigger is never less than what an hour costs.
    """

    def play(commands: Sequence[AnyCommand]) -> list[Run]:
        now = at("2025-03-10")
        terms = commands[-1].recharge if isinstance(commands[-1], TenantConfigured) else None
        enough = terms is None or terms.trigger is None or int(terms.trigger) > 35
        recharges = 0 if terms is None or terms.amount is None else 4 if int(terms.amount) >= 260 else 5
        debits = [(now, 99_500_000), (now + 2 * WEEK, 99_500_000)]
        return [
            Run(None if enough else now, None, recharges, [], [2_000_000_000] * 30, frozenset(), {}, debits)
        ] * 10

    account = Months(1, tenants=1, calls_a_day=1).memory.load("account", ("tenant-0", ""))
    assert isinstance(account, Account)
    found = advise(
        play, lambda _, commands: play(commands), account, at("2025-03-10"), Terms(timedelta(hours=1), 4)
    )
    assert (found.trigger, found.amount, found.recharges, found.confirmed) == (100, 275, 4, True)
