"""Orders about limits on spending (A50): set a brake, release one, and balances that people are notified of."""

from collections.abc import Mapping, Sequence
from typing import Any

from rater.core import (
    Account,
    AnyCommand,
    BrakeConfigured,
    BrakeReleased,
    TenantConfigured,
    alerts_of,
    brake_named,
    format_micros,
)
from rater.engine.brake_report import in_its_measure
from rater.serve.web.ordering.shapes import Begun, Field, Kind, WrongField

_BRAKE = Field("brake", "text")
#: Of the command; of calls at once the window means nothing, and the form offers the windows of time alone.
_FIELDS = (
    _BRAKE,
    Field("mode", "choice", choices=("shadow", "notify", "stop", "off")),
    Field("limit", "text", False),
    Field("scope", "choice", choices=("tenant", "user", "country", "class")),
    Field("only", "text", False),
    Field("measure", "choice", choices=("spend", "new_countries", "calls_at_once")),
    Field("window", "choice", choices=("day", "hour", "month")),
)


def _set(begun: Begun, typed: dict[str, str]) -> Sequence[AnyCommand]:
    """Of a limit that is taken away only the name is read."""
    if not typed["limit"] and typed["mode"] != "off":
        raise WrongField("limit", "order.required")
    fields: dict[str, Any] = {name: text for name, text in typed.items() if name != "only"}
    fields["limit"] = typed["limit"] or "0"
    return [BrakeConfigured(tenant=begun.tenant, id=begun.id, at=begun.at, only=typed["only"] or None, **fields)]


def _release(begun: Begun, typed: dict[str, str]) -> Sequence[AnyCommand]:
    command = BrakeReleased(
        tenant=begun.tenant,
        id=begun.id,
        at=begun.at,
        brake=typed["brake"],
        subject=typed["subject"] or None,
        country=typed["new_country"] or None,
        reason=typed["reason"] or None,
        by=begun.person,
    )
    return [command]


def _alerts(begun: Begun, typed: dict[str, str]) -> Sequence[AnyCommand]:
    amounts = tuple(typed["balance_alerts"].split())
    return [TenantConfigured(tenant=begun.tenant, id=begun.id, at=begun.at, balance_alerts=amounts)]


def _alerts_now(account: Account, _typed: Mapping[str, str]) -> dict[str, str]:
    return {"balance_alerts": " ".join(map(format_micros, alerts_of(account)))}


def _brake_now(account: Account, typed: Mapping[str, str]) -> dict[str, str]:
    """The setting of the brake that is to be replaced."""
    found = brake_named(account, typed.get("brake", ""))
    if found is None:
        return {}
    return {
        "mode": found.mode,
        "limit": in_its_measure(found, found.limit),
        "scope": found.scope,
        "only": found.only or "",
        "measure": found.measure,
        "window": found.window,
    }


BRAKE_KINDS = {
    "brake": Kind(_FIELDS, _set, "brakes", set_now=_brake_now),
    "release-brake": Kind(
        (
            _BRAKE,
            Field("subject", "text", False),
            Field("new_country", "text", False),
            Field("reason", "text", False),
        ),
        _release,
        "brakes",
    ),
    "balance-alerts": Kind((Field("balance_alerts", "text", False),), _alerts, "brakes", set_now=_alerts_now),
}
