"""The numbering plan: which country a number under a shared calling code is in, and which numbers call for help.

A36, A38, A49; the table is numbering_plan, generated from the metadata of phonenumbers.
"""

import re
from functools import lru_cache

from rater.core.geography import counted_country
from rater.core.numbering_plan import CALLING_CODES, EMERGENCY, REGIONS

#: Emergency numbers everywhere (A38).
EVERYWHERE = ("112", "911")
#: For callers of whom not even the tenant is known.
EVERY_COUNTRY = tuple(EMERGENCY)
#: The test number of North America (A14).
_TEST_NUMBER = dict.fromkeys(("US", "CA", "PR"), ("933",))
#: One pattern for each shared calling code: the name of the group that matches is the region.
_REGIONS = {
    code: re.compile("|".join(f"(?P<{region}>{pattern})" for region, pattern in regions), re.ASCII).match
    for code, regions in REGIONS.items()
}
#: Calling code -> the countries that have it.
_COUNTRIES = {
    code: frozenset(country for country, own in CALLING_CODES.items() if own == code)
    for code in set(CALLING_CODES.values())
}
#: Shared calling codes by the first digit of the number; none has a longer one of the same beginning.
_CODES = {digit: tuple(code for code in REGIONS if code[0] == digit) for digit in "123456789"}


@lru_cache(maxsize=65_536)
def region_of(number: str) -> str | None:
    """The plan's region of an E.164 number under a shared calling code; None where the plan knows none (A49)."""
    for code in _CODES.get(number[1:2], ()):
        if number.startswith(code, 1):
            digits = number[1 + len(code) :]
            found = _REGIONS[code](digits) if digits.isascii() and digits.isdigit() else None
            return found.lastgroup if found else None
    return None


def country_of(number: str | None, row_country: str | None) -> str | None:
    """The country that rules go by: the plan's under shared calling codes, else that of the deck's row (A49)."""
    return counted_country((number and region_of(number)) or row_country)


def prefix_region(prefix: str) -> str | None:
    """The region that the plan knows for all numbers of a deck's prefix; None where more digits decide."""
    found = {region_of(f"+{prefix}{rest}") for rest in _rests(prefix)} - {None}
    return found.pop() if len(found) == 1 else None


@lru_cache(maxsize=4096)
def countries_of_prefix(prefix: str) -> frozenset[str]:
    """The countries that numbers of a deck's prefix may be in, by their calling code; none if the plan has none."""
    if (region := prefix_region(prefix)) is not None:
        return frozenset({region})
    for length in range(3, 0, -1):
        if found := _COUNTRIES.get(prefix[:length]):
            return found
    return frozenset()


def _rests(prefix: str) -> list[str]:
    """Digits that make numbers of usual lengths of a prefix: enough to see which regions it reaches."""
    digits = "0123456789"
    starts = [first + second for first in digits for second in digits]
    return [start + "2345678901"[: length - len(prefix) - 2] for start in starts for length in range(9, 14)]


@lru_cache(maxsize=4096)
def _spellings(countries: tuple[str, ...], added: tuple[str, ...]) -> frozenset[str]:
    """The emergency numbers of some countries as they are dialled: also with plus sign, and with calling code."""
    found = {spelling for number in EVERYWHERE for spelling in (number, f"+{number}")}
    for country in countries:
        own = {entry.partition(":")[2] for entry in added if entry.startswith(f"{country}:")}
        code = CALLING_CODES.get(country)
        for number in (*EVERYWHERE, *EMERGENCY.get(country, "").split(), *_TEST_NUMBER.get(country, ()), *own):
            found |= {number, f"+{number}"} | ({f"+{code}{number}"} if code else set())
    return frozenset(found)


@lru_cache(maxsize=16)
def every_country(added: tuple[str, ...]) -> tuple[str, ...]:
    """All countries with emergency numbers of their own, of the plan or added."""
    return tuple(dict.fromkeys([*EVERY_COUNTRY, *(entry.partition(":")[0] for entry in added)]))


def calls_for_help(dialled: str | None, countries: tuple[str, ...], added: tuple[str, ...] = ()) -> bool:
    """Whether the digits are exactly an emergency number of one of the countries, or 112 or 911 (A36, A38).

    `added` are numbers that the plan lacks, each as `CC:number`.
    """
    return dialled is not None and dialled in _spellings(countries, added)
