"""Seconds of talk: whole ones, made of exact fractions by the rule that the mapping names.  No float."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta

from rater.core import DURATION_S_MAX
from rater.files.mappings.fields import Compiler, Fields
from rater.files.mappings.model import Duration
from rater.files.mappings.results import Unmapped

ReadDuration = Callable[[Fields, datetime, datetime | None], int]

_NUMBER = re.compile(r"(-?)([0-9]{1,18})(?:\.([0-9]{1,12}))?", re.ASCII)
_CLOCK = re.compile(r"([0-9]{1,5}):([0-5][0-9]):([0-5][0-9])(?:\.([0-9]{1,12}))?", re.ASCII)
_SOME = re.compile("[1-9]")
#: Parts of a second in which all is counted.
_PARTS = 10**12
#: Parts in one unit.
_UNITS = {"s": _PARTS, "ms": _PARTS // 1_000, "us": _PARTS // 1_000_000, "min": 60 * _PARTS}


def duration_reader(compiler: Compiler, given: Duration) -> ReadDuration:
    """A function that reads whole seconds of a record that was answered."""
    rounding = given.round
    assert rounding is not None, "a mapping without it is not complete"
    if given.from_ is None:

        def difference(_: Fields, answered_at: datetime, ended_at: datetime | None) -> int:
            if ended_at is None:
                raise Unmapped("duration", "expected the end of the call, got none")
            us = (ended_at - answered_at) // timedelta(microseconds=1)
            return _checked(whole_seconds(us * (_PARTS // 1_000_000), rounding), str(ended_at - answered_at))

        return difference
    get, unit = compiler.text(given.from_), given.unit

    def read(fields: Fields, _: datetime, __: datetime | None) -> int:
        text = get(fields)
        return _checked(whole_seconds(parts_of(text, unit), rounding), text)

    return read


def talk_reader(compiler: Compiler, given: Duration) -> Callable[[Fields], str | None]:
    """A function that finds talk in a record without an answer: its duration as written where it is above 0 s.

    Of a text that is no duration in this unit, one with a digit above 0 counts: 00:03:35 does, NULL does not.
    """
    if given.from_ is None:
        return lambda _: None
    get, unit, rounding = compiler.text(given.from_), given.unit, str(given.round)

    def talk(fields: Fields) -> str | None:
        text = get(fields)
        try:
            return text if whole_seconds(parts_of(text, unit), rounding) > 0 else None
        except Unmapped:
            return text if _SOME.search(text) else None

    return talk


def parts_of(text: str, unit: str, field: str = "duration") -> int:
    """A length of time as written, in 10^-12 s.  Raises Unmapped."""
    if unit == "clock":
        clock = _CLOCK.fullmatch(text)
        if clock is None:
            raise Unmapped(field, f"expected hours, minutes and seconds such as 00:03:35, got {text!r:.80}")
        whole = (int(clock[1]) * 60 + int(clock[2])) * 60 + int(clock[3])
        return whole * _PARTS + int((clock[4] or "").ljust(12, "0"))
    number = _NUMBER.fullmatch(text)
    if number is None:
        raise Unmapped(field, f"expected a number of {unit} such as 215 or 215.48, got {text!r:.80}")
    parts = int(number[2]) * _UNITS[unit] + int((number[3] or "").ljust(12, "0")) * _UNITS[unit] // _PARTS
    return -parts if number[1] else parts


def whole_seconds(parts: int, rounding: str) -> int:
    """Whole seconds of 10^-12 s: `up`, `down`, or `half` (half a second is rounded up)."""
    match rounding:
        case "up":
            return -(-parts // _PARTS)
        case "down":
            return parts // _PARTS
        case _:
            return (2 * parts + _PARTS) // (2 * _PARTS)


def _checked(seconds: int, shown: str) -> int:
    if abs(seconds) > DURATION_S_MAX:
        raise Unmapped("duration", f"expected at most {DURATION_S_MAX} s (DURATION_S_MAX), got {shown!r:.80}")
    return seconds
