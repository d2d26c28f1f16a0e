"""`rater tenant adjust|refund|reverse-payment|promote`: money by hand (A45, A46), shown before it is sent."""

from pathlib import Path
from typing import Annotated

import typer

from rater.cli.kafka_options import Prefix, kafka_settings, talk
from rater.cli.money_orders import Adjustment, Promotion, Refunding, Reversal
from rater.cli.preview import CHANGES_NOTHING, preview
from rater.cli.run import DEFAULT_STORE, GatewayOption
from rater.cli.sending import At, Bootstrap, Currency, Id, Json, StoreOption, Tenant, at_or_now, instant, send
from rater.cli.tenant_commands import checked
from rater.core import (
    MoneyByHand,
    MoneyError,
    format_micros,
    parse_micros,
)
from rater.embedded.store import open_reader
from rater.engine.given_back import Creditable, credit_id, creditable
from rater.kafka.settings import KafkaSettings
from rater.kafka.tenant_topics import rated_calls_of, records_of
from rater.wire.errors import Exit, RaterError

Reason = Annotated[str | None, typer.Option(help="Why, in words; asked for if it is not given.")]
By = Annotated[str | None, typer.Option(envvar="RATER_OPERATOR", help="Who does it; asked for if it is not given.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before it is sent.")]
Lot = Annotated[str, typer.Argument(help="The purchase or recharge: its lot in `rater show balance`.")]
_MINUS_IS_NO_OPTION = {"ignore_unknown_options": True}


def register(group: typer.Typer) -> None:
    """Add the commands to `rater tenant`."""
    group.command("adjust", context_settings=_MINUS_IS_NO_OPTION)(adjust)
    group.command("refund")(refund)
    group.command("reverse-payment")(reverse_payment)
    group.command("promote")(promote)


def adjust(
    tenant: Tenant,
    amount: Annotated[str | None, typer.Argument(help="With its sign: 4.16 gives, -4.16 takes off.")] = None,
    call: Annotated[str | None, typer.Option(help="The usage id of the call that it is about.")] = None,
    all: Annotated[bool, typer.Option("--all", help="All that the --call cost.")] = False,
    reason: Reason = None,
    by: By = None,
    expires: Annotated[str | None, typer.Option(help="When money that is given expires (RFC 3339).")] = None,
    currency: Currency = None,
    yes: Yes = False,
    id: Id = None,
    at: At = None,
    store: StoreOption = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
    gateway: GatewayOption = None,
    json: Json = False,
) -> None:
    """Give money or take it off, with a reason; about a call: give back what it cost, or a part of it.

    Money that is given expires twelve months later, or when --expires says. About a call the id is made of its
    usage id, so that nobody gives it back twice by mistake; a second amount for it needs an --id.

    Example: rater tenant adjust contoso --call 8d344131a97eea41d7e9d48a832febc2 --all --reason "wrong price"
    """
    place = store_of(store, bootstrap), kafka_of(store, bootstrap, prefix)
    id = id or (credit_id(call) if call else None)
    order = checked(
        Adjustment,
        tenant=tenant,
        id=id,
        at=at_or_now(at),
        amount=_amount(tenant, amount, call, all, id, *place),
        reason=asked("Why", reason),
        by=asked("Who does it", by),
        expires=instant("expires", expires),
        currency=currency,
        usage_id=call,
    )
    send_money(order.command(), yes, store, bootstrap, prefix, gateway, json)


def refund(
    tenant: Tenant,
    lot: Lot,
    amount: Annotated[str, typer.Argument(help="What is paid out: at most what is left of the purchase.")],
    reason: Reason = None,
    by: By = None,
    currency: Currency = None,
    yes: Yes = False,
    id: Id = None,
    at: At = None,
    store: StoreOption = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
    gateway: GatewayOption = None,
    json: Json = False,
) -> None:
    """Note that money of a purchase was paid out.

    Auto-recharge stops until somebody changes its settings or the payment method.

    Example: rater tenant refund contoso invoice-4711 100 --reason "contract ended" --by kim
    """
    order = checked(
        Refunding,
        tenant=tenant,
        id=id,
        at=at_or_now(at),
        lot=lot,
        amount=amount,
        reason=asked("Why", reason),
        by=asked("Who does it", by),
        currency=currency,
    )
    send_money(order.command(), yes, store, bootstrap, prefix, gateway, json)


def reverse_payment(
    tenant: Tenant,
    lot: Lot,
    reason: Reason = None,
    by: By = None,
    yes: Yes = False,
    id: Id = None,
    at: At = None,
    store: StoreOption = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
    gateway: GatewayOption = None,
    json: Json = False,
) -> None:
    """Note that the bank took the payment of a purchase back.

    Auto-recharge stops until somebody changes its settings or the payment method.

    Example: rater tenant reverse-payment contoso invoice-4711 --reason "card holder disputes" --by kim
    """
    order = checked(
        Reversal,
        tenant=tenant,
        id=id,
        at=at_or_now(at),
        lot=lot,
        reason=asked("Why", reason),
        by=asked("Who does it", by),
    )
    send_money(order.command(), yes, store, bootstrap, prefix, gateway, json)


def promote(
    tenant: Tenant,
    amount: Annotated[str, typer.Argument(help="Promotional credit, in the tenant's currency.")],
    expires: Annotated[str, typer.Option(help="When what is left of it is forfeited (RFC 3339).")],
    currency: Currency = None,
    agreement: Annotated[str | None, typer.Option(help="The agreement or campaign that it is part of.")] = None,
    yes: Yes = False,
    id: Id = None,
    at: At = None,
    store: StoreOption = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
    gateway: GatewayOption = None,
    json: Json = False,
) -> None:
    """Give promotional credit, which is used before all other money.

    Example: rater tenant promote contoso 20 --expires 2027-01-01T00:00:00Z
    """
    order = checked(
        Promotion,
        tenant=tenant,
        id=id,
        at=at_or_now(at),
        amount=amount,
        expires=instant("expires", expires),
        currency=currency,
        agreement=agreement,
    )
    send_money(order.command(), yes, store, bootstrap, prefix, gateway, json)


def asked(what: str, given: str | None) -> str:
    """What was given, or what a person types when asked for it."""
    return given if given is not None else str(typer.prompt(what, err=True))


def store_of(store: Path | None, bootstrap: str | None) -> Path | None:
    """The store that a command is for; None for Kafka."""
    return None if bootstrap is not None and store is None else store or DEFAULT_STORE


def kafka_of(store: Path | None, bootstrap: str | None, prefix: str) -> KafkaSettings | None:
    """The cluster that a command is for; None for a store."""
    return kafka_settings(bootstrap, prefix) if bootstrap is not None and store is None else None


def _amount(
    tenant: str,
    amount: str | None,
    call: str | None,
    all: bool,
    id: str | None,
    store: Path | None,
    kafka: KafkaSettings | None,
) -> str:
    """The given amount; of a call all that its live version cost, or an amount that is no more than that.

    What was given back for the call under other ids than this one counts.
    """
    if call is None:
        if all or amount is None:
            raise RaterError("expected an amount, such as 4.16 or -4.16; --all needs --call USAGE_ID")
        return amount
    if all == (amount is not None):
        raise RaterError("--call: expected either --all or an amount")
    credit = _creditable(tenant, call, id, store, kafka)
    if amount is None:
        amount = format_micros(credit.left)
    try:
        allowed = credit.allows(parse_micros(amount))
    except MoneyError:
        return amount  # what it should be is in the message of the check of every amount
    if not allowed:
        raise RaterError(
            f"--call: expected {credit}; got {amount};"
            " to give more, or to take off what was given, leave out --call"
        )
    return amount


def _creditable(
    tenant: str, call: str, id: str | None, store: Path | None, kafka: KafkaSettings | None
) -> Creditable:
    """What may be given back for a call, as a store or the topics say; RaterError: there is no such call."""
    if kafka is not None:
        ratings, where = talk(kafka, "operators", rated_calls_of(kafka, tenant, call)), kafka.topic("rated-calls")
        events = talk(kafka, "operators", records_of(kafka, "account-events", tenant))
    else:
        reader = open_reader(store or DEFAULT_STORE)
        ratings, where = reader.rated_calls(call, tenant), str(store)
        events = [value for _, value in reader.topic("account-events", tenant)]
    if not ratings:
        raise RaterError(f"--call: {tenant} has no call {call!r} in {where}", Exit.FAILED)
    return creditable(ratings, events, call, id)


def send_money(
    command: MoneyByHand,
    yes: bool,
    store: Path | None,
    bootstrap: str | None,
    prefix: str,
    gateway: str | None,
    json: bool,
) -> None:
    """Show what will happen, ask, and send it."""
    for line in preview(command, store_of(store, bootstrap), kafka_of(store, bootstrap, prefix)):
        typer.echo(line, err=True)
        if line == CHANGES_NOTHING:
            return
    if not yes:
        typer.confirm("Send it?", abort=True, err=True)
    send(command, store, bootstrap, prefix, gateway, json)
