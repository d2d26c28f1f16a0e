"""Text of a record: fields by path, templates such as `"{uniqueid}/{sequence}"`, conditions."""

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import unquote_to_bytes

from rater.files.mappings.model import Condition, Test
from rater.files.mappings.results import Unmapped

_FIELD = re.compile(r"\{([^{}]+)\}")
#: Fields that are the mapping's own: what the call record has by then, and the site's answers.
CALL, ANSWERS = "call.", "answers."
#: What may come before in `{call.…}`.
MADE_BEFORE = ("calling", "called", "type")


class Fields:
    """One record of a switch while it is mapped: its own fields, and those of the call record made so far."""

    __slots__ = ("call", "record")

    def __init__(self, record: Mapping[str, Any]) -> None:
        self.record = record
        self.call: dict[str, str] = {}


Get = Callable[[Fields], str]
Holds = Callable[[Fields], bool]


class Compiler:
    """Makes functions of texts and conditions; `used` are the record's fields that they read."""

    def __init__(self, answers: Mapping[str, str], *, percent: bool) -> None:
        self.used: set[str] = set()
        self._answers = answers
        self._percent = percent

    def text(self, template: str) -> Get:
        """The text of a template."""
        names = fields_of(template)
        if not names:
            return lambda _: template
        gets = [self.field(name) for name in names]
        if template == f"{{{names[0]}}}":
            return gets[0]
        pattern = _FIELD.sub("{}", template)
        return lambda fields: pattern.format(*[get(fields) for get in gets])

    def field(self, name: str) -> Get:
        """The text of a field, without blanks around it; empty where the record lacks it."""
        if name.startswith(ANSWERS):
            answer = self._answers.get(name.removeprefix(ANSWERS), "")
            return lambda _: answer
        if name.startswith(CALL):
            made = name.removeprefix(CALL)
            return lambda fields: fields.call.get(made, "")
        self.used.add(name)
        parts = tuple(name.split("."))
        get = self._flat(name) if len(parts) == 1 else self._nested(name, parts)
        return _percent_decoded(name, get) if self._percent else get

    @staticmethod
    def _flat(name: str) -> Get:
        def flat(fields: Fields) -> str:
            value = fields.record.get(name)
            return value.strip() if type(value) is str else text_of(name, value)

        return flat

    @staticmethod
    def _nested(name: str, parts: tuple[str, ...]) -> Get:
        def nested(fields: Fields) -> str:
            value: Any = fields.record
            if name in fields.record:  # a flat field whose name has dots
                return text_of(name, fields.record[name])
            for part in parts:
                value = _within(value, part)
            return text_of(name, value)

        return nested

    def condition(self, condition: Condition) -> Holds:
        """Whether all of its tests hold."""
        tests = [self._test(self.field(name), test) for name, test in condition.items()]
        return tests[0] if len(tests) == 1 else lambda fields: all(holds(fields) for holds in tests)

    @staticmethod
    def _test(get: Get, test: Test) -> Holds:
        parts: list[Callable[[str], bool]] = []
        if test.is_ is not None:
            parts.append(frozenset(_listed(test.is_)).__contains__)
        if test.not_ is not None:
            excluded = frozenset(_listed(test.not_))
            parts.append(lambda text: text not in excluded)
        if test.prefix is not None:
            prefixes = _listed(test.prefix)
            parts.append(lambda text: text.startswith(prefixes))
        if test.suffix is not None:
            suffixes = _listed(test.suffix)
            parts.append(lambda text: text.endswith(suffixes))
        if test.contains is not None:
            within = _listed(test.contains)
            parts.append(lambda text: any(part in text for part in within))
        if test.empty is not None:
            empty = test.empty
            parts.append(lambda text: (not text) is empty)
        if test.above is not None:
            above = test.above
            parts.append(lambda text: _number(text) > above)
        if len(parts) == 1:
            (only,) = parts
            return lambda fields: only(get(fields))
        return lambda fields: all(part(text) for text in [get(fields)] for part in parts)


def fields_of(template: str) -> list[str]:
    """The names of the fields in a template, in their order."""
    return _FIELD.findall(template)


def text_of(name: str, value: Any) -> str:
    """A value as text: numbers as they were written, nothing for null."""
    match value:
        case None:
            return ""
        case str():
            return value.strip()
        case bool():
            return "true" if value else "false"
        case int() | Decimal():
            return str(value)
        case list():
            raise Unmapped(
                name, f"expected one text or number, got a list of {len(value)}; the first is {{{name}.0}}"
            )
        case _:
            raise Unmapped(name, "expected a text or a number, got an object")


def has(record: Mapping[str, Any], name: str) -> bool:
    """Whether a record has a field, with a value or without."""
    *around, last = name.split(".")
    if name in record:
        return True
    value: Any = record
    for part in around:
        value = _within(value, part)
    return (isinstance(value, Mapping) and last in value) or (bool(around) and _within(value, last) is not None)


def paths_of(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The single values of a record, by the names that a mapping has for them."""
    held: list[tuple[str, Any]] = [("", record)]
    while held:
        path, value = held.pop()
        if isinstance(value, dict):
            held.extend((f"{path}.{name}".removeprefix("."), inner) for name, inner in reversed(value.items()))
        elif isinstance(value, list):
            held.extend((f"{path}.{index}", inner) for index, inner in reversed(list(enumerate(value))))
        else:
            yield path, value


def _within(value: Any, part: str) -> Any:
    if isinstance(value, Mapping):
        if part in value:
            return value[part]
        return value if part == "0" else None  # an XML element that is there once
    if isinstance(value, str):
        return value if part == "0" else None  # the same, or an attribute of a block
    if isinstance(value, list) and part.isascii() and part.isdecimal() and int(part[:9]) < len(value):
        return value[int(part[:9])]
    return None


def _percent_decoded(name: str, get: Get) -> Get:
    def decoded(fields: Fields) -> str:
        text = get(fields)
        if "%" not in text:
            return text
        try:
            return unquote_to_bytes(text).decode().strip()
        except UnicodeDecodeError:
            raise Unmapped(name, f"expected percent-encoded UTF-8, got {text!r:.80}") from None

    return decoded


def _listed(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value


def _number(text: str) -> Decimal:
    """What is no number is nothing: it is above no limit."""
    try:
        found = Decimal(text) if len(text) <= 40 else Decimal(0)
    except InvalidOperation:
        return Decimal(0)
    return found if found.is_finite() else Decimal(0)
