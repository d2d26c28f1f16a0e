"""What a billing clerk reads about a record that cannot be read: the field, what was expected, what was given."""

import json
from typing import Any

import pytest

from rater.core.reasons import Refusal
from rater.wire.codec import decode_cdr, decode_command, decode_deck

CALL = {
    "tenant": "contoso",
    "usage_id": "a",
    "type": "user_in",
    "answered_at": "2025-03-10T10:00:00Z",
    "duration_s": 5,
}
COMMAND = {"command": "tenant_configured", "tenant": "contoso", "id": "1", "at": "2025-01-01T00:00:00Z"}
ROW = {"direction": "outbound", "prefix": "1", "destination": "x", "type": "landline", "price_per_minute": "1"}


def said(refused: object) -> str:
    assert isinstance(refused, Refusal)
    assert "`" not in refused.message
    return f"{refused.field}: {refused.message}"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"currency": "usd"}, "currency: expected an ISO 4217 code such as USD, got 'usd'"),
        ({"user_country": "USA"}, "user_country: expected an ISO 3166-1 code such as US, got 'USA'"),
        ({"number_type": "free"}, "number_type: expected one of toll, toll_free, got 'free'"),
        ({"version": 0}, "version: expected a number of at least 1, got 0"),
        ({"version": "1"}, "version: expected a whole number, got '1'"),
        ({"duration_s": "61"}, "duration_s: expected a whole number, got '61'"),
        ({"emergency": "yes"}, "emergency: expected true or false, got 'yes'"),
        ({"user": ""}, "user: expected text of at least 1 character, got ''"),
        ({"user": "u" * 129}, f"user: expected text of at most 128 characters, got '{'u' * 40}...'"),
        ({"ended_at": "noon"}, "ended_at: expected a time with zone such as 2025-03-01T10:00:00Z, got 'noon'"),
        (
            {"answered_at": "2025-03-10T10:00:00"},
            "answered_at: expected a time with zone such as 2025-03-01T10:00:00Z, got '2025-03-10T10:00:00'",
        ),
    ],
)
def test_a_field_of_a_call(change: dict[str, Any], sentence: str) -> None:
    """The value is named, and so are the choices where there are some."""
    assert said(decode_cdr(json.dumps(CALL | change).encode())) == sentence


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b'{"tenant":"contoso"}', "usage_id: expected a value, got none"),
        (b"[]", ": expected a JSON object, got []"),
        (b"oops", ": expected a JSON object, got broken JSON: invalid character (byte 0)"),
        (b'{"tenant":', ": expected a JSON object, got broken JSON: truncated"),
        (b'{"tenant":"\xff"}', ": expected UTF-8 text"),
    ],
)
def test_no_record_at_all(raw: bytes, sentence: str) -> None:
    """JSON keeps its capitals."""
    assert said(decode_cdr(raw)) == sentence


def test_a_number_that_no_computer_counts_to() -> None:
    """An error outside the table has the decoder's own text."""
    assert said(decode_cdr(json.dumps(CALL | {"duration_s": 10**20}).encode())).startswith("duration_s: ")


def test_commands_and_decks() -> None:
    """The name of a command is a choice, too; a row of a deck is counted from 0 as JSON does."""
    misspelt = said(decode_command(json.dumps(COMMAND | {"command": "add_funds"}).encode()))
    assert misspelt.startswith(
        "command: expected one of brake_configured, brake_released, call_accepted, call_rerated, calls_over_brake, deck_activated, "
    )
    assert misspelt.endswith(", user_configured, user_erased, got 'add_funds'")
    credits = said(decode_command(json.dumps(COMMAND | {"credits": "on"}).encode()))
    assert credits == "credits: expected one of enabled, not_set_up, got 'on'"
    deck = {"version": "1", "currency": "USD", "rows": [ROW, ROW | {"increment_first_s": 0}]}
    assert said(decode_deck(json.dumps(deck).encode())) == (
        "rows[1].increment_first_s: expected a number of at least 1, got 0"
    )
