"""Price lists into decks, and what is wrong with a deck."""

from pathlib import Path

import pytest

from rater.core.tariff import Tariff
from rater.errors import RaterError
from rater.formats.deck_csv import read_deck
from rater.rates.lint import lint
from rater.rates.price_list import published_toll_free, read_any_deck, write_deck
from tests.world import DECK, at

PRICE_LIST = "Destination Name,Destination Type,Country,Prefix,Price / min\r\n"
COLUMNS = DECK.read_text().splitlines()[0] + "\n"


def wrong_row(tmp_path: Path, text: str) -> str:
    path = tmp_path / "prices.csv"
    path.write_text(text)
    with pytest.raises(RaterError) as error:
        read_any_deck(path)
    return str(error.value).removeprefix(f"{path}:")


def test_the_real_price_list(shared: Path, tmp_path: Path) -> None:
    """Table 3.5: 6,592 rows go in and come out the same; samples have the published prices."""
    deck = read_any_deck(shared / "data" / "acs-pstn-rates-2025-10-15.csv")
    assert len(deck.rows) == 6592
    write_deck(deck, tmp_path / "deck.csv")
    assert read_deck(tmp_path / "deck.csv").rows == deck.rows
    tariff = Tariff(deck)
    for number, price in (("+12065550100", "0.013"), ("+263242700000", "0.223"), ("+33612345678", "0.125")):
        rate = tariff.to(number, at("2025-10-15"))
        assert rate is not None
        assert rate.price_text == price
    for number in ("+19005550100", "+68212345", "+870123456", "+448441234567"):
        rate = tariff.to(number, at("2025-10-15"))
        assert rate is None or not rate.priced


def test_published_toll_free_prices() -> None:
    """Table 3.5: from the US 0.022, from anywhere not listed the dearest."""
    prices = {row.prefix: row.price_per_minute for row in published_toll_free()}
    assert (prices["1"], prices["39"], prices["*"]) == ("0.022", "0.3415", "0.3415")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("A,mobile,AF,93x,0.32", "2: Prefix: expected 1 to 15 digits"),
        ("A,mobile,AF,93,-0.32", "2: Price / min: expected 0 or more"),
        ("A,mobile,AF,93,0.1234567", "2: Price / min: expected at most 6 decimals"),
        ("A,satellite,AF,93,0.32", "2: Destination Type: expected mobile"),
        ("A,mobile,AF,93", "2: expected 5 cells, got 4"),
        ("A,mobile,AF,93,0.32\r\nB,mobile,AF,93,0.33", "3: Prefix: expected once, 93 stands in row 2 too"),
    ],
)
def test_bad_rows_of_a_price_list(tmp_path: Path, row: str, said: str) -> None:
    """Issue, import: file, row, column, what was expected."""
    assert wrong_row(tmp_path, PRICE_LIST + row + "\r\n").startswith(said)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("outbound,44,UK,GB,landline,0.01,0,60,0,,", "2: "),
        ("outbound,44,UK,GB,landline,1e3,0,60,60,,", "2: price_per_minute: expected a decimal amount"),
        ("outbound,44,UK,QQ,landline,0.01,0,60,60,,", "2: country: expected an ISO"),
        ("sideways,44,UK,GB,landline,0.01,0,60,60,,", "2: "),
        ("outbound,44,UK,GB,landline,0.01,0,sixty,60,,", "2: increment_first_s: expected whole seconds"),
        ("outbound,44,UK,GB,landline,0.01,0,60,60,2025-01-01T00:00:00,", "2: "),
        ("outbound,44,UK,GB,landline,0.01,0,60,60,2025-02-01T00:00:00Z,2025-01-01T00:00:00Z", "2: valid_to"),
    ],
)
def test_bad_rows_of_a_deck(tmp_path: Path, row: str, said: str) -> None:
    """Issue, import: our own columns are checked as strictly."""
    assert wrong_row(tmp_path, COLUMNS + row + "\n").startswith(said)


def test_columns_that_are_missing(tmp_path: Path) -> None:
    """Issue, bad input: which are missing, and what was expected."""
    assert wrong_row(tmp_path, COLUMNS.replace("prefix,", "")).startswith("1: missing columns prefix; expected")


@pytest.mark.parametrize(
    ("rows", "kinds"),
    [
        ("outbound,49,Germany,DE,landline,0.015,0,60,60,,", []),
        (
            "outbound,49,Germany,DE,landline,0.015,0,60,60,,2025-01-01T00:00:00Z\n"
            "outbound,49,Germany,DE,landline,0.016,0,60,60,2025-02-01T00:00:00Z,",
            ["gap"],
        ),
        (
            "outbound,49,Germany,DE,landline,0.015,0,60,60,,2025-03-01T00:00:00Z\n"
            "outbound,49,Germany,DE,landline,0.016,0,60,60,2025-02-01T00:00:00Z,",
            ["overlap"],
        ),
        (
            "outbound,49,Germany,DE,landline,0.015,0,60,60,,\noutbound,49,Germany,DE,landline,0.016,0,60,60,,",
            ["unreachable"],
        ),
        (
            "outbound,49,Germany,DE,landline,0.015,0,60,60,,2025-01-01T00:00:00Z\n"
            "outbound,49,Germany,DE,landline,0.15,0,60,60,2025-01-01T00:00:00Z,",
            ["price-jump"],
        ),
        (
            "outbound,49,Germany,DE,landline,0.015,0,60,60,,\noutbound,4930,Berlin,DE,landline,1.5,0,60,60,,",
            ["price-jump"],
        ),
        ("outbound,331,Paris,FR,landline,0.016,0,60,60,,", ["no-root"]),
        ("outbound,449,UK,GB,landline,0.015,0,60,60,,", ["premium-at-ordinary-rate"]),
    ],
)
def test_lint(tmp_path: Path, rows: str, kinds: list[str]) -> None:
    """Issue, lint: each kind of finding is found, and a good deck has none."""
    path = tmp_path / "deck.csv"
    path.write_text(COLUMNS + rows + "\n")
    assert [finding.kind for finding in lint(read_deck(path))] == kinds
