"""The table of money that is no call's: what came in, what people moved, what the bank took back, what expired.

Each line is an event; its amount has the sign with which it moved the balance, so that with the calls of
`rater export debits` the sum of all is the balance (A45, A46).
"""

from collections.abc import Generator
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple

import msgspec

from rater.core import DECIMALS_MAX, AccountEvent, EventKind, LotKind
from rater.engine.books import Books

_events = msgspec.json.Decoder(AccountEvent)
#: What an event is called here, and with which sign it moved the balance.
_KINDS = {
    EventKind.FUNDS_ADDED: ("purchase", 1),
    EventKind.RECHARGE_SUCCEEDED: ("recharge", 1),
    EventKind.FUNDS_ADJUSTED: ("adjustment", 1),
    EventKind.FUNDS_REFUNDED: ("refund", -1),
    EventKind.PAYMENT_REVERSED: ("charge_back", -1),
    EventKind.FUNDS_EXPIRED: ("expiry", -1),
    EventKind.FUNDS_PAID_OUT: ("pay_out", -1),
    EventKind.FUNDS_FORFEITED: ("forfeit", -1),
}
COLUMNS: tuple[tuple[str, Literal["text", "integer", "money", "time"]], ...] = (
    ("tenant", "text"),
    ("sequence", "integer"),
    ("at", "time"),
    ("kind", "text"),
    ("amount", "money"),
    ("currency", "text"),
    ("balance", "money"),
    ("lot", "text"),
    ("command_id", "text"),
    ("usage_id", "text"),
    ("reason", "text"),
    ("by", "text"),
)


class FundRow(NamedTuple):
    """A line of the table; `amount` has the sign with which it moved the balance."""

    tenant: str
    sequence: int
    at: datetime
    kind: str
    amount: Decimal
    currency: str | None
    balance: Decimal
    lot: str | None
    command_id: str | None
    usage_id: str | None
    reason: str | None
    by: str | None

    @property
    def micros(self) -> int:
        """The amount in micro-units."""
        return int(self.amount.scaleb(DECIMALS_MAX))


def fund_rows(
    books: Books, tenant: str | None, period: str | None
) -> Generator[tuple[str | int | Decimal | datetime | None, ...], None, None]:
    """Every movement of money that is no call's, in order; the period is the month in which it happened."""
    for _, value in books.topic("account-events", tenant):
        event = _events.decode(value)
        row = fund_row(event)
        if row is not None and period in (None, event.at.strftime("%Y-%m")):
            yield row


def moved_money(event: AccountEvent) -> bool:
    """Whether the event is of a kind that moves money which is no call's."""
    return event.event in _KINDS


def fund_row(event: AccountEvent) -> FundRow | None:
    """The line of an event, in the order of COLUMNS; None where it moved no money, or that of a call."""
    if not moved_money(event):
        return None
    kind, sign = _KINDS[event.event]
    return FundRow(
        event.tenant,
        event.sequence,
        event.at,
        "promotion" if kind == "purchase" and event.lot_kind is LotKind.PROMOTION else kind,
        sign * Decimal(event.amount or "0"),
        event.currency,
        Decimal(event.balance or "0"),
        event.lot or event.recharge_id,
        event.command_id,
        event.usage_id,
        event.reason,
        event.by,
    )
