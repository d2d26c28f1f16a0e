"""The workbook: its formulas give what is written beside them, headers stay, and LibreOffice agrees where it is installed."""

import re
import shutil
import subprocess
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openpyxl import Workbook, load_workbook
from openpyxl.utils import range_boundaries

from rater.files.statement import Statement, rendered
from rater.files.statement.sections import sections_of
from tests.statement.sample import sample

OFFICE = shutil.which("soffice")
#: Another sheet's cell, a range, a cell.
_REFERENCE = re.compile(r"(?:(?:'([^']+)'|([A-Z]\w*))!)?\$?([A-Z]+)\$?([0-9]+)(?::\$?([A-Z]+)\$?([0-9]+))?")


def book(statement: Statement, *, values: bool) -> Workbook:
    """The workbook as a program reads it: the values beside the formulas, or the formulas."""
    return load_workbook(BytesIO(rendered(statement, "xlsx")), data_only=values)


def formulas(found: Workbook) -> dict[tuple[str, str], str]:
    """Sheet and cell -> formula."""
    cells = ((sheet.title, cell) for sheet in found for row in sheet.iter_rows() for cell in row)
    return {(title, cell.coordinate): str(cell.value) for title, cell in cells if cell.data_type == "f"}


class Computed:
    """What a spreadsheet computes: binary numbers, and each formula from the cells that it names."""

    def __init__(self, found: Workbook) -> None:
        self._book = found
        self.value = cache(self._value)

    def _value(self, sheet: str, cell: str) -> Any:
        value = self._book[sheet][cell].value
        if not isinstance(value, str) or not value.startswith("="):
            return 0 if value is None else value
        given: dict[str, Any] = {"ROUND": round, "SUM": sum}

        def named(found: re.Match[str]) -> str:
            name = f"v{len(given)}"
            given[name] = self._named(found[1] or found[2] or sheet, found)
            return name

        return eval(_REFERENCE.sub(named, value[1:]), {"__builtins__": {}}, given)  # a formula of ours

    def _named(self, sheet: str, found: re.Match[str]) -> Any:
        if found[5] is None:
            return self.value(sheet, f"{found[3]}{found[4]}")
        left, top, right, bottom = range_boundaries(f"{found[3]}{found[4]}:{found[5]}{found[6]}")
        assert None not in (left, top, right, bottom)
        cells = self._book[sheet].iter_rows(top, bottom, left, right)
        return [self.value(sheet, cell.coordinate) for row in cells for cell in row]


def large() -> Statement:
    """Amounts of nine digits before the point and six behind it: as many as a spreadsheet reckons with."""
    made = sample()
    opening = 999_999_000_000_001
    shift = opening - made.opening
    days = tuple(msgspec.structs.replace(day, balance=day.balance + shift) for day in made.days)
    return msgspec.structs.replace(
        made, opening=opening, closing=made.closing + shift, balance=made.balance + shift, days=days
    )


@pytest.mark.parametrize("make", [sample, large], ids=["sample", "large"])
def test_each_formula_gives_the_value_beside_it(make: Any) -> None:
    """So viewers that compute nothing show the same figures as those that do."""
    made = make()
    computed, shown = Computed(book(made, values=False)), book(made, values=True)
    found = formulas(book(made, values=False))
    assert len(found) > 50
    differing = {
        where: (computed.value(*where), shown[where[0]][where[1]].value)
        for where in found
        if computed.value(*where) != shown[where[0]][where[1]].value
    }
    assert differing == {}


def test_sums_and_balances_are_formulas() -> None:
    """Every sum of every table, every balance, and the difference that must be 0."""
    made = sample()
    found, shown = formulas(book(made, values=False)), book(made, values=True)
    for section in sections_of(made)[1:]:
        below = len(section.rows) + 2
        summed = [chr(ord("A") + place) for place, column in enumerate(section.columns) if column.summed]
        assert [column for column in summed if "SUM(" not in found[(section.title, f"{column}{below}")]] == []
    account = {row[0].value: row[3] for row in shown["Account"].iter_rows(max_col=4) if row[0].value}
    assert account["Closing balance"].value == 1236.896001
    assert account["Difference (0: it adds up)"].value == 0
    cost = account["What calls cost, less what corrections gave back"].value
    assert [account[f"The same: {name}"].value for name in ("Calls by kind", "By user", "By destination")] == [
        cost
    ] * 3


def test_a_difference_is_seen_in_the_workbook() -> None:
    """The check can fail: the balance is a micro-unit more."""
    made = sample()
    wrong = msgspec.structs.replace(made, balance=made.balance + 1, unexplained=1)
    rows = book(wrong, values=False)["Account"].iter_rows(max_col=4)
    (cell,) = [row[3] for row in rows if row[0].value == "Difference (0: it adds up)"]
    assert Computed(book(wrong, values=False)).value("Account", cell.coordinate) == 0.000001


def test_headers_stay_and_paper_has_them_too() -> None:
    """Frozen below the header, repeated on each page, as wide as one page; a line of the balance by day."""
    found = book(sample(), values=False)
    for sheet in found:
        frozen = int(str(sheet.freeze_panes).removeprefix("A")) - 1
        assert sheet.print_title_rows == f"${frozen}:${frozen}"
        assert sheet.cell(frozen, 1).value in ("Entry", "Kind", "Month", "Pool", "User", "Destination", "Day")
        assert (sheet.page_setup.fitToWidth or 1, sheet.page_setup.fitToHeight) == (1, 0)
    assert len(vars(found["Account"])["_charts"]) == 1


@pytest.mark.skipif(OFFICE is None, reason="a real spreadsheet computes it: apt install libreoffice-calc-nogui")
def test_libreoffice_computes_the_same(tmp_path: Path) -> None:
    """The values beside the formulas are taken away, so it has to compute them."""
    made = sample()
    bare, shown = book(made, values=False), book(made, values=True)
    vars(bare["Account"])["_charts"].clear()  # openpyxl cannot read what LibreOffice makes of it
    bare.save(tmp_path / "bare.xlsx")
    assert load_workbook(tmp_path / "bare.xlsx", data_only=True)["By day"]["D2"].value is None
    words = [str(OFFICE), f"-env:UserInstallation=file://{tmp_path}/profile", "--headless", "--convert-to", "xlsx"]
    subprocess.run(
        [*words, "--outdir", tmp_path / "out", tmp_path / "bare.xlsx"], check=True, timeout=240, capture_output=True
    )
    computed = load_workbook(tmp_path / "out" / "bare.xlsx", data_only=True)
    values = {
        where: (computed[where[0]][where[1]].value, shown[where[0]][where[1]].value) for where in formulas(bare)
    }
    assert {where: pair for where, pair in values.items() if pair[0] != pair[1]} == {}
