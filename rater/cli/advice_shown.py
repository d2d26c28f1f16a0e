"""What `rater recommend` prints: a sentence with its reason, beside what is set and what was published."""

from datetime import timedelta

import orjson
import typer

from rater.cli.printing import counted, show_facts
from rater.core import Account, format_micros
from rater.engine.funding_advice import Advice, Terms, published_funding


def show_advice(found: Advice, account: Account, terms: Terms, users: int, json: bool) -> None:
    """Print it, as JSON or as a sentence and two lines."""
    once, trigger = published_funding(users)
    if json:
        facts = found._asdict() | {
            "tenant": account.tenant,
            "currency": account.currency,
            "now": account.clock.isoformat(),
            "payment_delay": terms.delay // timedelta(minutes=1),
            "recharges_max": terms.recharges_max,
            "spent_while_paying": format_micros(found.spent_while_paying),
            "spent_in_a_month": format_micros(found.spent_in_a_month),
            "buy_first": format_micros(found.buy_first),
        }
        typer.echo(orjson.dumps(facts | {"published": {"users": users, "once": once, "trigger": trigger}}))
    else:
        typer.echo(_sentence(found, account, terms))
        rows = {
            "set now": f"{format_micros(account.recharge.amount)} below {format_micros(account.recharge.trigger)}",
            f"published in 2017 for {users} users": f"{once} once, recharge below {trigger} (USD)",
        }
        show_facts(rows, json=False)


def _sentence(found: Advice, account: Account, terms: Terms) -> str:
    currency = account.currency
    if found.confirmed:
        why = (
            f"It is the least that was tried with which nine of ten likely months have no zero and at most"
            f" {counted(terms.recharges_max, 'recharge')}, whether they begin at {found.trigger} {currency} or with"
            f" more"
        )
    else:
        why = "It is the most that was tried, and not enough"
    said = (
        f"Recharge {found.amount} {currency} below {found.trigger} {currency}. {why}; in nine of ten, no"
        f" {counted(terms.delay // timedelta(minutes=1), 'minute')} cost more than"
        f" {format_micros(found.spent_while_paying)} {currency}, and the month no more than"
        f" {format_micros(found.spent_in_a_month)} {currency}."
    )
    if found.buy_first:
        said += (
            f" Buy {format_micros(found.buy_first)} {currency} before: the balance is"
            f" {format_micros(account.balance)} {currency}."
        )
    return said
