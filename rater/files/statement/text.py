"""A statement for a screen or an e-mail: plain text of at most 100 columns."""

from io import StringIO

from rich.console import Console
from rich.table import Column as TableColumn
from rich.table import Table
from rich.text import Text

from rater.core import DECIMALS_MAX
from rater.files.statement.model import Statement
from rater.files.statement.sections import (
    Cell,
    Column,
    Section,
    cell_text,
    heading,
    period_of,
    remarks,
    sections_of,
)
from rater.wire.visible import visible

TEXT_COLUMNS_MAX = 100


def as_text(statement: Statement) -> str:
    """The whole statement; nothing is cut: a long name goes on in the next line."""
    out = StringIO()
    console = Console(
        file=out, width=TEXT_COLUMNS_MAX, color_system=None, markup=False, emoji=False, highlight=False
    )
    console.print(Text(visible(heading(statement))), overflow="fold")
    console.print(Text(period_of(statement)))
    for remark in remarks(statement):
        console.print(Text(visible(remark)))
    for section in sections_of(statement):
        console.print()
        console.print(Text(section.title))
        if section.note:
            console.print(Text(section.note))
        console.print(_table(section, statement.currency))
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def _table(section: Section, currency: str) -> Table:
    table = Table(*map(_column, section.columns), box=None, padding=(0, 2, 0, 0), pad_edge=False)
    sums = section.sums()
    for row in section.rows if sums is None else (*section.rows, sums):
        table.add_row(*(Text(_cell(c, cell, currency)) for c, cell in zip(section.columns, row, strict=True)))
    return table


def _column(column: Column) -> TableColumn:
    if column.is_figure:
        return TableColumn(column.title, justify="right", no_wrap=True)
    return TableColumn(column.title, overflow="fold")


def _cell(column: Column, cell: Cell, currency: str) -> str:
    text = cell_text(column, cell, currency)
    return _aligned(text) if text and column.kind == "money" else text


def _aligned(amount: str) -> str:
    """An amount with blanks in the place of decimals that it does not have: points stand below each other."""
    point = amount.find(".")
    decimals = len(amount) - point if point >= 0 else 0  # with the point itself
    return amount + "\N{NO-BREAK SPACE}" * (DECIMALS_MAX + 1 - decimals)
