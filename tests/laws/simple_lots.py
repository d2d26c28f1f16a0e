"""Credit as simply as it can be said: every lot in one list until it expires, and the payer of every micro-unit owed.

What `rater.core.credit` does in pages must come to the same.
"""

from datetime import UTC, datetime

import msgspec

from rater.core.entities import Lot, Share
from rater.core.instants import expiry_of

NOBODY, GONE = None, "gone"


class SimpleLots:
    """One tenant's money."""

    def __init__(self) -> None:
        self.lots: list[Lot] = []
        self.balance = 0
        self.debt = 0
        #: Of every micro-unit that was ever owed: who paid it.
        self.line: list[str | None] = []
        #: Lots that the bank took back, and all promotions, also those that have expired.
        self.reversed: set[str] = set()
        self.promotions: set[str] = set()
        self.clock = datetime.max.replace(tzinfo=UTC)

    def credit(
        self, lot: str, amount: int, at: datetime, expires: datetime | None = None, *, promotion: bool = False
    ) -> None:
        """A purchase, a promotion, or an adjustment that says when it expires."""
        self.balance += amount
        if promotion:
            self.promotions.add(lot)
        added = Lot(lot, amount, at, expires or expiry_of(at), promotion=promotion)
        self.lots = sorted([*self.lots, added], key=lambda lot: lot.purchased_at)
        self._settle()

    def debit_lot(self, name: str, amount: int) -> list[Share]:
        """Money out of one lot, and what it does not hold as a charge."""
        own = min(amount, sum(lot.remaining for lot in self.lots if lot.lot == name))
        self.balance -= own
        self._change(name, -own)
        shares = self.debit(amount - own) if amount > own else []
        return [Share(name, own), *shares] if own else shares

    def _newest(self) -> str | None:
        """The newest lot that may get money of others."""
        able = [lot for lot in self.lots if not lot.promotion and lot.lot not in self.reversed]
        last = [lot for lot in self.lots if not lot.promotion][-1:]
        able = [lot for lot in able if lot in last or lot.remaining or lot.expires_at > self.clock]
        return able[-1].lot if able else None

    def debit(self, amount: int) -> list[Share]:
        """A charge; who paid it."""
        self.balance -= amount
        shares = self._draw(amount)
        amount -= sum(share.amount for share in shares)
        if amount:
            shares.append(Share("", amount, len(self.line)))
            self.debt += amount
            self.line += [NOBODY] * amount
        return shares

    def refund(self, shares: list[Share], refund_lot: str, at: datetime) -> tuple[list[Share], list[Share]]:
        """A charge is given back; to whom, and what of it only to be forfeited."""
        over = []
        left = sum(share.amount for share in shares)
        self.balance += left
        went = []
        for share in reversed(self._payers(shares)):
            if share.lot == "":
                self.debt -= share.amount
            elif any(lot.lot == share.lot for lot in self.lots) and share.lot not in self.reversed:
                self._change(share.lot, share.amount)
            elif share.lot in self.promotions:
                over.append(share)
            else:
                continue
            left -= share.amount
            went.append(share)
        if left:
            newest = self._newest()
            if newest is None:
                newest = refund_lot
                added = Lot(refund_lot, 0, at, expiry_of(at))
                self.lots = sorted([*self.lots, added], key=lambda lot: lot.purchased_at)
            self._change(newest, left)
            went.append(Share(newest, left))
        self._settle()
        return went, over

    def expire(self, at: datetime) -> list[Share]:
        """What is forfeited at an instant."""
        over = [lot for lot in self.lots if lot.expires_at <= at]
        self.lots = [lot for lot in self.lots if lot.expires_at > at]
        self.balance -= sum(lot.remaining for lot in over)
        gone = {lot.lot for lot in over if not lot.promotion}
        self.line = [GONE if payer in gone else payer for payer in self.line]
        return [Share(lot.lot, lot.remaining) for lot in sorted(over, key=_by_expiry) if lot.remaining]

    def _payers(self, shares: list[Share]) -> list[Share]:
        payers: list[Share] = []
        for share in shares:
            if share.owed_from is None:
                payers.append(share)
                continue
            before: str | None = GONE
            for place in range(share.owed_from, share.owed_from + share.amount):
                payer, self.line[place] = self.line[place], GONE
                if payer != GONE and payer == before:
                    payers[-1] = Share(payer or "", payers[-1].amount + 1)
                elif payer != GONE:
                    payers.append(Share(payer or "", 1))
                before = payer
        return payers

    def _settle(self) -> None:
        for share in self._draw(self.debt):
            self.debt -= share.amount
            unpaid = [place for place, payer in enumerate(self.line) if payer is NOBODY]
            for place in unpaid[: share.amount]:
                self.line[place] = share.lot

    def _draw(self, amount: int) -> list[Share]:
        shares = []
        promotions = sorted([lot for lot in self.lots if lot.promotion], key=_by_expiry)
        for lot in [*promotions, *[lot for lot in self.lots if not lot.promotion]]:
            given = min(lot.remaining, amount)
            if given:
                self._change(lot.lot, -given)
                amount -= given
                shares.append(Share(lot.lot, given))
        return shares

    def _change(self, name: str, by: int) -> None:
        self.lots = [
            msgspec.structs.replace(lot, remaining=lot.remaining + by) if lot.lot == name else lot
            for lot in self.lots
        ]


def _by_expiry(lot: Lot) -> datetime:
    return lot.expires_at
