"""Records at which a bug of ours stops a partition: which one it is, and those that an operator passes over.

The decision to pass over is a record of `dlq-audit` in the partition of the record that it is about.  The rating
task reads it when it acquires the partition, makes the record a dead letter unread, and says so in its commit.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from rater.core import NO_TENANT, Source
from rater.kafka.port import Consumed
from rater.wire.dead_letters import DlqAudit, LetterAction


class RecordAtFault(Exception):
    """Applying this record raised; nothing of its batch was committed."""

    def __init__(self, source: Source, wrong: Exception) -> None:
        self.source = source
        place = f"--partition {source.partition} --topic {source.topic} --offset {source.offset}"
        super().__init__(
            f"{source.topic}[{source.partition}]:{source.offset}: {type(wrong).__name__}: {str(wrong)[:500]};"
            " applying this record raises, so nothing of its batch was committed. When it must not wait for a"
            f" repaired version: rater partition skip {place} --note WHY"
        )


def find_at_fault(sources: Sequence[Source], first: Callable[[int], object], wrong: Exception) -> Exception:
    """The error that names the record at fault, if the beginning of the batch up to it raises again.

    `sources` are the places of its records; `first` applies so many of them, and changes nothing that stays.
    Beginnings are halved: a batch of 2,000 is applied some eleven times more.
    """
    if not _raises(first, len(sources)):
        return wrong
    good, bad = 0, len(sources)
    while bad - good > 1:
        middle = (good + bad) // 2
        if _raises(first, middle):
            bad = middle
        else:
            good = middle
    return RecordAtFault(sources[bad - 1], wrong)


def _raises(first: Callable[[int], object], count: int) -> bool:
    try:
        first(count)
    except Exception:  # whatever it is, it is the bug that is looked for
        return True
    return False


TOPIC = "dlq-audit"
_decoder = msgspec.json.Decoder(DlqAudit)


class Reads(Protocol):
    """Reads a topic of one partition; see PartitionLog."""

    def read(self, topic: str, start: int | None) -> AsyncIterator[Sequence[Consumed]]:
        """The committed records from `start` (None: the first) until the end as of now."""


def skip_order(record: Source, by: str, at: datetime, note: str) -> DlqAudit:
    """What an operator decided about one record."""
    return DlqAudit(
        tenant=NO_TENANT,
        id=f"{record.topic}-{record.partition}-{record.offset}",
        action=LetterAction.SKIPPED,
        by=by,
        at=at,
        note=note,
        source=record,
    )


async def decisions_of(log: Reads) -> list[DlqAudit]:
    """What people decided in the partition: about dead letters, records at fault and inputs that are gone."""
    return [_decoder.decode(record.value or b"") async for records in log.read(TOPIC, None) for record in records]


def skips_of(decisions: Iterable[DlqAudit]) -> frozenset[Source]:
    """Every record of the partition that somebody decided to pass over."""
    return frozenset(one.source for one in decisions if one.action is LetterAction.SKIPPED and one.source)
