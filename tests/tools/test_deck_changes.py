"""What a new price list changes, as a table: `prefix destination country type price` before and after."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from rater.core import DeckLimits, RateDeck, RateRow, compare_decks, too_much
from tests.commands import rater
from tests.world import DECK, at

NOW = at("2025-03-10 00:00")
COLUMNS = DECK.read_text().splitlines()[0]


def deck(text: str) -> RateDeck:
    """Rows with commas between: `prefix country price` and, where it matters, type, fee, increment, from, to."""
    return RateDeck(version="v", currency="USD", rows=tuple(row(words.split()) for words in text.split(",")))


def row(words: list[str]) -> RateRow:
    prefix, country, price, *more = words
    given = dict(word.split("=") for word in more)
    when: dict[str, datetime] = {
        name: at(f"{given[key]} 00:00")
        for name, key in (("valid_from", "from"), ("valid_to", "to"))
        if key in given
    }
    seconds = int(given.get("seconds", 60))
    fee = {"connection_fee": given["fee"]} if "fee" in given else {}
    return RateRow(
        direction="outbound",
        prefix=prefix,
        destination=f"to {prefix}",
        country=country,
        type=given.get("type", "landline"),  # type: ignore[arg-type]  # of the table
        price_per_minute=price,
        increment_first_s=seconds,
        increment_next_s=seconds,
        **fee,  # type: ignore[arg-type]  # as above
        **when,  # type: ignore[arg-type]  # as above
    )


#: before, after, and the changes as `what prefix before after`; prices of the rows that price the prefix.
TABLE = {
    "the same": ("1 US 0.01, 44 GB 0.02", "44 GB 0.02, 1 US 0.01", []),
    "a price that moves by a little": ("1 US 0.01", "1 US 0.02", ["PRICE 1 0.01 0.02"]),
    "five times is not yet a jump": ("1 US 0.01", "1 US 0.05", ["PRICE 1 0.01 0.05"]),
    "more than five times is one": ("1 US 0.01", "1 US 0.051", ["JUMP 1 0.01 0.051"]),
    "down as well": ("1 US 0.1", "1 US 0.01", ["JUMP 1 0.1 0.01"]),
    "for nothing": ("1 US 0.1", "1 US 0", ["JUMP 1 0.1 0"]),
    "from nothing": ("1 US 0", "1 US 0.1", ["JUMP 1 0 0.1"]),
    "a fee: 0.01 + 0.05 is six times 0.01": ("1 US 0.01", "1 US 0.01 fee=0.05", ["JUMP 1 0.01 0.01"]),
    "billed in hours: 60 minutes for one": ("1 US 0.01", "1 US 0.01 seconds=3600", ["JUMP 1 0.01 0.01"]),
    "billed in seconds: a minute costs the same": ("1 US 0.01", "1 US 0.01 seconds=1", []),
    "a new country": ("1 US 0.01", "1 US 0.01, 44 GB 0.02", ["NEW 44 none 0.02"]),
    "a new row, dearer than what priced it": ("44 GB 0.02", "44 GB 0.02, 447 GB 0.2", ["JUMP 447 0.02 0.2"]),
    "a row is gone, the one around it prices it": ("44 GB 0.02, 447 GB 0.03", "44 GB 0.02", ["GONE 447 0.03 0.02"]),
    "and much cheaper": ("44 GB 0.02, 447 GB 0.3", "44 GB 0.02", ["JUMP 447 0.3 0.02"]),
    "a country is gone": ("1 US 0.01, 263 ZW 0.2, 2637 ZW 0.3", "1 US 0.01", [
        "COUNTRY_GONE 263 0.2 none", "GONE 263 0.2 none", "GONE 2637 0.3 none",
    ]),
    "a premium row is gone": ("44 GB 0.02, 4490 GB 1.5 type=premium", "44 GB 0.02", ["PREMIUM_GONE 4490 1.5 0.02"]),
    "a premium row becomes an ordinary one": ("4490 GB 1.5 type=premium", "4490 GB 1.5", ["PREMIUM_GONE 4490 1.5 1.5"]),
    "a premium number can no longer be reached": ("44 GB 1, 4490 GB 1.5 type=premium", "44 GB 1, 4490 GB 1.5 type=unsupported", []),
    "a new premium row is dear, as it should be": ("44 GB 0.02", "44 GB 0.02, 4490 GB 1.5 type=premium", ["NEW 4490 0.02 1.5"]),
    "a price of next month": ("1 US 0.01", "1 US 0.01 to=2025-04-01, 1 US 0.1 from=2025-04-01", ["JUMP 1 0.01 0.1"]),
    "no price from next month on": ("1 US 0.01, 44 GB 1", "1 US 0.01 to=2025-04-01, 44 GB 1", ["GONE 1 0.01 none"]),
    "only from next month on": ("1 US 0.01", "1 US 0.01 from=2025-04-01", ["GONE 1 0.01 none"]),
    "last month's prices are left out": ("1 US 9 to=2025-03-01, 1 US 0.01 from=2025-03-01", "1 US 0.01", []),
    "lists of a past year, ten times as dear": (
        "1 US 0.01 from=2024-01-01 to=2025-01-01", "1 US 0.1 from=2024-01-01 to=2025-01-01", ["JUMP 1 0.01 0.1"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE)
def test_changes(case: str) -> None:
    """Each change of a prefix once, as the worst that it is at any time from now on."""
    before, after, expected = TABLE[case]
    found = compare_decks(deck(before), deck(after), NOW, DeckLimits())
    said = [
        f"{one.change.name} {one.prefix}"
        f" {one.before.price_per_minute if one.before else 'none'} {one.after.price_per_minute if one.after else 'none'}"
        for one in found.changes
    ]
    assert said == expected


def test_the_worst_come_first() -> None:
    """Countries and premium rows, then jumps by how far, then rows that are gone, prices, new rows."""
    before = "1 US 1, 2 EG 1, 3 NL 1, 4 CH 1, 41 CH 1.5, 44 GB 1, 4490 GB 9 type=premium, 263 ZW 1"
    after = "1 US 2, 2 EG 6, 3 NL 60, 4 CH 1, 44 GB 1, 5 BR 1"
    found = compare_decks(deck(before), deck(after), NOW, DeckLimits())
    assert [(one.change.name, one.prefix) for one in found.changes] == [
        ("COUNTRY_GONE", "263"),
        ("PREMIUM_GONE", "4490"),
        ("JUMP", "3"),
        ("JUMP", "2"),
        ("JUMP", "263"),
        ("GONE", "41"),
        ("PRICE", "1"),
        ("NEW", "5"),
    ]
    assert (found.rows_before, found.rows_after, found.gone, found.new, found.dearer, found.cheaper) == (
        8,
        6,
        3,
        1,
        3,
        0,
    )


def test_limits() -> None:
    """5 % of 100 rows may go, 6 not; each limit is a setting, and the exact number is allowed."""
    hundred = ", ".join(f"{1000 + n} US 1" for n in range(100))
    for gone, beyond in ((5, []), (6, [("rows_gone_percent_max", 6, 5)])):
        left = ", ".join(hundred.split(", ")[gone:])
        changes = compare_decks(deck(hundred), deck(left), NOW, DeckLimits())
        assert too_much(changes, DeckLimits()) == beyond
        assert too_much(changes, DeckLimits(rows_gone_percent_max=6)) == []
    jump = compare_decks(deck("1 US 1"), deck("1 US 6"), NOW, DeckLimits())
    assert too_much(jump, DeckLimits()) == [("prices_beyond_factor_max", 1, 0)]
    assert too_much(jump, DeckLimits(prices_beyond_factor_max=1)) == []
    assert (
        too_much(compare_decks(deck("1 US 1"), deck("1 US 6"), NOW, DeckLimits(price_factor_max=6)), DeckLimits())
        == []
    )


def test_files_are_compared(tmp_path: Path) -> None:
    """`rater rates compare OLD NEW`: exit 1 where `publish` would need --accept-changes; 20 rows are shown at most."""
    rows = [f"outbound,{1000 + n},to {n},US,landline,0.01,0,60,60,,\n" for n in range(30)]
    (tmp_path / "old").write_text(COLUMNS + "\n" + "".join(rows))
    (tmp_path / "new").write_text(COLUMNS + "\n" + "".join(row.replace("0.01", "0.1") for row in rows))
    shown = rater("rates", "compare", "old", "new", cwd=tmp_path, code=1)
    assert "and 10 more\n30 rows -> 30: 0 gone, 0 new, 30 dearer, 0 cheaper; 30 prices jump" in shown.stdout
    assert shown.stderr == (
        "rater: 30 prices are more than 5 times up or down (RATER_DECK_PRICES_BEYOND_FACTOR_MAX allows 0)\n"
    )
    wide = {"RATER_DECK_PRICE_FACTOR_MAX": "10"}
    allowed = rater("rates", "compare", "old", "new", "--json", cwd=tmp_path, code=0, environment=wide)
    facts = json.loads(allowed.stdout)
    assert (facts["changes"]["price"], facts["beyond"], len(facts["worst"])) == (30, [], 20)
    assert rater("rates", "compare", "old", "old", cwd=tmp_path, code=0).stdout == "30 rows, no prices changed\n"
    wrong = rater(
        "rates", "compare", "old", "new", cwd=tmp_path, code=2, environment={"RATER_DECK_PRICE_FACTOR_MAX": "0"}
    )
    assert "RATER_DECK_PRICE_FACTOR_MAX" in wrong.stderr
