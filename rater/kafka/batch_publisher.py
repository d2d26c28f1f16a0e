"""Publish records, commands and decks: idempotent producer, the tenant as key, Kafka's default partitioner."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

from aiokafka import AIOKafkaProducer

from rater.core import EVERY_TENANT
from rater.kafka.client import RETRY_BACKOFF_MS
from rater.kafka.connect import WRITE, connection, reachable
from rater.kafka.publisher import partition_of
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import MESSAGE_BYTES_MAX, partitions_of

_BATCH_BYTES = 500_000
_IN_FLIGHT_MAX = 32
#: Who is held to a rate waits at least so long at a time, so that batches stay worth sending.
_PACE_S = 0.02

#: topic, key, value.
Message = tuple[str, str, bytes]


async def publish(
    settings: KafkaSettings,
    messages: Iterable[Message],
    progress: Callable[[int], None] = lambda _: None,
    rate: int | None = None,
) -> int:
    """Publish messages in order and wait until every one is stored; how many records that was.

    What is for every tenant goes to every partition.  `rate` is the most messages a second.
    """
    waiting = iter(messages)
    first = next(waiting, None)
    if first is None:
        return 0
    # before the producer starts: a user who may write nothing gets an error that names the topic
    partitions = {first[0]: await partitions_of(settings, first[0], WRITE)}
    producer = AIOKafkaProducer(
        **connection(settings),
        enable_idempotence=True,
        max_batch_size=_BATCH_BYTES,
        max_request_size=MESSAGE_BYTES_MAX,
        retry_backoff_ms=RETRY_BACKOFF_MS,
    )
    async with reachable(settings, producer, WRITE):
        writer = _Writer(settings, producer, progress)
        began = time.monotonic()
        for number, (topic, key, value) in enumerate(chain([first], waiting)):
            if rate and (ahead_s := number / rate - (time.monotonic() - began)) > _PACE_S:
                await writer.send_what_is_open()
                await asyncio.sleep(ahead_s)
            if topic not in partitions:
                partitions[topic] = await partitions_of(settings, topic, WRITE)
            count = partitions[topic]
            for partition in range(count) if key == EVERY_TENANT else (partition_of(key, count),):
                await writer.write(topic, partition, key.encode(), value)
        await writer.finish()
        return writer.stored


class _Writer:
    """Builds a batch for each partition and keeps a bounded number of them under way."""

    def __init__(
        self, settings: KafkaSettings, producer: AIOKafkaProducer, progress: Callable[[int], None]
    ) -> None:
        self.stored = 0
        self._settings, self._producer, self._progress = settings, producer, progress
        self._open: defaultdict[tuple[str, int], Any] = defaultdict(producer.create_batch)
        self._under_way: list[tuple[int, asyncio.Future[object]]] = []

    async def write(self, topic: str, partition: int, key: bytes, value: bytes) -> None:
        place = (topic, partition)
        while self._open[place].append(key=key, value=value, timestamp=None) is None:
            await self._send(place)

    async def send_what_is_open(self) -> None:
        for place in list(self._open):
            await self._send(place)

    async def finish(self) -> None:
        await self.send_what_is_open()
        await self._settle(0)

    async def _send(self, place: tuple[str, int]) -> None:
        batch = self._open.pop(place)
        topic, partition = place
        await self._settle(_IN_FLIGHT_MAX)
        stored = await self._producer.send_batch(batch, self._settings.topic(topic), partition=partition)
        self._under_way.append((batch.record_count(), stored))

    async def _settle(self, allowed: int) -> None:
        while len(self._under_way) > allowed:
            count, stored = self._under_way.pop(0)
            await stored
            self.stored += count
            self._progress(count)


async def publish_to(settings: KafkaSettings, topic: str, partition: int, key: str, value: bytes) -> None:
    """Publish one record to a partition that is not the key's, and wait until it is stored."""
    await partitions_of(settings, topic, WRITE)
    producer = AIOKafkaProducer(**connection(settings), enable_idempotence=True, max_request_size=MESSAGE_BYTES_MAX)
    async with reachable(settings, producer, WRITE):
        await producer.send_and_wait(settings.topic(topic), value, key=key.encode(), partition=partition)
