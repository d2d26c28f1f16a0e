"""Prints the results of the demo's month, with the sums to check by hand."""

from rich.console import Console
from rich.table import Table

from rater.core import CallCommand, RatedCall, explain, exponent_of, format_micros, round_to_cents
from rater.dev.demo.findings import Findings


def show_tenant(console: Console, found: Findings, what: str) -> None:
    """One tenant: pools, money, events, and calls to check by hand."""
    account = found.account
    console.rule(f"[bold]{account.tenant}[/bold]: {what}")
    console.print(_pools(found))
    console.print(
        f"{found.calls:,} rated calls ({found.corrected} corrections, {found.late} late);"
        f" events: {', '.join(f'{event} {count}' for event, count in _events_by_kind(found).items()) or 'nothing'}"
    )
    console.print(_money(found))
    for at in found.suspended:
        console.print(f"[red]credit-funded calls suspended at {at.isoformat().replace('+00:00', 'Z')}[/red]")
    for order, call in found.ended:
        console.print(_ended(order, call))
    for call in found.examples:
        console.print("\n".join(explain(call)), style="dim", highlight=False)


def _ended(order: CallCommand, call: RatedCall) -> str:
    """A running call that was ordered to end, and what is billed of it."""
    return (
        f"[red]running call {order.usage_id} ordered to end at {order.at.isoformat().replace('+00:00', 'Z')}"
        f" after {order.authorized_s:,} authorised seconds: {order.reason.value}[/red]\n"
        f"  it lasted {call.duration_s:,} s until the switch had obeyed;"
        f" {call.minutes} minutes are billed, {call.charge} {call.currency}"
    )


def _pools(found: Findings) -> Table:
    table = Table("minute pool", "used", "total", box=None)
    for use in found.pools:
        table.add_row(use.name, f"{use.used:,}", f"{use.total:,}", style="yellow" if use.used == use.total else "")
    return table


def _events_by_kind(found: Findings) -> dict[str, int]:
    wanted = ("pool.", "recharge.", "credits.", "user.restricted", "rating.exception", "cdr.")
    return {event: count for event, count in found.events.items() if event.startswith(wanted)}


def _money(found: Findings) -> str:
    currency = found.account.currency
    debits = "".join(
        f" {'+' if amount < 0 else '-'} {format_micros(abs(amount))} ({kind})"
        for kind, amount in found.debited.items()
    )
    holds = "=" if found.balance_by_hand == found.account.balance else "[red]is not[/red]"
    return (
        f"money: {format_micros(found.credited)} credited{debits} {holds} {format_micros(found.account.balance)}"
        f" {currency} (shown as {round_to_cents(found.account.balance, exponent_of(currency))})"
    )
