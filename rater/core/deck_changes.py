"""What a new price list changes against the one in force, and whether that is more than a deployment lets pass.

Rows are compared by direction and prefix, at every instant from which one of the two lists has another row: from
`at` on, or where a row has expired before, at the last time at which it counted.  A call of one minute with its
connection fee is what is compared, so that a new increment or fee is a new price.  A row that is gone, or new,
is compared with the longest row around it, which prices such numbers in the other list.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import IntEnum

import msgspec
from msgspec import UNSET

from rater.core.inputs import RateDeck, RateRow
from rater.core.money import parse_micros
from rater.core.tariff import SPECIAL, billed_seconds

_ALWAYS = datetime.min.replace(tzinfo=UTC)
_NEVER = datetime.max.replace(tzinfo=UTC)
_MINUTE_S = 60


class DeckLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a new list may change without a person who accepts it; each has a reason.

    A list of a carrier loses a few per cent of its rows when ranges are merged; more is a file that was cut off.
    Prices move by some tens of per cent; five times is a decimal point or a currency.  A country, and a premium
    number, that is not priced any more is called for free.
    """

    rows_gone_percent_max: int = 5
    countries_gone_max: int = 0
    price_factor_max: int = 5
    #: How many prices may move by more than the factor.
    prices_beyond_factor_max: int = 0
    premium_gone_max: int = 0


class Change(IntEnum):
    """How a row changed; in the order in which people should look."""

    COUNTRY_GONE = 0
    PREMIUM_GONE = 1
    JUMP = 2
    GONE = 3
    PRICE = 4
    NEW = 5


class DeckChange(msgspec.Struct, frozen=True):
    """One change.  `before` and `after` are the rows that price the prefix, None for none.

    `gone` says that the list has no row of this prefix any more, whatever prices its numbers now; `since` is the
    first instant at which it is so, None if that is when the list is put in force.
    """

    change: Change
    direction: str
    prefix: str
    before: RateRow | None
    after: RateRow | None
    gone: bool = False
    since: datetime | None = None

    @property
    def row(self) -> RateRow:
        """The row whose destination and country say what this is about."""
        row = self.before if self.gone or self.after is None else self.after
        assert row is not None
        return row

    @property
    def tenths(self) -> int | None:
        """Tenths by which the dearer one is dearer, rounded down; None where one of the two costs nothing."""
        low, high = sorted((cost(self.before), cost(self.after)))
        return 10 * high // low if low else None


class DeckChanges(msgspec.Struct, frozen=True):
    """All changes, the worst first, and how many rows the lists have (a prefix counts once)."""

    rows_before: int
    rows_after: int
    changes: tuple[DeckChange, ...]
    gone: int = 0
    new: int = 0
    dearer: int = 0
    cheaper: int = 0

    def count(self, change: Change) -> int:
        """How many changes are of a kind."""
        return sum([one.change is change for one in self.changes])


def compare_decks(before: RateDeck, after: RateDeck, at: datetime, limits: DeckLimits) -> DeckChanges:
    """What changes when `after` is put in force in place of `before`; pure."""
    old, new = _Rows(before), _Rows(after)
    worst: list[DeckChange] = []
    gone = 0
    for key in sorted(old.rows.keys() | new.rows.keys()):
        if found := _changes(old, new, key, at, limits):
            worst.append(min(found, key=_worst_first))
            gone += any(change.gone for change in found)
    stayed = [one for one in worst if (one.direction, one.prefix) in old.rows and not one.gone]
    return DeckChanges(
        len(old.rows),
        len(new.rows),
        tuple(sorted([*worst, *_countries_gone(old, new, at)], key=_worst_first)),
        gone=gone,
        new=len(new.rows.keys() - old.rows.keys()),
        dearer=sum([cost(one.after) > cost(one.before) for one in stayed]),
        cheaper=sum([cost(one.after) < cost(one.before) for one in stayed]),
    )


def too_much(changes: DeckChanges, limits: DeckLimits) -> list[tuple[str, int, int]]:
    """Each limit that the changes go beyond: its name, what was found, and what it allows."""
    found = {
        "rows_gone_percent_max": -(-100 * changes.gone // changes.rows_before),
        "countries_gone_max": changes.count(Change.COUNTRY_GONE),
        "prices_beyond_factor_max": changes.count(Change.JUMP),
        "premium_gone_max": changes.count(Change.PREMIUM_GONE),
    }
    return [(name, count, limit) for name, count in found.items() if count > (limit := getattr(limits, name))]


def cost(row: RateRow | None) -> int:
    """What a call of one minute costs with its fee, in sixtieths of a micro-unit, so that nothing is rounded."""
    if row is None:
        return 0
    fee = 0 if row.connection_fee is UNSET else parse_micros(row.connection_fee)
    seconds = billed_seconds(_MINUTE_S, row.increment_first_s, row.increment_next_s)
    return parse_micros(row.price_per_minute) * seconds + fee * _MINUTE_S


_Key = tuple[str, str]


class _Rows:
    """A list by direction and prefix."""

    def __init__(self, deck: RateDeck) -> None:
        self.rows: dict[_Key, list[RateRow]] = defaultdict(list)
        for row in sorted(deck.rows, key=_start, reverse=True):
            self.rows[(row.direction, row.prefix)].append(row)

    def at(self, key: _Key, instant: datetime) -> RateRow | None:
        """The row of exactly this prefix; of several in force a special one, else the latest, as for calls."""
        live = [row for row in self.rows.get(key, ()) if _start(row) <= instant < _end(row)]
        return next((row for row in live if row.type in SPECIAL), live[0] if live else None)

    def pricing(self, key: _Key, instant: datetime) -> RateRow | None:
        """The row that prices numbers of this prefix: its own, else the longest around it."""
        direction, prefix = key
        around = (self.at((direction, prefix[:length]), instant) for length in range(len(prefix), 0, -1))
        found = next((row for row in around if row is not None), None)
        return found or (self.at((direction, "*"), instant) if direction == "toll_free_inbound" else None)

    def instants(self, key: _Key, at: datetime) -> Iterator[datetime]:
        """When this prefix gets another row, from `at` on; of one that has expired, when its last row began."""
        periods = self.rows.get(key, ())
        yield from (instant for row in periods for instant in (_start(row), _end(row)) if at < instant < _NEVER)
        if periods and all(_end(row) <= at for row in periods):
            yield max(_start(row) for row in periods)
        else:
            yield at


def _changes(old: _Rows, new: _Rows, key: _Key, at: datetime, limits: DeckLimits) -> list[DeckChange]:
    """The changes of a prefix over time; nothing where its numbers cost what they did and its row is there."""
    instants = sorted({*old.instants(key, at), *new.instants(key, at)})
    return [change for instant in instants if (change := _change(old, new, key, instant, at, limits))]


def _change(
    old: _Rows, new: _Rows, key: _Key, instant: datetime, at: datetime, limits: DeckLimits
) -> DeckChange | None:
    own_before, own_after = old.at(key, instant), new.at(key, instant)
    if own_before is None and own_after is None:
        return None
    before = own_before or old.pricing(key, instant)
    after = own_after or new.pricing(key, instant)
    gone = own_after is None
    kind = _kind(before, after, gone=gone, new=own_before is None, limits=limits)
    if kind is None:
        return None
    return DeckChange(kind, *key, before, after, gone, instant if instant != at else None)


def _kind(
    before: RateRow | None, after: RateRow | None, *, gone: bool, new: bool, limits: DeckLimits
) -> Change | None:
    if before is not None and before.type in SPECIAL and (after is None or after.type not in SPECIAL):
        return Change.PREMIUM_GONE
    # A special row in the place of an ordinary one around it is what a list gains.
    gained = new and after is not None and after.type in SPECIAL
    if before is not None and after is not None and not gained and _jumps(before, after, limits.price_factor_max):
        return Change.JUMP
    if gone:
        return Change.GONE
    if new:
        return Change.NEW
    return Change.PRICE if cost(before) != cost(after) else None


def _jumps(before: RateRow, after: RateRow, factor: int) -> bool:
    """Whether a price moved by more than the factor; from nothing, or to nothing, is more than any."""
    low, high = sorted((cost(before), cost(after)))
    return high > factor * low


def _countries_gone(old: _Rows, new: _Rows, at: datetime) -> Iterator[DeckChange]:
    """Countries that are priced, now or later, and by the new list no more; by direction.

    Of lists that have expired all rows count: calls of that time may still come.
    """
    ever: dict[tuple[str, str | None], bool] = {}
    for found in new.rows.values():
        for row in found:
            place = _country_of(row)
            ever[place] = ever.get(place, False) or _end(row) > at
    shown: set[tuple[str, str | None]] = set()
    for key, rows in sorted(old.rows.items(), key=_general_first):
        row = old.at(key, at) or rows[0]
        place = _country_of(row)
        priced = ever.get(place, False) or (place in ever and _end(row) <= at)
        if row.country and row.type not in SPECIAL and not priced and place not in shown:
            shown.add(place)
            yield DeckChange(Change.COUNTRY_GONE, *key, row, None, gone=True)


def _country_of(row: RateRow) -> tuple[str, str | None]:
    return row.direction, row.country


def _general_first(item: tuple[_Key, list[RateRow]]) -> tuple[int, _Key]:
    return len(item[0][1]), item[0]


def _worst_first(change: DeckChange) -> tuple[int, int, str, str]:
    """Sort key: the kind, then from how far the price moved (from or to nothing first), then the prefix."""
    tenths = change.tenths
    return change.change, -tenths if tenths is not None else -(10**18), change.direction, change.prefix


def _start(row: RateRow) -> datetime:
    return row.valid_from or _ALWAYS


def _end(row: RateRow) -> datetime:
    return row.valid_to or _NEVER
