"""Calls by a part of a number: the records alone have it, so those that the rest of a filter leaves are read."""

from collections.abc import Callable

import msgspec

from rater.embedded.lookup.asked import NUMBERS_READ_MAX, PAGE_MAX, CallPlace
from rater.embedded.lookup.finding import Found, Range
from rater.embedded.store import Reader


class _Numbers(msgspec.Struct, gc=False):
    called: str | None = None
    calling: str | None = None


_numbers = msgspec.json.Decoder(_Numbers).decode


def find_number(reader: Reader, digits: str, within: Range, find: Callable[[Range], Found]) -> Found:
    """What `find` finds within a range, if the called or the calling number contains the digits.

    It reads NUMBERS_READ_MAX records at most.
    """
    found: list[tuple[CallPlace, bool]] = []
    before = within.before
    for _ in range(NUMBERS_READ_MAX // PAGE_MAX):
        part = find(within._replace(before=before, limit=PAGE_MAX))
        having = _with_digits(reader, [place.offset for place, _ in part.places], digits)
        found += [(place, stands) for place, stands in part.places if place.offset in having]
        if len(found) > within.limit:
            return Found(found[: within.limit], found[within.limit - 1][0])
        before = part.next
        if before is None:
            break
    return Found(found, before)


def _with_digits(reader: Reader, offsets: list[int], digits: str) -> set[int]:
    """The offsets of the records whose numbers contain the digits; SQLite finds those that have them anywhere."""
    marks = ",".join("?" * len(offsets))
    rows = reader.connection.execute(
        f'SELECT offset, value FROM "rated-calls" WHERE offset IN ({marks}) AND instr(value, ?)',  # noqa: S608 - marks
        (*offsets, digits.encode()),
    )
    return {offset for offset, value in rows if _has_digits(_numbers(value), digits)}


def _has_digits(numbers: _Numbers, digits: str) -> bool:
    return any(digits in number for number in (numbers.called, numbers.calling) if number is not None)
