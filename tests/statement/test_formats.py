"""Five formats say the same; names that nobody should have are text in each."""

import csv
import json
import re
from decimal import Decimal
from html.parser import HTMLParser
from io import BytesIO, StringIO
from pathlib import Path

import msgspec
import pytest
from openpyxl import load_workbook

from rater.core.money import format_micros, parse_ledger
from rater.files.statement import FORMATS, Format, Statement, rendered, write_statement
from rater.files.statement.sections import period_of, remarks, shown
from rater.files.statement.text import TEXT_COLUMNS_MAX
from rater.wire.errors import RaterError
from rater.wire.visible import visible
from tests.statement.sample import HOSTILE, named, sample
from tests.world import at


class Page(HTMLParser):
    """The tables of a page as rows of text, and the names of its elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.elements: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See HTMLParser."""
        del attrs
        self.elements.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1] and data.strip():
            self.rows[-1][-1] += data


@pytest.mark.parametrize(
    ("micros", "currency", "text"),
    [
        (4_200_000, "USD", "4.20"),
        (-136_370_000, "USD", "-136.37"),
        (308_000, "USD", "0.308"),
        (1, "USD", "0.000001"),
        (0, "USD", "0.00"),
        (74_000_000, "JPY", "74"),
        (74_500_000, "JPY", "74.5"),
        (73_750_000, "KWD", "73.750"),
    ],
)
def test_amounts_for_people(micros: int, currency: str, text: str) -> None:
    """A18 rounds in the usage export only: here an amount has its currency's decimals if that is exact, else all six."""
    assert shown(micros, currency) == text
    assert parse_ledger(text) == micros


def test_text_fits_a_screen() -> None:
    """At most 100 columns; what the account says is in it, line by line."""
    text = rendered(sample(), "text").decode()
    assert max(len(line) for line in text.splitlines()) <= TEXT_COLUMNS_MAX == 100
    assert [" ".join(line.split()) for line in text.splitlines()[:16]] == [
        "Statement of contoso in USD",
        "2025-03 (UTC)",
        "as of 2025-04-02T10:01:00Z",
        "It adds up: 1234.50 + 2.396001 = 1236.896001; -3.20 since; the balance is 1233.696001",
        "",
        "Account",
        "Entry Count Amount Balance",
        "Opening balance 1234.50",
        "Promotional credit 1 3.00 1237.50",
        "Calls: domestic beyond plan minutes 1 -0.02 1237.48",
        "Calls: international 5 -8.90 1228.58",  # 0.2 + 0.4 + 4.2 + 4 + 0.1
        "Calls: toll-free 1 -0.044 1228.536",
        "Given back by corrections 1 4.20 1232.736",
        "Adjustments by hand 1 4.160001 1236.896001",
        "Closing balance 1236.896001",
        "",
    ]


def test_every_format_has_the_same_account() -> None:
    """Opening, entries and closing, as they stand in the statement."""
    made = sample()
    amounts = [shown(entry.amount, "USD") for entry in made.entries]
    page = Page(rendered(made, "html").decode())
    first = page.rows.index(["Entry", "Count", "Amount", "Balance"])
    assert [row[2] for row in page.rows[first + 2 : first + 2 + len(amounts)]] == amounts
    rows = list(csv.DictReader(StringIO(rendered(made, "csv").decode(), newline="")))
    account = [row for row in rows if row["section"] == "entries"]
    assert [row["amount"] for row in account[1:-1]] == amounts
    assert account[-1]["balance"] == shown(made.closing, "USD")
    said = json.loads(rendered(made, "json"))
    assert [Decimal(entry["amount"]) for entry in said["entries"]] == list(map(Decimal, amounts))
    assert (said["closing"], said["adds_up"]) == (format_micros(made.closing), True)
    sheet = load_workbook(BytesIO(rendered(made, "xlsx")), data_only=True)["Account"]
    cells = [row for row in sheet.iter_rows(min_col=2, max_col=3, values_only=True) if isinstance(row[0], int)]
    assert [shown(round(float(str(amount)) * 10**6), "USD") for _, amount in cells] == amounts


def test_calls_of_other_months_are_listed() -> None:
    """A12: the late one of January and the one that crossed the end of February, each with its month."""
    said = json.loads(rendered(sample(), "json"))["other_months"]
    assert [(one["period"], one["late"], one["calls"], one["amount"]) for one in said] == [
        ("2025-01", True, 1, "0.2"),
        ("2025-02", False, 1, "0.4"),
    ]
    text = rendered(sample(), "text").decode()
    assert "2025-01  late" in text
    assert "2025-02  in time" in text


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("format", FORMATS)
def test_hostile_names_are_text(format: Format, name: str) -> None:
    """Of a user, a destination and a pool: nothing is run, nothing is hidden, nothing is cut."""
    hostile = HOSTILE[name]
    made = rendered(named(hostile), format)
    assert texts_of(format, made).count(expected(format, hostile)) == 3


def expected(format: Format, text: str) -> str:
    """People see control characters as numbers; a spreadsheet gets an apostrophe before what it would compute."""
    match format:
        case "text":
            return visible(text).replace(" ", "")
        case "html" | "xlsx":
            return visible(text)
        case "csv":
            return f"'{text}" if text.startswith("=") else text
        case _:
            return text


def texts_of(format: Format, made: bytes) -> list[str] | str:
    """The texts in a file, as a program that reads it sees them."""
    match format:
        case "text":
            assert max(len(line) for line in made.decode().splitlines()) <= TEXT_COLUMNS_MAX
            return joined(made.decode())
        case "json":
            said = json.loads(made)
            return [*(one["name"] for one in (*said["users"], *said["destinations"])), said["pools"][0]["pool"]]
        case "csv":
            return [row["name"] for row in csv.DictReader(StringIO(made.decode(), newline=""))]
        case "html":
            page = Page(made.decode())
            assert "script" not in page.elements
            return [cell for row in page.rows for cell in row]
        case "xlsx":
            book = load_workbook(BytesIO(made))
            cells = [sheet.cell(row, 1) for sheet in book for row in range(1, sheet.max_row + 1)]
            assert "f" not in {cell.data_type for cell in cells}
            return [str(cell.value) for cell in cells]


def joined(text: str) -> str:
    """Names that go on in the next lines, put together: the first column without blanks."""
    return "".join(re.split(" {2,}", line)[0].replace(" ", "") for line in text.splitlines())


def test_the_page_is_one_file() -> None:
    """No script, nothing from elsewhere, and paper of any size: headers repeat, rows are not cut."""
    text = rendered(sample(), "html").decode()
    assert Page(text).elements.isdisjoint({"script", "link", "img", "iframe", "object", "form"})
    assert "default-src 'none'" in text
    for rule in ("@page { margin", "thead { display: table-header-group; }", "tr { break-inside: avoid; }"):
        assert rule in text
    assert "size:" not in text.partition("@page")[2].partition("}")[0]


@pytest.mark.parametrize(
    ("since", "until", "text"),
    [
        ("2025-03-01", "2025-04-01", "2025-03 (UTC)"),
        ("2025-12-01", "2026-01-01", "2025-12 (UTC)"),
        ("2025-03-01", "2025-05-01", "from 2025-03-01T00:00:00Z up to 2025-05-01T00:00:00Z"),
        (None, "2025-04-01", "from the beginning up to 2025-04-01T00:00:00Z"),
        ("2025-03-01", None, "from 2025-03-01T00:00:00Z up to the last record"),
    ],
)
def test_the_period_is_shown(since: str | None, until: str | None, text: str) -> None:
    """A month by its name, all else by its instants."""
    made = msgspec.structs.replace(sample(), since=at(since) if since else None, until=at(until) if until else None)
    assert period_of(made) == text


#: What is changed in a statement, and what it shows then.
REMARKS = {
    "not everything is kept": (
        {"kept_since": at("2025-02-10")},
        "Records before 2025-02-10T00:00:00Z are not kept any more: the opening balance is",
    ),
    "not even the period is": (
        {"kept_since": at("2025-03-10")},
        "Records before 2025-03-10T00:00:00Z are not kept any more: the statement begins there, and",
    ),
    "it does not add up": (
        {"unexplained": 1},
        "It does not add up: the balance is 1233.696001, which differs by 0.000001;",
    ),
    "closed, and it owes": (
        {"closed_since": at("2025-03-31"), "balance": -4_000_000},
        "The tenant is closed since 2025-03-31T00:00:00Z, owes 4.00",
    ),
}


@pytest.mark.parametrize("name", REMARKS)
def test_what_is_to_be_known_is_shown(name: str) -> None:
    """In one line each, also in the formats for people."""
    changes, said = REMARKS[name]
    made: Statement = msgspec.structs.replace(sample(), **changes)  # type: ignore[arg-type]  # fields of a statement
    assert [remark for remark in remarks(made) if remark.startswith(said)] != []
    assert said in rendered(made, "html").decode()


def test_a_file_is_its_owners_alone(tmp_path: Path) -> None:
    """0600, whole or not at all; a stream gets the same bytes."""
    made = sample()
    out = BytesIO()
    write_statement(made, "json", out)
    write_statement(made, "json", str(tmp_path / "march.json"))
    assert (tmp_path / "march.json").read_bytes() == out.getvalue()
    assert (tmp_path / "march.json").stat().st_mode & 0o777 == 0o600
    with pytest.raises(RaterError, match="--out: xlsx cannot go to standard output; name a file"):
        write_statement(made, "xlsx", "-")
