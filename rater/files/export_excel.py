"""Rows into an Excel workbook; needs the extra rater[excel]."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import xlsxwriter
from xlsxwriter.exceptions import XlsxFileError

from rater.core import DECIMALS_MAX, exponent_of
from rater.files.export_tables import Row, Sheet, text_of
from rater.wire.errors import RaterError

#: How Excel shows a kind of cell; a time is a number there, its letters make it read as in the other formats.
_SHOWN = {"integer": "0", "percent": "0.0", "time": 'yyyy-mm-dd"T"hh:mm:ss"Z"'}
#: Money has at least the decimals of its currency, and as many as the amount has.
_MONEY_SHOWN = {decimals: "0." + "0" * decimals if decimals else "0" for decimals in range(DECIMALS_MAX + 1)}
_TIME_WIDTH = 21
#: Excel has no more rows on a sheet.
SHEET_ROWS_MAX = 1_048_576


def write_excel(table: Sheet, rows: Iterable[Row], target: Path) -> None:
    """Text is written as text, so that a number such as +14255550100 is no formula; times are times in UTC.

    Excel's writer keeps rows in a file of its own until the end: beside the target, whose disk has to hold them.
    The compressed whole is made in memory: a ZipFile that finds no room fails again when it is forgotten.
    """
    whole = BytesIO()
    with TemporaryDirectory(dir=target.parent, prefix=f"{target.name}-") as beside:
        settings = {
            "constant_memory": True,
            "strings_to_formulas": False,
            "remove_timezone": True,
            "tmpdir": beside,
        }
        book = xlsxwriter.Workbook(whole, settings)
        sheet = book.add_worksheet(table.name)
        shown: dict[object, Any] = {
            key: book.add_format({"num_format": text}) for key, text in (*_SHOWN.items(), *_MONEY_SHOWN.items())
        }
        currency = next(
            (place for place, (name, _) in enumerate(table.columns) if name.casefold() == "currency"), None
        )
        for column, (_, kind) in enumerate(table.columns):
            if kind == "time":
                sheet.set_column(column, column, _TIME_WIDTH)
        sheet.write_row(0, 0, [name for name, _ in table.columns])
        for number, row in enumerate(rows, start=1):
            if number >= SHEET_ROWS_MAX:
                book.close()
                raise RaterError(f"an Excel sheet has at most {SHEET_ROWS_MAX} rows; name one --period, or use csv")
            exponent = 0 if currency is None else exponent_of(str(row[currency]))
            for column, ((_, kind), value) in enumerate(zip(table.columns, row, strict=True)):
                if value is not None:
                    key = _decimals(value, exponent) if isinstance(value, Decimal) else kind
                    _write_cell(sheet, number, column, value, shown.get(key))
        close_book(book)
    target.write_bytes(whole.getvalue())  # a view of the buffer would outlive a write that fails


def _decimals(amount: Decimal, exponent: int) -> int:
    """How many decimals an amount is shown with in a currency that has so many."""
    own = amount.normalize().as_tuple().exponent
    return max(exponent, -own if isinstance(own, int) else 0)


def close_book(book: Any) -> None:
    """Put the file together; what the system says of a full disk is wrapped there."""
    try:
        book.close()
    except XlsxFileError as wrong:
        raise next((said for said in wrong.args if isinstance(said, OSError)), OSError(str(wrong))) from wrong


def _write_cell(sheet: Any, number: int, column: int, value: Any, shown: Any) -> None:
    """A cell of a sheet as what it is; `shown` is how, and None for text."""
    if shown is None:
        sheet.write_string(number, column, text_of(value))
    elif isinstance(value, datetime):
        sheet.write_datetime(number, column, value, shown)
    else:
        sheet.write_number(number, column, value, shown)
