"""The tables that can be exported: their columns and their rows, one at a time.

Usage has the 20 columns of the PSTN usage export, pools those of the minute-pool report;
money has the decimals of its currency, half up, in usage (A18) and all its decimals elsewhere.  Usage of
several tenants has the tenant before the 20 columns.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import msgspec

from rater.core import (
    DIRECT_INBOUND,
    INBOUND,
    Account,
    Debit,
    LiveCall,
    PoolUse,
    RatedCall,
    RatingSettings,
    State,
    exponent_of,
    lots_with_money,
    normal_usage_id,
    parse_ledger,
    pool_country_name,
    pool_use,
    round_to_cents,
)
from rater.engine.books import Books
from rater.files.export_funds import COLUMNS as FUNDS
from rater.files.export_funds import fund_rows
from rater.files.usage_csv import COLUMNS

Kind = Literal["text", "integer", "money", "percent", "time"]
Row = tuple[str | int | float | Decimal | datetime | None, ...]
Rows = Generator[Row, None, None]
_calls = msgspec.json.Decoder(RatedCall)
_debits = msgspec.json.Decoder(Debit)
_DESCRIPTIONS = {
    "MCOMEETADV": "Outbound Calls to Zone A Countries",
    "domestic": "Office 365 Calling Plan Domestic Pool",
    "international": "Office 365 Calling Plan International Pool",
}


class Sheet(msgspec.Struct, frozen=True):
    """A name, and columns with their kinds."""

    name: str
    columns: tuple[tuple[str, Kind], ...]


class Table(Sheet, frozen=True):
    """The same with the rows of a tenant (or all) and period (or all)."""

    rows: Callable[[Books, str | None, str | None], Rows]


def usage_rows(books: Books, tenant: str | None, period: str | None) -> Rows:
    """Rated calls as rows of a usage export."""
    return (usage_row(call) for call in _standing_calls(books, tenant, period))


def usage_rows_of_several(books: Books, tenant: str | None, period: str | None) -> Rows:
    """The same with the tenant of each call before it."""
    return ((call.tenant, *usage_row(call)) for call in _standing_calls(books, tenant, period))


def _standing_calls(books: Books, tenant: str | None, period: str | None) -> Iterator[RatedCall]:
    """Rated calls, and of one that was corrected or rated again the rating that stands."""
    for _, value in books.topic("rated-calls", tenant):
        call = _calls.decode(value)
        if period in (None, call.period) and (call.version, call.rating) == _stands(books, call):
            yield call


def _stands(books: Books, call: RatedCall) -> tuple[int, int]:
    normal = (call.tenant, normal_usage_id(call.usage_id))
    live = books.load("call", normal) or books.load("call", (call.tenant, call.usage_id))
    assert isinstance(live, LiveCall)
    return live.version, live.rating


def usage_row(call: RatedCall) -> Row:
    """One call: Capability is MCOPSTNPP if money moved, Charge the sum without the fee beside it (A3)."""
    inbound = call.type in INBOUND or call.type in DIRECT_INBOUND
    near, far = (call.called, call.calling) if inbound else (call.calling, call.called)
    money = parse_ledger(call.charge)
    fee = parse_ledger(call.connection_fee) if money else 0
    decimals = exponent_of(call.currency)
    return (
        call.usage_id,
        call.call_id,
        call.conference_id,
        call.user_country,
        call.user_object_id,
        call.user,
        call.user_display_name,
        near,
        call.type.value,
        call.number_type.value,
        call.context.capitalize() if call.context else None,
        call.destination,
        far,
        call.answered_at,
        call.answered_at + timedelta(seconds=call.duration_s),
        call.duration_s,
        Decimal(round_to_cents(fee, decimals)),
        Decimal(round_to_cents(money, decimals)),
        call.currency,
        call.capability,
    )


def pool_rows(books: Books, tenant: str | None, period: str | None) -> Rows:
    """Minute pools as the minute-pool report shows them."""
    for name in [tenant] if tenant else books.tenants():
        account = books.account(name)
        for use in pool_report(books, account, period) if account else ():
            yield (name, use.period, *_pool_row(use))


def _pool_row(use: PoolUse) -> Row:
    plan = use.pool.plan
    country = use.pool.family.partition("/")[2]
    shown = _DESCRIPTIONS["MCOMEETADV"] if plan is None else _DESCRIPTIONS[use.pool.side or "domestic"]
    where = "All" if plan is None else country
    if plan is not None and plan.pooled:
        where = pool_country_name(country)
    tenths = (2000 * use.used + use.total) // (2 * use.total) if use.total else 0
    return (
        where,
        shown,
        use.total,
        use.used,
        use.total - use.used,
        use.pool.capability,
        tenths / 10,
    )


def debit_rows(books: Books, tenant: str | None, period: str | None) -> Rows:
    """Every debit, as downstream billing gets it."""
    for _, value in books.topic("debits", tenant):
        debit = _debits.decode(value)
        if period is None or debit.period == period:
            yield (
                debit.tenant,
                debit.sequence,
                debit.id,
                debit.kind.value,
                debit.at,
                Decimal(debit.amount),
                debit.currency,
                Decimal(debit.balance),
                debit.usage_id,
                debit.version,
                debit.user,
                debit.period,
            )


def balance_rows(books: Books, tenant: str | None, _period: str | None) -> Rows:
    """The balance of each tenant, and how many lots still have money; the period does not matter."""
    for name in [tenant] if tenant else books.tenants():
        account = books.account(name)
        if account is not None:
            money = [account.balance, account.debt, account.recharge.trigger, account.recharge.amount]
            lots = lots_with_money(account)
            yield (name, account.currency, *map(_decimal, money), account.service, account.clock, lots)


def order_rows(books: Books, tenant: str | None, period: str | None) -> Rows:
    """The orders to end running calls, as switches get them."""
    for order in books.orders(tenant):
        if period in (None, order.at.strftime("%Y-%m")):
            yield (
                order.tenant,
                order.id,
                order.command,
                order.usage_id,
                order.at,
                order.reason.value,
                order.authorized_s,
                order.user,
                order.call_id,
            )


def _decimal(micros: int) -> Decimal:
    return Decimal(micros).scaleb(-6)


_USAGE_KINDS: dict[str, Kind] = {
    "Start Time": "time",
    "End Time": "time",
    "Duration Seconds": "integer",
    "Connection Fee": "money",
    "Charge": "money",
}
_USAGE: tuple[tuple[str, Kind], ...] = tuple((column, _USAGE_KINDS.get(column, "text")) for column in COLUMNS)
TABLES: dict[str, Table] = {
    "usage": Table("usage", _USAGE, usage_rows),
    "pools": Table(
        "pools",
        (
            ("Tenant", "text"),
            ("Period", "text"),
            ("Country", "text"),
            ("Capability description", "text"),
            ("Total minutes", "integer"),
            ("Minutes used", "integer"),
            ("Minutes available", "integer"),
            ("Capability", "text"),
            ("Percent used", "percent"),
        ),
        pool_rows,
    ),
    "debits": Table(
        "debits",
        (
            ("tenant", "text"),
            ("sequence", "integer"),
            ("id", "text"),
            ("kind", "text"),
            ("at", "time"),
            ("amount", "money"),
            ("currency", "text"),
            ("balance", "money"),
            ("usage_id", "text"),
            ("version", "integer"),
            ("user", "text"),
            ("period", "text"),
        ),
        debit_rows,
    ),
    "funds": Table("funds", FUNDS, fund_rows),
    "balances": Table(
        "balances",
        (
            ("tenant", "text"),
            ("currency", "text"),
            ("balance", "money"),
            ("debt", "money"),
            ("recharge_trigger", "money"),
            ("recharge_amount", "money"),
            ("service", "text"),
            ("as_of", "time"),
            ("lots", "integer"),
        ),
        balance_rows,
    ),
    "call-commands": Table(
        "call-commands",
        (
            ("tenant", "text"),
            ("id", "text"),
            ("command", "text"),
            ("usage_id", "text"),
            ("at", "time"),
            ("reason", "text"),
            ("authorized_s", "integer"),
            ("user", "text"),
            ("call_id", "text"),
        ),
        order_rows,
    ),
}
_USAGE_OF_SEVERAL = Table("usage", (("Tenant", "text"), *_USAGE), usage_rows_of_several)


def table_of(books: Books, what: str, tenant: str | None) -> Table:
    """The table of a name; usage says whose it is where it may be of several tenants."""
    several = what == "usage" and tenant is None and len(books.tenants()) > 1
    return _USAGE_OF_SEVERAL if several else TABLES[what]


def text_of(value: Any) -> str:
    """A cell as text: times in UTC with Z, nothing for what is absent."""
    if value is None:
        return ""
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)


def pool_report(books: Books, account: Account, period: str | None = None) -> list[PoolUse]:
    """Every pool that was drawn on, by name; of one month (`YYYY-MM`) if given."""
    names = books.names("pool", account.tenant)
    uses = pool_uses(books, account, [name for name in names if period is None or name.endswith("/" + period)])
    return sorted(uses, key=lambda use: (use.month, use.name))


def pool_uses(books: Books, account: Account, names: Iterable[str]) -> list[PoolUse]:
    """The pools of these names that were drawn on, in their order."""
    state, settings = State(books), RatingSettings()
    return [use for name in names if (use := pool_use(state, settings, account, name)) is not None]
