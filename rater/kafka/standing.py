"""How partitions stand, seen from outside: the meta record of each, and what is missing in its topics."""

from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition

from rater.core import RULES
from rater.kafka.changelog import META_KEY, STATE_VERSION, Meta, read_meta
from rater.kafka.client import committed_reader, doubted, unread
from rater.kafka.connect import reachable
from rater.kafka.input_topics import IDENTIFIED, Missing, missing_in
from rater.kafka.port import KeptRange
from rater.kafka.settings import KafkaSettings
from rater.kafka.topic_ids import topic_ids

#: Offsets before the end of `state` that are looked at first: each commit ends with its meta record and a marker.
_LOOK_BACK = 16


async def metas_of(settings: KafkaSettings, partitions: Iterable[int]) -> dict[int, Meta]:
    """The last meta record of each partition; one that has none has done nothing yet.

    A commit writes its meta record last, so it stands near the end.
    """
    places = {TopicPartition(settings.topic("state"), number): number for number in partitions}
    found: dict[int, Meta] = {}
    async with doubted(settings), reachable(settings, committed_reader(settings, 1 << 16)) as consumer:
        first = await consumer.beginning_offsets(list(places))
        ends = await consumer.end_offsets(list(places))
        back, left = _LOOK_BACK, dict(places)
        while left:
            starts = {place: max(first[place], ends[place] - back) for place in left}
            for place, value in (await _last_metas(consumer, starts, ends)).items():
                found[places[place]] = read_meta(value)
            left = {
                place: number
                for place, number in left.items()
                if number not in found and starts[place] > first[place]
            }
            back *= 16
    return {number: found.get(number, Meta(STATE_VERSION, 0, {}, RULES)) for number in places.values()}


async def _last_metas(
    consumer: AIOKafkaConsumer, starts: dict[TopicPartition, int], ends: dict[TopicPartition, int]
) -> dict[TopicPartition, bytes]:
    consumer.assign(list(starts))
    for place, start in starts.items():
        consumer.seek(place, start)
    found = {}
    async for place, records in unread(consumer, {place: ends[place] for place in starts}):
        for record in records:
            if record.key == META_KEY and record.value is not None and record.offset < ends[place]:
                found[place] = record.value
    return found


async def kept_everywhere(
    settings: KafkaSettings, topics: Iterable[str], partitions: Iterable[int]
) -> dict[int, dict[str, KeptRange]]:
    """What is kept of several partitions in several topics; see PartitionLog.kept."""
    names, numbers = list(topics), list(partitions)
    ids = await topic_ids(settings, names)
    places = {
        (number, topic): TopicPartition(settings.topic(topic), number) for number in numbers for topic in names
    }
    async with doubted(settings), reachable(settings, committed_reader(settings)) as consumer:
        first = await consumer.beginning_offsets(list(places.values()))
        ends = await consumer.end_offsets(list(places.values()))
    return {
        number: {
            topic: KeptRange(first[places[number, topic]], ends[places[number, topic]], ids[topic])
            for topic in names
        }
        for number in numbers
    }


async def missing_of(settings: KafkaSettings, partitions: Iterable[int]) -> dict[int, list[Missing]]:
    """What is missing in the topics of each partition; nothing in those that can go on."""
    numbers = list(partitions)
    metas = await metas_of(settings, numbers)
    kept = await kept_everywhere(settings, IDENTIFIED, numbers)
    return {number: missing_in(metas[number], kept[number]) for number in numbers}
