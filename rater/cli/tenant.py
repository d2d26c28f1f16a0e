"""`rater tenant`: set tenants up, fund them, give their users licences; on Kafka or in a store."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from rater.cli.kafka_options import Prefix, kafka_settings, talk
from rater.cli.run import DEFAULT_STORE, GatewayOption, gateway_for, say_upgraded, settings_for
from rater.cli.tenant_commands import AMOUNT_MIN, Change, Funding, Licence, NewTenant, checked
from rater.core import DURATION_S_MAX, AnyCommand, Outcome
from rater.embedded.payments import payments_of
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Store
from rater.kafka.batch_publisher import publish
from rater.wire.codec import encode_input
from rater.wire.errors import Exit
from rater.wire.instants import read_instant
from rater.wire.lookalikes import Lookalikes
from rater.wire.visible import visible
from rater.wire.words import did_you_mean

Tenant = Annotated[str, typer.Argument(help="The tenant.")]
Id = Annotated[str | None, typer.Option("--id", help="The command's id: the same one again changes nothing.")]
At = Annotated[str | None, typer.Option(help="When it holds from (RFC 3339); now if not given.")]
StoreOption = Annotated[Path | None, typer.Option(help=f"The store ({DEFAULT_STORE}), if no broker is given.")]
Bootstrap = Annotated[
    str | None, typer.Option(envvar="RATER_BOOTSTRAP", help="Addresses of brokers: the command goes to Kafka.")
]
Json = Annotated[bool, typer.Option("--json", help="The command as JSON on standard output.")]
Currency = Annotated[str | None, typer.Option(help="ISO 4217, such as USD.")]
Country = Annotated[str | None, typer.Option(help="ISO 3166-1 alpha-2, such as DE.")]
Credits = Annotated[Literal["enabled", "not_set_up"] | None, typer.Option(help="Whether credit may be spent.")]
Conferencing = Annotated[int | None, typer.Option(help="Licences purchased, which the dial-out pool counts.")]
Recharge = Annotated[bool | None, typer.Option("--recharge/--no-recharge", help="Auto-recharge.")]
Trigger = Annotated[str | None, typer.Option(help="Below this balance a recharge is asked for.")]
Amount = Annotated[str | None, typer.Option(help="What a recharge adds.")]
Domains = Annotated[
    list[str] | None,
    typer.Option("--domain", help="A SIP domain of its own; give all of them: they replace the former."),
]

Longest = Annotated[
    int | None,
    typer.Option(
        "--call-duration-max-s",
        min=1,
        max=DURATION_S_MAX,
        help="Longer calls are held until a person accepts them.",
    ),
]
Replaced = Annotated[
    bool, typer.Option("--payment-method-replaced", help="A failed recharge may be tried again at once.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Set tenants up, fund them, give licences.", no_args_is_help=True)
    group.command("add")(add)
    group.command("configure")(configure)
    group.command("fund")(fund)
    group.command("license")(license)
    app.add_typer(group, name="tenant")


def add(
    tenant: Tenant,
    currency: Annotated[str, typer.Option(help="ISO 4217, such as USD; it never changes.")],
    country: Country = None,
    credits: Credits = None,
    audio_conferencing_licenses: Conferencing = None,
    recharge: Recharge = None,
    recharge_trigger: Trigger = None,
    recharge_amount: Amount = None,
    domain: Domains = None,
    call_duration_max_s: Longest = None,
    id: Id = None,
    at: At = None,
    store: StoreOption = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
    gateway: GatewayOption = None,
    json: Json = False,
) -> None:
    """Set a tenant up.

    Example: rater tenant add contoso --currency USD --credits enabled --recharge --recharge-trigger 50
    --recharge-amount 100
    """
    order = checked(
        NewTenant,
        tenant=tenant,
        id=id,
        at=_instant("at", at) or datetime.now(UTC),
        currency=currency,
        country=country,
        credits=credits,
        audio_conferencing_licenses=audio_conferencing_licenses,
        recharge=recharge,
        recharge_trigger=recharge_trigger,
        recharge_amount=recharge_amount,
        domains=domain or None,
        call_duration_max_s=call_duration_max_s,
    )
    _tell(order.command(), store, bootstrap, prefix, gateway, json)


def configure(
    tenant: Tenant,
    country: Country = None,
    credits: Credits = None,
    audio_conferencing_licenses: Conferencing = None,
    recharge: Recharge = None,
    recharge_trigger: Trigger = None,
    recharge_amount: Amount = None,
    domain: Domains = None,
    call_duration_max_s: Longest = None,
    payment_method_replaced: Replaced = False,
    id: Id = None,
    at: At = None,
    store: StoreOption = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
    gateway: GatewayOption = None,
    json: Json = False,
) -> None:
    """Change a tenant's settings; what is not given stays as it is.

    Example: rater tenant configure contoso --recharge-trigger 100
    """
    order = checked(
        Change,
        tenant=tenant,
        id=id,
        at=_instant("at", at) or datetime.now(UTC),
        country=country,
        credits=credits,
        audio_conferencing_licenses=audio_conferencing_licenses,
        recharge=recharge,
        recharge_trigger=recharge_trigger,
        recharge_amount=recharge_amount,
        domains=domain or None,
        call_duration_max_s=call_duration_max_s,
        payment_method_replaced=payment_method_replaced or None,
    )
    _tell(order.command(), store, bootstrap, prefix, gateway, json)


def fund(
    tenant: Tenant,
    amount: Annotated[
        str, typer.Argument(help=f"In the tenant's currency, whole, at least {AMOUNT_MIN} (rule 61).")
    ],
    currency: Currency = None,
    purchase_order: Annotated[str | None, typer.Option(help="The purchase order that pays.")] = None,
    agreement: Annotated[str | None, typer.Option(help="The agreement that pays.")] = None,
    id: Id = None,
    at: At = None,
    store: StoreOption = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
    gateway: GatewayOption = None,
    json: Json = False,
) -> None:
    """Add credit, which expires twelve months later.  Give an --id to be able to repeat the command safely.

    The same id with the same amount adds nothing; with another amount, or of another command, it is refused.

    Example: rater tenant fund contoso 500 --id invoice-4711
    """
    order = checked(
        Funding,
        tenant=tenant,
        id=id,
        at=_instant("at", at) or datetime.now(UTC),
        amount=amount,
        currency=currency,
        purchase_order=purchase_order,
        agreement=agreement,
    )
    _tell(order.command(), store, bootstrap, prefix, gateway, json)


def license(
    tenant: Tenant,
    user: Annotated[str, typer.Argument(help="The user.")],
    sku: Annotated[str, typer.Argument(help="The licence, such as MCOPSTN1.")],
    country: Country = None,
    effective_from: Annotated[str | None, typer.Option(help="From when (RFC 3339); --at if not given.")] = None,
    effective_to: Annotated[str | None, typer.Option(help="Until when (RFC 3339).")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take it away.")] = False,
    id: Id = None,
    at: At = None,
    store: StoreOption = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
    gateway: GatewayOption = None,
    json: Json = False,
) -> None:
    """Give a user a licence, or take it away.

    Example: rater tenant license contoso maria@contoso.example MCOPSTN1 --country US
    """
    order = checked(
        Licence,
        tenant=tenant,
        id=id,
        at=_instant("at", at) or datetime.now(UTC),
        user=user,
        sku=sku,
        country=country,
        effective_from=_instant("effective-from", effective_from),
        effective_to=_instant("effective-to", effective_to),
        remove=remove,
    )
    _tell(order.command(), store, bootstrap, prefix, gateway, json)


def _instant(option: str, text: str | None) -> datetime | None:
    return read_instant(f"--{option}", text) if text else None


def _tell(
    command: AnyCommand, store: Path | None, bootstrap: str | None, prefix: str, gateway: str | None, json: bool
) -> None:
    """Send the command, print its id, and say what became of it as far as that is known."""
    if bootstrap is not None and store is None:
        settings = kafka_settings(bootstrap, prefix)
        message = "commands", command.tenant, encode_input(command)
        talk(settings, "publisher", publish(settings, [message]))
        _print(command, json)
        said = f"published; what becomes of it: rater consume account-events --tenant {command.tenant}"
        print(f"{said}, or rater dlq ls", file=sys.stderr)
        return
    opened = Store(store or DEFAULT_STORE)
    say_upgraded(opened)
    try:
        rater = EmbeddedRater(opened, settings_for(opened), gateway_for(opened, gateway))
        outcome, refused = rater.tell(command, datetime.now(UTC))
        tenants, payments = opened.tenants(), payments_of(opened)
    finally:
        opened.close()
    _print(command, json)
    for remark in Lookalikes(tenants).remarks([command.tenant]):
        print(f"rater: {remark}", file=sys.stderr)
    if payments.note:
        print(f"rater: {payments.note}", file=sys.stderr)
    if outcome in (Outcome.REJECTED, Outcome.CONFLICTING_DUPLICATE):
        why = f"{refused.field}: {refused.message}" if refused else "as before, see rater dlq ls"
        meant = "" if command.tenant in tenants else did_you_mean(command.tenant, tenants)
        print(visible(f"rater: {command.tenant}: refused: {why}{meant}"), file=sys.stderr)
        raise typer.Exit(Exit.REFUSED)
    print("nothing changed: this id was taken before" if outcome is Outcome.DUPLICATE else "done", file=sys.stderr)


def _print(command: AnyCommand, json: bool) -> None:
    typer.echo(encode_input(command) if json else command.id)
