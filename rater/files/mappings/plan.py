"""The way from a record's fields to a call record, made of a mapping once: select, refuse, then field by field."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import orjson

from rater.core import CallRecord, CallType, NumberType, Reason, Refusal
from rater.files.mappings.durations import duration_reader, talk_reader
from rater.files.mappings.fields import Compiler, Fields, Get
from rater.files.mappings.model import Call, Cases, LookUp, MappingFile, TimeFrom
from rater.files.mappings.numbers import number_reader
from rater.files.mappings.results import NEVER_ANSWERED, NotSelected, Skipped, Unmapped
from rater.files.mappings.tables import Entries, look_up
from rater.files.mappings.times import time_reader
from rater.wire.codec import decode_cdr
from rater.wire.limits import control_character

Rule = Callable[[Fields], None]
#: Fields that are made of a text, a table or cases, and left out where that is empty.
_TEXTS = (
    "currency",
    "call_id",
    "conference_id",
    "destination",
    "user_country",
    "user_object_id",
    "user_display_name",
    "switch",
)
_CALL_TYPES = frozenset(type.value for type in CallType)
_NUMBER_TYPES = frozenset(type.value for type in NumberType)


class Plan:
    """How the records of one mapping become call records.  RaterError: the mapping contradicts itself."""

    def __init__(self, mapping: MappingFile, tables: dict[str, Entries], tenant: str | None) -> None:
        call = mapping.call
        compiler = Compiler(mapping.answers, percent=mapping.reader.percent_decode)
        self._tables = tables
        self._compiler = compiler
        self._rules = [
            *[_selects(compiler.condition(rule.only), rule.otherwise) for rule in mapping.select],
        ]
        self._refusals = [_refuses(compiler.condition(rule.if_), rule.because) for rule in mapping.refuse]
        self._answered = time_reader(compiler, "answered_at", call.answered_at, mapping.times)
        self._answered_text = compiler.text(_from(call.answered_at))
        self._ended = call.ended_at and time_reader(compiler, "ended_at", call.ended_at, mapping.times)
        self._duration = duration_reader(compiler, call.duration)
        self._talk = talk_reader(compiler, call.duration)
        self._numbers = [
            (field, number_reader(compiler, field, given, mapping.numbers))
            for field in ("calling", "called")
            if (given := getattr(call, field)) is not None
        ]
        self._type = _one_of("type", self._value("type", call.type), _CALL_TYPES)
        self._usage_id = compiler.text(call.usage_id)
        self._tenant = self._value("tenant", tenant if call.tenant is None else call.tenant)
        self._texts = self._optional(call)
        self.used = frozenset(compiler.used)

    def _optional(self, call: Call) -> list[tuple[str, Get]]:
        made = [(name, self._value(name, given)) for name in _TEXTS if (given := getattr(call, name)) is not None]
        made.append(("user", self._value("user", call.user)))
        if call.number_type is not None:
            made.append(
                ("number_type", _one_of("number_type", self._value("number_type", call.number_type), _NUMBER_TYPES))
            )
        whole = {
            "version": call.version,
            "authorized_s": call.authorized_s,
            "switch_sequence": call.switch_sequence,
        }
        made += [(name, self._compiler.text(given)) for name, given in whole.items() if given is not None]
        return made

    def _value(self, field: str, given: Any) -> Get:
        if isinstance(given, LookUp):
            return look_up(self._compiler, field, given, self._tables)
        if isinstance(given, Cases):
            return self._cases(field, given)
        return self._compiler.text(given or "")

    def _cases(self, field: str, given: Cases) -> Get:
        cases = [(self._compiler.condition(case.if_), self._value(field, case.then)) for case in given.cases]
        default = None if given.default is None else self._value(field, given.default)

        def value(fields: Fields) -> str:
            for holds, then in cases:
                if holds(fields):
                    return then(fields)
            if default is None:
                raise Unmapped(field, f"expected one of the mapping's cases: {given.otherwise_refuse}")
            return default(fields)

        return value

    def map(self, record: Mapping[str, Any]) -> CallRecord | Refusal | NotSelected:
        """The outcome of a record."""
        try:
            return self._record(Fields(record))
        except Unmapped as wrong:
            return wrong.refusal
        except Skipped as skipped:
            return skipped.result

    def _record(self, fields: Fields) -> CallRecord | Refusal:
        for rule in self._rules:
            rule(fields)
        answered_at = self._answered(fields)
        if answered_at is None:
            raise self._unanswered(fields)
        for rule in self._refusals:
            rule(fields)
        made: dict[str, Any] = {"answered_at": answered_at, "usage_id": self._usage_id(fields)}
        if self._ended and (ended_at := self._ended(fields)) is not None:
            made["ended_at"] = ended_at
        made["duration_s"] = self._duration(fields, answered_at, made.get("ended_at"))
        for field, number in self._numbers:
            if (found := number(fields)) is not None:
                made[field] = fields.call[field] = found
        made["type"] = fields.call["type"] = self._type(fields)
        made["tenant"] = self._tenant(fields)
        for name, text in self._texts:
            if value := text(fields):
                made[name] = value
        return _call_record(made)

    def _unanswered(self, fields: Fields) -> Unmapped | Skipped:
        """A record without an answer is not selected; one with seconds of talk contradicts itself."""
        talk = self._talk(fields)
        if talk is None:
            return Skipped(NEVER_ANSWERED)
        return Unmapped(
            "answered_at",
            f"expected the time of the answer of a call whose duration is {talk!r:.80}, got"
            f" {self._answered_text(fields)!r:.80}, which means never answered; is it in another field?",
        )


def _from(given: str | TimeFrom) -> str:
    return given.from_ if isinstance(given, TimeFrom) else given


def _call_record(made: dict[str, Any]) -> CallRecord | Refusal:
    for name in ("tenant", "usage_id"):
        if not made[name]:
            return Refusal(Reason.MALFORMED, name, "expected a value, got none")
    for name in made.keys() & {"version", "authorized_s"}:
        if not _is_whole(made[name], digits=10):
            return Refusal(Reason.MALFORMED, name, f"expected a whole number, got {made[name]!r:.80}")
        made[name] = int(made[name])
    if (sequence := made.pop("switch_sequence", None)) is not None and _is_whole(sequence):
        made["switch_sequence"] = int(sequence)  # a call is not rejected for another text
    try:
        record = msgspec.convert(made, CallRecord)
    except msgspec.ValidationError:
        return _in_words(made)
    return control_character(record) or record


def _is_whole(text: str, digits: int = 15) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= digits


def _in_words(made: dict[str, Any]) -> CallRecord | Refusal:
    """The refusal that the same fields get in JSON."""
    try:
        return decode_cdr(orjson.dumps(made))
    except TypeError:  # half a surrogate pair
        return Refusal(Reason.MALFORMED, "", "expected text that can be written as UTF-8")


def _selects(holds: Callable[[Fields], bool], otherwise: str) -> Rule:
    def rule(fields: Fields) -> None:
        if not holds(fields):
            raise Skipped(otherwise)

    return rule


def _refuses(holds: Callable[[Fields], bool], because: str) -> Rule:
    def rule(fields: Fields) -> None:
        if holds(fields):
            raise Unmapped("", because)

    return rule


def _one_of(field: str, get: Get, known: frozenset[str]) -> Get:
    def value(fields: Fields) -> str:
        found = get(fields).casefold()
        if found not in known:
            raise Unmapped(
                field, f"expected a value such as {min(known)}, got {found!r:.80}; add a case to the mapping"
            )
        return found

    return value
