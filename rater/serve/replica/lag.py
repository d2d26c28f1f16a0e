"""How far a replica is behind the topics.  Does no I/O."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

_UNIX = datetime(1970, 1, 1, tzinfo=UTC)


class Seen(NamedTuple):
    """A partition at a look: the next offset to be applied, its end, when the broker said so, the last stamp.

    Times are Unix milliseconds; `applied_ms` is the stamp of the last record that was applied, 0: none was.
    """

    position: int
    end: int
    asked_ms: int
    applied_ms: int


class Lag(NamedTuple):
    """Records that are committed and not applied, for how long, and until when everything is applied."""

    records: int
    seconds: float
    as_of: datetime | None


def lag_of(partitions: Iterable[Seen], before: datetime | None, now_ms: int) -> Lag:
    """The lag over all partitions; `before` is until when everything was known to be applied.

    Of a partition that is read to its end everything is applied up to when the broker said where that is; of
    another one up to the last record that was applied, or up to `before` where that is later.
    """
    since_ms = 0 if before is None else (before - _UNIX) // timedelta(milliseconds=1)
    records, until_ms, is_known = 0, now_ms, True
    for position, end, asked_ms, applied_ms in partitions:
        records += max(0, end - position)
        reached_ms = asked_ms if position >= end else max(applied_ms, since_ms)
        is_known = is_known and reached_ms > 0
        until_ms = min(until_ms, reached_ms)
    until = _UNIX + timedelta(milliseconds=until_ms) if is_known else before
    seconds = max(0, now_ms - until_ms) / 1e3 if records and is_known else 0.0
    return Lag(records, seconds, until)
