"""Read an output topic as a careful consumer does: committed records only, ids and sequences checked on the way."""

from collections.abc import AsyncIterator

import msgspec
from aiokafka import TopicPartition

from rater.kafka.client import READ_WAIT_MS, committed_reader, consumed, doubted, unread
from rater.kafka.connect import reachable, started
from rater.kafka.port import Consumed
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import partitions_of


async def read_topic(
    settings: KafkaSettings, topic: str, *, follow: bool = False, last: int | None = None
) -> AsyncIterator[list[Consumed]]:
    """Every committed record of a topic, partition by partition in order; then what comes, if it is to follow.

    `last`: from so many offsets before each partition's end; markers of transactions are some of them.
    """
    numbers = range(await partitions_of(settings, topic))
    sources = [TopicPartition(settings.topic(topic), number) for number in numbers]
    consumer = await started(settings, committed_reader(settings))
    try:
        async with doubted(settings):
            consumer.assign(sources)
            first = await consumer.beginning_offsets(sources)
            ends = await consumer.end_offsets(sources) if last is not None else {}
            for source in sources:
                consumer.seek(source, first[source] if last is None else max(first[source], ends[source] - last))
            async for _, records in unread(consumer):
                yield consumed(topic, records)
            while follow:
                for records in (await consumer.getmany(timeout_ms=READ_WAIT_MS)).values():
                    yield consumed(topic, records)
    finally:
        await consumer.stop()


async def ends_of(settings: KafkaSettings, topic: str) -> dict[int, int]:
    """The position after the last committed record of each partition."""
    sources = [TopicPartition(settings.topic(topic), n) for n in range(await partitions_of(settings, topic))]
    async with reachable(settings, committed_reader(settings)) as consumer:
        return {source.partition: end for source, end in (await consumer.end_offsets(sources)).items()}


class _Numbered(msgspec.Struct, frozen=True):
    """What every output has."""

    tenant: str
    id: str
    sequence: int


_decode = msgspec.json.Decoder(_Numbered).decode


class SequenceCheck:
    """Follows each tenant's sequence in one topic; what it finds wrong is one sentence each.

    In a compacted topic earlier records may be gone, so there sequences only have to rise.
    """

    def __init__(self, topic: str, *, compacted: bool, begun: bool = False) -> None:
        """`begun`: the topic does not keep its first records any more, so each tenant begins anywhere."""
        self._topic = topic
        self._begun = begun
        self._compacted = compacted
        self._last: dict[tuple[int, str], int] = {}
        self._ids: set[tuple[int, str, str]] = set()

    def check(self, record: Consumed) -> str | None:
        """What is wrong with the next record, or None; without a value only its key went from a compacted topic."""
        if self._compacted and record.value is None:
            return None
        output = _decode(record.value or b"")
        where = f"{self._topic}/{record.partition}@{record.offset}: tenant {output.tenant}"
        place = (record.partition, output.tenant)
        before = self._last.get(place, 0)
        self._last[place] = output.sequence
        if (*place, output.id) in self._ids:
            return f"{where}: id {output.id} came twice"
        if not self._compacted:
            self._ids.add((*place, output.id))
        if self._begun and not before:
            return None
        if output.sequence == before + 1 or (self._compacted and output.sequence > before):
            return None
        return f"{where}: expected sequence {before + 1}, got {output.sequence}"
