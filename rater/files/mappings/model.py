"""What a mapping file may say: one pydantic model, no language of its own.

A text such as `"{uniqueid}/{sequence}"` is made of fields of the record; text without braces stays as it is.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, Discriminator, Field, StringConstraints, Tag, model_validator

from rater.files.mappings.readers.spec import Reader
from rater.files.mappings.strict import Names, Some, Strict, Text

#: A mapping has some twenty of each; more is a mistake.
RULES_MAX = 200
TABLES_MAX = 20
PATTERNS_MAX = 20

Prefix = Annotated[str, StringConstraints(pattern=r"^[0-9*#+]{1,15}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]


class Test(Strict):
    """What a field must be; all that is given must hold."""

    is_: Text | Names | None = Field(default=None, alias="is")
    not_: Text | Names | None = Field(default=None, alias="not")
    prefix: Some | Names | None = None
    suffix: Some | Names | None = None
    contains: Some | Names | None = None
    empty: bool | None = None
    above: Annotated[int, Field(ge=-(10**9), le=10**9)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, written: Any) -> Any:
        """`direction: inbound` and `direction: [inbound, local]` mean `is`."""
        if written is None or isinstance(written, int | float):
            raise ValueError(f"expected text, got {written!r:.80}; put it between quotes")
        return {"is": written} if isinstance(written, str | list) else written

    @model_validator(mode="after")
    def _one(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("expected is, not, prefix, suffix, contains, empty or above")
        return self


Condition = Annotated[dict[Some, Test], Field(min_length=1, max_length=20)]


class Selected(Strict):
    """Records for which `only` does not hold are not selected, and counted under `otherwise`."""

    only: Condition
    otherwise: Some


class Refused(Strict):
    """Records for which `if` holds are refused, `because` something cannot be decided."""

    if_: Condition = Field(alias="if")
    because: Some


class LookUp(Strict):
    """The value of a table for a key; without an entry it is `otherwise`, else a dead letter `unknown_account`."""

    look_up: Some
    key: Some
    otherwise: Text | None = None


#: Kinds of a value, which pydantic adds to the place of an error; no name in a mapping.
KINDS = frozenset({"(text)", "(table)", "(cases)", "(from)"})


def _kind(written: Any) -> str | None:
    """Which kind of value is written; None of what is no value, so that the message says what may stand there."""
    match written:
        case {"cases": _} | Cases():
            return "(cases)"
        case {"look_up": _} | LookUp():
            return "(table)"
        case {"from": _} | BaseModel():
            return "(from)"
        case dict() | list():
            return None
        case _:
            return "(text)"


def _one_of(expected: str) -> Discriminator:
    """What may stand in a place, in the words of a mapping."""
    return Discriminator(_kind, custom_error_type="kind", custom_error_message=f"expected {expected}")


class Case(Strict):
    """`then` is the value where `if` holds."""

    if_: Condition = Field(alias="if")
    then: "TextOrLookUp"


class Cases(Strict):
    """The first case that holds; else `default`, or a refusal that says `otherwise_refuse`."""

    cases: Annotated[tuple[Case, ...], Field(min_length=1, max_length=RULES_MAX)]
    default: "TextOrLookUp | None" = None
    otherwise_refuse: Some | None = None

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if (self.default is None) == (self.otherwise_refuse is None):
            raise ValueError("expected default or otherwise_refuse, and not both: what if no case holds?")
        return self


TextOrLookUp = Annotated[
    Annotated[Text, Tag("(text)")] | Annotated[LookUp, Tag("(table)")],
    _one_of("a text with {fields}, or `look_up` and `key`"),
]
Value = Annotated[
    Annotated[Text, Tag("(text)")] | Annotated[LookUp, Tag("(table)")] | Annotated[Cases, Tag("(cases)")],
    _one_of("a text with {fields}, or `look_up` and `key`, or `cases`"),
]


def _listed(written: Any) -> Any:
    return written if isinstance(written, list | tuple) else (written,)


Patterns = Annotated[tuple[Some, ...], Field(min_length=1, max_length=PATTERNS_MAX), BeforeValidator(_listed)]


class TimeRules(Strict):
    """How times are written: the first of `as` that fits; `never` lists the spellings of "was never answered"."""

    as_: Patterns | None = Field(default=None, alias="as")
    zone: Some | None = None
    ambiguous: Literal["earlier", "later"] | None = None
    never: Names | None = None


class TimeFrom(TimeRules):
    """A time, from text of the record; `minus` so many seconds, such as those of the call before its end."""

    from_: Some = Field(alias="from")
    minus: Some | None = None


Time = Annotated[
    Annotated[Text, Tag("(text)")] | Annotated[TimeFrom, Tag("(from)")],
    _one_of("a text with {fields}, or `from` and, where they differ from `times`, `as`, `zone`, `never`"),
]


class Duration(Strict):
    """Seconds of talk: a field in a unit, or the difference of two times; and how they become whole seconds."""

    from_: Some | None = Field(default=None, alias="from")
    between: tuple[Literal["answered_at"], Literal["ended_at"]] | None = None
    unit: Literal["s", "ms", "us", "min", "clock"] = "s"
    round: Literal["up", "down", "half"] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.from_ is None) == (self.between is None):
            raise ValueError("expected from or between, and not both")
        return self


class Extensions(Strict):
    """Numbers of so many digits are extensions: `add` comes before them, or they are addresses of `domain`."""

    digits: tuple[Annotated[int, Field(ge=1, le=15)], Annotated[int, Field(ge=1, le=15)]]
    add: Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{0,14}$")] | None = None
    domain: Some | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.add is None) == (self.domain is None):
            raise ValueError("expected add or domain, and not both")
        return self


class NumberRules(Strict):
    """How numbers become E.164."""

    country: Code | None = None
    strip: Annotated[tuple[Prefix, ...], Field(max_length=20)] | None = None
    international: Annotated[tuple[Prefix, ...], Field(max_length=20)] | None = None
    plus_missing: bool | None = None
    extensions: Extensions | None = None
    addresses: Literal["keep", "refuse"] | None = None


class NumberFrom(NumberRules):
    """A number, from text of the record."""

    from_: Some = Field(alias="from")


Number = Annotated[
    Annotated[Text, Tag("(text)")] | Annotated[NumberFrom, Tag("(from)")],
    _one_of("a text with {fields}, or `from` and what differs from `numbers`, such as `country`"),
]


class Table(Strict):
    """A CSV file beside the mapping; `prefix` finds the longest key with which the looked-up text begins."""

    file: Some
    key: Some
    value: Some
    match: Literal["exact", "prefix"] = "exact"


class Call(Strict):
    """The call record: which text of the record each field is made of."""

    usage_id: Some
    answered_at: Time
    duration: Duration
    type: Value
    user: Value
    tenant: Value | None = None
    calling: Number | None = None
    called: Number | None = None
    ended_at: Time | None = None
    number_type: Value | None = None
    version: Text | None = None
    authorized_s: Text | None = None
    currency: Value | None = None
    call_id: Value | None = None
    conference_id: Value | None = None
    destination: Value | None = None
    user_country: Value | None = None
    user_object_id: Value | None = None
    user_display_name: Value | None = None
    switch: Value | None = None
    switch_sequence: Text | None = None


class MappingFile(Strict):
    """A mapping, complete: what it extends is merged."""

    about: Text | None = None
    extends: Some | None = None
    #: What a preset cannot know, and the site must answer: name -> question.
    questions: Annotated[dict[Some, Some], Field(max_length=RULES_MAX)] = Field(default_factory=dict)
    answers: Annotated[dict[Some, Text], Field(max_length=RULES_MAX)] = Field(default_factory=dict)
    reader: Reader
    tables: Annotated[dict[Some, Table], Field(max_length=TABLES_MAX)] = Field(default_factory=dict)
    select: Annotated[tuple[Selected, ...], Field(max_length=RULES_MAX)] = ()
    refuse: Annotated[tuple[Refused, ...], Field(max_length=RULES_MAX)] = ()
    times: TimeRules = TimeRules()
    numbers: NumberRules = NumberRules()
    call: Call
