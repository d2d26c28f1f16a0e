"""A statement as an Excel workbook; needs the extra rater[excel].

Sums and balances are formulas.  Each has the value that a spreadsheet computes for it beside it, so that what
computes nothing shows it, too.  A spreadsheet reckons with binary numbers of some 15 digits: each formula rounds to
six decimals, which gives the amount itself.
"""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from io import BytesIO
from typing import Any

import xlsxwriter
from xlsxwriter.utility import xl_rowcol_to_cell

from rater.core import DECIMALS_MAX
from rater.files.export_excel import SHEET_ROWS_MAX, close_book
from rater.files.statement.model import OF_CALLS, Statement
from rater.files.statement.sections import (
    LABELS,
    Cell,
    Column,
    Section,
    heading,
    period_of,
    remarks,
    sections_of,
    shown,
)
from rater.wire.errors import RaterError
from rater.wire.visible import visible

_WIDTHS = {"label": 36, "text": 44, "integer": 11, "money": 18, "date": 12}
#: From so many micro-units on, amounts have more digits than a spreadsheet reckons with.
_EXACT_BELOW = 10**15
_SETTINGS = {
    "in_memory": True,
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
    "remove_timezone": True,
}


def as_excel(statement: Statement) -> bytes:
    """The workbook: the account on the first sheet, each other table on one of its own.

    Raises RaterError for more rows than a sheet has.
    """
    whole = BytesIO()
    book = xlsxwriter.Workbook(whole, _SETTINGS)
    created = statement.as_of.astimezone(UTC).replace(tzinfo=None)
    book.set_properties({"title": visible(heading(statement))[:255], "created": created})
    formats = _Formats(book, statement.currency)
    sections = {section.key: section for section in sections_of(statement)}
    sheets = {key: book.add_worksheet(section.title) for key, section in sections.items()}
    account = _Account(sheets["entries"], formats, statement, sections)
    for key, section in sections.items():
        if len(section.rows) >= SHEET_ROWS_MAX - 1:
            raise RaterError(f"an Excel sheet has at most {SHEET_ROWS_MAX} rows: use csv, or a shorter period")
        _print_well(sheets[key], section, account.header if key == "entries" else 0)
        if key != "entries":
            _write_table(sheets[key], formats, section, account)
    account.write()
    if len(statement.days) > 1:
        _draw(book, sheets["entries"], account.end + 1, sections["days"])
    close_book(book)
    return whole.getvalue()


class _Formats:
    """How cells look: money has the decimals of the currency where that is exact, else all six."""

    def __init__(self, book: Any, currency: str) -> None:
        self.currency = currency
        self.title = book.add_format({"bold": True, "font_size": 14})
        self.header = {
            figure: book.add_format({"bold": True, "bottom": 1, "align": "right" if figure else "left"})
            for figure in (False, True)
        }
        self._made: dict[tuple[str, bool], Any] = {}
        self._book = book

    def number(self, micros: int, *, bold: bool = False) -> Any:
        """Of an amount."""
        decimals = len(shown(micros, self.currency).partition(".")[2])
        return self._of("#,##0." + "0" * decimals if decimals else "#,##0", bold)

    def whole(self, *, bold: bool = False) -> Any:
        """Of a count."""
        return self._of("#,##0", bold)

    def day(self) -> Any:
        """Of a day."""
        return self._of("yyyy-mm-dd", False)

    def text(self, *, bold: bool = False) -> Any:
        """Of a text."""
        return self._of("@", bold)

    def _of(self, shown: str, bold: bool) -> Any:
        if (shown, bold) not in self._made:
            self._made[(shown, bold)] = self._book.add_format({"num_format": shown, "bold": bold})
        return self._made[(shown, bold)]


def _units(micros: int) -> float:
    """An amount as a spreadsheet has it: the binary number that is nearest to it."""
    return float(Decimal(micros).scaleb(-DECIMALS_MAX))


def _write_money(
    sheet: Any, formats: _Formats, row: int, column: int, micros: int, formula: str | None, *, bold: bool = False
) -> None:
    """An amount, as a number or as what a formula gives."""
    form = formats.number(micros, bold=bold)
    if formula is None:
        sheet.write_number(row, column, _units(micros), form)
    else:
        sheet.write_formula(row, column, f"=ROUND({formula},{DECIMALS_MAX})", form, _units(micros))


def _write_cell(sheet: Any, formats: _Formats, row: int, place: int, column: Column, cell: Cell) -> None:
    """A cell that is no formula."""
    if cell is None:
        return
    if isinstance(cell, date):
        sheet.write_datetime(row, place, datetime.combine(cell, time()), formats.day())
    elif isinstance(cell, str):
        sheet.write_string(row, place, visible(cell), formats.text())
    elif column.kind == "money":
        _write_money(sheet, formats, row, place, cell, None)
    else:
        sheet.write_number(row, place, cell, formats.whole())


def _write_table(sheet: Any, formats: _Formats, section: Section, account: "_Account") -> None:
    """A table from the first row on, with its sums below it."""
    _write_header(sheet, formats, section, 0)
    for number, row in enumerate(section.rows, start=1):
        for place, (column, cell) in enumerate(zip(section.columns, row, strict=True)):
            formula = _formula(section.key, column.key, number, account)
            if formula is None or not isinstance(cell, int):
                _write_cell(sheet, formats, number, place, column, cell)
            elif column.kind == "money":
                _write_money(sheet, formats, number, place, cell, formula)
            else:
                sheet.write_formula(number, place, f"={formula}", formats.whole(), cell)
    _write_sums(sheet, formats, section)


def _formula(section: str, column: str, number: int, account: "_Account") -> str | None:
    """What is worked out in a row: the balance of a day, and what is left of a pool."""
    match section, column:
        case "days", "balance":
            before = f"D{number}" if number > 1 else f"Account!{account.opening}"
            return f"{before}+B{number + 1}+C{number + 1}"
        case "pools", "left":
            return f"D{number + 1}-C{number + 1}"
        case _:
            return None


def _write_sums(sheet: Any, formats: _Formats, section: Section) -> None:
    sums, below = section.sums(), len(section.rows) + 1
    for place, (column, cell) in enumerate(zip(section.columns, sums or (), strict=sums is not None)):
        cells = f"SUM({xl_rowcol_to_cell(1, place)}:{xl_rowcol_to_cell(below - 1, place)})"
        if isinstance(cell, str):
            sheet.write_string(below, place, cell, formats.text(bold=True))
        elif not isinstance(cell, int):
            continue
        elif column.kind == "money":
            _write_money(sheet, formats, below, place, cell, cells, bold=True)
        else:
            sheet.write_formula(below, place, f"={cells}", formats.whole(bold=True), cell)


def _write_header(sheet: Any, formats: _Formats, section: Section, row: int) -> None:
    for place, column in enumerate(section.columns):
        sheet.write_string(row, place, column.title, formats.header[column.is_figure])
        sheet.set_column(place, place, _WIDTHS[column.kind])


def _print_well(sheet: Any, section: Section, header: int) -> None:
    """The header stays on screen and is repeated on paper; the columns fit the width of one page."""
    sheet.freeze_panes(header + 1, 0)
    sheet.repeat_rows(header)
    sheet.fit_to_pages(1, 0)
    sheet.set_footer(f"&L{section.title}&RPage &P of &N")


class _Account:
    """The first sheet: what the statement is about, the entries, and whether they add up."""

    def __init__(self, sheet: Any, formats: _Formats, statement: Statement, sections: dict[str, Section]) -> None:
        self._sheet, self._formats, self._statement, self._sections = sheet, formats, statement, sections
        self._lines = [period_of(statement), *remarks(statement)]
        largest = max(abs(each) for each in (statement.opening, statement.closing, statement.balance))
        if largest >= _EXACT_BELOW:
            self._lines.append(
                "Spreadsheets reckon with 15 digits: the exact amounts are in the CSV and JSON formats."
            )
        #: The row of the header, from 0.
        self.header = len(self._lines) + 2
        rows = len(sections["entries"].rows)
        self.opening = xl_rowcol_to_cell(self.header + 1, 3, row_abs=True, col_abs=True)
        self._closing = self.header + rows
        self.end = self._closing

    def write(self) -> None:
        """Write the sheet."""
        self._sheet.write_string(0, 0, visible(heading(self._statement)), self._formats.title)
        for number, line in enumerate(self._lines, start=1):
            self._sheet.write_string(number, 0, line)
        section = self._sections["entries"]
        _write_header(self._sheet, self._formats, section, self.header)
        (opening, *_), *entries, _ = section.rows
        self._sheet.write_string(self.header + 1, 0, str(opening), self._formats.text(bold=True))
        _write_money(self._sheet, self._formats, self.header + 1, 3, self._statement.opening, None, bold=True)
        for row, cells in enumerate(entries, start=self.header + 2):
            for place, (column, cell) in enumerate(zip(section.columns[:3], cells[:3], strict=True)):
                _write_cell(self._sheet, self._formats, row, place, column, cell)
            balance = cells[3]
            assert isinstance(balance, int)
            _write_money(self._sheet, self._formats, row, 3, balance, f"D{row}+C{row + 1}")
        self._write_closing()
        self._write_checks()

    def _write_closing(self) -> None:
        """The sum of the entries, and the opening and that."""
        row, statement = self._closing, self._statement
        self._sheet.write_string(row, 0, "Closing balance", self._formats.text(bold=True))
        moved = statement.closing - statement.opening
        summed = f"SUM(C{self.header + 3}:C{row})" if statement.entries else "0"
        _write_money(self._sheet, self._formats, row, 2, moved, summed, bold=True)
        _write_money(self._sheet, self._formats, row, 3, statement.closing, f"{self.opening}+C{row + 1}", bold=True)

    def _write_checks(self) -> None:
        """What moved since, the present balance, the difference; and the calls by user and destination."""
        statement, row = self._statement, self._closing + 2
        closing, since, balance = f"D{self._closing + 1}", f"D{row + 1}", f"D{row + 2}"
        difference = f"{balance}-{closing}-{since}"
        checks: list[tuple[str, int, str | None]] = [
            ("Moved since", statement.moved_since, None),
            ("Present balance", statement.balance, None),
            ("Difference (0: it adds up)", statement.unexplained, difference),
        ]
        of_calls = [entry for entry in statement.entries if entry.name in OF_CALLS]
        cost = -sum(entry.amount for entry in of_calls)
        labels = [str(cells[0]) for cells in self._sections["entries"].rows]
        cells = [f"C{self.header + 2 + labels.index(LABELS[entry.name])}" for entry in of_calls]
        if cells:
            checks.append(("What calls cost, less what corrections gave back", cost, f"-({'+'.join(cells)})"))
        for key, place in (("calls", 4), ("users", 4), ("destinations", 4)):
            if key in self._sections:
                section = self._sections[key]
                total = xl_rowcol_to_cell(len(section.rows) + 1, place)
                amount = (section.sums() or ())[place]
                assert isinstance(amount, int)
                checks.append((f"The same: {section.title}", amount, f"'{section.title}'!{total}"))
        for number, (label, micros, formula) in enumerate(checks, start=row):
            self._sheet.write_string(number, 0, label)
            _write_money(self._sheet, self._formats, number, 3, micros, formula)
        self.end = row + len(checks)


def _draw(book: Any, sheet: Any, row: int, days: Section) -> None:
    """The balance at the end of each day, as a line below the account."""
    last = len(days.rows) + 1
    chart = book.add_chart({"type": "line"})
    chart.add_series(
        {
            "name": "Balance",
            "categories": f"='{days.title}'!$A$2:$A${last}",
            "values": f"='{days.title}'!$D$2:$D${last}",
            "line": {"width": 2},
        }
    )
    chart.set_title({"name": "Balance at the end of each day", "name_font": {"size": 12}})
    chart.set_x_axis({"date_axis": True, "num_format": "yyyy-mm-dd", "label_position": "low"})
    chart.set_y_axis({"num_format": "#,##0"})
    chart.set_legend({"none": True})
    chart.set_size({"width": 760, "height": 300})
    sheet.insert_chart(row, 0, chart, {"description": "The balance at the end of each day"})
