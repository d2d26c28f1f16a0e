"""What one partition keeps in all topics at one moment: where an audit under traffic begins and ends.

A transaction's markers reach its topics one after the other.  So the end of `commits` is looked at first; then each
other topic is waited for until everything that it had by then is decided.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from rater.kafka.client import committed_reader, doubted, read_partition
from rater.kafka.connect import connection, reachable
from rater.kafka.port import Consumed
from rater.kafka.settings import KafkaSettings

#: Longer than an open transaction of a worker that crashed lasts (RATER_TRANSACTION_TIMEOUT_MS).
_DECIDED_WITHIN_S = 40.0
_LOOK_AGAIN_S = 0.05


class Ends(msgspec.Struct, frozen=True):
    """The first offset and the position after the last record of each topic, in one partition."""

    first: Mapping[str, int]
    end: Mapping[str, int]


async def ends_of_partition(settings: KafkaSettings, topics: Sequence[str], partition: int) -> Ends:
    """As of now; everything that the last commit wrote lies before the ends."""
    places = {topic: TopicPartition(settings.topic(topic), partition) for topic in topics}
    every = AIOKafkaConsumer(**connection(settings), enable_auto_commit=False, auto_offset_reset="none")
    async with (
        doubted(settings),
        reachable(settings, committed_reader(settings)) as committed,
        reachable(settings, every) as written,
    ):
        last = (await _ends(committed, {"commits": places["commits"]}))["commits"]
        before = await _ends(written, places)
        ends = await _ends(committed, places)
        deadline = time.monotonic() + _DECIDED_WITHIN_S
        while any(ends[topic] < before[topic] for topic in topics) and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_AGAIN_S)
            ends = await _ends(committed, places)
        first = await committed.beginning_offsets(list(places.values()))
    return Ends({topic: first[place] for topic, place in places.items()}, ends | {"commits": last})


async def _ends(consumer: Any, places: Mapping[str, TopicPartition]) -> dict[str, int]:
    found = await consumer.end_offsets(list(places.values()))
    return {topic: found[place] for topic, place in places.items()}


async def read_until(
    settings: KafkaSettings, partition: int, ends: Ends, topic: str
) -> AsyncIterator[Sequence[Consumed]]:
    """The committed records of a topic before its end."""
    end = ends.end[topic]
    async for records in read_partition(settings, topic, partition, None, end):
        yield [record for record in records if record.offset < end]
