"""A tenant's statement: what it had, what came in and went out by kind, and what is left, to the micro-unit.

It is added up from the outputs alone: credits are events, all else is debits.  The sum is compared with
the balance that the rater keeps.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from rater.core import (
    AccountEvent,
    Debit,
    DebitKind,
    EventKind,
    LotKind,
    credited_by,
    format_micros,
    parse_ledger,
)

#: The entries, in the order in which they are shown.
ENTRIES = (
    "purchases",
    "recharges",
    "promotions",
    "adjustments",
    "calls",
    "given back by corrections",
    "expired",
    "refunds",
    "charge-backs",
    "paid out at the closing",
    "forfeited at the closing",
)
_OF_DEBIT = {
    DebitKind.CALL: "calls",
    DebitKind.REVERSAL: "given back by corrections",
    DebitKind.EXPIRY: "expired",
    DebitKind.ADJUSTMENT: "adjustments",
    DebitKind.REFUND: "refunds",
    DebitKind.CHARGE_BACK: "charge-backs",
    DebitKind.PAY_OUT: "paid out at the closing",
    DebitKind.FORFEIT: "forfeited at the closing",
}
_OF_EVENT = {
    EventKind.FUNDS_ADDED: "purchases",
    EventKind.RECHARGE_SUCCEEDED: "recharges",
    EventKind.FUNDS_ADJUSTED: "adjustments",
}
_events = msgspec.json.Decoder(AccountEvent)
_debits = msgspec.json.Decoder(Debit)


class Entry(msgspec.Struct, frozen=True):
    """Movements of one kind: how many, and their sum in micro-units, with its sign."""

    name: str
    count: int
    amount: int


class Statement(msgspec.Struct, frozen=True):
    """Micro-units; `unexplained` is what the balance differs by from the opening and the entries: 0, or a bug.

    Where earlier records are not kept any more (`complete` is false) the opening is the balance less the entries.
    """

    opening: int
    entries: tuple[Entry, ...]
    closing: int
    unexplained: int
    complete: bool

    def rows(self) -> list[tuple[str, int | None, str, str]]:
        """The lines: entry, count, amount, and the balance after it."""
        balance = self.opening
        rows: list[tuple[str, int | None, str, str]] = [("opening", None, "", format_micros(balance))]
        for entry in self.entries:
            balance += entry.amount
            rows.append((entry.name, entry.count, format_micros(entry.amount), format_micros(balance)))
        return [*rows, ("closing", None, "", format_micros(self.closing))]


def statement(
    events: Iterable[bytes], debits: Iterable[bytes], balance: int, since: datetime | None = None
) -> Statement:
    """The statement of a tenant, from its events, its debits and its balance; what was before `since` opens it."""
    moved, complete = _moved(events, debits)
    counts = dict.fromkeys(ENTRIES, 0)
    sums = dict.fromkeys(ENTRIES, 0)
    opening = 0
    for name, at, amount in moved:
        if since is not None and at < since:
            opening += amount
        else:
            counts[name] += 1
            sums[name] += amount
    if not complete:
        opening = balance - sum(sums.values())
    entries = tuple([Entry(name, counts[name], sums[name]) for name in ENTRIES if counts[name]])
    closing = opening + sum(sums.values())
    return Statement(opening, entries, closing, balance - closing, complete)


def _moved(events: Iterable[bytes], debits: Iterable[bytes]) -> tuple[Sequence[tuple[str, datetime, int]], bool]:
    """Every movement as (entry, when, micro-units), and whether the first record of each topic is still there."""
    moved, first_kept = [], True
    for number, value in enumerate(events):
        event = _events.decode(value)
        first_kept &= bool(number) or event.sequence == 1
        amount = credited_by(event)
        if amount:
            promotion = event.lot_kind is LotKind.PROMOTION
            moved.append(("promotions" if promotion else _OF_EVENT[event.event], event.at, amount))
    for number, value in enumerate(debits):
        debit = _debits.decode(value)
        first_kept &= bool(number) or debit.sequence == 1
        moved.append((_OF_DEBIT[debit.kind], debit.at, -parse_ledger(debit.amount)))
    return moved, first_kept
