"""Credit as simply as it can be said: every lot in one list until it expires, and the payer of every micro-unit owed.

What `rater.core.credit` does in pages must come to the same.
"""

from datetime import datetime

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

    def credit(self, lot: str, amount: int, at: datetime) -> None:
        """A purchase."""
        self.balance += amount
        self.lots = sorted([*self.lots, Lot(lot, amount, at, expiry_of(at))], key=lambda lot: lot.purchased_at)
        self._settle()

    def debit(self, amount: int) -> list[Share]:
        """A charge; who paid it."""
        self.balance -= amount
        shares = self._take(amount)
        amount -= sum(share.amount for share in shares)
        if amount:
            shares.append(Share("", amount, len(self.line)))
            self.debt += amount
            self.line += [NOBODY] * amount
        return shares

    def refund(self, shares: list[Share], refund_lot: str, at: datetime) -> list[Share]:
        """A charge is given back; to whom."""
        left = sum(share.amount for share in shares)
        self.balance += left
        went = []
        for share in reversed(self._payers(shares)):
            if share.lot == "":
                self.debt -= share.amount
            elif any(lot.lot == share.lot for lot in self.lots):
                self._change(share.lot, share.amount)
            else:
                continue
            left -= share.amount
            went.append(share)
        if left:
            if not self.lots:
                self.lots.append(Lot(refund_lot, 0, at, expiry_of(at)))
            newest = self.lots[-1].lot
            self._change(newest, left)
            went.append(Share(newest, left))
        self._settle()
        return went

    def expire(self, at: datetime) -> list[Share]:
        """What is forfeited at an instant."""
        over = [lot for lot in self.lots if lot.expires_at <= at]
        self.lots = [lot for lot in self.lots if lot.expires_at > at]
        self.balance -= sum(lot.remaining for lot in over)
        gone = {lot.lot for lot in over}
        self.line = [GONE if payer in gone else payer for payer in self.line]
        return [Share(lot.lot, lot.remaining) for lot in over if lot.remaining]

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
        for share in self._take(self.debt):
            self.debt -= share.amount
            unpaid = [place for place, payer in enumerate(self.line) if payer is NOBODY]
            for place in unpaid[: share.amount]:
                self.line[place] = share.lot

    def _take(self, amount: int) -> list[Share]:
        shares = []
        for lot in list(self.lots):
            given = min(lot.remaining, amount)
            if given:
                self._change(lot.lot, -given)
                amount -= given
                shares.append(Share(lot.lot, given))
        return shares

    def _change(self, name: str, by: int) -> None:
        self.lots = [
            Lot(lot.lot, lot.remaining + by, lot.purchased_at, lot.expires_at) if lot.lot == name else lot
            for lot in self.lots
        ]
