"""Price lists into decks, and what is wrong with a deck."""

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from rater.core.inputs import RateDeck, RateRow
from rater.core.tariff import Tariff
from rater.files.deck_csv import read_deck, write_deck
from rater.files.deck_lint import lint
from rater.files.price_list import read_any_deck
from rater.files.toll_free import published_toll_free, toll_free_elsewhere, what_is_priced
from rater.wire.errors import RaterError
from tests.commands import rater
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


def from_toll_free(rows: tuple[RateRow, ...], calling: str | None) -> str | None:
    """What a minute of a toll-free call from a number costs."""
    rate = Tariff(RateDeck(version="v", currency="USD", rows=rows)).from_toll_free(calling, at("2025-10-15"))
    return rate.price_text if rate else None


@pytest.mark.parametrize(
    ("calling", "price"),
    [
        ("+12065550100", "0.022"),  # Seattle
        ("+19075550100", "0.022"),  # Alaska
        ("+14165550100", "0.022"),  # Toronto
        ("+390612345678", "0.3415"),
        ("+18765550100", None),  # Jamaica shares +1, and has no published price (rule 42)
        ("+17875550100", None),  # nor has Puerto Rico
        ("+18095550100", None),  # nor the Dominican Republic
        ("+263242700000", None),
        (None, None),
    ],
)
def test_published_toll_free_prices(shared: Path, calling: str | None, price: str | None) -> None:
    """Rule 42: callers from countries whose price is published pay that; other prices are not invented."""
    deck = read_any_deck(shared / "data" / "acs-pstn-rates-2025-10-15.csv")
    rows = published_toll_free(deck.rows)
    assert from_toll_free(rows, calling) == price
    assert from_toll_free((*rows, toll_free_elsewhere("0.35")), calling) == (price or "0.35")


def test_a_root_of_plus_one_is_no_area_code() -> None:
    """A row for 1 would be Jamaica's price too; the message lists the rows that are missing."""
    root = RateRow(direction="outbound", prefix="1", destination="US", country="US", type="landline", price_per_minute="1")  # fmt: skip
    rows = published_toll_free([root, msgspec.structs.replace(root, prefix="1416", country="CA")])
    assert (from_toll_free(rows, "+12065550100"), from_toll_free(rows, "+14165550100")) == (None, "0.022")
    said = list(what_is_priced(rows))
    assert said[0].startswith("toll-free: the list has no area code of +1 with the country US")
    assert said[1] == "toll-free: 1 area codes of CA are priced"
    assert "price them with --toll-free-elsewhere" in said[2]


@pytest.mark.parametrize("price", ["-1", "free", "0.1234567"])
def test_an_invalid_price_for_elsewhere(price: str) -> None:
    """Which option, and what was expected."""
    with pytest.raises(RaterError, match="--toll-free-elsewhere: expected"):
        toll_free_elsewhere(price)


USERS = "UPN,SKU,Usage country\nada@contoso.example,MCOPSTN1,US\n"
LICENSES = ("licenses", "users.csv", "--tenant", "contoso", "--at", "2025-03-01T00:00:00Z")


@pytest.mark.parametrize("words", [("rates", DECK), LICENSES])
def test_an_import_that_finds_no_room(tmp_path: Path, words: tuple[object, ...]) -> None:
    """One clear line, exit 6; the device that was named is still one."""
    (tmp_path / "users.csv").write_text(USERS)
    full = rater("import", *words, "--out", "/dev/full", cwd=tmp_path, code=6)
    said = (
        "rater: /dev/full: the disk is full, nothing was written; free some space and run the same command again\n"
    )
    assert full.stderr.splitlines(keepends=True)[-1] == said
    assert Path("/dev/full").is_char_device()


@pytest.mark.parametrize("words", [("rates", DECK), LICENSES])
def test_an_import_leaves_no_half_file(tmp_path: Path, words: tuple[object, ...]) -> None:
    """Files may grow to 100 bytes: what was there before is kept, and nothing lies beside it."""
    (tmp_path / "users.csv").write_text(USERS)
    (tmp_path / "out").write_text("before")
    limited = ["/bin/sh", "-c", 'trap "" XFSZ; ulimit -f 0; exec "$@"', "sh", sys.executable, "-m", "rater"]
    ran = subprocess.run(
        [*limited, "import", *map(str, words), "--out", "out"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert ran.stderr == "rater: out: cannot be written: File too large; nothing was kept of it\n"
    assert (tmp_path / "out").read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "users.csv"]


def test_lint_shows_errors_first_and_few_warnings(tmp_path: Path) -> None:
    """New-user trial: one error is not hidden by five warnings; --all and --json have all of them."""
    cities = "".join(f"outbound,49{n},City,DE,landline,1.5,0,60,60,,\n" for n in range(30, 35))
    twice = "outbound,49,Germany,DE,landline,0.015,0,60,60,,\n"
    (tmp_path / "deck.csv").write_text(f"{COLUMNS}{cities}outbound,49,Germany,DE,landline,0.015,0,60,60,,\n{twice}")
    short = rater("rates", "lint", "deck.csv", cwd=tmp_path, code=1)
    lines = short.stdout.splitlines()
    assert lines[0].startswith("error: deck.csv:8: 49: unreachable: ")
    assert [line.split(": ")[2] for line in lines[1:4]] == ["4930", "4931", "4932"]
    assert lines[4:] == ["warning: price-jump: 2 more, 5 in all; see them with --all"]
    assert short.stderr == "errors: 1, warnings: 5\n"
    assert len(rater("rates", "lint", "deck.csv", "--all", cwd=tmp_path, code=1).stdout.splitlines()) == 1 + 5
    assert len(json.loads(rater("rates", "lint", "deck.csv", "--json", cwd=tmp_path, code=1).stdout)) == 1 + 5


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("A,mobile,AF,93x,0.32", "2: Prefix: expected 1 to 15 digits"),
        ("A,mobile,AF,93,-0.32", "2: Price / min: expected 0 or more"),
        ("A,mobile,AF,93,0.1234567", "2: Price / min: expected at most 6 decimals"),
        ("A,satellite,AF,93,0.32", "2: Destination Type: expected mobile"),
        ("A,mobile,AF,93", "2: expected 5 cells, got 4"),
        (
            "A,mobile,AF,93,0.32\r\nB,mobile,AF,93,0.33",
            "3: expected one price of prefix 93 without valid_from, got 0.33 here and 0.32 in row 2",
        ),
    ],
)
def test_bad_rows_of_a_price_list(tmp_path: Path, row: str, said: str) -> None:
    """File, row, column, what was expected."""
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
    """Our own columns are checked as strictly."""
    assert wrong_row(tmp_path, COLUMNS + row + "\n").startswith(said)


def test_columns_that_are_missing(tmp_path: Path) -> None:
    """Which are missing, and what was expected."""
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
            "outbound,49,Germany,DE,landline,0.015,0,60,60,,\noutbound,49,Germany,DE,landline,0.015,0,60,60,,",
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
        (
            "outbound,7,Russia,RU,landline,0.1,0,60,60,,\noutbound,7727,Almaty,RU,landline,0.4,0,60,60,,",
            ["other-country"],
        ),
        ("outbound,358,Finland,FI,landline,0.1,0,60,60,,\noutbound,35818,Aland,AX,landline,0.1,0,60,60,,", []),
    ],
)
def test_lint(tmp_path: Path, rows: str, kinds: list[str]) -> None:
    """Each kind of finding is found, and a good deck has none."""
    path = tmp_path / "deck.csv"
    path.write_text(COLUMNS + rows + "\n")
    assert [finding.kind for finding in lint(read_deck(path))] == kinds


def test_prefixes_that_one_row_matches_are_one_finding(tmp_path: Path) -> None:
    """What is to be done about them is the same: rows of type premium."""
    path = tmp_path / "deck.csv"
    path.write_text(COLUMNS + "outbound,44,UK,GB,landline,0.015,0,60,60,,\n")
    (finding,) = lint(read_deck(path))
    assert (finding.row, finding.prefix) == (2, "44843 44844 44845 44870 44871 44872 449")
    assert "only row 2 (UK, 0.015) matches: not charged" in finding.message
