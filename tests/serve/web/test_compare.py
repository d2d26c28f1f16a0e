"""Compare price lists: a month replayed with another list, beside the ledger."""

import csv
from decimal import Decimal
from pathlib import Path

import pytest

from tests.commands import rater
from tests.serve.web.conftest import BEGAN, Open
from tests.serve.web.world import Shown, Visitor
from tests.world import DECK

PATH = "/tenants/contoso/compare"
PERIOD = f"{BEGAN:%Y-%m}"
CALLS = BEGAN.day


def twice() -> bytes:
    """The list in force with every price twice as high."""
    header, *rows = DECK.read_text().splitlines()
    price = header.split(",").index("price_per_minute")
    cells = [row.split(",") for row in rows]
    doubled = [[*row[:price], str(2 * Decimal(row[price])), *row[price + 1 :]] for row in cells]
    return "\n".join([header, *(",".join(row) for row in doubled)]).encode()


def compared(visitor: Visitor, content: bytes, path: str = PATH, **fields: str) -> Shown:
    """The page of the outcome, asked for again as browsers do."""
    form = visitor.get(path).form(path)
    shown = visitor.upload(path, form | {"period": PERIOD} | fields, "deck", content)
    while "Refresh" in shown.headers:
        shown = visitor.get(shown.path)
    return shown


def test_a_list_with_prices_twice_as_high_costs_twice_as_much(lived: Open, tmp_path: Path) -> None:
    """Each day of the month 0.10: as it was, as it would have been; the file is what the command writes."""
    val = lived.visitor("val")
    shown = compared(val, twice())
    was, would_be = f"{CALLS * 0.1:.2f} USD", f"{CALLS * 0.2:.2f} USD"
    assert f"As it was {was} As it would have been {would_be} Difference + {was} dearer" in shown.words
    assert "By destination" in shown.words
    assert "ada" in shown.words
    file = val.get(f"{shown.path}/csv")
    assert file.headers["Content-Disposition"] == f'attachment; filename="what-if-{PERIOD}.csv"'
    (tmp_path / "twice.csv").write_bytes(twice())
    words = ["--period", PERIOD, "--tenant", "contoso", "--deck", tmp_path / "twice.csv", "--format", "csv"]
    printed = rater("what-if", *words, "--store", lived.server.store).stdout
    assert [*csv.reader(file.text.splitlines())] == [*csv.reader(printed.splitlines())]


def test_a_list_that_is_wrong_says_where(lived: Open) -> None:
    """The row and the column, without a path of the server."""
    wrong = twice().replace(b"0.02", b"cheap", 1)
    shown = compared(lived.visitor("kim"), wrong)
    assert shown.status == 200
    assert "It could not be compared: price-list.csv:" in shown.words
    assert "price_per_minute" in shown.words
    assert "It could not be compared: price-list.csv: " in compared(lived.visitor("kim"), b"\x00\xff").words
    shown = compared(lived.visitor("olga"), twice(), "/tenants/fabrikam/compare")
    assert "It could not be compared: expected a month with calls of fabrikam, got none in" in shown.words


@pytest.mark.parametrize(
    ("fields", "content", "expected"),
    [
        ({}, b"", "expected either a file with a price list or a version that is known"),
        ({"period": "1999-01"}, b"x", "period: expected a month from"),
        ({"version": "d"}, b"", "version: expected one that is offered"),
        ({"version": "d"}, b"x", "expected either a file"),
        ({"new": "MCOPSTN2"}, b"", "licence: expected two licences of the catalogue, one instead of the other"),
        ({"new": "MCOPSTN2", "old": "MCOPSTN2"}, b"", "licence: expected two licences of the catalogue"),
        ({"new": "MCOPSTN2", "old": "x"}, b"", "licence: expected two licences of the catalogue"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    lived: Open, fields: dict[str, str], content: bytes, expected: str
) -> None:
    """400 with what was expected; a known version is offered to operators alone."""
    shown = compared(lived.visitor("kim"), content, **fields)
    assert (shown.status, expected in shown.words) == (400, True)


def test_a_licence_instead_of_another_is_compared_without_a_list(lived: Open) -> None:
    """Ada, whose calls cost 0.10 a day as she goes, has minutes of a plan instead: they cost nothing."""
    shown = compared(lived.visitor("kim"), b"", new="MCOPSTN2", old="MCOPSTNPP")
    assert "as it would have been with MCOPSTN2 for everybody who held MCOPSTNPP." in shown.words
    assert f"As it was {CALLS * 0.1:.2f} USD As it would have been 0.00 USD" in shown.words
    assert "cheaper" in shown.words
    shown = compared(lived.visitor("kim"), twice(), new="MCOPSTN2", old="MCOPSTNPP")
    assert "with the price list of the file, with MCOPSTN2 for everybody who held MCOPSTNPP." in shown.words
    nobody = compared(lived.visitor("kim"), b"", new="MCOPSTN2", old="MCOPSTN1")
    assert "It could not be compared: --instead: expected a licence that a user of contoso held" in nobody.words


def test_an_operator_compares_with_a_known_version(lived: Open) -> None:
    """With the list in force nothing differs."""
    shown = compared(lived.visitor("olga"), b"", version="d")
    assert "with version d of the price list." in shown.words
    assert shown.words.count("Nothing would have been different.") == 3


def test_a_version_in_another_currency_is_not_offered(lived: Open) -> None:
    """A list in USD is in force for no call of a tenant in EUR: it would look as dear as the tenant's own."""
    olga, path = lived.visitor("olga"), "/tenants/litware/compare"
    assert "Or a version that is known" in olga.get(PATH).words
    assert "Or a version that is known" not in olga.get(path).words
    refused = compared(olga, b"", path, version="d")
    assert (refused.status, "version: expected one that is offered" in refused.words) == (400, True)


def test_a_file_that_is_too_large_is_refused(lived: Open) -> None:
    """413, before it is read."""
    shown = compared(lived.visitor("kim"), b"x" * (8 * 1024 * 1024 + 1))
    assert (shown.status, "This form is too large" in shown.words) == (413, True)


def test_an_outcome_is_for_its_tenant_alone(lived: Open) -> None:
    """An operator, who sees both tenants, finds it below its own tenant only; an id that is none is not found."""
    olga = lived.visitor("olga")
    shown = compared(olga, twice())
    id = shown.path.rpartition("/")[2]
    for path in (f"/tenants/fabrikam/compare/{id}", f"/tenants/fabrikam/compare/{id}/csv", f"{PATH}/{'0' * 32}"):
        assert olga.get(path).status == 404
    assert lived.visitor("kim").get(f"/tenants/fabrikam/compare/{id}").status == 404


def test_a_form_that_is_not_ours_begins_nothing(lived: Open) -> None:
    """Without the key of the session: 403."""
    kim = lived.visitor("kim")
    assert kim.upload(PATH, {"period": PERIOD, "form_key": "x"}, "deck", twice()).status == 403
    assert kim.upload("/tenants/fabrikam/compare", kim.get(PATH).form(PATH), "deck", twice()).status == 404
