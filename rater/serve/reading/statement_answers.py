"""A statement as the read API answers it: the names and the figures of `rater statement --format json`."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from rater.files.statement import Statement, plain
from rater.files.statement.kinds import CallKind

#: Lines that each list of an answer has at most; beyond that: `rater statement`.
STATEMENT_LINES_MAX = 10_000


class StatementEntry(msgspec.Struct, frozen=True):
    """Movements of one kind: how many, and their sum with its sign."""

    name: str
    count: int
    amount: str


class StatementCalls(msgspec.Struct, frozen=True):
    """Calls of one kind, as they stand after corrections; `pool_minutes` are those that a plan covered."""

    kind: CallKind
    calls: int
    minutes: int
    pool_minutes: int
    amount: str


class StatementSum(msgspec.Struct, frozen=True):
    """The same of one user, or of one destination; `name` is null for calls that have none."""

    name: str | None
    calls: int
    minutes: int
    pool_minutes: int
    amount: str


class StatementPool(msgspec.Struct, frozen=True):
    """Minutes of a pool in one month: used by all calls of the month, also by late ones, and in all."""

    pool: str
    period: str
    used: int
    total: int


class StatementMonth(msgspec.Struct, frozen=True):
    """Calls of another month, `period`, that were debited in this one; `late`: their month was closed before.

    `amount` is what they cost, `given_back` what corrections gave back.
    """

    period: str
    late: bool
    calls: int
    amount: str
    given_back: str


class StatementDay(msgspec.Struct, frozen=True):
    """What moved the balance on a day in UTC, by calls and else, and the balance at its end."""

    day: date
    calls_amount: str
    other_amount: str
    balance: str


class StatementAnswer(msgspec.Struct, frozen=True):
    """Opening, entries, closing, and the sums of the calls; it adds up (`unexplained` is 0).

    It is from `since` (null: the beginning) up to `until`, not with it (null: the last record); `moved_since` is
    what moved the balance from `until` on.  `complete`: no older records are gone; `kept_since` is the instant of
    the oldest one, where some are.  The dearest users and destinations come first.  A list ends after
    STATEMENT_LINES_MAX lines: `users_total`, `destinations_total`, `pools_total` and `days_total` say how many
    there are.
    """

    tenant: str
    currency: str
    since: datetime | None
    until: datetime | None
    closed_since: datetime | None
    kept_since: datetime | None
    opening: str
    entries: list[StatementEntry]
    closing: str
    moved_since: str
    balance: str
    unexplained: str
    adds_up: bool
    complete: bool
    calls: list[StatementCalls]
    users: list[StatementSum]
    users_total: int
    destinations: list[StatementSum]
    destinations_total: int
    pools: list[StatementPool]
    pools_total: int
    other_months: list[StatementMonth]
    days: list[StatementDay]
    days_total: int
    as_of: datetime


def statement_answer(made: Statement) -> StatementAnswer:
    """The statement, each list up to STATEMENT_LINES_MAX."""
    lists: dict[str, Sequence[Any]] = {
        "users": made.users,
        "destinations": made.destinations,
        "pools": made.pools,
        "days": made.days,
    }
    totals = {f"{name}_total": len(lines) for name, lines in lists.items()}
    cut = {name: tuple(lines[:STATEMENT_LINES_MAX]) for name, lines in lists.items()}
    shown = msgspec.structs.replace(made, **cut)
    return msgspec.convert(plain(shown) | totals | {"complete": not made.is_partial}, StatementAnswer)
