import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rater.ops.masking import mask_log_entry, mask_numbers, mask_people

E164 = st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True)
#: Text in which numbers stand: words, digits, signs.
AROUND = st.text(st.sampled_from("ab 0123456789+-.:/()\n,@_\u00a0"), max_size=30)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("+14255550100", "+14*******00"),
        ("call from +442079460000 to +14255550100.", "call from +44********00 to +14*******00."),
        ("+358401234567", "+358*******67"),
        ("+1 (425) 555-0100", "+1 (4**) ***-**00"),
        ("+44 20 7946 0000", "+44 ** **** **00"),
        ("sip:+14255550100@contoso.example", "sip:+14*******00@contoso.example"),
        ("tel:%2B14255550100", "tel:%2B14*******00"),
        ("calls of 14255550100", "calls of 14*******00"),
        ("0800-1234-5678-14255550100", "0800-1234-5678-14*******00"),
        ("0014255550100", "00*********00"),
        ("+1234567", "+12***67"),
        ("+14255550100 2025-03-10", "+14*******00 2025-03-10"),
    ],
)
def test_a_number_is_masked(text: str, masked: str) -> None:
    """The country code, at least two digits, and the last two digits stay."""
    assert mask_numbers(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "376b42902d5597f81d7284cb597dc3b2",
        "2025-03-10T10:01:00.123456Z",
        "100.5 USD + 20 USD",
        "-1234567.891234",
        "MCOPSTN5/US-PR/2025-03",
        "contoso:event:13",
        "+100",
        "118 of 120 minutes",
        "9c4984c7-6c3c-427d-a30c-bd0b2eacee90",
        "550e8400-e29b-41d4-a716-446655440000",
    ],
)
def test_what_is_no_number_stays(text: str) -> None:
    """Ids, times, amounts, pools."""
    assert mask_numbers(text) == text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("expected a number, got 'ada@contoso.example'", "expected a number, got 'a***@contoso.example'"),
        ("<sip:ada.lovelace@contoso.example;user=phone>", "<sip:a***@contoso.example;user=phone>"),
        ("sip:+14255550100@contoso.example", "sip:+14*******00@contoso.example"),
        ("+14255550100 ada@contoso", "+14*******00 a***@contoso"),
        ("no address @ all", "no address @ all"),
    ],
)
def test_an_address_keeps_its_domain(text: str, masked: str) -> None:
    """Of a user the first letter stays, too; masking twice is masking once."""
    assert mask_people(text) == masked
    assert mask_people(masked) == masked


@given(AROUND, E164, AROUND)
def test_no_number_survives(before: str, number: str, after: str) -> None:
    """Wherever a number stands in a text, it cannot be read there any more, with or without its plus."""
    masked = mask_numbers(f"{before}{number}{after}")
    assert number not in masked
    assert not re.search(r"\+[0-9]{7,}", masked)


@given(AROUND, st.lists(E164, min_size=1, max_size=3), AROUND)
def test_masking_twice_is_masking_once(before: str, numbers: list[str], after: str) -> None:
    """A masked text has nothing left to mask."""
    once = mask_numbers(before + " ".join(numbers) + after)
    assert mask_numbers(once) == once


@given(E164)
def test_no_number_survives_in_a_log_entry(number: str) -> None:
    """At any depth: texts, lists, objects, exceptions."""
    entry = {
        "event": f"call from {number}",
        "facts": {"numbers": [number, (number,)], "count": 3},
        "error": ValueError(f"expected a number, got {number}"),
        "user": "ada@contoso.example",
    }
    masked = mask_log_entry(None, "info", entry)
    assert number not in repr(masked)
    assert masked["facts"]["count"] == 3
    assert masked["user"] == "a***@contoso.example"
