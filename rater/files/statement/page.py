"""A statement as one HTML file: no script, no other file, for a screen and for A4 or Letter paper."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template

from rater.files.statement.model import Statement
from rater.files.statement.sections import Cell, Section, cell_text, heading, period_of, remarks, sections_of, shown
from rater.wire.visible import visible

_TEMPLATE = Path(__file__).with_name("statement.html")
#: The drawing of the balance, in its own units.
_WIDTH, _HEIGHT = 1000, 200


def as_html(statement: Statement) -> str:
    """The whole statement; texts from outside are text, whatever they contain."""
    return _template().render(
        heading=visible(heading(statement)),
        period=period_of(statement),
        remarks=[visible(remark) for remark in remarks(statement)],
        adds_up=statement.adds_up,
        drawing=_drawing(statement),
        currency=statement.currency,
        sections=[
            (section, [_cells(section, row, statement) for row in section.rows], _sums(section, statement))
            for section in sections_of(statement)
        ],
    )


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_TEMPLATE.read_text("utf-8"))


def _cells(section: Section, row: tuple[Cell, ...], statement: Statement) -> list[str]:
    return [cell_text(column, cell, statement.currency) for column, cell in zip(section.columns, row, strict=True)]


def _sums(section: Section, statement: Statement) -> list[str] | None:
    """The line below a table, where it has columns that are summed."""
    sums = section.sums()
    return None if sums is None else _cells(section, sums, statement)


def _drawing(statement: Statement) -> dict[str, object] | None:
    """The balance at the end of each day as a line, and where zero is; None where there is no line to draw."""
    balances = [day.balance for day in statement.days]
    if len(balances) < 2:
        return None
    low, high = min(0, *balances), max(0, *balances)
    spread = max(1, high - low)

    def height(balance: int) -> int:
        return (high - balance) * _HEIGHT // spread

    points = [
        f"{place * _WIDTH // (len(balances) - 1)},{height(balance)}" for place, balance in enumerate(balances)
    ]
    return {
        "points": " ".join(points),
        "zero": height(0),
        "width": _WIDTH,
        "height": _HEIGHT,
        "first": statement.days[0].day.isoformat(),
        "last": statement.days[-1].day.isoformat(),
        "high": shown(max(balances), statement.currency),
        "low": shown(min(balances), statement.currency),
    }
