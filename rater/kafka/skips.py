"""Records that an operator decided to pass over, because applying them raises: a bug that waits for its repair.

The decision is a record of `dlq-audit` in the partition of the record that it is about.  The rating task reads it
when it takes ownership, makes the record a dead letter unread, and says so in its commit: a replay needs no more.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from rater.contracts.dead_letters import DlqAudit, LetterAction
from rater.core.inputs import NO_TENANT, Source
from rater.kafka.port import Consumed

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


async def skips_of(log: Reads) -> frozenset[Source]:
    """Every record of the partition that somebody decided to pass over."""
    found = set()
    async for records in log.read(TOPIC, None):
        audits = [_decoder.decode(record.value or b"") for record in records]
        found |= {audit.source for audit in audits if audit.action is LetterAction.SKIPPED and audit.source}
    return frozenset(found)
