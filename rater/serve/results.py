"""The outcome of each record of a request."""

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from rater.core import Reason, Refusal
from rater.ops.metrics.labels import RecordResult


class Result(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The outcome of one record.

    `reason`, `field` and `message` say why it was refused (or passed over), `dead_letter` the id under which its
    bytes are kept: `rater dlq show` and `rater dlq replay` know it.  A record that was refused need not be sent
    again.
    """

    result: RecordResult
    usage_id: str | None = None
    reason: str | None = None
    field: str | None = None
    message: str | None = None
    dead_letter: str | None = None


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a request with records: how many had each result, and the result of each, in their order."""

    accepted: int
    duplicate: int
    refused: int
    not_selected: int
    results: Sequence[Result]


def accepted(usage_id: str) -> Result:
    """It is stored."""
    return Result(result=RecordResult.ACCEPTED, usage_id=usage_id)


def refused(wrong: Refusal, dead_letter: str | None, usage_id: str | None = None) -> Result:
    """It cannot be rated; `dead_letter` is where its bytes are kept, None where they are not."""
    return Result(
        result=RecordResult.REFUSED,
        usage_id=usage_id,
        reason=Reason(wrong.reason).value,
        field=wrong.field or None,
        message=wrong.message,
        dead_letter=dead_letter,
    )


def not_selected(reason: str) -> Result:
    """Its mapping passes it over."""
    return Result(result=RecordResult.NOT_SELECTED, message=reason)


def counted(results: Iterable[Result]) -> Results:
    """Results with their numbers."""
    every = list(results)
    counts = Counter(one.result for one in every)
    return Results(
        accepted=counts[RecordResult.ACCEPTED],
        duplicate=counts[RecordResult.DUPLICATE],
        refused=counts[RecordResult.REFUSED],
        not_selected=counts[RecordResult.NOT_SELECTED],
        results=every,
    )
