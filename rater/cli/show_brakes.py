"""`rater show brakes`: a tenant's limits on spending, and what was counted in each window that is kept (A50)."""

from collections.abc import Iterator
from contextlib import closing
from typing import Annotated, Any

import typer

from rater.cli.lookup import known_account
from rater.cli.printing import show_rows
from rater.cli.run import DEFAULT_STORE, StoreOption
from rater.cli.sending import Tenant
from rater.core import Account, Brake, Spent, SpentWindow, brakes_of, format_micros, reached_in
from rater.embedded.store import Reader, open_reader

_COLUMNS = (
    "brake", "mode", "scope", "about", "window", "limit", "spent", "reached_at", "over_calls", "over_money",
)  # fmt: skip


def brakes(
    tenant: Tenant,
    store: StoreOption = DEFAULT_STORE,
    json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Limits on spending, and what was counted; over: calls that began after the limit was reached.

    Example: rater show brakes contoso
    """
    with closing(open_reader(store)) as reader:
        account = known_account(reader, tenant)
        show_rows(_COLUMNS, list(_rows(reader, account)), json)


def _rows(reader: Reader, account: Account) -> Iterator[tuple[Any, ...]]:
    """Of each brake its windows, a row each; of one that counted nothing a row without them."""
    kept = [(name, reader.load("spent", (account.tenant, name))) for name in reader.names("spent", account.tenant)]
    for brake in brakes_of(account):
        counted = [
            _row(brake, name.partition("/")[2], window)
            for name, spent in kept
            if isinstance(spent, Spent) and name.partition("/")[0] == brake.scope
            for window in spent.windows
            if window.brake == brake.name
        ]
        yield from counted or [_row(brake, brake.only or "", None)]


def _row(brake: Brake, subject: str, window: SpentWindow | None) -> tuple[Any, ...]:
    if brake.measure == "calls_at_once":
        return (brake.name, brake.mode, brake.scope, subject, "calls at once", brake.limit, None, None, None, None)
    about = subject
    if window is not None and window.country is not None:
        about = ", ".join([*([subject] if subject else []), f"new: {window.country}"])
    setting = (brake.name, brake.mode, brake.scope, about)
    limit = format_micros(brake.limit)
    if window is None:
        return (*setting, brake.window, limit, "0", None, 0, "0")
    sums = (format_micros(window.spent), reached_in(brake, window), window.over_calls)
    return (
        *setting,
        f"{brake.window} {window.start:%Y-%m-%dT%H:%MZ}",
        limit,
        *sums,
        format_micros(window.over_money),
    )
