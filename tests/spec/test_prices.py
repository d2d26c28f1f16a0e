"""What a call costs: rating rules 44 to 57."""

import pytest

from rater.core.inputs import RateDeck, RateRow
from rater.core.money import MoneyError, format_micros, half_up, parse_micros, round_to_cents
from rater.core.outputs import ServiceState
from rater.core.tariff import Tariff, billed_seconds
from tests.world import GB_SPECIAL, HARARE, JAMAICA, NOWHERE, ROME, TOKYO, US, ada, at, pockets


@pytest.mark.parametrize("country", ["US", "GB", "DE"])
def test_the_destination_decides_the_rate(country: str) -> None:
    """Rule 44: the same price whoever calls, from wherever: 4 x 0.2."""
    assert ada("MCOPSTNPP", country=country).call(HARARE, 222).charge == "0.8"


@pytest.mark.parametrize(("seconds", "minutes"), [(0, 0), (1, 1), (59, 1), (60, 1), (61, 2), (301, 6), (3600, 60)])
def test_minutes_round_up(seconds: int, minutes: int) -> None:
    """Rule 45, A1: the unit is the minute; fractions are rounded up, per call."""
    assert ada("MCOPSTN1").call(US, seconds).minutes == minutes


@pytest.mark.parametrize(
    ("seconds", "charge", "fee"), [(0, "0", "0"), (1, "0.65", "0.15"), (60, "0.65", "0.15"), (61, "1.15", "0.15")]
)
def test_the_connection_fee(seconds: int, charge: str, fee: str) -> None:
    """Rule 46: once, at the beginning of a connected call: 0.15 + 1 x 0.5."""
    call = ada("MCOPSTNPP", country="GB").call(GB_SPECIAL, seconds)
    assert (call.charge, call.connection_fee) == (charge, fee)


def test_no_fee_where_the_pool_covers_the_call() -> None:
    """Rule 46: the fee belongs to the first money segment; Rome is 0.06 with a fee of 0.05."""
    world = ada("MCOPSTN2", "MCOPSTNPP")
    assert world.call(ROME, 600 * 60).charge == "0"
    assert world.call(ROME, 60).charge == "0.11"


def test_overflow_is_split_at_the_minute() -> None:
    """Rule 47, A3: 120 minutes, used 118; 301 s are 2 pool minutes and 4 x 0.01."""
    world = ada("MCOPSTN5", "MCOPSTNPP")
    world.call(US, 118 * 60)
    call = world.call(US, 301)
    assert pockets(call) == [("pool", 2), ("credit", 4)]
    assert (call.charge, call.billed_overflow_s, call.capability) == ("0.04", 301 - 120, "MCOPSTNPP")


def test_overflow_whole_to_credits() -> None:
    """A3: with `straddle: whole_to_credits` a call that does not fit takes nothing from the pool."""
    world = ada("MCOPSTN5", "MCOPSTNPP", straddle="whole_to_credits")
    world.call(US, 118 * 60)
    assert pockets(world.call(US, 301)) == [("credit", 6)]
    assert pockets(world.call(US, 120)) == [("pool", 2)]


def test_what_cannot_be_priced_is_free() -> None:
    """Rule 48: no rate found, charge 0, capability FREECALL, and an event reports it."""
    world = ada("MCOPSTNPP")
    call = world.call(NOWHERE, 120)
    assert (pockets(call), call.charge, call.capability) == ([("free", 2)], "0", "FREECALL")
    assert world.events == ["rating.exception"]


def test_without_a_deck_calls_are_free() -> None:
    """Rule 48: no deck in force is a technical reason too."""
    assert ada("MCOPSTNPP", deck=False).call(US, 60).capability == "FREECALL"


def test_one_balance_for_all_users() -> None:
    """Rule 49: every user with access spends from the tenant's one balance."""
    world = ada("MCOPSTNPP", funds="10").user("bob", "DE", "MCOPSTNPP")
    world.call(HARARE, 60)
    world.call(HARARE, 60, user="bob")
    assert world.balance == "9.6"


@pytest.mark.parametrize(
    ("skus", "credits", "pocket"),
    [
        (("MCOPSTNPP",), "enabled", "credit"),
        (("MCOPSTNC",), "enabled", "credit"),
        (("MCOEV",), "enabled", "unfunded"),
        (("MCOPSTNPP",), "not_set_up", "unfunded"),
        (("ENTERPRISEPREMIUM",), "enabled", "unfunded"),
    ],
)
def test_who_may_spend_credits(skus: tuple[str, ...], credits: str, pocket: str) -> None:
    """Rules 50, 52, A17: the tenant set credits up and the user has the licence; E5 alone is not enough."""
    world = ada(*skus, credits=credits)
    call = world.call(HARARE, 61)
    assert pockets(call) == [(pocket, 2)]
    assert (call.charge, call.unfunded_charge) == (("0.4", "0") if pocket == "credit" else ("0", "0.4"))


def test_below_zero_a_licensed_user_is_debited() -> None:
    """A17, rule 55: credits set up and licensed, but the balance is not above zero: debit, it goes negative."""
    world = ada("MCOPSTNPP", funds="0.3")
    world.call(HARARE, 120)
    assert world.balance == "-0.1"
    assert world.call(HARARE, 60).charge == "0.2"
    assert world.balance == "-0.3"


def test_pool_first_then_credits() -> None:
    """Rule 51: the plan is used up before money is."""
    world = ada("MCOPSTN5", "MCOPSTNPP")
    assert world.call(US, 120 * 60).charge == "0"
    assert world.call(US, 60).charge == "0.01"


def test_without_credits_the_user_is_restricted() -> None:
    """Rules 50, 53, A23: the pool part is consumed, the rest unfunded; outbound is refused until next month."""
    world = ada("MCOPSTN5")
    call = world.call(US, 121 * 60)
    assert pockets(call) == [("pool", 120), ("unfunded", 1)]
    assert world.events == ["pool.warning", "pool.exhausted", "user.restricted"]
    world.call(US, 60)
    assert world.events == []
    assert world.tick("2025-04-01") == ["user.unrestricted"]


@pytest.mark.parametrize("cure", ["licence", "credits"])
def test_what_lifts_a_restriction(cure: str) -> None:
    """Rule 53: a licence that gives minutes or access to credits, or the tenant's set-up of credits."""
    world = ada("MCOEV", credits="not_set_up")
    world.call(US, 60)
    assert world.events == ["user.restricted"]
    if cure == "licence":
        assert world.assign("ada", "MCOPSTNPP", "2025-03-11") == ["user.unrestricted"]
    else:
        assert world.configure("2025-03-11", credits="enabled") == ["user.unrestricted"]


def test_minutes_that_cost_nothing_are_unfunded_too() -> None:
    """Rules 50, 53: what counts is that nothing paid for the minutes, not their price."""
    world = ada("MCOEV")
    call = world.call("+448001234567", 60)
    assert (pockets(call), call.unfunded_charge) == ([("unfunded", 1)], "0")
    assert world.events == ["user.restricted"]


def test_a_licence_lifts_a_restriction_when_it_becomes_effective() -> None:
    """Rules 14, 53: not when it is ordered; whether it was ordered before the restriction or after it."""
    world = ada("MCOEV").user("bob", "US", "MCOEV")
    world.assign("bob", "MCOPSTN5", "2025-03-02", effective_from=at("2025-03-20"))
    for name in ("ada", "bob"):
        world.call(HARARE, 60, "2025-03-10", user=name)
        assert world.events == ["user.restricted"]
    assert world.assign("ada", "MCOPSTNPP", "2025-03-11", effective_from=at("2025-03-15")) == []
    assert world.tick("2025-03-14") == []
    assert world.tick("2025-03-15") == ["user.unrestricted"]
    assert world.tick("2025-03-20") == ["user.unrestricted"]
    assert world.tick("2025-04-01") == []


def test_a_licence_that_is_over_lifts_nothing() -> None:
    """Rule 53: it gives neither minutes nor credits any more."""
    world = ada("MCOEV")
    world.call(US, 60, "2025-03-10")
    assert world.assign("ada", "MCOPSTN5", "2025-03-01", until="2025-03-09") == []
    assert world.tick("2025-04-01") == ["user.unrestricted"]


def test_inbound_goes_on_when_the_pool_is_exhausted() -> None:
    """Rule 53, A24: only outbound is refused; toll inbound continues."""
    world = ada("MCOPSTN5")
    world.call(US, 121 * 60)
    assert pockets(world.call("+14255550100", 60, type="user_in")) == [("included", 1)]


def test_pool_calls_go_on_at_zero() -> None:
    """Rule 54: credits at zero stop only what credits pay."""
    world = ada("MCOPSTN1", "MCOPSTNPP", funds="0.2")
    world.call(HARARE, 60)
    assert world.events == ["balance.depleted", "credits.suspended"]
    assert pockets(world.call(US, 60)) == [("pool", 1)]


def test_pool_notifications() -> None:
    """Rule 56: at 80 % (96 of 120) and at 100 %, once each a month; one call may emit both."""
    world = ada("MCOPSTN5", "MCOPSTNPP")
    world.call(US, 95 * 60)
    assert world.events == []
    world.call(US, 60)
    assert world.events == ["pool.warning"]
    world.call(US, 24 * 60)
    assert world.events == ["pool.exhausted"]
    world.call(US, 60)
    assert world.events == []
    world.call(US, 120 * 60, "2025-04-02")
    assert world.events == ["pool.warning", "pool.exhausted"]


def test_a_pool_that_grew_can_be_exhausted_again() -> None:
    """Rule 56: exhaustion is emitted again only after the total grew."""
    world = ada("MCOPSTN5", "MCOPSTNPP")
    world.call(US, 120 * 60)
    world.assign("bob", "MCOPSTN5", "2025-03-11", country="US")
    world.call(US, 120 * 60, "2025-03-12")
    assert world.events == ["pool.exhausted"]
    assert world.pool("MCOPSTN5/US-PR/2025-03") == (240, 240)


def test_a_block_is_a_record() -> None:
    """Rule 57: user, time, state and reason, for the switch."""
    world = ada("MCOEV")
    world.call(US, 60)
    states = [output for output in world.outputs if isinstance(output, ServiceState)]
    assert [(s.scope, s.user, s.state, s.reason) for s in states] == [
        ("user", "ada", "restricted", "no_credits_license")
    ]


@pytest.mark.parametrize(
    ("when", "prefix", "charge"), [("2025-03-14 23:59:59", "81", "0.1"), ("2025-03-15", "81", "0.11")]
)
def test_the_rate_at_the_start_of_the_call(when: str, prefix: str, charge: str) -> None:
    """Rule 44, deck columns: a row's validity is looked up at the call's start."""
    call = ada("MCOPSTNPP").call(TOKYO, 60, when)
    assert (call.prefix, call.charge) == (prefix, charge)


def test_of_two_rates_in_force_the_later_one() -> None:
    """Rule 44: a price that rises by a row with a start, the old one left without an end; `lint` says so too."""
    old, new = (
        RateRow(
            direction="outbound",
            prefix="81",
            destination="Japan",
            type="landline",
            price_per_minute=price,
            valid_from=since,
        )
        for price, since in (("0.1", None), ("0.11", at("2025-03-15")))
    )
    for rows in ((old, new), (new, old)):
        tariff = Tariff(RateDeck(version="v", currency="USD", rows=rows))
        rates = [tariff.to(TOKYO, at(day)) for day in ("2025-03-14", "2025-03-15")]
        assert [rate.price_text for rate in rates if rate] == ["0.1", "0.11"]


@pytest.mark.parametrize(("called", "prefix"), [(US, "1"), (JAMAICA, "1876"), ("+447700900123", "447")])
def test_the_longest_prefix_wins(called: str, prefix: str) -> None:
    """Table 3.5: the most specific row prices the call."""
    assert ada("MCOPSTNPP").call(called).prefix == prefix


@pytest.mark.parametrize(
    ("seconds", "first", "next", "billed"),
    [
        (0, 60, 60, 0),
        (1, 60, 60, 60),
        (61, 60, 60, 120),
        (29, 30, 6, 30),
        (31, 30, 6, 36),
        (36, 30, 6, 36),
        (37, 30, 6, 42),
    ],
)
def test_increments(seconds: int, first: int, next: int, billed: int) -> None:
    """Rule 45: first increment, then as many of the next as are started, in closed form."""
    assert billed_seconds(seconds, first, next) == billed


def test_a_tariff_that_does_not_bill_whole_minutes() -> None:
    """Increments of 30/6 for 61 s is 66 s at 0.06 plus a fee of 0.05: 0.066 + 0.05; 2 minutes are counted."""
    call = ada("MCOPSTNPP").call(ROME, 61)
    assert (call.charge, call.minutes, call.increments) == ("0.116", 2, "30/6")


@pytest.mark.parametrize(("numerator", "denominator", "rounded"), [(5, 2, 3), (4, 3, 1), (1, 2, 1), (0, 60, 0)])
def test_the_one_rounding(numerator: int, denominator: int, rounded: int) -> None:
    """A18: half up, once per call."""
    assert half_up(numerator, denominator) == rounded


def test_a_thousand_calls_lose_nothing() -> None:
    """A18: 1,000 one-minute calls at 0.05 are 50.00 exactly."""
    world = ada("MCOPSTNPP", funds="50.01")
    for _ in range(1000):
        world.call("+442079460000", 60)
    assert world.balance == "0.01"


@pytest.mark.parametrize(("text", "micros"), [("74.948", 74_948_000), ("-0.375", -375_000), ("50", 50_000_000)])
def test_amounts_are_read_exactly(text: str, micros: int) -> None:
    """A18: money is whole micro-units; the text comes back as it was."""
    assert parse_micros(text) == micros
    assert format_micros(micros) == text


@pytest.mark.parametrize("text", ["0.0000001", "1e3", "", "1,5", "NaN", "1.", ".5", "9999999999999999"])
def test_invalid_amounts(text: str) -> None:
    """A18: seven decimals would have to be rounded; exponents, commas and the like are refused."""
    with pytest.raises(MoneyError):
        parse_micros(text)


@pytest.mark.parametrize(
    ("micros", "shown"), [(5_000, "0.01"), (4_999, "0.00"), (-375_000, "-0.38"), (1_375_000, "1.38")]
)
def test_two_decimals_in_exports(micros: int, shown: str) -> None:
    """A18: two decimals, half up, in exports only."""
    assert round_to_cents(micros) == shown
