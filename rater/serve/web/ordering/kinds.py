"""The kinds of orders: the fields of their forms, and the command that each becomes.

What an amount may be is for the rules to say, which try the command before it is sent; here is only what they allow
machines and not people.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Literal, NamedTuple

import msgspec

from rater.core import (
    MICROS_PER_UNIT,
    AnyCommand,
    FundsAdded,
    FundsAdjusted,
    FundsRefunded,
    MoneyError,
    RechargeSettings,
    TenantConfigured,
    parse_micros,
)

#: Rule 61: "a whole number greater than or equal to 50".
AMOUNT_MIN = 50


class WrongField(Exception):
    """What was typed cannot be meant: the field, and the text that says what is expected."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(field, text)
        self.field, self.text = field, text


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """An order from when its form is shown: its id and time do not change any more, so it is done once at most.

    `usage_id` is the call that it is about.
    """

    tenant: str
    kind: str
    id: str
    at: datetime
    person: str
    usage_id: str | None = None


class Field(NamedTuple):
    """A field of a form; `shape` is how it is typed."""

    name: str
    shape: Literal["amount", "text", "lot", "tick"]
    required: bool = True


class Kind(NamedTuple):
    """A kind of order: its fields, and the command that it becomes; `back` is the screen that it belongs to."""

    fields: tuple[Field, ...]
    command: Callable[[Begun, dict[str, str]], AnyCommand]
    back: str


def _funds(begun: Begun, typed: dict[str, str]) -> AnyCommand:
    _check_whole("amount", typed["amount"])
    return FundsAdded(
        tenant=begun.tenant,
        id=begun.id,
        at=begun.at,
        amount=typed["amount"],
        purchase_order=typed["purchase_order"] or None,
        agreement=typed["agreement"] or None,
    )


def _adjustment(begun: Begun, typed: dict[str, str]) -> AnyCommand:
    return FundsAdjusted(
        tenant=begun.tenant,
        id=begun.id,
        at=begun.at,
        amount=typed["amount"].removeprefix("+"),
        reason=typed["reason"],
        by=begun.person,
        usage_id=begun.usage_id,
    )


def _refund(begun: Begun, typed: dict[str, str]) -> AnyCommand:
    return FundsRefunded(
        tenant=begun.tenant,
        id=begun.id,
        at=begun.at,
        lot=typed["lot"],
        amount=typed["amount"],
        reason=typed["reason"],
        by=begun.person,
    )


def _recharge(begun: Begun, typed: dict[str, str]) -> AnyCommand:
    for name in ("trigger", "amount"):
        _check_whole(name, typed[name])
    settings = RechargeSettings(enabled=bool(typed["enabled"]), trigger=typed["trigger"], amount=typed["amount"])
    return TenantConfigured(tenant=begun.tenant, id=begun.id, at=begun.at, recharge=settings)


def _payment_method(begun: Begun, _: dict[str, str]) -> AnyCommand:
    return TenantConfigured(tenant=begun.tenant, id=begun.id, at=begun.at, payment_method="replaced")


def _check_whole(field: str, text: str) -> None:
    try:
        micros = parse_micros(text)
    except MoneyError as wrong:
        raise WrongField(field, "order.whole") from wrong
    if micros % MICROS_PER_UNIT or micros < AMOUNT_MIN * MICROS_PER_UNIT:
        raise WrongField(field, "order.whole")


_AMOUNT, _REASON = Field("amount", "amount"), Field("reason", "text")
KINDS = {
    "add-funds": Kind(
        (_AMOUNT, Field("purchase_order", "text", False), Field("agreement", "text", False)), _funds, "credits"
    ),
    "adjust": Kind((_AMOUNT, _REASON), _adjustment, "credits"),
    "refund": Kind((Field("lot", "lot"), _AMOUNT, _REASON), _refund, "credits"),
    "recharge-settings": Kind(
        (Field("enabled", "tick", False), Field("trigger", "amount"), _AMOUNT), _recharge, "recharge"
    ),
    "payment-method": Kind((), _payment_method, "recharge"),
}


def typed_in(kind: Kind, sent: dict[str, str]) -> dict[str, str]:
    """What was typed into each field; WrongField: a required one is empty."""
    typed = {field.name: sent.get(field.name, "").strip() for field in kind.fields}
    for field in kind.fields:
        if field.required and not typed[field.name]:
            raise WrongField(field.name, "order.required")
    return typed
