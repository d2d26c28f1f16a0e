"""Numbers as switches write them, to E.164: with prefixes, extensions, without a plus sign, in SIP and tel URIs.

What is dialled for help stays as it was dialled (A38); what a URI holds is read as the core reads it (A39).
Each text is read once: results are kept by text, up to a limit.
"""

import re
from collections.abc import Callable
from functools import lru_cache

import phonenumbers

from rater.core import Reason, calls_for_help, is_address, is_e164, is_withheld, normal_number, user_part
from rater.files.mappings.fields import Compiler, Fields
from rater.files.mappings.model import Extensions, NumberFrom, NumberRules
from rater.files.mappings.results import Unmapped
from rater.wire.errors import RaterError

ReadNumber = Callable[[Fields], str | None]

#: So many texts of one mapping's numbers are kept.
NUMBERS_KEPT_MAX = 65_536
#: E.164 has at most 15 digits, and no country has numbers as short as its extensions.
_DIGITS_WITHOUT_PLUS_MIN = 7
_SEPARATORS = re.compile(r"[-.()\s/]")
_DIGITS = re.compile(r"[0-9]+", re.ASCII)


def number_reader(compiler: Compiler, field: str, given: str | NumberFrom, default: NumberRules) -> ReadNumber:
    """A function that reads a number of a record; None of one that is withheld.  RaterError: no such country."""
    own = given if isinstance(given, NumberFrom) else NumberFrom.model_validate({"from": given})
    said = {name: getattr(own, name) for name in NumberRules.model_fields if getattr(own, name) is not None}
    rules = default.model_copy(update=said)
    if rules.country is not None and rules.country not in phonenumbers.SUPPORTED_REGIONS:
        raise RaterError(f"{field}: country: expected a country of ISO 3166-1 such as US, got {rules.country!r}")
    get, read = compiler.text(own.from_), lru_cache(NUMBERS_KEPT_MAX)(lambda text: read_number(field, text, rules))
    return lambda fields: read(get(fields))


def read_number(field: str, text: str, rules: NumberRules) -> str | None:
    """A number in E.164, an emergency number or an address as it stands; Unmapped if it is another text."""
    if not text or (not is_address(text) and is_withheld(text)):
        return None
    number = normal_number(text)
    if is_e164(number):
        return number
    digits = _SEPARATORS.sub("", user_part(text))
    bare = digits.removeprefix("+")
    if not _DIGITS.fullmatch(bare):
        return _address(field, text, rules)
    countries = (rules.country,) if rules.country else ()
    stripped = _stripped(bare, rules) if bare is digits else bare
    for spelling in (digits, stripped):
        if calls_for_help(spelling, countries):
            return spelling
    if bare is not digits:
        raise _no_number(field, text, "expected a number of E.164 behind the plus sign")
    if (extension := _extension(stripped, rules.extensions)) is not None:
        return extension
    return _dialled(field, text, stripped, rules)


def _stripped(digits: str, rules: NumberRules) -> str:
    """Without the first prefix that it has, such as the 9 for an outside line."""
    prefix = next((prefix for prefix in rules.strip or () if digits.startswith(prefix)), "")
    return digits[len(prefix) :]


def _extension(digits: str, rules: Extensions | None) -> str | None:
    if rules is None or not rules.digits[0] <= len(digits) <= rules.digits[1]:
        return None
    return f"{rules.add}{digits}" if rules.domain is None else f"{digits}@{rules.domain}"


def _dialled(field: str, text: str, digits: str, rules: NumberRules) -> str:
    """Digits as somebody in the country dials them, or that lack nothing but their plus sign."""
    for prefix in rules.international or ():
        if digits.startswith(prefix):
            return _e164(field, text, f"+{digits[len(prefix) :]}")
    if rules.plus_missing:
        if len(digits) < _DIGITS_WITHOUT_PLUS_MIN:
            raise _no_number(field, text, f"expected at least {_DIGITS_WITHOUT_PLUS_MIN} digits")
        return _e164(field, text, f"+{digits}")
    if rules.country is None:
        raise _no_number(
            field, text, "expected E.164; write `country` or `plus_missing: true` in the mapping's numbers"
        )
    try:
        parsed = phonenumbers.parse(digits, rules.country)
    except phonenumbers.NumberParseException as wrong:
        raise _no_number(field, text, f"expected a number as it is dialled in {rules.country}") from wrong
    if not phonenumbers.is_possible_number(parsed):
        raise _no_number(field, text, f"expected a number as it is dialled in {rules.country}")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def _e164(field: str, text: str, number: str) -> str:
    if not is_e164(number):
        raise _no_number(field, text, "expected country code and number, 15 digits at most")
    return number


def _address(field: str, text: str, rules: NumberRules) -> str:
    if rules.addresses == "keep" and is_address(text):
        return text
    raise _no_number(field, text, "expected a number; an address stays with `addresses: keep`")


def _no_number(field: str, text: str, expected: str) -> Unmapped:
    return Unmapped(field, f"{expected}, got {text!r:.80}", Reason.NOT_E164)
