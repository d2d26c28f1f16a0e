"""msgspec's messages in words that a billing clerk can read: what was expected, and what was given instead.

The choices of an enum, the
meaning of a pattern.
"""

import json
import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from msgspec import inspect

from rater.core import DURATION_S_MAX

#: "... - at `$.field.name`" at the end of msgspec's message.
_PATH = " - at `"
_STEPS = re.compile(r"[^.\[\]]+")
_SHOWN_MAX = 40
#: Of a longer list some are shown.
_CHOICES_MAX = 25
_CHOICES_SHOWN = 5
#: A message of msgspec that has no rule here may quote a value of any length.
_MESSAGE_MAX = 200
#: By their beginning: all of them end in the same look for the end of the text.
_PATTERNS = {
    "^[A-Z]{3}": "an ISO 4217 code such as USD",
    "^[A-Z]{2}": "an ISO 3166-1 code such as US",
    "^[a-z0-9-]{1,40}": "1 to 40 small letters, digits and dashes",
    r"^(\*|[0-9]{1,15})": "1 to 15 digits, or * for every number",
}
_TYPES = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "datetime": "a time with zone such as 2025-03-01T10:00:00Z",
    "object": "a JSON object",
    "array": "a JSON array",
    "null": "null",
}
#: Sides of a value and how msgspec limits them.
_LIMITS = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}
#: A file may have a million broken records of the same kind.
_type_info = lru_cache(maxsize=16)(inspect.type_info)
#: Fields that DURATION_S_MAX limits.
_DURATIONS = frozenset({"duration_s", "authorized_s", "call_duration_max_s"})
_LONGEST = "DURATION_S_MAX, 366 days"
_Rule = tuple[re.Pattern[str], Callable[[re.Match[str], Any, str], str]]


def in_words(wrong: Exception | str, kind: Any, raw: bytes | dict[str, Any]) -> tuple[str, str]:
    """The field that is wrong (`rows[0].type`; empty for the whole record), and one sentence about it.

    `wrong` is what msgspec said when it read `raw`, JSON or what was read from it, as a `kind`.
    """
    field, message = _split(str(wrong))
    if missing := re.fullmatch(r"Object missing required field `(.*)`", message):
        return (f"{field}.{missing[1]}" if field else missing[1]), "expected a value, got none"
    for rule, say in _RULES:
        if match := rule.fullmatch(message):
            expected = say(match, kind, field)
            return field, f"expected {expected}{_got(raw, field)}"
    # "Integer value out of range" goes on a line after its field; "JSON" and other names keep their letters.
    message = message[:_MESSAGE_MAX]
    return field, message[:1].lower() + message[1:] if message[1:2].islower() else message


def _split(text: str) -> tuple[str, str]:
    """The field and the message of what msgspec said; it may quote the input, so the last path counts."""
    message, at, path = text.rpartition(_PATH)
    if not at or not path.endswith("`"):
        return "", text
    return path[:-1].removeprefix("$").removeprefix("."), message


def _typed(match: re.Match[str], _kind: Any, _field: str) -> str:
    names = [name for name in match[1].split(" | ") if name != "null"]
    return " or ".join(_TYPES.get(name, name) for name in names)


def _limited(match: re.Match[str], _kind: Any, field: str) -> str:
    named = f" ({_LONGEST})" if match[2] == str(DURATION_S_MAX) and field in _DURATIONS else ""
    return f"a number of {_LIMITS[match[1]]} {match[2]}{named}"


def _beyond(_match: re.Match[str], _kind: Any, field: str) -> str:
    """A number that no integer type holds."""
    return (
        f"a number from 0 to {DURATION_S_MAX} ({_LONGEST})"
        if field in _DURATIONS
        else "a number of at most 64 bits"
    )


def _long(match: re.Match[str], _kind: Any, _field: str) -> str:
    return f"text of {_LIMITS[match[1]]} {match[2]} character{'' if match[2] == '1' else 's'}"


def _patterned(match: re.Match[str], _kind: Any, _field: str) -> str:
    pattern = match[1].replace("\\\\", "\\")
    return _PATTERNS.get(pattern.removesuffix(r"(?![\s\S])"), f"text like {pattern}")


def _one_of(_match: re.Match[str], kind: Any, field: str) -> str:
    choices = sorted(_choices(_type_info(kind), _STEPS.findall(field)))
    if len(choices) > _CHOICES_MAX:
        return f"one of {len(choices)} values such as {', '.join(choices[:: len(choices) // _CHOICES_SHOWN])}"
    return f"one of {', '.join(choices)}" if choices else "another value"


def _time(_match: re.Match[str], _kind: Any, _field: str) -> str:
    return _TYPES["datetime"]


def _json(match: re.Match[str], _kind: Any, _field: str) -> str:
    return f"a JSON object, got broken JSON: {match[1]}"


def _text(_match: re.Match[str], _kind: Any, _field: str) -> str:
    return "UTF-8 text"


_RULES: tuple[_Rule, ...] = (
    (re.compile(r"Invalid RFC3339 encoded datetime|.*timezone.*"), _time),
    (re.compile(r"Expected `([^`]*)`(?:, got `.*`)?"), _typed),
    (re.compile(r"Expected `(?:int|float)(?: \| null)?` ([<>]=?) (.+)"), _limited),
    (re.compile(r"Integer value out of range"), _beyond),
    (re.compile(r"Expected `str(?: \| null)?` of length ([<>]=?) (.+)"), _long),
    (re.compile(r"Expected `str(?: \| null)?` matching regex '(.*)'"), _patterned),
    (re.compile(r"Invalid (?:enum )?value .*", re.DOTALL), _one_of),
    (re.compile(r"JSON is malformed: (.*)"), _json),
    (re.compile(r"Input data was (truncated)"), _json),
    (re.compile(r"('utf-8' codec can't decode .*)"), _text),
)


def _choices(kind: Any, steps: list[str]) -> set[str]:
    """What may stand at a path: the values of the enum or literal there, the tags of a union of records."""
    match kind:
        case inspect.UnionType(types):
            return set().union(*(_choices(one, steps) for one in types))
        case inspect.StructType() if steps and steps[0] == kind.tag_field:
            return {str(kind.tag)}
        case inspect.StructType() if steps:
            return set().union(*(_choices(f.type, steps[1:]) for f in kind.fields if f.encode_name == steps[0]))
        case inspect.VarTupleType(item) | inspect.ListType(item) if steps:
            return _choices(item, steps[1:])
        case inspect.EnumType(cls):
            return {str(member.value) for member in cls}
        case inspect.LiteralType(values):
            return {str(value) for value in values}
        case _:
            return set()


def _got(raw: bytes | dict[str, Any], field: str) -> str:
    """ ", got ..." with the value at a path, shortened; nothing where it cannot be read."""
    try:
        value: Any = json.loads(raw) if isinstance(raw, bytes) else raw
        for step in _STEPS.findall(field):
            value = value[int(step) if isinstance(value, list) else step]
        shown = repr(_short(value)) if isinstance(value, str) else _short(json.dumps(value, ensure_ascii=False))
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    # Half a surrogate pair could not be written into a dead letter.
    return f", got {shown.encode(errors='backslashreplace').decode()}"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}..."


#: Two transposed letters of eight are as near as this; names that share only a beginning are not.
_ALIKE = 0.75


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question that ends a message, such as "; did you mean MCOPSTN1?"; empty when no known name is near."""
    by_capitals = {choice.upper(): choice for choice in known}
    found = get_close_matches(name.strip().upper(), by_capitals, n=1, cutoff=_ALIKE)
    return f"; did you mean {by_capitals[found[0]]}?" if found else ""
