"""Phone numbers and users' addresses that people and logs may see: enough to compare two, too little to call.

Of a number the country code, at least two digits, and the last two digits stay; of an address its first letter and
its domain.  No whole E.164 number (`+` and 7 to 15 digits, ITU-T E.164 section 6.2) survives `mask_numbers`, with
or without its `+`, and masking twice is masking once.  Numbers without `+` are recognised from ten digits on and
only where they stand alone, so that hexadecimal ids, amounts and times keep their digits.
Only what is shown is masked: stored records stay whole.
"""

import re
from collections.abc import MutableMapping
from typing import Any

#: Fewer digits than this after a plus are no number that reaches a person.
DIGITS_MIN = 7
#: Digits that stay readable at each end: enough to distinguish two numbers, too few to dial one.
_SHOWN = 2
_PLUS = r"(?:\+|%2[Bb])"
_GAP = r"[ \t\u00a0\u202f().\-/\u2010-\u2015]{1,3}"
_NUMBER = re.compile(
    # +14255550100, and one in which somebody typed letters: +3314O720001X; not the example of our own messages
    rf"(?!(?<=such as )\+14255550100\b){_PLUS}(?=(?:[A-Za-z]{{0,2}}\d){{{DIGITS_MIN}}})[0-9A-Za-z]+"
    rf"|{_PLUS}(?:{_GAP})?\d{{1,6}}(?:{_GAP}\d{{1,6}}){{1,7}}"  # +1 (425) 555-0100
    # 14255550100, 0014255550100, also between the commas of a CSV row; not the last twelve digits of a UUID
    r"|(?<![\w.])(?<!-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-)\d{10,17}(?!\w|\.\d)"
)
#: Country codes of one and of two digits; all others have three (ITU-T E.164 annex).
_ONE_DIGIT = frozenset("17")
_TWO_DIGITS = frozenset(
    f"{tens}{unit}"
    for tens, units in (("2", "07"), ("3", "0123469"), ("4", "013456789"), ("5", "12345678"), ("6", "0123456"))
    for unit in units
) | frozenset(["81", "82", "84", "86", *(f"9{unit}" for unit in "0123458")])
#: What stands for the rest of an address, whose length is not shown either.
_REST = "***"
_ADDRESS = re.compile(r"([*\w!#$%&+/=?^`{|}~.-]{1,64})@((?:[\w-]+\.)*[\w-]+)")


def mask_numbers(text: str) -> str:
    """The text with the middle digits of every phone number as stars."""
    return _NUMBER.sub(_masked, text)


def mask_people(text: str) -> str:
    """The text with its phone numbers masked, and users' addresses: `a***@contoso.example`."""
    return _ADDRESS.sub(_masked_address, mask_numbers(text))


def mask_log_entry(_logger: object, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: numbers and addresses in a log entry are masked, at any depth."""
    for name, value in entry.items():
        entry[name] = _mask_value(value, mask_people)
    return entry


def mask_texts(value: dict[str, Any]) -> dict[str, Any]:
    """A copy of a JSON object in which the phone numbers of every text are masked."""
    return {name: _mask_value(inner, mask_numbers) for name, inner in value.items()}


def _mask_value(value: Any, mask: Any) -> Any:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {name: _mask_value(inner, mask) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_mask_value(inner, mask) for inner in value]
    if isinstance(value, BaseException):
        return mask(repr(value))
    return value


def _masked(found: re.Match[str]) -> str:
    number = found.group()
    lead = 3 if number.startswith("%") else 0
    digits = [at for at, sign in enumerate(number) if at >= lead and sign.isdecimal()]
    if len(digits) < DIGITS_MIN:
        return number
    hidden = set(digits[_shown_first("".join(number[at] for at in digits[:2])) : -_SHOWN])
    return "".join("*" if at in hidden else sign for at, sign in enumerate(number))


def _shown_first(digits: str) -> int:
    """How many of the first digits stay: the country code, at least two."""
    return _SHOWN if digits[0] in _ONE_DIGIT or digits in _TWO_DIGITS or digits[0] == "0" else _SHOWN + 1


def _masked_address(found: re.Match[str]) -> str:
    name, domain = found.groups()
    if "*" in name:  # a number, masked already
        return found.group()
    return f"{name[0]}{_REST}@{domain}"
