"""`rater tenant brake|release-brake|alerts`: limits on spending, and balances to be notified of (A50)."""

import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import Field, model_validator

from rater.cli.kafka_options import Prefix
from rater.cli.lookup import remark_unknown
from rater.cli.rerate import By
from rater.cli.run import DEFAULT_STORE, GatewayOption
from rater.cli.sending import At, Bootstrap, Id, Json, StoreOption, Tenant, at_or_now, send
from rater.cli.tenant_commands import Name, Order, checked
from rater.core import BrakeConfigured, BrakeReleased, TenantConfigured
from rater.embedded.store import open_reader
from rater.wire.visible import visible

BrakeArgument = Annotated[str, typer.Argument(help="Its name: small letters, digits, dashes.")]
Scope = Literal["tenant", "user", "country", "class"]
Measure = Literal["spend", "new_countries", "calls_at_once"]
Window = Literal["hour", "day", "month"]
Mode = Literal["off", "shadow", "notify", "stop"]
LimitOption = Annotated[str | None, typer.Option(help="Money in the tenant's currency; or how many calls at once.")]
_MODES = "shadow counts, notify notifies, stop refuses, off takes it away."
_NAME = r"^[a-z0-9-]{1,40}$"


class _Brake(Order):
    """A limit on spending."""

    brake: str = Field(pattern=_NAME)
    scope: Scope
    measure: Measure
    window: Window
    limit: str = "0"
    mode: Mode
    only: Name | None = None

    @model_validator(mode="after")
    def _limits(self) -> "_Brake":
        if self.mode != "off" and "limit" not in self.model_fields_set:
            raise ValueError("expected --limit; only --mode off needs none")
        return self

    def command(self) -> BrakeConfigured:
        """The command that says it; of a brake that is taken away the limit is not read."""
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
    limit: LimitOption = None,
    mode: Annotated[Mode, typer.Option(help=_MODES)] = "shadow",
    scope: Annotated[Scope, typer.Option(help="What it is about; each user, country, class by itself.")] = "tenant",
    window: Annotated[Window, typer.Option(help="In UTC, of the call's start.")] = "day",
    measure: Annotated[
        Measure, typer.Option(help="What is limited; calls_at_once counts pools' and inbound calls, too.")
    ] = "spend",
    only: Annotated[str | None, typer.Option(help="Only this user, country or class of number.")] = None,
    id: Id = None,
    at: At = None,
    store: StoreOption = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = "",
    gateway: GatewayOption = None,
    json: Json = False,
) -> None:
    """Limit what may be spent; the brake of this name is replaced, `--mode off` takes it away and needs no limit.

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
    if bootstrap is None or store is not None:
        _remark_user(order, store or DEFAULT_STORE)


def _remark_user(order: _Brake, store: Path) -> None:
    """A user of a limit who is not known may come yet, or be a slip: say so."""
    if order.only is None or order.scope != "user" or order.mode == "off":
        return
    with closing(open_reader(store)) as reader:
        remark = remark_unknown(reader, order.tenant, order.only)
    if remark is not None:
        print(visible(f"rater: {remark}"), file=sys.stderr)


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
