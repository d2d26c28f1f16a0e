"""Amounts as they are read and written: exact decimals of major units, six at most."""

import pytest

from rater.core.money import (
    AMOUNT_MICROS_MAX,
    LEDGER_MICROS_MAX,
    PRICE_MICROS_MAX,
    MoneyError,
    ceil_div,
    format_micros,
    half_up,
    parse_ledger,
    parse_micros,
    parse_price,
    round_to_cents,
)

pytestmark = pytest.mark.in_memory  # no world: the same on every engine


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("74.948", 74_948_000),
        ("-0.375", -375_000),
        ("0", 0),
        ("0.000001", 1),
        ("1.2345670", 1_234_567),
        ("1.000000000", 1_000_000),
        ("007", 7_000_000),
        (format_micros(AMOUNT_MICROS_MAX), AMOUNT_MICROS_MAX),
    ],
)
def test_an_amount_is_read_exactly(text: str, micros: int) -> None:
    """Zeros at the end do not count; the largest amount is one."""
    assert parse_micros(text) == micros


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a decimal amount such as 74.948, got ''"),
        ("1,5", "expected a decimal amount such as 74.948, got '1,5'"),
        ("x" * 50, f"expected a decimal amount such as 74.948, got '{'x' * 40}'"),
        ("1.0000001", "expected at most 6 decimals, got '1.0000001'"),
        ("0." + "1" * 18, f"expected at most 6 decimals, got '0.{'1' * 18}'"),
        ("0." + "1" * 19, f"expected a decimal amount such as 74.948, got '0.{'1' * 19}'"),
        (
            format_micros(AMOUNT_MICROS_MAX + 1),
            f"expected an amount up to {format_micros(AMOUNT_MICROS_MAX)}, got"
            f" '{format_micros(AMOUNT_MICROS_MAX + 1)}' (AMOUNT_MICROS_MAX)",
        ),
    ],
)
def test_what_is_no_amount(text: str, message: str) -> None:
    """What was expected, and what came, cut at 40 characters."""
    with pytest.raises(MoneyError) as refused:
        parse_micros(text)
    assert str(refused.value) == message


def test_a_price_is_zero_or_more_up_to_its_own_limit() -> None:
    """Rule 45: a negative price would pay for calls."""
    assert (parse_price("0"), parse_price(format_micros(PRICE_MICROS_MAX))) == (0, PRICE_MICROS_MAX)
    with pytest.raises(MoneyError) as refused:
        parse_price("-0.000001")
    assert str(refused.value) == "expected 0 or more, got '-0.000001'"
    with pytest.raises(MoneyError, match=r"\(PRICE_MICROS_MAX\)$"):
        parse_price(format_micros(PRICE_MICROS_MAX + 1))


def test_a_sum_of_the_ledger_may_be_larger_than_an_amount() -> None:
    """Up to a limit of its own, which has no name for who sends amounts."""
    assert parse_ledger(format_micros(LEDGER_MICROS_MAX)) == LEDGER_MICROS_MAX > AMOUNT_MICROS_MAX
    with pytest.raises(MoneyError) as refused:
        parse_ledger(format_micros(LEDGER_MICROS_MAX + 1))
    assert not str(refused.value).endswith("_MAX)")


@pytest.mark.parametrize(
    ("micros", "text"),
    [(74_948_000, "74.948"), (0, "0"), (1, "0.000001"), (-1, "-0.000001"), (5_000_000, "5"), (-5_100_000, "-5.1")],
)
def test_an_amount_is_written_as_short_as_it_can_be(micros: int, text: str) -> None:
    """And read again it is the same."""
    assert format_micros(micros) == text
    assert parse_micros(text) == micros


@pytest.mark.parametrize(
    ("micros", "exponent", "text"),
    [
        (-375_000, 2, "-0.38"),
        (375_000, 2, "0.38"),
        (374_999, 2, "0.37"),
        (-4_999, 2, "0.00"),
        (-5_000, 2, "-0.01"),
        (73_500_000, 0, "74"),
        (73_499_999, 0, "73"),
        (73_750_000, 3, "73.750"),
        (0, 2, "0.00"),
    ],
)
def test_exports_round_to_the_decimals_of_the_currency(micros: int, exponent: int, text: str) -> None:
    """A18: half up, away from zero; what rounds to nothing has no sign."""
    assert round_to_cents(micros, exponent) == text


def test_two_decimals_unless_the_currency_has_others() -> None:
    """As most have."""
    assert round_to_cents(1_234_567) == "1.23"


@pytest.mark.parametrize(
    ("numerator", "denominator", "up", "half"),
    [(0, 60, 0, 0), (1, 60, 1, 0), (29, 60, 1, 0), (30, 60, 1, 1), (60, 60, 1, 1), (61, 60, 2, 1), (90, 60, 2, 2)],
)
def test_the_two_roundings(numerator: int, denominator: int, up: int, half: int) -> None:
    """A1: minutes up; A18: charges half up."""
    assert (ceil_div(numerator, denominator), half_up(numerator, denominator)) == (up, half)
