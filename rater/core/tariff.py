"""Tariffs: from a number and an instant to a rate, and from a rate and seconds to money.

Longest prefix wins; at the same prefix a premium or unsupported row wins.  Known premium prefixes
(rule 22) are consulted before the deck: an ordinary row never prices a premium number.
Rules 22, 42, 44 to 48, 72, A1, A18; the columns of a deck are in rater/dev/scenarios/FORMAT.md.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
from msgspec import UNSET

from rater.core.country_names import country_of_name
from rater.core.geography import PREMIUM_OVERLAY
from rater.core.inputs import RateDeck, RateRow
from rater.core.money import format_micros, half_up, parse_micros
from rater.core.numbers import digits_of, is_e164

_ALWAYS = datetime.min.replace(tzinfo=UTC)
_NEVER = datetime.max.replace(tzinfo=UTC)
#: Digits by which rows are grouped, so that a number tries only prefix lengths that exist near it.
_BUCKET_DIGITS = 3
#: Beginnings of numbers whose candidates a tariff keeps; then they are found anew.
HEADS_MAX = 65_536
SPECIAL = ("premium", "unsupported")


class Rate(msgspec.Struct, frozen=True):
    """A row of a deck, ready to price with.

    `price` and `fee` are micro-units; their texts are what outputs show.  `priced` is False for a
    premium number that only an ordinary row matches: its price is not known.
    """

    deck: str
    prefix: str
    destination: str
    country: str | None
    type: str
    price: int
    price_text: str
    fee: int
    first_s: int
    next_s: int
    increments: str
    valid_from: datetime
    valid_to: datetime
    priced: bool = True

    @property
    def special(self) -> bool:
        """Premium or unsupported: never bundled minutes (rule 22)."""
        return self.type in SPECIAL


def billed_seconds(seconds: int, first_s: int, next_s: int) -> int:
    """Seconds that increments of first_s/next_s bill: 0 for 0, else first_s and as many next_s as needed."""
    if seconds <= 0:
        return 0
    if seconds <= first_s:
        return first_s
    return first_s - (first_s - seconds) // next_s * next_s


def charge(rate: Rate, seconds: int) -> int:
    """Price of the seconds in micro-units, without connection fee: one rounding, half up (A18)."""
    return half_up(rate.price * billed_seconds(seconds, rate.first_s, rate.next_s), 60)


def affordable_seconds(rate: Rate, amount: int, seconds_max: int) -> int:
    """The most seconds, up to `seconds_max`, whose charge with connection fee is at most the amount; 0 for none."""
    left = amount - rate.fee
    if left < 0:
        return 0
    if not rate.price:
        return seconds_max
    # The greatest number of billed seconds that still rounds (half up) to at most what is left.
    billable = (60 * left + 29) // rate.price
    if billable < rate.first_s:
        return 0
    seconds = rate.first_s + (billable - rate.first_s) // rate.next_s * rate.next_s
    return min(seconds, seconds_max)


class Tariff:
    """One version of a deck, indexed for longest-prefix match."""

    def __init__(self, deck: RateDeck) -> None:
        self.version = deck.version
        self.currency = deck.currency
        self.outbound = _PrefixIndex([_rate(deck, row) for row in deck.rows if row.direction == "outbound"])
        self.toll_free = _PrefixIndex(
            [_rate(deck, row) for row in deck.rows if row.direction == "toll_free_inbound"]
        )

    def to(self, called: str, at: datetime, destination: str | None = None) -> Rate | None:
        """The rate for calling a number, or by the destination's name when too much of it is hidden (rule 72)."""
        digits = digits_of(called)
        found = self.outbound.longest(digits, at)
        if found is None and destination is not None and called[-1:] == "*":
            found = self.outbound.by_name(destination, at)
        if digits[:_BUCKET_DIGITS] not in _OVERLAY_BUCKETS:
            return found
        overlay = _overlay(digits)
        if overlay is None or (found is not None and (found.special or len(found.prefix) > len(overlay[0]))):
            return found
        prefix, kind = overlay
        return _unpriced(self.version, prefix, kind, found)

    def from_toll_free(self, calling: str | None, at: datetime) -> Rate | None:
        """The rate of a toll-free call by where it came from (rule 42); without a number, the `*` row."""
        found = self.toll_free.longest(digits_of(calling), at) if calling and is_e164(calling) else None
        return found or self.toll_free.exact("*", at)


class Tariffs(dict[str, Tariff]):
    """The decks that were published, by version."""

    @classmethod
    def of(cls, decks: Iterable[RateDeck]) -> "Tariffs":
        """These decks."""
        found = cls()
        for deck in decks:
            found.publish(deck)
        return found

    def publish(self, deck: RateDeck) -> None:
        """Add a version; a version is immutable, so publishing it again changes nothing."""
        if deck.version not in self:
            self[deck.version] = Tariff(deck)

    def without(self, versions: tuple[str, ...]) -> "Tariffs":
        """The same decks without some: as it was before those were published."""
        return (
            Tariffs({name: tariff for name, tariff in self.items() if name not in versions}) if versions else self
        )


class _PrefixIndex:
    """Rows by prefix, and the lengths that occur under each group of leading digits."""

    def __init__(self, rates: list[Rate]) -> None:
        latest_first = sorted(rates, key=_valid_from, reverse=True)
        rows: dict[str, list[Rate]] = defaultdict(list)
        for rate in latest_first:
            rows[rate.prefix].append(rate)
        self._rows = {prefix: tuple(sorted(found, key=_ordinary)) for prefix, found in rows.items()}
        lengths: dict[str, set[int]] = defaultdict(set)
        short: dict[str, set[int]] = defaultdict(set)
        for prefix in self._rows:
            if len(prefix) >= _BUCKET_DIGITS:
                lengths[prefix[:_BUCKET_DIGITS]].add(len(prefix))
            else:
                short[prefix].add(len(prefix))
        self._short = sorted({len(prefix) for prefix in short}, reverse=True)
        self._lengths = {
            bucket: tuple(sorted(found, reverse=True)) + tuple(self._short) for bucket, found in lengths.items()
        }
        #: How many leading digits decide, under each group of them.
        self._reach = {bucket: found[0] for bucket, found in self._lengths.items()}
        self._short_reach = max(self._short, default=0)
        self._candidates: dict[str, tuple[Rate, ...]] = {}
        self._by_name: dict[str, list[Rate]] = defaultdict(list)
        for rate in sorted(latest_first, key=lambda rate: len(rate.prefix)):
            self._by_name[rate.destination.casefold()].append(rate)
            if rate.country and rate.type in ("landline", "mixed"):
                self._by_name[rate.country].append(rate)

    def longest(self, digits: str, at: datetime) -> Rate | None:
        """The row of the longest prefix of the digits that is valid at the instant; of several the latest.

        Numbers that begin alike, as far as any prefix near them goes, have the same candidates.
        """
        head = digits[: self._reach.get(digits[:_BUCKET_DIGITS], self._short_reach)]
        candidates = self._candidates.get(head)
        if candidates is None:
            candidates = self._remember(head, self._lengths.get(digits[:_BUCKET_DIGITS], self._short))
        for rate in candidates:
            if rate.valid_from <= at < rate.valid_to:
                return rate
        return None

    def _remember(self, head: str, lengths: Iterable[int]) -> tuple[Rate, ...]:
        if len(self._candidates) >= HEADS_MAX:
            self._candidates.clear()
        found = tuple(rate for length in lengths for rate in self._rows.get(head[:length], ()))
        self._candidates[head] = found
        return found

    def exact(self, prefix: str, at: datetime) -> Rate | None:
        """The row of exactly this prefix that is valid at the instant."""
        return next((r for r in self._rows.get(prefix, ()) if r.valid_from <= at < r.valid_to), None)

    def by_name(self, destination: str, at: datetime) -> Rate | None:
        """The most general row of a destination's name, or of the country that the name means."""
        named = self._by_name.get(destination.casefold()) or self._by_name.get(country_of_name(destination) or "")
        return next((r for r in named or () if r.valid_from <= at < r.valid_to), None)


def _valid_from(rate: Rate) -> datetime:
    return rate.valid_from


def _ordinary(rate: Rate) -> bool:
    return not rate.special


_OVERLAY = sorted(PREMIUM_OVERLAY)
_OVERLAY_PREFIXES = [prefix for prefix, _ in _OVERLAY]
_OVERLAY_BUCKETS = frozenset(prefix[:_BUCKET_DIGITS] for prefix in _OVERLAY_PREFIXES)


def _overlay(digits: str) -> tuple[str, str] | None:
    """The known premium prefix that the digits start with (rule 22)."""
    at = bisect_right(_OVERLAY_PREFIXES, digits) - 1
    if at >= 0 and digits.startswith(_OVERLAY_PREFIXES[at]):
        return _OVERLAY[at]
    return None


def _unpriced(deck: str, prefix: str, kind: str, ordinary: Rate | None) -> Rate:
    """A premium number that the deck does not price: the ordinary row only lends country and name."""
    country = ordinary.country if ordinary else None
    name = f"{ordinary.destination} ({kind})" if ordinary else kind
    return Rate(deck, prefix, name, country, kind, 0, "0", 0, 60, 60, "60/60", _ALWAYS, _NEVER, priced=False)


def _rate(deck: RateDeck, row: RateRow) -> Rate:
    return Rate(
        deck=deck.version,
        prefix=row.prefix,
        destination=row.destination,
        country=row.country,
        type=row.type,
        price=parse_micros(row.price_per_minute),
        price_text=format_micros(parse_micros(row.price_per_minute)),
        fee=0 if row.connection_fee is UNSET else parse_micros(row.connection_fee),
        first_s=row.increment_first_s,
        next_s=row.increment_next_s,
        increments=f"{row.increment_first_s}/{row.increment_next_s}",
        valid_from=row.valid_from or _ALWAYS,
        valid_to=row.valid_to or _NEVER,
    )
