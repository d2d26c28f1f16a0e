"""Price lists as carriers send them become decks, or are refused in one line that says what to do."""

from pathlib import Path

import pytest
from openpyxl import Workbook

from rater.core.inputs import RateRow
from rater.files.price_columns import given_columns
from rater.files.price_list import ListOptions, PriceList, read_price_list
from rater.wire.errors import RaterError
from tests.commands import rater
from tests.world import at


def listed(tmp_path: Path, text: str, options: ListOptions | None = None, currency: str = "USD") -> PriceList:
    path = tmp_path / "list.csv"
    path.write_bytes(text.encode(options.encoding if options and options.encoding else "utf-8"))
    return read_price_list(path, options or ListOptions(), currency=currency)


def rates(tmp_path: Path, text: str, **options: object) -> dict[str, str]:
    """Price by prefix."""
    found = listed(tmp_path, text, ListOptions(**options))  # type: ignore[arg-type]
    return {row.prefix: row.price_per_minute for row in found.deck.rows}


def said_of(tmp_path: Path, text: str, options: ListOptions | None = None) -> str:
    """What a refusal says, without the file's name."""
    with pytest.raises(RaterError) as wrong:
        listed(tmp_path, text, options)
    assert "\n" not in str(wrong.value)
    return str(wrong.value).removeprefix(f"{tmp_path / 'list.csv'}:")


def test_an_a_to_z_sheet(tmp_path: Path) -> None:
    """Several codes and a range in a cell, dates of effect, and a blocked destination that is not free by mistake."""
    text = (
        "Destination,Dial Code,Rate,Effective Date,Status\nUK,44,0.015,2025-03-01,Increase\n"
        'UK Mobile,"4474,4475,4477-4479",0.05,2025-03-01,New\nCuba,53,0,2025-03-01,Blocked\nMars,+00 45,1,,Deleted\n'
    )
    text = text.replace("+00 45", "0045")
    found = listed(tmp_path, text)
    assert [(row.prefix, row.country, row.type, row.price_per_minute) for row in found.deck.rows] == [
        ("44", "GB", "landline", "0.015"),
        *((prefix, "GB", "mobile", "0.05") for prefix in ("4474", "4475", "4477", "4478", "4479")),
        ("53", "CU", "unsupported", "0"),
    ]
    assert {row.valid_from for row in found.deck.rows} == {at("2025-03-01T00:00:00Z")}
    assert found.numbers == (2, 3, 3, 3, 3, 3, 4)
    assert found.remarks == (
        "1 rows are blocked: calls there are unsupported, the first is row 4",
        "1 rows are withdrawn and were left out, the first is row 5",
        "dates begin at 00:00 UTC; give another zone with --zone",
    )


def test_a_european_list(tmp_path: Path) -> None:
    """Semicolons, decimal commas, a currency sign behind the price, names of columns in German, a byte order mark."""
    text = (
        "\ufeffLand;Ziel;Vorwahl;Preis/Min\r\nAF;Afghanistan;93;0,32 $\r\nAD;Andorra - Mobile;3763, 3764;0,28 $\r\n"
    )
    found = listed(tmp_path, text)
    assert [(row.prefix, row.country, row.type, row.price_per_minute) for row in found.deck.rows] == [
        ("93", "AF", "landline", "0.32"),
        ("3763", "AD", "mobile", "0.28"),
        ("3764", "AD", "mobile", "0.28"),
    ]


def test_columns_that_a_person_names(tmp_path: Path) -> None:
    """Own names, titles above the header, a column that only looks like a status."""
    text = "Offer of 1 March,,\n,,\nWohin,Kennzahl,Betrag,Status\n".replace("March,,", "March,,,").replace(
        "\n,,\n", "\n,,,\n"
    )
    text += "Spain,+34,0.02,whatever\n"
    columns = given_columns(["destination=Wohin", "prefix=Kennzahl", "price=Betrag", "status=-"])
    assert rates(tmp_path, text, columns=columns) == {"34": "0.02"}
    said = said_of(tmp_path, text.partition("\n,,,\n")[2])
    assert said == (
        "1: no column is known to be the prefix; the columns are Wohin, Kennzahl, Betrag, Status; name it with"
        " --column prefix=NAME"
    )


@pytest.mark.parametrize(
    ("cell", "price"),
    [
        ("$0.241", "0.241"),
        ("USD 0.02", "0.02"),
        ("0.02 USD/min", "0.02"),
        ("1.5E-2", "0.015"),
        ("2e-6", "0.000002"),
        ("0.0150000000", "0.015"),
        ('"1,234.50"', "1234.50"),
    ],
)
def test_prices_as_they_are_written(tmp_path: Path, cell: str, price: str) -> None:
    """Signs and codes of the list's currency, exponents, thousands: the exact number."""
    assert rates(tmp_path, f"Code,Rate\n34,{cell}\n") == {"34": price}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Code,Rate\n34,0.02 €\n", "2: Rate: expected a price in USD, got '0.02 €'; give --currency EUR"),
        ("Code,Rate\n34,0.0123456\n", "2: Rate: expected at most 6 decimals, got 0.0123456; round such prices half up with --round"),
        ('Code,Rate\n34,"1,234"\n', "2: Rate: expected a price, got '1,234', whose comma may be decimal or not; give --decimal comma or --decimal point"),
        ('Code,Rate\n34,"0,02"\n35,0.03\n', " expected one decimal mark, got comma in row 2 and point in row 3; give --decimal point or comma"),
        ("Code,Rate\n0115,0.02\n", "2: Code: expected a prefix that begins with a country code, got '0115'; none begins with 0"),
        ("Code,Rate\n4479-4471,0.02\n", "2: Code: expected a range of prefixes of one length, the lower first, got 4479-4471"),
        ("Code,Rate\n4-4999999,0.02\n", "2: Code: expected a range of prefixes of one length, the lower first, got 4-4999999"),
        ("Code,Rate\n4000000-4999999,0.02\n", "2: Code: expected a range of at most 10000 prefixes (RANGE_MAX), got 4000000-4999999"),
        ("Code,Rate\n34,\n", "2: Rate: expected a price, got none"),
        ("Code,Country,Rate\n34,Spanien,0.02\n", "2: Country: expected an ISO 3166-1 code or an English name, got 'Spanien'"),
        ("Code,Rate,Status\n34,0.02,Rerated\n", "2: Status: expected a status such as New, Increase, Blocked or Deleted, got 'Rerated'; if the column is about something else, leave it out with --column status=-"),
        ("Code,Rate,New Rate\n34,0.02,0.03\n", "1: 'Rate' and 'New Rate' both may be the price; name it with --column price=\"New Rate\""),
        ("Code,Rate,Effective Date\n34,0.02,01/03/2025\n", "2: Effective Date: expected a time with zone such as 2025-03-01T10:00:00Z, got '01/03/2025', where either the day or the month may come first; give --times day-first or --times month-first"),
        ("Code,Rate\n34,0.02\n34,0.03\n", "3: expected one price of prefix 34 without valid_from, got 0.03 here and 0.02 in row 2; leave one of them, or give the date from which each is valid"),
    ],
)  # fmt: skip
def test_what_could_mean_two_things_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """File, row, column, and the option or the change that decides it."""
    assert said_of(tmp_path, text) == said


def test_a_list_that_a_person_explains(tmp_path: Path) -> None:
    """The same cells with the option that was named."""
    assert rates(tmp_path, 'Code,Rate\n34,"1,234"\n', decimal="comma") == {"34": "1.234"}
    assert rates(tmp_path, 'Code,Rate\n34,"1,234"\n', decimal="point") == {"34": "1234"}
    found = listed(tmp_path, "Code,Rate\n34,0.0123455\n", ListOptions(rounded=True))
    assert [row.price_per_minute for row in found.deck.rows] == ["0.012346"]  # half up
    assert found.remarks == (
        "1 prices were rounded half up to six decimals, the first in row 2: 0.0123455 is 0.012346",
    )
    said = said_of(tmp_path, "Code,Rate\n34,0.0000001\n", ListOptions(rounded=True))
    assert said.endswith("got 0.0000001; calls would be free")
    dated = "Code,Rate,Effective Date,End Date\n34,0.02,01/03/2025,31/03/2025\n"
    (row,) = listed(tmp_path, dated, ListOptions(times="day-first", zone="Europe/Berlin")).deck.rows
    # From the first day on, and the last day is valid too; the clocks went forward on 30 March.
    assert (row.valid_from, row.valid_to) == (at("2025-02-28T23:00:00Z"), at("2025-03-31T22:00:00Z"))
    euros = listed(tmp_path, "Code,Rate\n34,0.02 €\n", currency="EUR").deck
    assert (euros.currency, euros.rows[0].price_per_minute) == ("EUR", "0.02")
    latin = "Code;Rate;Name\n34;0,02;Espa\xf1a\n"
    assert listed(tmp_path, latin, ListOptions(encoding="windows-1252")).deck.rows[0].destination == "Espa\xf1a"


def test_premium_rows_and_later_rates_win_as_before(tmp_path: Path) -> None:
    """The same prefix may have a premium row beside an ordinary one, and another price from another day on."""
    text = (
        "Code,Rate,Type,Valid from\n44900,0.5,premium,\n44900,0.01,landline,\n34,0.02,landline,2025-01-01\n"
        "34,0.03,landline,2025-02-01\n34,0.03,landline,2025-02-01\n"
    )
    assert len(listed(tmp_path, text).deck.rows) == 5


def test_a_workbook_of_prices(tmp_path: Path) -> None:
    """A sheet whose codes and prices are numbers."""
    book = Workbook()
    assert book.active is not None
    for cells in (
        ["Our offer"],
        ["Country", "Dial code", "Rate"],
        ["Spain", 34, 0.02],
        ["United Kingdom", "+44", 0.015],
    ):
        book.active.append(cells)
    book.save(tmp_path / "list.xlsx")
    rows = read_price_list(tmp_path / "list.xlsx", ListOptions()).deck.rows
    assert [(row.prefix, row.country, row.price_per_minute) for row in rows] == [
        ("34", "ES", "0.02"),
        ("44", "GB", "0.015"),
    ]


def test_lint_reads_lists_and_names_their_rows(tmp_path: Path) -> None:
    """One row of the file makes several of the deck; the finding names the file's, and a country of another code."""
    (tmp_path / "list.csv").write_text(
        'Country,Kennzahl,Rate\nSpain,"34,3491",0.02\nUK,45,0.02\nUnited Kingdom,"31,32",0.02\n'
    )
    done = rater("rates", "lint", "list.csv", "--column", "prefix=Kennzahl", cwd=tmp_path)
    assert [line.partition("; ")[0] for line in done.stdout.splitlines()] == [
        "warning: list.csv:3: 45: other-country: GB, but this calling code is that of DK",
        "warning: list.csv:4: 31: other-country: GB, but this calling code is that of NL",
        "warning: list.csv:4: 32: other-country: GB, but this calling code is that of BE",
    ]
    without = rater("rates", "lint", "list.csv", cwd=tmp_path, code=2)
    assert "name it with --column prefix=NAME" in without.stderr


def test_the_input_of_lists_and_the_input_of_decks(tmp_path: Path) -> None:
    """`rater import rates` makes the deck for `rater run --deck`; the latter names the former."""
    (tmp_path / "list.csv").write_text('Dial Code,Rate\n"34,35-36",0.02\n')
    refused = rater("run", "--deck", "list.csv", cwd=tmp_path, code=2)
    assert refused.stderr.rstrip().endswith("; if it is a carrier's price list: rater import rates")
    rater("import", "rates", "list.csv", "--out", "deck.csv", cwd=tmp_path)
    rater("run", "--deck", "deck.csv", cwd=tmp_path)


@pytest.mark.parametrize("prefix", ["0044", "01144"])
def test_a_deck_whose_prefixes_begin_with_what_is_dialled_before_them(tmp_path: Path, prefix: str) -> None:
    """No number begins with 0: such a row would never price a call, and calls would be free."""
    columns = ",".join((*RateRow.__struct_fields__[:5], "price_per_minute", "connection_fee"))
    header = f"{columns},increment_first_s,increment_next_s,valid_from,valid_to"
    (tmp_path / "deck.csv").write_text(f"{header}\noutbound,{prefix},UK,GB,landline,0.015,0,60,60,,\n")
    refused = rater("run", "--deck", "deck.csv", cwd=tmp_path, code=2)
    assert refused.stderr.startswith(
        f"rater: deck.csv:2: prefix: expected a country code and what follows it, got '{prefix}'"
    )


def test_a_list_says_which_of_its_columns_are_not_used(tmp_path: Path) -> None:
    """A destination under two names is found; one under an unknown name leaves the prefix in its place, and is named."""
    (tmp_path / "both.csv").write_text("Country / Destination;Dial Code;Rate;Notes\nItaly - Mobile;393;0.2;none\n")
    (tmp_path / "unknown.csv").write_text("Where to;Dial Code;Rate\nItaly - Mobile;393;0.2\n")
    both, unknown = (read_price_list(tmp_path / name, ListOptions()) for name in ("both.csv", "unknown.csv"))
    assert [(row.destination, row.type) for row in both.deck.rows] == [("Italy - Mobile", "mobile")]
    assert both.remarks == ("columns that are not used: Notes",)
    assert [(row.destination, row.type) for row in unknown.deck.rows] == [("393", "landline")]
    assert unknown.remarks == (
        "columns that are not used: Where to; if one has the destinations: --column destination=NAME",
    )
