"""Lots with an expiry of their own: promotions, and adjustments with an expiry of their own (A45, A46).

They are in the account until they expire, also when nothing is left of them.  Promotions are used before all other
money, that which expires first before the others; adjustments in their place by date among the purchases.
"""

from bisect import insort
from collections.abc import Callable, Sequence
from datetime import datetime

from rater.core.entities import Account, Lot

_Place = tuple[datetime, int]


def place_of(lot: Lot) -> _Place:
    """What lots are ordered by: their date of purchase."""
    return lot.purchased_at, lot.number


def changed(lot: Lot, by: int) -> Lot:
    """The lot with more or less money."""
    return Lot(lot.lot, lot.remaining + by, lot.purchased_at, lot.expires_at, lot.number, lot.promotion)


def add(account: Account, lot: Lot) -> None:
    """Put a lot into its place."""
    account.wake_at = min(account.wake_at, lot.expires_at)
    if lot.promotion:
        account.promotions = _with(account.promotions, lot, _by_expiry)
    else:
        account.own_expiry = _with(account.own_expiry, lot, place_of)


def draw(account: Account, lots: Sequence[Lot], amount: int) -> list[tuple[Lot, int]]:
    """Money from some of these lots, as far as there is any: which gave how much."""
    taken: list[tuple[Lot, int]] = []
    for lot in lots:
        given = min(lot.remaining, amount)
        if given:
            change(account, lot.lot, -given)
            taken.append((lot, given))
            amount -= given
    return taken


def change(account: Account, name: str, by: int) -> bool:
    """Give money to one of these lots, or take it; False when there is none of this name."""
    for field in ("promotions", "own_expiry"):
        lots = getattr(account, field)
        for place, lot in enumerate(lots):
            if lot.lot == name:
                setattr(account, field, (*lots[:place], changed(lot, by), *lots[place + 1 :]))
                return True
    return False


def remove_expired(account: Account, at: datetime) -> list[Lot]:
    """Remove every one of these lots whose time is over."""
    both = (*account.promotions, *account.own_expiry)
    over = [lot for lot in both if lot.expires_at <= at]
    if over:
        account.promotions = tuple([lot for lot in account.promotions if lot.expires_at > at])
        account.own_expiry = tuple([lot for lot in account.own_expiry if lot.expires_at > at])
    return over


def in_order_of_use(account: Account, purchases: list[Lot]) -> list[Lot]:
    """Promotions with money, then purchases and adjustments with money by date."""
    promotions = [lot for lot in account.promotions if lot.remaining]
    others = [*purchases, *[lot for lot in account.own_expiry if lot.remaining]]
    return [*promotions, *sorted(others, key=place_of)]


def with_next_to_expire(lots: list[Lot], most: int) -> list[Lot]:
    """As many of the lots as are shown, among them the one that expires next: who watches the clock needs it."""
    shown = lots[:most]
    if len(lots) > most:
        soonest = min(lots, key=lambda lot: lot.expires_at)
        if soonest not in shown:
            shown[-1] = soonest
    return shown


def _with(lots: tuple[Lot, ...], lot: Lot, key: Callable[[Lot], _Place]) -> tuple[Lot, ...]:
    more = list(lots)
    insort(more, lot, key=key)
    return tuple(more)


def _by_expiry(lot: Lot) -> _Place:
    return lot.expires_at, lot.number
