"""What a mapping says about the format of its files."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from rater.files.mappings.strict import NAMES_MAX, Names, Some, Strict

LINES_SKIPPED_MAX = 1_000

#: The names of `reader` that every kind has, and those of each.
_OF_ALL = frozenset({"kind", "encoding", "percent_decode"})
_OF_KIND: dict[str, frozenset[str]] = {
    "csv": frozenset(
        {"delimiter", "quotes", "header", "columns", "columns_min", "skip_lines", "skip_after_header"}
    ),
    "json": frozenset({"list", "optional"}),
    "form": frozenset({"field", "optional"}),
    "xml": frozenset({"list", "optional"}),
    "blocks": frozenset({"separator", "optional"}),
}


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
    columns_min: Annotated[int, Field(ge=1, le=NAMES_MAX)] | None = None
    skip_lines: Annotated[int, Field(ge=0, le=LINES_SKIPPED_MAX)] = 0
    skip_after_header: Annotated[int, Field(ge=0, le=LINES_SKIPPED_MAX)] = 0
    # json and xml: where the list of records is; not given: a record a line, or a document that is one record
    list: Some | None = None
    # form: which field holds the record in JSON; not given: the form's own fields are the record's
    field: Some | None = None
    # blocks
    separator: Annotated[str, StringConstraints(min_length=1, max_length=3)] = ":"
    # all but csv: fields that a file may rightly lack, for `rater map check`
    optional: Names = ()

    @model_validator(mode="after")
    def _of_kind(self) -> Self:
        for name in sorted(self.model_fields_set - _OF_KIND[self.kind] - _OF_ALL):
            if getattr(self, name) is not None:  # null takes back what a preset sets
                kinds = ", ".join(kind for kind, names in _OF_KIND.items() if name in names)
                known = ", ".join(sorted(_OF_KIND[self.kind] | _OF_ALL))
                raise ValueError(f"{name}: belongs to kind {kinds}; kind {self.kind} has: {known}")
        return self

    @model_validator(mode="after")
    def _columns(self) -> Self:
        if self.kind == "csv" and not self.header and not self.columns:
            raise ValueError("columns: a file without a header needs the names of its columns, in their order")
        if self.header and self.columns:
            raise ValueError("columns: give them only with `header: false`; else the header names them")
        return self
