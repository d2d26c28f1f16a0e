"""Writes rater/core/numbering_plan.py from the metadata of the package `phonenumbers` (A38, A49).

The core imports no such library: it reads this table, which says the version that it was made from.  To renew it,
install another version of `phonenumbers` and run `python -m rater.dev.numbering_plan_generator`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata, PhoneNumberDesc

from rater.wire.generated_files import write_or_check

#: Calling codes whose countries the plan distinguishes (A49).
SHARED_CODES = (1, 7, 39, 44, 47, 61, 212, 262, 358, 590, 599)
#: In the order of `phonenumbers`; a number that none of them has belongs to no region.
_KINDS = (
    "premium_rate", "toll_free", "shared_cost", "voip", "personal_number", "pager", "uan", "voicemail",
    "fixed_line", "mobile",
)  # fmt: skip
TABLE = Path(__file__).parent.parent / "core" / "numbering_plan.py"
_HEAD = '''"""Emergency numbers, calling codes and regions of shared calling codes: the numbering plan as a table.

Generated from the metadata of phonenumbers by rater.dev.numbering_plan_generator; do not edit.
A38, A49.
"""

# fmt: off
#: The version of phonenumbers that the table was made from.
VERSION = "{version}"
'''


def table() -> str:
    """The source text of the generated module."""
    return "\n".join([_HEAD.format(version=phonenumbers.__version__), *_emergency(), *_codes(), *_regions(), ""])


def _emergency() -> Iterator[str]:
    yield "#: Emergency numbers by country."
    yield "EMERGENCY = {"
    for country in sorted(_countries()):
        if numbers := emergency_numbers(country):
            yield f'    "{country}": "{" ".join(numbers)}",'
    yield "}"


def emergency_numbers(country: str) -> list[str]:
    """Every number that `is_emergency_number` knows of a country."""
    metadata = PhoneMetadata.short_metadata_for_region(country)
    if metadata is None or metadata.emergency is None or not metadata.emergency.national_number_pattern:
        return []
    matches = re.compile(metadata.emergency.national_number_pattern, re.ASCII).fullmatch
    lengths = metadata.emergency.possible_length
    digits = (f"{number:0{length}}" for length in sorted(lengths) for number in range(10**length))
    return [number for number in digits if matches(number)]


def _countries() -> dict[str, int]:
    """The calling code of each country."""
    return {
        country: code
        for code, countries in COUNTRY_CODE_TO_REGION_CODE.items()
        for country in countries
        if country.isalpha()
    }


def _codes() -> Iterator[str]:
    yield "#: Calling codes by country."
    yield "CALLING_CODES = {"
    yield from (f'    "{country}": "{code}",' for country, code in sorted(_countries().items()))
    yield "}"


def _regions() -> Iterator[str]:
    yield "#: Regions of each shared calling code, with patterns of national numbers; the first match counts."
    yield "REGIONS = {"
    for code in SHARED_CODES:
        yield f'    "{code}": ('
        for region in COUNTRY_CODE_TO_REGION_CODE[code]:
            yield f'        ("{region}", r"{_pattern(region)}"),'
        yield "    ),"
    yield "}"


def _pattern(region: str) -> str:
    """What a national number of the region looks like: its leading digits where it has some, else all of it."""
    metadata = PhoneMetadata.metadata_for_region(region)
    assert metadata is not None, region
    if metadata.leading_digits is not None:
        return f"(?:{metadata.leading_digits})"
    kinds = [_described(getattr(metadata, kind)) for kind in _KINDS]
    return f"(?={_described(metadata.general_desc)})(?:{'|'.join(dict.fromkeys(filter(None, kinds)))})"


def _described(description: PhoneNumberDesc | None) -> str:
    if description is None or not description.national_number_pattern:
        return ""
    lengths = "|".join(f"[0-9]{{{length}}}" for length in description.possible_length)
    return (rf"(?=(?:{lengths})\Z)" if lengths else "") + rf"(?:{description.national_number_pattern})\Z"


if __name__ == "__main__":
    write_or_check("rater.dev.numbering_plan_generator", {TABLE: table()})
