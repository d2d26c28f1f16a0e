"""The kinds of orders: the fields of their forms, and the commands that each becomes.

What an amount may be is for the rules to say, which try the command before it is sent; here is only what they allow
machines and not people.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from rater.core import (
    MICROS_PER_UNIT,
    Account,
    AnyCommand,
    FundsAdded,
    FundsAdjusted,
    FundsRefunded,
    LicenseAssigned,
    LicenseRemoved,
    MoneyError,
    RechargeSettings,
    TenantConfigured,
    format_micros,
    parse_micros,
)
from rater.files.licenses import YEARS, Licenses, WrongRows
from rater.serve.web.amounts import plain_amount
from rater.serve.web.forms import FILE_ENCODING
from rater.serve.web.ordering.brake_kinds import BRAKE_KINDS
from rater.serve.web.ordering.shapes import Begun, Field, Kind, WrongField
from rater.wire.errors import RaterError

#: Rule 61: "a whole number greater than or equal to 50".
AMOUNT_MIN = 50
#: Rows of a file that the page assigns at once; `rater import licenses` takes any number.
ASSIGNMENTS_MAX = 500


def _funds(begun: Begun, typed: dict[str, str]) -> list[AnyCommand]:
    _check_whole("amount", typed["amount"])
    command = FundsAdded(
        tenant=begun.tenant,
        id=begun.id,
        at=begun.at,
        amount=typed["amount"],
        purchase_order=typed["purchase_order"] or None,
        agreement=typed["agreement"] or None,
        by=begun.person,
    )
    return [command]


def _adjustment(begun: Begun, typed: dict[str, str]) -> list[AnyCommand]:
    command = FundsAdjusted(
        tenant=begun.tenant,
        id=begun.id,
        at=begun.at,
        amount=typed["amount"].removeprefix("+"),
        reason=typed["reason"],
        by=begun.person,
        usage_id=begun.usage_id,
    )
    return [command]


def _refund(begun: Begun, typed: dict[str, str]) -> list[AnyCommand]:
    command = FundsRefunded(
        tenant=begun.tenant,
        id=begun.id,
        at=begun.at,
        lot=typed["lot"],
        amount=typed["amount"],
        reason=typed["reason"],
        by=begun.person,
    )
    return [command]


def _recharge(begun: Begun, typed: dict[str, str]) -> list[AnyCommand]:
    for name in ("trigger", "amount"):
        _check_whole(name, typed[name])
    settings = RechargeSettings(enabled=bool(typed["enabled"]), trigger=typed["trigger"], amount=typed["amount"])
    return [TenantConfigured(tenant=begun.tenant, id=begun.id, at=begun.at, recharge=settings)]


def _payment_method(begun: Begun, _: dict[str, str]) -> list[AnyCommand]:
    return [TenantConfigured(tenant=begun.tenant, id=begun.id, at=begun.at, payment_method="replaced")]


def _try_now(begun: Begun, _: dict[str, str]) -> list[AnyCommand]:
    """The settings stay as they are; that a person gives them again ends the wait after a failure (A8)."""
    return [TenantConfigured(tenant=begun.tenant, id=begun.id, at=begun.at, recharge=RechargeSettings())]


def _assigned(begun: Begun, typed: dict[str, str]) -> list[AnyCommand]:
    command = LicenseAssigned(
        tenant=begun.tenant,
        id=begun.id,
        at=begun.at,
        user=typed["user"],
        sku=typed["sku"],
        country=typed["country"].upper() or None,
        effective_from=_effective(typed),
    )
    return [command]


def _removed(begun: Begun, typed: dict[str, str]) -> list[AnyCommand]:
    command = LicenseRemoved(
        tenant=begun.tenant,
        id=begun.id,
        at=begun.at,
        user=typed["user"],
        sku=typed["sku"],
        effective_from=_effective(typed),
    )
    return [command]


def _effective(typed: dict[str, str]) -> datetime | None:
    """From when, in UTC, as browsers write what is chosen; None: from the time of the order."""
    if not typed["effective"]:
        return None
    try:
        instant = datetime.fromisoformat(typed["effective"])
    except ValueError as wrong:
        raise WrongField("effective", "order.instant") from wrong
    if instant.tzinfo is not None or instant.year not in YEARS:
        raise WrongField("effective", "order.instant")
    return instant.replace(tzinfo=UTC)


def _in_file(begun: Begun, typed: dict[str, str]) -> list[AnyCommand]:
    return [*_licenses(typed).commands(begun.tenant, begun.at)]


def rows_of(typed: dict[str, str]) -> list[int]:
    """The row of each command of an order that is a file; else nothing.  Raises WrongField as its commands do."""
    return [assignment.row for assignment in _licenses(typed).assignments] if "file" in typed else []


def _licenses(typed: dict[str, str]) -> Licenses:
    try:
        licenses = Licenses(Path("licences.csv"), typed["file"].encode(FILE_ENCODING))
    except WrongRows as wrong:
        raise WrongField("file", "order.wrong_rows", str(len(wrong.rows)), wrong.rows) from wrong
    except RaterError as wrong:
        raise WrongField("file", "order.in_file", str(wrong)) from wrong
    if not 0 < len(licenses.assignments) <= ASSIGNMENTS_MAX:
        raise WrongField("file", "order.rows", str(ASSIGNMENTS_MAX))
    return licenses


def _none(_begun: Begun, _typed: dict[str, str]) -> list[AnyCommand]:
    """What is done with a dead letter is no command."""
    return []


def _check_whole(field: str, text: str) -> None:
    try:
        micros = parse_micros(text)
    except MoneyError as wrong:
        raise WrongField(field, "order.in_file", str(wrong)) from wrong
    if micros % MICROS_PER_UNIT or micros < AMOUNT_MIN * MICROS_PER_UNIT:
        raise WrongField(field, "order.whole")


def _recharge_now(account: Account, _typed: Mapping[str, str]) -> dict[str, str]:
    terms = account.recharge
    enabled = "1" if terms.enabled else ""
    return {"enabled": enabled, "trigger": format_micros(terms.trigger), "amount": format_micros(terms.amount)}


_AMOUNT, _REASON = Field("amount", "amount"), Field("reason", "text")
_USER, _SKU = Field("user", "text"), Field("sku", "text")
_EFFECTIVE = Field("effective", "instant", False)
KINDS = {
    "add-funds": Kind(
        (_AMOUNT, Field("purchase_order", "text", False), Field("agreement", "text", False)), _funds, "credits"
    ),
    "adjust": Kind((_AMOUNT, _REASON), _adjustment, "credits"),
    "refund": Kind((Field("lot", "lot"), _AMOUNT, _REASON), _refund, "credits"),
    "recharge-settings": Kind(
        (Field("enabled", "tick", False), Field("trigger", "amount"), _AMOUNT),
        _recharge,
        "recharge",
        set_now=_recharge_now,
    ),
    "payment-method": Kind((), _payment_method, "recharge"),
    "try-now": Kind((), _try_now, "recharge"),
    "assign": Kind((_USER, _SKU, Field("country", "text", False), _EFFECTIVE), _assigned, "licences"),
    "remove": Kind((_USER, _SKU, _EFFECTIVE), _removed, "licences"),
    "assign-file": Kind((Field("file", "file"),), _in_file, "licences"),
    **BRAKE_KINDS,
    "replay": Kind((), _none, "refused", "replay"),
    "accept": Kind((), _none, "refused", "accept"),
    "drop": Kind((Field("note", "text"),), _none, "refused", "drop"),
}


def typed_in(kind: Kind, sent: dict[str, str], currency: str) -> dict[str, str]:
    """What was typed into each field, amounts as records have them; WrongField: a required one is empty."""
    typed = {field.name: sent.get(field.name, "") for field in kind.fields}
    typed |= {field.name: typed[field.name].strip() for field in kind.fields if field.shape != "file"}
    typed |= {name: plain_amount(typed[name], currency) for name, shape, *_ in kind.fields if shape == "amount"}
    for field in kind.fields:
        if field.required and not typed[field.name]:
            raise WrongField(field.name, "order.required")
    return typed
