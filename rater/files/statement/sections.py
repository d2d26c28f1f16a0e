"""A statement as tables that every format shows: their titles, columns and rows, and the sentences around them.

Amounts have the decimals of their currency, and as many more as they need (0.308 USD).  No figure is rounded, so
what is shown adds up.  Texts that came from outside are given as they are.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple

from rater.core import DECIMALS_MAX, exponent_of, round_to_cents
from rater.files.export_tables import text_of
from rater.files.statement.kinds import CallKind
from rater.files.statement.model import CallSum, EntryName, Statement, Sum
from rater.wire.visible import visible

#: `money` is micro-units; a `label` is a text of ours.
Kind = Literal["label", "text", "integer", "money", "date"]
Cell = str | int | date | None


class Column(NamedTuple):
    """A column: its name in CSV, what people read above it, and what its cells are."""

    key: str
    title: str
    kind: Kind
    summed: bool = False

    @property
    def is_figure(self) -> bool:
        """Whether its cells are numbers."""
        return self.kind in ("integer", "money")


class Section(NamedTuple):
    """A table of a statement; `summed` columns have a sum below them."""

    key: str
    title: str
    note: str
    columns: tuple[Column, ...]
    rows: Sequence[tuple[Cell, ...]]

    def sums(self) -> tuple[Cell, ...] | None:
        """The row below: the sums of the columns that have one; None where no column has."""
        if not any(column.summed for column in self.columns):
            return None
        return ("Sum", *(self._sum(place) for place in range(1, len(self.columns))))

    def _sum(self, place: int) -> int | None:
        if not self.columns[place].summed:
            return None
        return sum(cell for row in self.rows if isinstance(cell := row[place], int))


LABELS = {
    EntryName.PURCHASES: "Purchases",
    EntryName.RECHARGES: "Recharges",
    EntryName.PROMOTIONS: "Promotional credit",
    EntryName.CALLS_OVERFLOW: "Calls: domestic beyond plan minutes",
    EntryName.CALLS_INTERNATIONAL: "Calls: international",
    EntryName.CALLS_TOLL_FREE: "Calls: toll-free",
    EntryName.CALLS_CONFERENCING: "Calls: conferencing",
    EntryName.CALLS_PREMIUM: "Calls: premium numbers",
    EntryName.CALLS_OTHER: "Calls: other",
    EntryName.CALLS_NOT_KEPT: "Calls that are not kept any more",
    EntryName.REVERSALS: "Given back by corrections",
    EntryName.ADJUSTMENTS: "Adjustments by hand",
    EntryName.REFUNDS: "Refunds",
    EntryName.CHARGE_BACKS: "Charge-backs",
    EntryName.EXPIRIES: "Expired",
    EntryName.PAID_OUT: "Paid out at the closing",
    EntryName.FORFEITED: "Forfeited at the closing",
}
KIND_LABELS = {
    CallKind.OVERFLOW: "Domestic beyond plan minutes",
    CallKind.INTERNATIONAL: "International",
    CallKind.TOLL_FREE: "Toll-free",
    CallKind.CONFERENCING: "Conferencing",
    CallKind.PREMIUM: "Premium numbers",
    CallKind.OTHER: "Other, paid",
    CallKind.POOL: "Covered by plan minutes",
    CallKind.INCLUDED: "Included in the licence",
    CallKind.UNFUNDED: "Without the right to spend credits",
    CallKind.FREE: "Free",
    CallKind.NOT_KEPT: "Not kept any more",
}
_AMOUNT = Column("amount", "Amount", "money", summed=True)
_FIGURES = (
    Column("count", "Calls", "integer", summed=True),
    Column("minutes", "Minutes", "integer", summed=True),
    Column("pool_minutes", "Of plans", "integer", summed=True),
    _AMOUNT,
)
_ENTRIES = (
    Column("name", "Entry", "label"),
    Column("count", "Count", "integer"),
    Column("amount", "Amount", "money"),
    Column("balance", "Balance", "money"),
)
_POOLS = (
    Column("name", "Pool", "text"),
    Column("period", "Month", "label"),
    Column("used", "Used", "integer"),
    Column("total", "Total", "integer"),
    Column("left", "Left", "integer"),
)
_MONTHS = (
    Column("period", "Month", "label"),
    Column("late", "Late", "label"),
    Column("count", "Calls", "integer", summed=True),
    _AMOUNT,
    Column("given_back", "Given back", "money", summed=True),
)
_DAYS = (
    Column("day", "Day", "date"),
    Column("calls_amount", "Calls", "money", summed=True),
    Column("other_amount", "Other", "money", summed=True),
    Column("balance", "Balance", "money"),
)
#: The entries: opening and closing are the first row and the last.
OPENING, CLOSING = "Opening balance", "Closing balance"


def shown(micros: int, currency: str) -> str:
    """An amount for people: with the decimals of its currency, and with more where it has more; never rounded."""
    exponent = exponent_of(currency)
    while micros % 10 ** (DECIMALS_MAX - exponent):
        exponent += 1
    return round_to_cents(micros, exponent)


def cell_text(column: Column, cell: Cell, currency: str) -> str:
    """A cell as people read it; an amount without its currency."""
    if cell is None:
        return ""
    if not isinstance(cell, int):
        return visible(str(cell))
    return shown(cell, currency) if column.kind == "money" else f"{cell:,}"


def sections_of(statement: Statement) -> list[Section]:
    """The tables in order: the account first; one without rows is left out."""
    made = [
        Section("entries", "Account", "", _ENTRIES, _entries(statement)),
        Section(
            "calls", "Calls by kind", "", (Column("name", "Kind", "label"), *_FIGURES), _calls(statement.calls)
        ),
        Section(
            "other_months",
            "Calls of other months",
            "Debited in this period, with the minutes and prices of their own month. Late: it was closed before.",
            _MONTHS,
            _other_months(statement),
        ),
        Section(
            "pools",
            "Minutes by pool",
            "All calls of the month, also those that came later.",
            _POOLS,
            [(one.pool, one.period, one.used, one.total, one.total - one.used) for one in statement.pools],
        ),
        Section("users", "By user", "", (Column("name", "User", "text"), *_FIGURES), _sums(statement.users)),
        Section(
            "destinations",
            "By destination",
            "",
            (Column("name", "Destination", "text"), *_FIGURES),
            _sums(statement.destinations),
        ),
        Section(
            "days",
            "By day",
            "Days in UTC on which money moved: a late call is counted on the day on which it was debited.",
            _DAYS,
            [(one.day, one.calls_amount, one.other_amount, one.balance) for one in statement.days],
        ),
    ]
    return [section for section in made if section.rows]


def _other_months(statement: Statement) -> list[tuple[Cell, ...]]:
    return [
        (one.period, "late" if one.late else "in time", one.calls, one.amount, one.given_back)
        for one in statement.other_months
    ]


def _entries(statement: Statement) -> list[tuple[Cell, ...]]:
    balance = statement.opening
    rows: list[tuple[Cell, ...]] = [(OPENING, None, None, balance)]
    for entry in statement.entries:
        balance += entry.amount
        rows.append((LABELS[entry.name], entry.count, entry.amount, balance))
    return [*rows, (CLOSING, None, None, statement.closing)]


def _calls(calls: Sequence[CallSum]) -> list[tuple[Cell, ...]]:
    return [(KIND_LABELS[one.kind], one.calls, one.minutes, one.pool_minutes, one.amount) for one in calls]


def _sums(sums: Sequence[Sum]) -> list[tuple[Cell, ...]]:
    return [(one.name or "(none)", one.calls, one.minutes, one.pool_minutes, one.amount) for one in sums]


def heading(statement: Statement) -> str:
    """Whose statement it is, and in which currency."""
    return f"Statement of {statement.tenant} in {statement.currency}"


def period_of(statement: Statement) -> str:
    """The month, or from when until when."""
    since, until = statement.since, statement.until
    if since is not None and until is not None and _is_month(since, until):
        return since.strftime("%Y-%m (UTC)")
    begin = "from the beginning" if since is None else f"from {text_of(since)}"
    return f"{begin} up to {'the last record' if until is None else text_of(until)}"


def _is_month(since: datetime, until: datetime) -> bool:
    first = since.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return since == first and until == (first + timedelta(days=32)).replace(day=1)


def remarks(statement: Statement) -> list[str]:
    """What is to be said below the heading: whether it adds up, what came since, and what is not kept any more."""

    def money(micros: int) -> str:
        return shown(micros, statement.currency)

    moved = sum(entry.amount for entry in statement.entries)
    said = [f"as of {text_of(statement.as_of)}"]
    if statement.adds_up:
        since = f"; {money(statement.moved_since)} since" if statement.until is not None else ""
        said.append(
            f"It adds up: {money(statement.opening)} {'-' if moved < 0 else '+'} {money(abs(moved))}"
            f" = {money(statement.closing)}"
            f"{since}; the balance is {money(statement.balance)}"
        )
    else:
        said.append(
            f"It does not add up: the balance is {money(statement.balance)}, which differs by"
            f" {money(statement.unexplained)}; run rater verify"
        )
    if statement.kept_since is not None:
        said.append(_gone(statement))
    if statement.closed_since is not None:
        said.append(_closed(statement, money(abs(statement.balance))))
    return said


def _gone(statement: Statement) -> str:
    opening = "the opening balance is the balance less what moved since"
    since = text_of(statement.kept_since)
    if statement.is_partial:
        return f"Records before {since} are not kept any more: the statement begins there, and {opening}"
    return f"Records before {since} are not kept any more: {opening}"


def _closed(statement: Statement, amount: str) -> str:
    state = "owes nothing"
    if statement.balance:
        state = f"owes {amount}" if statement.balance < 0 else f"{amount} to be paid out"
    return f"The tenant is closed since {text_of(statement.closed_since)}, {state}"
