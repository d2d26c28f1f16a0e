"""A mapping tried before it is used: the outcome of each record of a file, and whether it is what was expected.

Expected rows stand beside the mapping: `M.sample.*` is what the switch wrote, `M.expected.csv` one row for each
record, in order: `result` is `rated`, `not selected` or `refused`, `reason` why it is not rated; other columns are
fields of the call record.
"""

import csv
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from rater.core import CallRecord, Refusal
from rater.files.csv_rows import read_rows
from rater.files.lines import open_stream
from rater.files.mappings.mapping import Mapped, Mapping
from rater.files.mappings.results import NotSelected, Unmapped
from rater.wire.errors import RaterError

RATED, NOT_SELECTED, REFUSED = "rated", "not selected", "refused"
#: So many usage ids of one file are compared with each other.
IDS_COMPARED_MAX = 1_000_000


class Tried(NamedTuple):
    """One record: its row, its bytes, its fields (None if it cannot be read), its outcome."""

    row: int
    raw: bytes
    fields: Any
    result: Mapped

    @property
    def reason(self) -> str:
        """What records are counted by that are not rated: the mapping's word, or the reason of the dead letter."""
        if isinstance(self.result, CallRecord):
            return ""
        return self.result.reason if isinstance(self.result, NotSelected) else self.result.reason.value

    @property
    def outcome(self) -> str:
        """`rated`, `not selected` or `refused`."""
        if isinstance(self.result, CallRecord):
            return RATED
        return NOT_SELECTED if isinstance(self.result, NotSelected) else REFUSED


def tried(mapping: Mapping, path: str) -> Iterator[Tried]:
    """Each record of a file.  RaterError: it cannot be read."""
    with open_stream(path) as (stream, *_):
        opened = mapping.open(path, stream)
        for number, raw in enumerate(opened.raws, opened.rows_before + 1):
            text = raw.rstrip(b"\r\n")
            if text.strip():
                yield Tried(number, text, _fields(opened.mapping, text), opened.mapping.map_one(text))


def shared_ids(records: Iterator[Tried]) -> Iterator[tuple[Tried, int | None]]:
    """Each record, and the row of an earlier one that got the same usage id and is another call."""
    seen: dict[tuple[str, str], tuple[int, CallRecord]] = {}
    for one in records:
        earlier = None
        if isinstance(call := one.result, CallRecord):
            row, first = seen.get((call.tenant, call.usage_id), (0, call))
            earlier = row if first != call and first.version == call.version else None
            if len(seen) < IDS_COMPARED_MAX:
                seen.setdefault((call.tenant, call.usage_id), (one.row, call))
        yield one, earlier


def text_of(call: CallRecord) -> dict[str, str]:
    """The fields of a call record that are there, as text."""
    found: dict[str, Any] = msgspec.to_builtins(call)
    return {name: str(value) for name, value in found.items() if value is not None}


def compare(mapping: Mapping, place: Path, sample: Path | None = None, expected: Path | None = None) -> list[str]:
    """A line for each difference between a sample's records and the expected rows; RaterError: no such file."""
    sample, expected = sample or _sample_of(place), expected or place.with_name(f"{place.stem}.expected.csv")
    if not expected.exists():
        raise RaterError(
            f"{expected}: no such file; it holds `result` and the fields that are expected, a row a record"
        )
    rows = read_rows(expected, ("result",))
    wrong: list[str] = []
    for one, row in zip_longest(tried(mapping, str(sample)), rows):
        if one is None or row is None:
            wrong.append(f"{expected}: expected as many rows as {sample} has records")
            break
        wrong.extend(f"{expected}:{row[0]}: record {one.row}: {line}" for line in _differences(one, row[1]))
    return wrong


def write_expected(mapping: Mapping, place: Path, sample: Path, columns: tuple[str, ...]) -> Path:
    """Write the outcomes of a sample as the expected ones, to be read and kept by a person."""
    path = place.with_name(f"{place.stem}.expected.csv")
    with path.open("x", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("result", "reason", *columns))
        for one in tried(mapping, str(sample)):
            made = text_of(one.result) if isinstance(one.result, CallRecord) else {}
            writer.writerow((one.outcome, one.reason, *[made.get(name, "") for name in columns]))
    return path


def why(result: Refusal | NotSelected) -> str:
    """Why there is no call record, in one line."""
    if isinstance(result, NotSelected):
        return result.reason
    return f"{result.field}: {result.message} ({result.reason.value})".removeprefix(": ")


def _differences(one: Tried, expected: dict[str, str]) -> Iterator[str]:
    if one.outcome != expected["result"]:
        shown = "" if isinstance(one.result, CallRecord) else f": {why(one.result)}"
        yield f"result: expected {expected['result']}, got {one.outcome}{shown}"
        return
    made = {"reason": one.reason}
    if isinstance(one.result, CallRecord):
        made |= text_of(one.result)
    for name, value in expected.items():
        if name != "result" and made.get(name, "") != value:
            yield f"{name}: expected {value or 'nothing'}, got {made.get(name) or 'nothing'}"


def _fields(mapping: Mapping, raw: bytes) -> Any:
    try:
        return mapping.fields(raw)
    except Unmapped:
        return None


def _sample_of(place: Path) -> Path:
    found = sorted(place.parent.glob(f"{place.stem}.sample.*"))
    if len(found) != 1:
        raise RaterError(f"{place}: expected one file {place.stem}.sample.* beside it, got {len(found)}")
    return found[0]
