"""Patterns of times: those of strptime, except that `%Z` reads the abbreviation of a zone in letters.

strptime's own `%Z` knows UTC, GMT and the two names of the machine's zone, and what a record means must not depend
on the machine that reads it.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from rater.files.zones import says_all
from rater.wire.errors import RaterError

#: Longer than the longest time of any format.
_TEXT_LENGTH_MAX = 80
#: A pattern must say all of these.
_SAMPLE = datetime(2021, 11, 23, 17, 48, 59, tzinfo=UTC)
#: CET, or +07 where a zone has no letters.
_ABBREVIATION = r"([A-Za-z]{1,6}|[+-][0-9]{2,4})"
#: What a directive of strptime may match, as narrow as it is, so that few divisions of a text are tried.
_EXPRESSIONS = {
    "%Z": _ABBREVIATION,
    "%%": "%",
    "%Y": "[0-9]{4}",
    "%f": "[0-9]{1,6}",
    "%j": "[0-9]{1,3}",
    "%z": r"(?:Z|[+-][0-9:.]{4,15})",
    **dict.fromkeys(("%d", "%m", "%y", "%H", "%I", "%M", "%S", "%U", "%W"), " ?[0-9]{1,2}"),
    **dict.fromkeys(("%a", "%A", "%b", "%B", "%p"), r"[^\W\d_]{1,12}\.?"),
}
_OTHER = ".{1,24}?"
_PART = re.compile(r"%.|\s+|[^%\s]+", re.DOTALL)


class Written(NamedTuple):
    """A time as it is written, and the zone's abbreviation beside it."""

    time: datetime
    abbreviation: str | None = None


def pattern_reader(field: str, pattern: str, instead: str) -> Callable[[str], Written]:
    """A function that reads times, and raises ValueError.  RaterError: the pattern leaves out a part of a time."""
    parts = _PART.findall(pattern)
    if parts.count("%Z") > 1 or not says_all("".join(part for part in parts if part != "%Z"), _SAMPLE):
        raise RaterError(
            f"{field}: as: expected {instead}, or a pattern with day, month, year, hour, minute and second such as"
            f" '%d.%m.%Y %H:%M:%S', got {pattern!r}"
        )
    if "%Z" in parts:
        return _with_abbreviation(parts)

    def read(text: str) -> Written:
        _check_length(text)
        return Written(datetime.strptime(text, pattern))

    return read


def _with_abbreviation(parts: list[str]) -> Callable[[str], Written]:
    """The abbreviation is found between its neighbours and cut out; strptime reads the rest."""
    place = re.compile("".join(map(_expression, parts)), re.IGNORECASE | re.DOTALL)
    rest = "".join(part for part in parts if part != "%Z")

    def read(text: str) -> Written:
        _check_length(text)
        found = place.fullmatch(text)
        if found is None:
            raise ValueError("without a zone such as CET where the pattern has %Z")
        without = text[: found.start(1)] + text[found.end(1) :]
        return Written(datetime.strptime(without, rest), found[1])

    return read


def _expression(part: str) -> str:
    if part.startswith("%"):
        return _EXPRESSIONS.get(part, _OTHER)
    return r"\s+" if part.isspace() else re.escape(part)


def _check_length(text: str) -> None:
    if len(text) > _TEXT_LENGTH_MAX:
        raise ValueError(f"longer than {_TEXT_LENGTH_MAX} characters")
