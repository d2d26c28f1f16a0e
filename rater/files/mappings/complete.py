"""What a mapping still has to set before it may read records: nothing that costs money is guessed."""

from collections.abc import Iterator
from typing import Any

from rater.files.mappings.fields import CALL, MADE_BEFORE, fields_of
from rater.files.mappings.model import MappingFile, TimeFrom

#: Names that stand for chance, place or arrival in other tools: a record that is sent again would have another.
_NOT_OF_THE_RECORD = frozenset(
    {"row", "row_number", "rownum", "line", "line_number", "lineno", "offset", "position", "index", "file", "now",
     "time", "arrival", "arrived_at", "received_at", "random", "rand", "uuid4", "guid"}
)  # fmt: skip


def incomplete(file: MappingFile) -> list[str]:
    """A line for each thing that is missing or would be charged wrongly."""
    return [*_missing(file), *_usage_id(file), *_circular(file)]


def _missing(file: MappingFile) -> Iterator[str]:
    for name, question in file.questions.items():
        if not file.answers.get(name):
            yield f"answers.{name}: expected an answer: {question}"
    for name in file.answers.keys() - file.questions.keys():
        yield f"answers.{name}: no such question; there are: {', '.join(file.questions) or 'no questions'}"
    if file.call.duration.round is None:
        yield (
            "call.duration.round: expected up, down or half: how fractions of a second become whole seconds"
            " (215.48 s are 216, 215 or 215)"
        )
    if _is_local(file) and file.times.zone is None:
        yield "times.zone: expected the zone of the switch's clock, such as UTC or America/New_York"


def _is_local(file: MappingFile) -> bool:
    """Whether some time is read whose text may have no zone."""
    for given in (file.call.answered_at, file.call.ended_at):
        if given is None:
            continue
        own = given if isinstance(given, TimeFrom) else None
        written = (own and own.as_) or file.times.as_ or ("iso",)
        is_local = any(not one.startswith("epoch") and "%z" not in one for one in written)
        if is_local and not (own and own.zone):
            return True
    return False


def _usage_id(file: MappingFile) -> Iterator[str]:
    names = fields_of(file.call.usage_id)
    own = [name for name in names if not name.startswith((CALL, "answers."))]
    if not own:
        yield (
            'call.usage_id: expected fields of the record such as "{uniqueid}/{sequence}": it must be another for'
            " each call, and the same when a record is sent again"
        )
    for name in own:
        if name.rpartition(".")[2].casefold() in _NOT_OF_THE_RECORD:
            yield (
                f"call.usage_id: {{{name}}}: expected the switch's own id of the call: a random id, a row or a time"
                " of arrival is another when a record is sent again, and the call would be charged twice"
            )


def _circular(file: MappingFile) -> Iterator[str]:
    for name in fields_of(file.call.usage_id):
        if name.startswith(CALL):
            yield f"call.usage_id: {{{name}}}: expected fields of the switch's record"
    for name in {name for text in _templates(file) for name in fields_of(text) if name.startswith(CALL)}:
        if name.removeprefix(CALL) not in MADE_BEFORE:
            known = ", ".join(f"{{{CALL}{made}}}" for made in MADE_BEFORE)
            yield f"{{{name}}}: expected a field of the record, or one of {known}"


def _templates(file: MappingFile) -> Iterator[str]:
    """Every text of the call record, wherever it stands."""
    held: list[Any] = [file.call.model_dump()]
    while held:
        value = held.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            held.extend(value.values())
        elif isinstance(value, list | tuple):
            held.extend(value)
