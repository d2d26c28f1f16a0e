"""`rater tenant brake|release-brake|alerts`: limits on spending, and balances to be notified of (A50)."""

from typing import Annotated, Literal

import typer
from pydantic import Field

from rater.cli.kafka_options import Prefix
from rater.cli.rerate import By
from rater.cli.run import GatewayOption
from rater.cli.sending import At, Bootstrap, Id, Json, StoreOption, Tenant, at_or_now, send
from rater.cli.tenant_commands import Name, Order, checked
from rater.core import BrakeConfigured, BrakeReleased, TenantConfigured

BrakeArgument = Annotated[str, typer.Argument(help="Its name: small letters, digits, dashes.")]
Scope = Literal["tenant", "user", "country", "class"]
Measure = Literal["spend", "new_countries", "calls_at_once"]
Window = Literal["hour", "day", "month"]
Mode = Literal["off", "shadow", "notify", "stop"]
_NAME = r"^[a-z0-9-]{1,40}$"


class _Brake(Order):
    """A limit on spending."""

    brake: str = Field(pattern=_NAME)
    scope: Scope
    measure: Measure
    window: Window
    limit: str
    mode: Mode
    only: Name | None = None

    def command(self) -> BrakeConfigured:
        """The command that says it."""
        return BrakeConfigured(**self.model_dump())


class _Release(Order):
    """A person ends what a brake stops."""

    brake: str = Field(pattern=_NAME)
    subject: Name | None = None
    country: str | None = Field(default=None, pattern=r"^[A-Z]{2}$")
    reason: str | None = Field(default=None, max_length=256)
    by: str | None = Field(default=None, max_length=256)

    def command(self) -> BrakeReleased:
        """The command that says it."""
        return BrakeReleased(**self.model_dump())


class _Alerts(Order):
    """Balances below which people are notified."""

    balance_alerts: tuple[str, ...]

    def command(self) -> TenantConfigured:
        """The command that says it."""
        return TenantConfigured(**self.model_dump())


def register(group: typer.Typer) -> None:
    """Add the commands to `rater tenant`."""
    group.command("brake")(brake)
    group.command("release-brake")(release_brake)
    group.command("alerts")(alerts)


def brake(
    tenant: Tenant,
    brake: BrakeArgument,
    limit: Annotated[str, typer.Option(help="Money in the tenant's currency; or how many calls at once.")],
    mode: Annotated[Mode, typer.Option(help="shadow counts, notify notifies, stop refuses.")] = "shadow",
    scope: Annotated[Scope, typer.Option(help="What it is about; each user, country, class by itself.")] = "tenant",
    window: Annotated[Window, typer.Option(help="In UTC, of the call's start.")] = "day",
    measure: Annotated[Measure, typer.Option(help="What is limited.")] = "spend",
    only: Annotated[str | None, typer.Option(help="Only this user, country or class of number.")] = None,
    id: Id = None,
    at: At = None,
    store: StoreOption = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
    gateway: GatewayOption = None,
    json: Json = False,
) -> None:
    """Limit what may be spent; the brake of this name is replaced, `--mode off` takes it away.

    Example: rater tenant brake contoso stolen --scope user --window day --limit 100 --mode stop
    """
    order = checked(
        _Brake,
        tenant=tenant,
        id=id,
        at=at_or_now(at),
        brake=brake,
        scope=scope,
        measure=measure,
        window=window,
        limit=limit,
        mode=mode,
        only=only,
    )
    send(order.command(), store, bootstrap, prefix, gateway, json)


def release_brake(
    tenant: Tenant,
    brake: BrakeArgument,
    subject: Annotated[str | None, typer.Option(help="The user, country or class of number.")] = None,
    country: Annotated[str | None, typer.Option(help="It is not new any more, such as FR.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why.")] = None,
    by: By = None,
    id: Id = None,
    at: At = None,
    store: StoreOption = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
    gateway: GatewayOption = None,
    json: Json = False,
) -> None:
    """End what a brake stops, until its present window is over; or allow a country that was new, for good.

    Example: rater tenant release-brake contoso stolen --subject maria@contoso.example --by kim
    """
    order = checked(
        _Release,
        tenant=tenant,
        id=id,
        at=at_or_now(at),
        brake=brake,
        subject=subject,
        country=country,
        reason=reason,
        by=by,
    )
    send(order.command(), store, bootstrap, prefix, gateway, json)


def alerts(
    tenant: Tenant,
    amounts: Annotated[list[str] | None, typer.Argument(help="Balances; none takes all alerts away.")] = None,
    id: Id = None,
    at: At = None,
    store: StoreOption = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
    gateway: GatewayOption = None,
    json: Json = False,
) -> None:
    """Notify people each time the balance falls below one of these amounts; they replace the former.

    Example: rater tenant alerts contoso 500 200 50
    """
    order = checked(_Alerts, tenant=tenant, id=id, at=at_or_now(at), balance_alerts=tuple(amounts or ()))
    send(order.command(), store, bootstrap, prefix, gateway, json)
