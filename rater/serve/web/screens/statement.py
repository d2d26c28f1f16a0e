"""Statement: what a tenant had in a month, what moved it, and what is left; and the same as a file."""

from datetime import datetime, timedelta
from typing import Any

from rater.core import month_start, parse_period
from rater.files.statement import FORMATS, MEDIA_TYPES, Statement, rendered
from rater.files.statement.model import EntryName
from rater.files.statement.sections import Cell, Column, Section, cell_text, remarks, sections_of
from rater.serve.web.screens.asked import Asked, File, NoSuchThing, WrongQuestion, check_offered, offered

#: Months that can be chosen: the present one and those before it.
MONTHS = 14
_CAME_IN = (EntryName.PURCHASES, EntryName.RECHARGES, EntryName.PROMOTIONS)
_OF_CALLS = (EntryName.REVERSALS, *(name for name in EntryName if name.value.startswith("calls_")))
_ENDINGS = {"text": "txt"}


def statement(asked: Asked) -> dict[str, Any]:
    """What `statement.html` shows."""
    period = _period(asked)
    made = _made(asked, period)
    return {
        "account": asked.account,
        "period": period,
        "periods": periods_of(asked.account.clock),
        "formats": offered(FORMATS),
        "all_formats": offered(FORMATS) == [*FORMATS],
        "adds_up": made.adds_up,
        "remarks": remarks(made),
        "parts": _parts(made),
        "sections": [(section, _rows(section, made)) for section in sections_of(made)],
    }


def _parts(made: Statement) -> list[tuple[str, int]]:
    """The opening balance, what moved it by groups, and the closing balance; all but the last add up to it."""
    sums = {"came_in": 0, "calls_cost": 0, "else": 0}
    for entry in made.entries:
        if entry.name in _CAME_IN:
            sums["came_in"] += entry.amount
        elif entry.name in _OF_CALLS:
            sums["calls_cost"] += entry.amount
        else:
            sums["else"] += entry.amount
    return [("opening", made.opening), *sums.items(), ("closing", made.closing)]


def statement_file(asked: Asked, format: str) -> File:
    """The statement as a file; NoSuchThing: there is no such format."""
    chosen = next((one for one in FORMATS if one == format), None)
    if chosen is None:
        raise NoSuchThing
    check_offered(chosen)
    period = _period(asked)
    name = f"statement-{period}.{_ENDINGS.get(chosen, chosen)}"
    return File(name, MEDIA_TYPES[chosen], rendered(_made(asked, period), chosen))


def _made(asked: Asked, period: str) -> Statement:
    month = parse_period(period)
    return asked.lookup.statement(asked.tenant, month_start(month), month_start(month + 1))


def _period(asked: Asked) -> str:
    """The month that is asked for, else the last one that is over; WrongQuestion: it is none that can be chosen."""
    periods = periods_of(asked.account.clock)
    period = asked.query.get("period") or periods[1]
    if period not in periods:
        raise WrongQuestion(f"period: expected a month from {periods[-1]} to {periods[0]}")
    return period


def periods_of(clock: datetime) -> list[str]:
    """The months that can be chosen, the present one first."""
    found = []
    for _ in range(MONTHS):
        found.append(clock.strftime("%Y-%m"))
        clock = clock.replace(day=1) - timedelta(days=1)
    return found


def _rows(section: Section, made: Statement) -> list[list[str]]:
    """The cells as people read them, with the sums below."""
    sums = section.sums()
    rows = [*section.rows, *([] if sums is None else [sums])]
    return [[_cell(column, cell, made) for column, cell in zip(section.columns, row, strict=True)] for row in rows]


def _cell(column: Column, cell: Cell, made: Statement) -> str:
    text = cell_text(column, cell, made.currency)
    return f"{text} {made.currency}" if text and column.kind == "money" else text
