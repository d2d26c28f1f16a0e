"""`rater show`: what a store says, for people."""

import sys
from typing import Annotated, Any

import msgspec
import typer

from rater.cli import show_brakes
from rater.cli.found_calls import read_amount, read_day
from rater.cli.lookup import check_period, check_user, known_account
from rater.cli.printing import show_facts, show_rows, text_of
from rater.cli.run import DEFAULT_STORE, StoreOption
from rater.core import (
    Account,
    RatedCall,
    State,
    User,
    format_micros,
    lots_with_money,
    restricted_users,
    shown_lots,
)
from rater.embedded.dead_letters import letters_of
from rater.embedded.lookup import ANOMALY, FLAGS, CallFilter, Lookup, day_bounds, looked_up
from rater.embedded.store import Reader, open_reader
from rater.files.export_tables import pool_report
from rater.wire.dead_letters import Choice
from rater.wire.errors import RaterError

TenantArgument = Annotated[str, typer.Argument(help="The tenant.")]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
_calls = msgspec.json.Decoder(RatedCall)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Show a tenant, its pools, balance, brakes or calls.", no_args_is_help=True)
    group.command("tenant")(tenant)
    group.command("pools")(pools)
    group.command("balance")(balance)
    group.command("brakes")(show_brakes.brakes)
    group.command("calls")(calls)
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


def calls(
    tenant: TenantArgument,
    user: Annotated[str | None, typer.Option(help="Only this user's.")] = None,
    on: Annotated[str | None, typer.Option(help="Only calls that began on this day, in UTC (YYYY-MM-DD).")] = None,
    charge: Annotated[
        str | None, typer.Option(help="Only calls that cost this, exactly or as an export rounds it, such as 4.02.")
    ] = None,
    anomalies: Annotated[
        bool,
        typer.Option("--anomalies", help="Only calls that a person should look at, and why, such as no price."),
    ] = False,
    flag: Annotated[
        str | None, typer.Option(help=f"Only calls with this mark: {', '.join(FLAGS)}.", metavar="FLAG")
    ] = None,
    last: Annotated[int, typer.Option(help="How many, counted from the newest.", min=1, max=1_000_000)] = 20,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """The last calls that were rated; or those of a user, of a day, or with a charge that stands on a bill.

    Example: rater show calls contoso --on 2025-03-12 --charge 4.02

    Example: rater show calls contoso --anomalies --on 2025-03-12

    Example: rater show calls contoso --flag unfunded
    """
    flag = ANOMALY if anomalies else flag
    wanted = _wanted(user, on, charge, flag)
    reader, _ = _opened(store, tenant)
    found = looked_up(reader, lambda lookup: _newest(lookup, tenant, wanted, last + 1))
    shown = found[:last][::-1]
    if user is not None and not shown:
        check_user(reader, tenant, user)
    if not shown:
        said = (f" that began on {on}" if on else "") + (f" and cost {charge}" if charge else "")
        said += f" with the flag {flag}" if flag else ""
        print(f"no call of {user or tenant}{said} was rated" + ("" if said else " yet"), file=sys.stderr)
    _show_calls([call for call, _ in shown], [stands for _, stands in shown], anomalies, json)
    if len(found) > last:
        print(f"there are more: --last {2 * last} shows twice as many", file=sys.stderr)


def _wanted(user: str | None, on: str | None, charge: str | None, flag: str | None) -> CallFilter:
    """The filter that options say; RaterError names the option."""
    day = read_day("--on", on)
    since, until = (None, None) if day is None else day_bounds(day)
    if flag is not None and flag not in FLAGS:
        raise RaterError(f"--flag: expected one of {', '.join(FLAGS)}, got {flag!r}")
    return CallFilter(user=user, since=since, until=until, charge=read_amount("--charge", charge), flag=flag)


def _newest(lookup: Lookup, tenant: str, wanted: CallFilter, count: int) -> list[tuple[RatedCall, bool]]:
    """So many ratings, the newest first; with a flag only those that stand."""
    ask = lookup.calls if wanted.flag is None else lookup.standing_calls
    found: list[tuple[RatedCall, bool]] = []
    after = None
    while len(found) < count:
        page = ask(tenant, wanted, after, count - len(found))
        found += page.calls
        after = page.next
        if after is None:
            break
    return found


def _show_calls(calls: list[RatedCall], stand: list[bool], anomalies: bool, json: bool) -> None:
    """A row for each rating: whether a later one replaced it, and why a person should look, if that was asked."""
    names: tuple[str, ...] = ("usage_id", "answered_at", "type", "called", "minutes", "charge", "balance")
    rows: list[tuple[object, ...]] = [
        (call.usage_id, call.answered_at, call.type.value, call.called, call.minutes, call.charge, call.balance)
        for call in calls
    ]
    if not all(stand):
        names = (*names, "rating")
        rows = [(*row, "stands" if one else "replaced") for row, one in zip(rows, stand, strict=True)]
    if anomalies:
        names = (*names, "anomalies")
        whys = (", ".join(why.value for why in call.anomalies) for call in calls)
        rows = [(*row, why) for row, why in zip(rows, whys, strict=True)]
    show_rows(names, rows, json)


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
