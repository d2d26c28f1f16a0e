"""The results of records that were applied, or that cannot be."""

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import UNSET, UnsetType

from rater.core import CallEvent, CallRecord, Outcome, Rejection
from rater.engine.batch import Batch, Record
from rater.ops.metrics.labels import RecordResult
from rater.serve.group_commit import Item
from rater.serve.results import Result, accepted, refused

_REFUSED = (Outcome.REJECTED, Outcome.CONFLICTING_DUPLICATE)


class _Named(msgspec.Struct):
    """What a record or a command is known by."""

    usage_id: str | UnsetType = UNSET
    id: str | UnsetType = UNSET


_names = msgspec.json.Decoder(_Named)


def results_of(items: Sequence[Item], batch: Batch) -> list[Result]:
    """The result of each item of a batch that was committed, in order."""
    outcomes, rejections = iter(batch.outcomes), iter(batch.rejections)
    return [_result_of(item, outcomes, rejections) for item in items]


def _result_of(item: Item, outcomes: Iterator[Outcome], rejections: Iterator[Rejection]) -> Result:
    if isinstance(item, CallEvent):
        return accepted(item.usage_id)
    outcome, name = next(outcomes), name_of(item)
    if outcome in _REFUSED:
        rejection = next(rejections)
        return refused(rejection.refusal, rejection.letter, name)
    if outcome is Outcome.DUPLICATE:
        return Result(result=RecordResult.DUPLICATE, usage_id=name)
    return Result(result=RecordResult.ACCEPTED, usage_id=name)


def name_of(record: Record) -> str | None:
    """The usage id of a call's record, or the id of a command, as far as it can be read."""
    if isinstance(record.decoded, CallRecord):
        return record.decoded.usage_id
    try:
        named = _names.decode(record.raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(named.usage_id, str):
        return named.usage_id
    return named.id if isinstance(named.id, str) else None
