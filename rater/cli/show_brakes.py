"""`rater show brakes`: a tenant's limits on spending, and what was counted in each window that is kept (A50)."""

from collections.abc import Iterator
from contextlib import closing
from typing import Annotated, Any

import typer

from rater.cli.lookup import known_account
from rater.cli.printing import show_rows
from rater.cli.run import DEFAULT_STORE, StoreOption
from rater.cli.sending import Tenant
from rater.core import Account, Brake, brakes_of, format_micros
from rater.embedded.store import Reader, open_reader
from rater.engine.brake_report import BrakeWindow, brake_knowledge, brake_windows, is_money

_COLUMNS = (
    "brake", "mode", "scope", "about", "window", "limit", "spent", "reached_at", "released", "over_calls",
    "over_money", "known",
)  # fmt: skip
#: The window of a brake on calls at once: the most at once in a day.
_CALLS = "calls at once, day"


def brakes(
    tenant: Tenant,
    store: StoreOption = DEFAULT_STORE,
    json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Limits on spending, and what was counted; over: calls that began after the limit was reached.

    released: a person ended what the brake stops in this window, under its present setting.
    known: the countries that are not new any more to a brake on new countries.

    Example: rater show brakes contoso
    """
    with closing(open_reader(store)) as reader:
        account = known_account(reader, tenant)
        show_rows(_COLUMNS, list(_rows(reader, account)), json)


def _rows(reader: Reader, account: Account) -> Iterator[tuple[Any, ...]]:
    """Of each brake its windows and what it knows, a row each; of one that counted nothing a row without them."""
    kept, known = list(brake_windows(reader, account)), list(brake_knowledge(reader, account))
    for brake in brakes_of(account):
        setting = (brake.name, brake.mode, brake.scope)
        limit = _in_its_measure(brake, brake.limit)
        counted = [(*setting, *_counted(one, limit), None) for one in kept if one.brake is brake]
        learned = [
            (*setting, one.subject, brake.window, limit, *[None] * 5, " ".join(one.countries))
            for one in known
            if one.brake is brake
        ]
        yield from [*counted, *learned] or [(*setting, brake.only or "", *_nothing(brake, limit), None)]


def _counted(one: BrakeWindow, limit: str | int) -> tuple[Any, ...]:
    brake, window = one.brake, one.counted
    return (
        one.about,
        f"{_CALLS if brake.measure == 'calls_at_once' else brake.window} {window.start:%Y-%m-%dT%H:%MZ}",
        limit,
        _in_its_measure(brake, window.spent),
        one.reached_at,
        one.released,
        window.over_calls,
        format_micros(window.over_money) if is_money(brake) else None,
    )


def _in_its_measure(brake: Brake, counted: int) -> str | int:
    """An amount of money, or a number."""
    return format_micros(counted) if is_money(brake) else counted


def _nothing(brake: Brake, limit: str | int) -> tuple[Any, ...]:
    if brake.measure == "calls_at_once":
        return "calls at once", limit, None, None, None, None, None
    return brake.window, limit, "0", None, False, 0, "0"
