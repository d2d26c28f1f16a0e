"""`rater show`: what a store says, for people."""

from typing import Annotated, Any

import typer

from rater.cli import show_brakes, show_calls
from rater.cli.lookup import check_period, known_account
from rater.cli.printing import show_facts, show_rows, text_of
from rater.cli.run import DEFAULT_STORE, StoreOption
from rater.core import (
    Account,
    State,
    User,
    format_micros,
    lots_with_money,
    restricted_users,
    shown_lots,
)
from rater.embedded.dead_letters import letters_of
from rater.embedded.store import Reader, open_reader
from rater.files.export_tables import pool_report
from rater.wire.dead_letters import Choice

TenantArgument = Annotated[str, typer.Argument(help="The tenant.")]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Show a tenant, its pools, balance, brakes or calls.", no_args_is_help=True)
    group.command("tenant")(tenant)
    group.command("pools")(pools)
    group.command("balance")(balance)
    group.command("brakes")(show_brakes.brakes)
    group.command("calls")(show_calls.calls)
    app.add_typer(group, name="show")


def tenant(tenant: TenantArgument, store: StoreOption = DEFAULT_STORE, json: JsonOption = False) -> None:
    """Settings, balance and counts of a tenant; a call that was corrected or rated again has more than one rating.

    Example: rater show tenant contoso
    """
    reader, account = _opened(store, tenant)
    facts = _money(account) | {
        "country": account.country,
        "credits": "enabled" if account.credits else "not_set_up",
        "recharge": account.recharge.state,
        "recharge_trigger": format_micros(account.recharge.trigger),
        "recharge_amount": format_micros(account.recharge.amount),
        "recharge_failures": account.recharge.failures,
        "restricted_users": sorted(_names(reader, tenant, restricted_users(State(reader), account))),
        "calls": reader.count_calls(tenant),
        "ratings": account.sequences.rated_calls,
        "dead_letters": len(Choice(tenant=tenant).of(letters_of(reader))),
    }
    show_facts(facts, json)


def pools(
    tenant: TenantArgument,
    period: Annotated[str | None, typer.Option(help="Only this month (YYYY-MM).")] = None,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Used and total minutes of every pool that was drawn on.

    Example: rater show pools contoso --period 2025-03
    """
    check_period(period)
    reader, account = _opened(store, tenant)
    rows = [(use.name, use.used, use.total, use.total - use.used) for use in pool_report(reader, account, period)]
    show_rows(("pool", "used", "total", "available"), rows, json)


def balance(tenant: TenantArgument, store: StoreOption = DEFAULT_STORE, json: JsonOption = False) -> None:
    """The balance and the lots that make it up, oldest first; a lot that is used up is not shown.

    Of more than a hundred lots those that are used next are shown, and how many there are.

    Example: rater show balance contoso --json
    """
    _, account = _opened(store, tenant)
    lots = [
        {"lot": lot.lot, "remaining": format_micros(lot.remaining), "expires_at": lot.expires_at}
        for lot in shown_lots(account)
    ]
    facts = _money(account) | {"debt": format_micros(account.debt), "lots": lots}
    total = lots_with_money(account)
    show_facts(facts | ({"lots_total": total} if total > len(lots) else {}), json)


def _opened(store: Any, tenant: str) -> tuple[Reader, Account]:
    reader = open_reader(store)
    return reader, known_account(reader, tenant)


def _names(reader: Reader, tenant: str, keys: list[str]) -> list[str]:
    """Users by the spelling that is shown."""
    users = {key: reader.load("user", (tenant, key)) for key in keys}
    return [user.user if isinstance(user, User) else key for key, user in users.items()]


def _money(account: Account) -> dict[str, Any]:
    closed = {} if account.closed_since is None else {"closed": _closed(account)}
    return closed | {
        "tenant": account.tenant,
        "currency": account.currency,
        "balance": format_micros(account.balance),
        "service": account.service,
        "as_of": account.clock,
    }


def _closed(account: Account) -> str:
    """Since when, and what is still owed or to be paid out."""
    since = text_of(account.closed_since)
    if account.balance < 0:
        return f"since {since}, owes {format_micros(-account.balance)}"
    if account.balance > 0:
        return f"since {since}, {format_micros(account.balance)} to be paid out"
    return f"since {since}, owes nothing"
