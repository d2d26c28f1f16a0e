"""Amounts and times as the page shows them."""

from datetime import UTC, datetime

import pytest

from rater.core import CallType, NumberType
from rater.embedded.lookup import FLAGS
from rater.serve.web.rendering import minute, money, rounded
from rater.serve.web.texts import Texts


@pytest.mark.parametrize(
    ("micros", "currency", "expected"),
    [
        (4_020_000, "USD", '<span class="money">4.02 USD</span>'),
        (100_000_000, "USD", '<span class="money">100.00 USD</span>'),
        (4_016_400, "USD", '<span class="money" title="4.0164 USD">4.02 USD</span>'),
        (4_015_000, "USD", '<span class="money" title="4.015 USD">4.02 USD</span>'),
        (-136_372_000, "USD", '<span class="money below" title="-136.372 USD">-136.37 USD</span>'),
        (0, "USD", '<span class="money">0.00 USD</span>'),
        # what would be shown as nothing is shown as it is
        (4_900, "USD", '<span class="money">0.0049 USD</span>'),
        (-4_900, "USD", '<span class="money below">-0.0049 USD</span>'),
        (1_234_500_000, "JPY", '<span class="money" title="1234.5 JPY">1235 JPY</span>'),
        (1_234_500, "KWD", '<span class="money" title="1.2345 KWD">1.235 KWD</span>'),
    ],
)
def test_an_amount_in_a_summary(micros: int, currency: str, expected: str) -> None:
    """The decimals of its currency; what is exact is its title."""
    assert rounded(micros, currency) == expected


def test_an_amount_that_is_explained_is_exact() -> None:
    """All its decimals."""
    assert money(4_016_400, "USD") == '<span class="money">4.0164 USD</span>'


def test_a_time_in_a_list_is_to_the_minute() -> None:
    """Its seconds are its title, and what scripts read."""
    assert minute(datetime(2025, 3, 12, 9, 5, 59, tzinfo=UTC)) == (
        '<time datetime="2025-03-12T09:05:59Z" title="2025-03-12 09:05:59 UTC" data-minute>2025-03-12 09:05 UTC</time>'
    )
    assert minute(None) == "–"


def test_every_code_has_a_text() -> None:
    """Types of calls and of numbers, and flags: a person reads words."""
    codes = [f"type.{one.value}" for one in CallType] + [f"number_type.{one.value}" for one in NumberType]
    assert {*codes, *(f"flag.{flag}" for flag in FLAGS)} <= Texts().names()


def test_a_command_in_a_text_is_shown_as_one_and_a_value_is_not() -> None:
    """Backticks of ours are code; what a value holds is text."""
    assert "with <code>rater token create</code>." in Texts()("sign_in.token_hint")
    assert Texts()("likely.spared", days="`<b>`", pools="x").startswith("Not used up within `&lt;b&gt;` days")
