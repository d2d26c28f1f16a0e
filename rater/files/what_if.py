"""What would have been different, as a table for a spreadsheet and as JSON, which is read again."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from rater.core import format_micros, parse_ledger
from rater.engine.difference import AMOUNTS, MEASURES, Line, Sums
from rater.files.export_tables import Kind, Row, Sheet


def _columns() -> Iterator[tuple[str, Kind]]:
    for name in ("by", "tenant", "name", "currency"):
        yield name, "text"
    for measure in MEASURES:
        kind: Kind = "money" if measure in AMOUNTS else "integer"
        yield measure, kind
        yield f"{measure}_would_be", kind
    yield "debits_difference", "money"


#: A line for each tenant, plan, destination and user: each figure as it was and as it would have been.
SHEET = Sheet("what-if", tuple(_columns()))


def rows_of(lines: Iterable[Line]) -> Iterator[Row]:
    """The rows of the sheet."""
    for line in lines:
        yield (line.by, line.tenant, line.name, line.currency, *line.cells())


def facts_of(line: Line) -> dict[str, Any]:
    """A line as JSON has it."""
    return {
        "by": line.by,
        "tenant": line.tenant,
        "name": line.name,
        "currency": line.currency,
        "was": _facts(line.was),
        "would_be": _facts(line.would_be),
        "debits_difference": format_micros(line.debits_more),
    }


def _facts(sums: Sums) -> dict[str, int | str]:
    values = {measure: getattr(sums, measure) for measure in MEASURES}
    return {name: format_micros(value) if name in AMOUNTS else value for name, value in values.items()}


class WhatIf(msgspec.Struct, frozen=True):
    """What `rater what-if --format json` printed, read again; see rater.engine.comparison.Comparison."""

    records: int
    lines: list["_Facts"]
    assumed_paid: int
    assumed_declined: int
    left_out: int
    why_left_out: str | None
    refused: list["_Refused"]

    def differences(self) -> list[Line]:
        """Its lines."""
        return [
            Line(one.by, one.tenant, one.name, one.currency, _sums(one.was), _sums(one.would_be))
            for one in self.lines
        ]


class _Refused(msgspec.Struct, frozen=True):
    id: str
    why: str


class _Facts(msgspec.Struct, frozen=True):
    by: str
    tenant: str
    name: str
    currency: str
    was: dict[str, int | str]
    would_be: dict[str, int | str]


read_what_if = msgspec.json.Decoder(WhatIf).decode


def _sums(facts: dict[str, int | str]) -> Sums:
    values = {name: parse_ledger(str(value)) if name in AMOUNTS else int(value) for name, value in facts.items()}
    return Sums(**values)
