"""Brings the usage-id index of a partition to the end of `rated-calls`, or builds it anew where it does not fit.

Protects rule 68, no usage id is charged twice: an index that lost calls would let their duplicates be rated.  So it
is looked at before it is relied on; while records are rated this costs nothing.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

import msgspec

from rater.core import Key, LiveCall, RatedCall, normal_usage_id
from rater.kafka.index import StandsAt, UsageIndex, indexed
from rater.kafka.partition_state import PartitionState
from rater.kafka.port import Consumed

TOPIC = "rated-calls"
#: Calls that are put into the index at a time.
PORTION_CALLS = 10_000
#: Positions before where the index stands whose calls must be in it.
PROBED_POSITIONS = 1_000
_decode = msgspec.json.Decoder(RatedCall).decode


class Reads(Protocol):
    """See PartitionLog."""

    def read(self, topic: str, start: int | None) -> AsyncIterator[Sequence[Consumed]]:
        """The committed records from `start` (None: the first) until the end as of now."""

    async def end(self, topic: str) -> int:
        """The position after the last committed record."""


async def catch_up(log: Reads, state: PartitionState, progress: Callable[[int], None]) -> int:
    """How many calls were missing; `progress` is given the records of each read.

    Raises Doubt if the state is older than the last of them.
    """
    index = state.index
    end, stands = await log.end(TOPIC), index.stands_at
    if stands.position and not (stands.position <= end and await _fits(log, index)):
        index.clear()
        stands = index.stands_at
    calls: dict[Key, LiveCall] = {}
    missing, call = 0, None
    async for records in log.read(TOPIC, stands.position):
        missing += len(records)
        progress(len(records))
        for record in records:
            call = _call(record)
            calls.update(indexed(call))
            stands = StandsAt(record.offset + 1, call.id)
        if len(calls) >= PORTION_CALLS:
            index.put(calls, stands)
            calls = {}
    if calls:
        index.put(calls, stands)
    if call is not None:
        state.check_includes(call)
    return missing


async def _fits(log: Reads, index: UsageIndex) -> bool:
    """Whether the last calls up to where the index stands are in it, and the last of them where it says."""
    stands = index.stands_at
    last = StandsAt()
    async for records in log.read(TOPIC, max(0, stands.position - PROBED_POSITIONS)):
        known = [record for record in records if record.offset < stands.position]
        calls = [_call(record) for record in known]
        keys = {(call.tenant, normal_usage_id(call.usage_id)) for call in calls}
        if index.fetch(list(keys)).keys() != keys:
            return False
        if known:
            last = StandsAt(known[-1].offset + 1, calls[-1].id)
        if records[-1].offset >= stands.position - 1:
            break
    return last == stands


def _call(record: Consumed) -> RatedCall:
    assert record.value is not None, record
    return _decode(record.value)
