"""What is wrong with a deck: unreachable rows, gaps and overlaps in time, jumps, premium numbers sold cheap.

Corrects nothing: it says what, where and what to do.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Literal

import msgspec

from rater.core import (
    PREMIUM_OVERLAY,
    SPECIAL,
    RateDeck,
    RateRow,
    counted_country,
    countries_of_prefix,
    parse_micros,
    prefix_region,
)

#: A longer prefix this many times dearer or cheaper than the one around it is worth a look.
PARENT_JUMP = 10
#: A new period's price this many times the old one is worth a look.
PERIOD_JUMP = 2
_ALWAYS = datetime.min.replace(tzinfo=UTC)
_NEVER = datetime.max.replace(tzinfo=UTC)
#: Calling codes whose root is often missing where longer prefixes are there.
_ROOTS = ("1", "7", "33")


class Finding(msgspec.Struct, frozen=True):
    """One thing to look at; `row` is the file's row (the header is row 1), 0 for what is not there.

    `prefix` is the prefix that it is about; several are separated by spaces.
    """

    severity: Literal["error", "warning"]
    row: int
    prefix: str
    kind: str
    message: str


class _Row(msgspec.Struct, frozen=True):
    number: int
    row: RateRow

    @property
    def start(self) -> datetime:
        return self.row.valid_from or _ALWAYS

    @property
    def end(self) -> datetime:
        return self.row.valid_to or _NEVER


def lint(deck: RateDeck, numbers: Iterable[int] | None = None) -> list[Finding]:
    """Every finding, by row; `numbers` are the file's rows, where one may have made several of the deck's."""
    rows: dict[tuple[str, str], list[_Row]] = defaultdict(list)
    for number, row in zip(numbers or count(2), deck.rows, strict=False):
        rows[(row.direction, row.prefix)].append(_Row(number, row))
    found = [finding for same in rows.values() for finding in _in_time(same)]
    found.extend(_jumps(rows))
    found.extend(_premium(rows))
    found.extend(_missing_roots(rows))
    found.extend(_other_countries(rows))
    return sorted(found, key=lambda finding: (finding.row, finding.kind))


def _in_time(same: list[_Row]) -> Iterator[Finding]:
    """Rows of one prefix: unreachable, overlapping, with a gap, or with a price that jumps."""
    ordered = sorted(same, key=lambda row: (row.start, row.end))
    for before, after in itertools.pairwise(ordered):
        prefix = after.row.prefix
        if after.start < before.end:
            kind = "unreachable" if (after.start, after.end) == (before.start, before.end) else "overlap"
            message = f"in force together with row {before.number}; end that row before this one starts"
            yield Finding("error", after.number, prefix, kind, message)
        elif after.start > before.end:
            message = f"no rate from {before.end.isoformat()} until {after.start.isoformat()}; calls would be free"
            yield Finding("error", after.number, prefix, "gap", message)
        old, new = _price(before), _price(after)
        if old and new and (new > PERIOD_JUMP * old or old > PERIOD_JUMP * new):
            message = f"{before.row.price_per_minute} becomes {after.row.price_per_minute}; check the new price"
            yield Finding("warning", after.number, prefix, "price-jump", message)


def _jumps(rows: dict[tuple[str, str], list[_Row]]) -> Iterator[Finding]:
    for (direction, prefix), same in rows.items():
        parent = next(
            (
                rows[(direction, prefix[:n])]
                for n in range(len(prefix) - 1, 0, -1)
                if (direction, prefix[:n]) in rows
            ),
            None,
        )
        if parent is None or same[0].row.type in SPECIAL or same[0].row.type != parent[0].row.type:
            continue
        inner, outer = _price(same[0]), _price(parent[0])
        if inner and outer and (inner > PARENT_JUMP * outer or outer > PARENT_JUMP * inner):
            message = (
                f"{same[0].row.price_per_minute}, while {parent[0].row.prefix} around it (row {parent[0].number})"
                f" costs {parent[0].row.price_per_minute}; check the decimal point"
            )
            yield Finding("warning", same[0].number, prefix, "price-jump", message)


def _premium(rows: dict[tuple[str, str], list[_Row]]) -> Iterator[Finding]:
    """Known special prefixes that only an ordinary row matches: such calls are rated free and flagged (rule 22).

    One finding for all prefixes that one row matches.
    """
    matched: dict[int, tuple[_Row, list[str]]] = {}
    for prefix, _ in PREMIUM_OVERLAY:
        around = [rows.get(("outbound", prefix[:n])) for n in range(len(prefix), 0, -1)]
        best = next((same[0] for same in around if same), None)
        if best is not None and best.row.type not in SPECIAL:
            matched.setdefault(best.number, (best, []))[1].append(prefix)
    for number, (best, prefixes) in matched.items():
        message = (
            f"special rate, and only row {number} ({best.row.destination}, {best.row.price_per_minute}) matches:"
            " not charged; to charge them add rows of type premium"
        )
        yield Finding("error", number, " ".join(prefixes), "premium-at-ordinary-rate", message)


def _missing_roots(rows: dict[tuple[str, str], list[_Row]]) -> Iterator[Finding]:
    outbound = {prefix for direction, prefix in rows if direction == "outbound"}
    for root in _ROOTS:
        if root not in outbound and any(prefix.startswith(root) for prefix in outbound):
            message = f"no row for {root} itself; numbers that no longer row matches are not charged"
            yield Finding("warning", 0, root, "no-root", message)


def _other_countries(rows: dict[tuple[str, str], list[_Row]]) -> Iterator[Finding]:
    """Rows whose country is not the numbering plan's: under shared calling codes rules go by the plan (A49)."""
    for (direction, prefix), same in rows.items():
        region = prefix_region(prefix) if direction == "outbound" else None
        if region is None:
            yield from _other_calling_codes(prefix, same if direction == "outbound" else [])
            continue
        for row in same:
            country = row.row.country
            if country is not None and counted_country(country) != counted_country(region):
                message = (
                    f"{country}, but numbers of this prefix are in {region} by the numbering plan; calls are priced"
                    f" by this row and count as calls to {region}; correct the country or the prefix"
                )
                yield Finding("warning", row.number, prefix, "other-country", message)


def _other_calling_codes(prefix: str, same: list[_Row]) -> Iterator[Finding]:
    """Rows whose country has another calling code: rules go by the row's country there."""
    possible = frozenset(map(counted_country, countries_of_prefix(prefix)))
    for row in same:
        country = row.row.country
        if possible and country is not None and counted_country(country) not in possible:
            message = (
                f"{country}, but this calling code is that of {', '.join(sorted(filter(None, possible)))};"
                " correct the country or the prefix: calls are rated as calls to the row's country"
            )
            yield Finding("warning", row.number, prefix, "other-country", message)


def _price(row: _Row) -> int:
    return parse_micros(row.row.price_per_minute)
