"""A statement adds up to the micro-unit: a month written out, late calls, corrections, and any ledger at all."""

from datetime import datetime
from itertools import pairwise

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rater.core.outputs import AccountEvent, Debit, RatedCall
from rater.files.statement import Statement, statement_of
from rater.files.statement.kinds import CallKind
from rater.files.statement.model import OF_CALLS
from rater.wire.errors import RaterError
from tests.statement.books import Kept, Ledger, entries
from tests.world import HARARE, LONDON, PARIS, US, at

MARCH, APRIL, MAY = "2025-03-01", "2025-04-01", "2025-05-01"


def ledger(**world: object) -> Ledger:
    """Ada holds 120 minutes in the US, and the right to spend credits; Harare costs 0.20 a minute."""
    made = Ledger(funds=None, **world)
    made.user("ada", "US", "MCOPSTN5", "MCOPSTNPP")
    return made


def test_a_month_written_out() -> None:
    """Every kind of money once; the balance beside each is what the clerk would write.

    posting                       amount   balance
    bought in February             +50.00     50.00   the opening
    bought                        +100.00    150.00
    promotional credit              +3.00    153.00
    Harare, 21 minutes              -4.20    148.80
    the same again: 20 minutes      +4.20    153.00   a correction
                                    -4.00    149.00
    120 + 2 minutes to Seattle, 2 at 0.01     -0.02   148.98
    goodwill                        +4.16    153.14
    a refund                       -10.00    143.14
    taken off                       -0.10    143.04
    the bank takes 50 back         -50.00     93.04
    """
    one = ledger()
    one.fund("50", "2025-02-01", id="february")
    one.fund("100", "2025-03-01", id="march")
    one.promote("3", "2025-03-02", "2025-12-01")
    one.cdr(HARARE, 21 * 60, "2025-03-10 10:00", id="abroad")
    one.cdr(HARARE, 20 * 60, "2025-03-10 10:00", id="abroad", version=2)
    one.cdr(US, 122 * 60, "2025-03-11 10:00")
    one.adjust("4.16", "2025-03-12")
    one.refund("march", "10", "2025-03-13")
    one.adjust("-0.10", "2025-03-14")
    one.reverse_payment("february", "2025-03-15")
    one.cdr(HARARE, 60, "2025-04-02 10:00", id="april")
    made = one.statement(MARCH, APRIL)
    assert (made.opening, made.closing, made.moved_since, made.balance) == (
        50_000_000,
        93_040_000,
        -200_000,
        92_840_000,
    )
    assert entries(made) == {
        "purchases": (1, 100_000_000),
        "promotions": (1, 3_000_000),
        "calls_overflow": (1, -20_000),
        "calls_international": (2, -4_200_000 - 4_000_000),
        "reversals": (1, 4_200_000),
        "adjustments": (2, 4_160_000 - 100_000),
        "refunds": (1, -10_000_000),
        "charge_backs": (1, -50_000_000),
    }
    assert made.adds_up
    shown = [(one.kind, one.calls, one.minutes, one.pool_minutes, one.amount) for one in made.calls]
    assert shown == [
        (CallKind.OVERFLOW, 1, 122, 120, 20_000),
        (CallKind.INTERNATIONAL, 1, 20, 0, 4_000_000),  # as it stands: the 21 minutes were taken off
    ]
    assert [(user.name, user.calls, user.minutes, user.amount) for user in made.users] == [
        ("ada", 2, 142, 4_020_000)
    ]
    assert [(pool.pool, pool.used, pool.total) for pool in made.pools] == [("MCOPSTN5/US-PR/2025-03", 120, 120)]
    assert {day.day.isoformat(): day.balance for day in made.days if day.day.day in (1, 10, 31)} == {
        "2025-03-01": 150_000_000,
        "2025-03-10": 149_000_000,
        "2025-03-31": 93_040_000,
    }


def test_a_closed_tenant() -> None:
    """Promotions are forfeited and the rest is paid out: 50 + 3 - 3 - 50 = 0; what expired is one entry, too."""
    one = ledger()
    one.fund("50", "2025-03-01")
    one.promote("2", "2025-03-02", "2025-03-05")
    one.promote("3", "2025-03-02", "2025-12-01")
    one.close("2025-03-20")
    made = one.statement(MARCH, APRIL)
    assert entries(made) == {
        "purchases": (1, 50_000_000),
        "promotions": (2, 5_000_000),
        "expiries": (1, -2_000_000),
        "paid_out": (1, -50_000_000),
        "forfeited": (1, -3_000_000),
    }
    assert (made.opening, made.closing, made.adds_up) == (0, 0, True)
    assert made.closed_since is not None


#: When the record was received, whether it is late, and the months in which the call stands.
ARRIVALS = {
    "in time": ("2025-03-31T12:00:00Z", False, "2025-03"),
    "within 72 hours of the end of its month": ("2025-04-03T23:00:00Z", False, "2025-04"),
    "late": ("2025-04-09T00:00:00Z", True, "2025-04"),
    "two months late": ("2025-05-09T00:00:00Z", True, "2025-05"),
}


@pytest.mark.parametrize("name", ARRIVALS)
def test_a_call_stands_where_it_was_debited(name: str) -> None:
    """A12: a call of 30 March, 2 minutes at 0.20; where it stands in another month, it names its own."""
    received, late, stands = ARRIVALS[name]
    one = ledger()
    one.fund("50", "2025-03-01")
    one.call(HARARE, 120, "2025-03-30 10:00", id="one", received_at=datetime.fromisoformat(received))
    months = {"2025-03": (MARCH, APRIL), "2025-04": (APRIL, MAY), "2025-05": (MAY, "2025-06-01")}
    found = {month: one.statement(*bounds) for month, bounds in months.items()}
    spent = {month: sum(call.amount for call in made.calls) for month, made in found.items()}
    assert {month for month, amount in spent.items() if amount} == {stands}
    listed = [(other.period, other.late, other.calls, other.amount) for other in found[stands].other_months]
    assert listed == ([] if stands == "2025-03" else [("2025-03", late, 1, 400_000)])
    assert [pool.used for pool in found["2025-03"].pools] == []


def test_a_late_call_whose_record_has_no_arrival() -> None:
    """A file that is read in May says only when calls ended: a closed March stays as it was, April has the call."""
    one = ledger()
    one.fund("50", "2025-03-01")
    before = one.statement(MARCH, APRIL)
    one.cdr(HARARE, 120, "2025-03-30 10:00", arrived="2025-05-09")
    after = one.statement(MARCH, APRIL)
    assert (before.closing, after.closing) == (50_000_000, 50_000_000)
    april = one.statement(APRIL, MAY)
    assert [(other.period, other.late, other.amount) for other in april.other_months] == [
        ("2025-03", True, 400_000)
    ]
    assert (april.closing, april.balance, april.adds_up) == (49_600_000, 49_600_000, True)


def test_a_correction_to_another_destination_and_another_price() -> None:
    """What was taken is given back where it was: London has nothing left; a rating again gives back, and takes 0.03."""
    one = ledger()
    one.fund("50", "2025-03-01")
    one.cdr(LONDON, 600, "2025-03-10 10:00", id="one")
    one.cdr(HARARE, 600, "2025-03-10 10:00", id="one", version=2)
    one.rerate("one", "2025-03-20")
    made = one.statement(MARCH, APRIL)
    (there,) = made.destinations
    assert (there.name, there.calls, there.minutes, there.amount) == ("Zimbabwe", 1, 10, 300_000)  # 10 * 0.03
    assert [entry.count for entry in made.entries if entry.name == "reversals"] == [2]
    assert made.adds_up


def test_what_calls_cost_by_kind_user_and_destination_is_the_same() -> None:
    """Three ways to sum: each is the entries of calls less what was given back."""
    one = ledger()
    one.fund("50", "2025-03-01")
    one.user("bob", "GB", "MCOPSTNPP")
    for number, (user, called) in enumerate([("ada", HARARE), ("BOB", PARIS), ("bob", PARIS), ("ada", LONDON)]):
        one.cdr(called, 61, f"2025-03-1{number} 10:00", user=user)
    made = one.statement(MARCH, APRIL)
    assert costs(made) == {made.opening + 50_000_000 - made.closing}
    assert [user.calls for user in made.users] == [2, 2]  # BOB is bob (A40)


def costs(made: Statement) -> set[int]:
    """What calls cost, summed in four ways."""
    return {
        -sum(entry.amount for entry in made.entries if entry.name in OF_CALLS),
        *(sum(one.amount for one in sums) for sums in (made.calls, made.users, made.destinations)),
    }


def test_records_that_are_not_kept_any_more() -> None:
    """The opening is the balance less what moved since; the kind of a debit without its call is not known."""
    one = ledger()
    one.fund("50", "2025-02-01")
    for day in (10, 11, 12):
        one.cdr(HARARE, 60, f"2025-03-{day} 10:00", id=f"c{day}")
    whole = one.statement("2025-03-11", APRIL)
    assert (whole.kept_since, whole.is_partial) == (None, False)
    topics = one.topics | {
        "account-events": one.topics["account-events"][-1:],
        "debits": one.topics["debits"][1:],
        "rated-calls": one.topics["rated-calls"][2:],
    }
    made = statement(one, topics)
    assert (made.opening, made.closing, made.balance) == (whole.opening, whole.closing, whole.balance)
    assert entries(made) == {"calls_international": (1, -200_000), "calls_not_kept": (1, -200_000)}
    assert made.kept_since is not None
    assert made.is_partial
    assert costs(made) == {400_000}


def statement(one: Ledger, topics: dict[str, list[bytes]]) -> Statement:
    return statement_of(Kept(one, topics), "contoso", at("2025-03-11"), at(APRIL))


def test_records_that_came_after_the_account_was_read() -> None:
    """On Kafka the rating goes on meanwhile: what is newer than the account is passed over."""
    one, later = ledger(), ledger()
    for each in (one, later):
        each.fund("50", "2025-03-01")
        each.cdr(HARARE, 60, "2025-03-10 10:00")
    later.cdr(HARARE, 60, "2025-03-11 10:00")
    later.fund("50", "2025-03-12")
    made = statement(one, later.topics)
    assert (made.closing, made.balance, made.adds_up) == (49_800_000, 49_800_000, True)


def test_a_ledger_that_lost_a_debit_does_not_add_up() -> None:
    """The check can fail: a debit of 0.20 in the middle is gone."""
    one = ledger()
    one.fund("50", "2025-03-01")
    for day in (10, 11, 12):
        one.cdr(HARARE, 60, f"2025-03-{day} 10:00")
    made = statement(one, one.topics | {"debits": [one.topics["debits"][n] for n in (0, 2)]})
    assert (made.unexplained, made.adds_up) == (-200_000, False)


def test_an_unknown_tenant() -> None:
    """One line, as for every name that nobody knows."""
    one = ledger()
    with pytest.raises(RaterError, match="northwind: no such tenant"):
        statement_of(Kept(one, one.topics), "northwind", None, None)


DAYS = st.integers(0, 80).map(lambda day: f"2025-{3 + day // 28:02d}-{1 + day % 28:02d} 10:00")
NUMBERS = st.sampled_from([US, LONDON, PARIS, HARARE, "+448701234567"])
SECONDS = st.sampled_from([0, 60, 301, 3600, 7320])
AMOUNTS = st.sampled_from(["0.01", "1", "50", "99.999999"])
MONTHS = ["2025-03-01", "2025-04-01", "2025-05-01", "2025-06-01"]


@st.composite
def histories(draw: st.DrawFn) -> Ledger:
    """Calls, corrections, ratings again, late records and every kind of money, in any order."""
    one = ledger(recharge=("10", "25"), conferencing_licenses=1)
    one.fund("20", "2025-02-01")
    rated: list[str] = []
    for number in range(draw(st.integers(1, 25))):
        when = draw(DAYS)
        match draw(
            st.sampled_from(
                [
                    "call",
                    "call",
                    "again",
                    "rerate",
                    "fund",
                    "adjust",
                    "promote",
                    "refund",
                    "answer",
                    "reverse",
                    "close",
                    "tick",
                ]
            )
        ):
            case "call":
                late = draw(st.sampled_from([None, "2025-05-20", "2025-06-20"]))
                one.cdr(draw(NUMBERS), draw(SECONDS), when, id=f"c{number}", arrived=late)
                rated += [f"c{number}"] if any(isinstance(output, RatedCall) for output in one.outputs) else []
            case "again" if rated:
                one.cdr(
                    draw(NUMBERS),
                    draw(SECONDS),
                    when,
                    id=draw(st.sampled_from(rated)),
                    version=draw(st.integers(2, 4)),
                )
            case "rerate" if rated:
                one.rerate(draw(st.sampled_from(rated)), when, draw(st.sampled_from(["deck-1", "at-three-cents"])))
            case "fund":
                one.fund(draw(AMOUNTS), when)
            case "adjust":
                one.adjust(draw(st.sampled_from(["", "-"])) + draw(AMOUNTS), when)
            case "promote":
                one.promote(draw(AMOUNTS), when, draw(st.sampled_from(["2025-05-15", "2025-07-01"])))
            case "refund" if one.lots:
                one.refund(draw(st.sampled_from(one.lots))[0], draw(AMOUNTS), when)
            case "reverse" if one.lots:
                one.reverse_payment(draw(st.sampled_from(one.lots))[0], when)
            case "answer":
                draw(st.sampled_from([one.paid, one.declined]))(when)
            case "close":
                (one.close if one.account.closed_since is None else one.reopen)(when)
            case _:
                one.tick(draw(st.sampled_from(["2025-05-01", "2025-06-01", "2026-03-01"])))
    return one


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories())
def test_whatever_happened_it_adds_up(one: Ledger) -> None:
    """The sum of entries is closing minus opening; a month closes with what the next opens with; today's is the balance."""
    whole = one.statement()
    assert (whole.opening, whole.closing, whole.adds_up) == (0, one.account.balance, True)
    bounds = [None, *MONTHS, None]
    months = [one.statement(since, until) for since, until in pairwise(bounds)]
    for month in months:
        assert month.adds_up
        assert month.opening + sum(entry.amount for entry in month.entries) == month.closing
        assert len(costs(month)) == 1
        assert sum(day.calls_amount + day.other_amount for day in month.days) == month.closing - month.opening
        assert not month.days or month.days[-1].balance == month.closing
    assert [month.closing for month in months[:-1]] == [month.opening for month in months[1:]]
    assert months[-1].closing == one.account.balance
    counted = sum(entry.count for month in months for entry in month.entries)
    assert counted == sum(entry.count for entry in whole.entries) == movements(one)
    assert CallKind.NOT_KEPT not in {call.kind for call in whole.calls}


def movements(one: Ledger) -> int:
    """How many records moved money, counted without the statement's code."""
    credits = ("funds.added", "recharge.succeeded", "funds.adjusted")
    events = [msgspec.json.decode(value, type=AccountEvent) for value in one.topics["account-events"]]
    came_in = [
        event for event in events if event.event.value in credits and not (event.amount or "0").startswith("-")
    ]
    return len([event for event in came_in if event.amount != "0"]) + len(
        [msgspec.json.decode(value, type=Debit) for value in one.topics["debits"]]
    )
