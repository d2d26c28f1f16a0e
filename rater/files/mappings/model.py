"""What a mapping file may say: one pydantic model, no language of its own.

A text such as `"{uniqueid}/{sequence}"` is made of fields of the record; text without braces stays as it is.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag, model_validator

#: A mapping has some twenty of each; more is a mistake.
RULES_MAX = 200
TABLES_MAX = 20
COLUMNS_MAX = 1_000
LINES_SKIPPED_MAX = 1_000

Text = Annotated[str, StringConstraints(max_length=1_000)]
Some = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
Names = Annotated[tuple[Text, ...], Field(max_length=COLUMNS_MAX)]
Prefix = Annotated[str, StringConstraints(pattern=r"^[0-9*#+]{1,15}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]


class Strict(BaseModel):
    """Unknown names are mistakes, and no type is made of another."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Reader(Strict):
    """How a file is divided into records, and a record into fields."""

    kind: Literal["csv", "json", "form", "xml", "blocks"]
    encoding: Some = "utf-8"
    percent_decode: bool = False
    # csv
    delimiter: Annotated[str, StringConstraints(min_length=1, max_length=1)] = ","
    quotes: Literal["doubled", "unescaped", "none"] = "doubled"
    header: bool = True
    columns: Names | None = None
    columns_min: Annotated[int, Field(ge=1, le=COLUMNS_MAX)] | None = None
    skip_lines: Annotated[int, Field(ge=0, le=LINES_SKIPPED_MAX)] = 0
    skip_after_header: Annotated[int, Field(ge=0, le=LINES_SKIPPED_MAX)] = 0
    # json and xml: where the list of records is; not given: a record a line, or a document that is one record
    list: Some | None = None
    # form: which field holds the record in JSON; not given: the form's own fields are the record's
    field: Some | None = None
    # blocks
    separator: Annotated[str, StringConstraints(min_length=1, max_length=3)] = ":"

    @model_validator(mode="after")
    def _columns(self) -> Self:
        if self.kind == "csv" and not self.header and not self.columns:
            raise ValueError("columns: a file without a header needs the names of its columns, in their order")
        if self.header and self.columns:
            raise ValueError("columns: give them only with `header: false`; else the header names them")
        return self


class Test(Strict):
    """What a field must be; all that is given must hold."""

    is_: Text | Names | None = Field(default=None, alias="is")
    not_: Text | Names | None = Field(default=None, alias="not")
    prefix: Some | Names | None = None
    empty: bool | None = None
    above: Annotated[int, Field(ge=-(10**9), le=10**9)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, written: Any) -> Any:
        """`direction: inbound` and `direction: [inbound, local]` mean `is`."""
        return {"is": written} if isinstance(written, str | list) else written

    @model_validator(mode="after")
    def _one(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("expected is, not, prefix, empty or above")
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


def _kind(written: Any) -> str:
    if isinstance(written, dict):
        return "cases" if "cases" in written else "table"
    if isinstance(written, LookUp):
        return "table"
    return "cases" if isinstance(written, Cases) else "text"


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
    Annotated[Text, Tag("text")] | Annotated[LookUp, Tag("table")],
    Discriminator(_kind),
]
Value = Annotated[
    Annotated[Text, Tag("text")] | Annotated[LookUp, Tag("table")] | Annotated[Cases, Tag("cases")],
    Discriminator(_kind),
]


class TimeRules(Strict):
    """How times are written; `never` lists the spellings of "was never answered"."""

    as_: Some | None = Field(default=None, alias="as")
    zone: Some | None = None
    ambiguous: Literal["earlier", "later"] | None = None
    never: Names | None = None


class TimeFrom(TimeRules):
    """A time, from text of the record."""

    from_: Some = Field(alias="from")


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


class Table(Strict):
    """A CSV file beside the mapping; `prefix` finds the longest key with which the looked-up text begins."""

    file: Some
    key: Some
    value: Some
    match: Literal["exact", "prefix"] = "exact"


class Call(Strict):
    """The call record: which text of the record each field is made of."""

    usage_id: Some
    answered_at: Text | TimeFrom
    duration: Duration
    type: Value
    user: Value
    tenant: Value | None = None
    calling: Text | NumberFrom | None = None
    called: Text | NumberFrom | None = None
    ended_at: Text | TimeFrom | None = None
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
    questions: Annotated[dict[Some, Some], Field(max_length=RULES_MAX)] = {}
    answers: Annotated[dict[Some, Text], Field(max_length=RULES_MAX)] = {}
    reader: Reader
    tables: Annotated[dict[Some, Table], Field(max_length=TABLES_MAX)] = {}
    select: Annotated[tuple[Selected, ...], Field(max_length=RULES_MAX)] = ()
    refuse: Annotated[tuple[Refused, ...], Field(max_length=RULES_MAX)] = ()
    times: TimeRules = TimeRules()
    numbers: NumberRules = NumberRules()
    call: Call
