"""A mirror of a deployment's topics under another prefix, as far as a test says; and MirrorMaker 2 itself."""

import asyncio
import itertools
from collections.abc import Mapping

from rater.kafka.client import read_partition
from rater.kafka.move.writer import SetWriter, Written
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import apply
from rater.wire.topics import load_topics
from tests.kafka.deployment import PARTITIONS

#: What a worker needs for itself is not mirrored: it is computed again.
MIRRORED = sorted(load_topics().keys() - {"state"})


def mirror(
    source: KafkaSettings,
    target: KafkaSettings,
    lacks: Mapping[str, int] | None = None,
    begins: Mapping[str, int] | None = None,
    twice: str | None = None,
) -> None:
    """Copy each topic's partitions in order, with their times; offsets differ, because transactions leave markers.

    Of each partition the last records that `lacks` says are missing, and those before the offset that `begins`
    says; the record before the last of topic `twice` is there twice.
    """

    async def copy() -> None:
        await apply(target, load_topics(), PARTITIONS)
        async with SetWriter(target, f"{target.prefix}mirror") as writer:
            for topic, number in itertools.product(MIRRORED, range(PARTITIONS)):
                first = (begins or {}).get(topic)
                records = [one async for some in read_partition(source, topic, number, first) for one in some]
                kept = records[: len(records) - (lacks or {}).get(topic, 0)]
                written = [Written(record.key, record.value, record.published_ms) for record in kept]
                if topic == twice and len(written) > 1:
                    written.insert(-1, written[-2])
                place = (target.topic(topic), number)
                half = len(written) // 2
                for part in (written[:half], written[half:]):
                    if part:
                        await writer.commit({place: part})

    asyncio.run(copy())
