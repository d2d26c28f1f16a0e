"""`rater tenant`: set tenants up, fund them, give their users licences; on Kafka or in a store."""

from typing import Annotated, Literal

import typer

from rater.cli import tenant_brakes, tenant_closing, tenant_money
from rater.cli.kafka_options import Prefix
from rater.cli.run import GatewayOption
from rater.cli.sending import At, Bootstrap, Currency, Id, Json, StoreOption, Tenant, at_or_now, instant, send
from rater.cli.tenant_commands import AMOUNT_MIN, Change, Funding, Licence, NewTenant, checked
from rater.core import DURATION_S_MAX

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
    tenant_money.register(group)
    tenant_closing.register(group)
    tenant_brakes.register(group)
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
        at=at_or_now(at),
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
    send(order.command(), store, bootstrap, prefix, gateway, json)


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
        at=at_or_now(at),
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
    send(order.command(), store, bootstrap, prefix, gateway, json)


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
        at=at_or_now(at),
        amount=amount,
        currency=currency,
        purchase_order=purchase_order,
        agreement=agreement,
    )
    send(order.command(), store, bootstrap, prefix, gateway, json)


def license(
    tenant: Tenant,
    user: Annotated[str, typer.Argument(help="The user.")],
    sku: Annotated[str, typer.Argument(help="The licence, such as MCOPSTN1.")],
    country: Country = None,
    effective_from: Annotated[str | None, typer.Option(help="From when (RFC 3339); --at if not given.")] = None,
    effective_to: Annotated[str | None, typer.Option(help="Until when (RFC 3339).")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove it.")] = False,
    id: Id = None,
    at: At = None,
    store: StoreOption = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
    gateway: GatewayOption = None,
    json: Json = False,
) -> None:
    """Assign a licence to a user, or remove it.

    Example: rater tenant license contoso maria@contoso.example MCOPSTN1 --country US
    """
    order = checked(
        Licence,
        tenant=tenant,
        id=id,
        at=at_or_now(at),
        user=user,
        sku=sku,
        country=country,
        effective_from=instant("effective-from", effective_from),
        effective_to=instant("effective-to", effective_to),
        remove=remove,
    )
    send(order.command(), store, bootstrap, prefix, gateway, json)
