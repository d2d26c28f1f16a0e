"""Phone numbers that people and logs may see: the first two and the last two digits.

The law: no whole E.164 number (`+` and 7 to 15 digits, ITU-T E.164 section 6.2) survives `mask_numbers`, with or
without its `+`, and masking twice is masking once.  Numbers without `+` are recognised from ten digits on and
only where they stand alone, so that hexadecimal ids, amounts and times keep their digits.
It masks what looks like a number, wherever it stands.
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
    rf"{_PLUS}\d{{{DIGITS_MIN},}}"  # +14255550100
    rf"|{_PLUS}(?:{_GAP})?\d{{1,6}}(?:{_GAP}\d{{1,6}}){{1,7}}"  # +1 (425) 555-0100
    r"|(?<![\w.,])\d{10,17}(?![\w]|[.,]\d)"  # 14255550100, 0014255550100
)


def mask_numbers(text: str) -> str:
    """The text with the middle digits of every phone number as stars."""
    return _NUMBER.sub(_masked, text)


def mask_log_entry(_logger: object, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: every text of a log entry is masked, at any depth."""
    for name, value in entry.items():
        entry[name] = _mask_value(value)
    return entry


def mask_texts(value: dict[str, Any]) -> dict[str, Any]:
    """A copy of a JSON object in which every text is masked."""
    return {name: _mask_value(inner) for name, inner in value.items()}


def _mask_value(value: Any) -> Any:
    if isinstance(value, str):
        return mask_numbers(value)
    if isinstance(value, dict):
        return mask_texts(value)
    if isinstance(value, list | tuple):
        return [_mask_value(inner) for inner in value]
    if isinstance(value, BaseException):
        return mask_numbers(repr(value))
    return value


def _masked(found: re.Match[str]) -> str:
    number = found.group()
    lead = 3 if number.startswith("%") else 0
    digits = [at for at, sign in enumerate(number) if at >= lead and sign.isdecimal()]
    if len(digits) < DIGITS_MIN:
        return number
    hidden = set(digits[_SHOWN:-_SHOWN])
    return "".join("*" if at in hidden else sign for at, sign in enumerate(number))
