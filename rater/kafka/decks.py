"""The rate decks that were published: the `rate-decks` topic, read from the start and followed."""

import asyncio
import time

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from rater.core import Refusal, Tariffs
from rater.kafka.client import committed_reader, doubted, unread
from rater.kafka.connect import started
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import partitions_of
from rater.wire.codec import decode_deck

_LOOK_AGAIN_S = 0.5

log = structlog.get_logger(__name__)


class DeckReader:
    """Reads every version once; all partitions of a worker share it."""

    def __init__(self, settings: KafkaSettings, wait_s: float) -> None:
        self.tariffs = Tariffs()
        self._settings = settings
        self._wait_s = wait_s
        self._consumer: AIOKafkaConsumer | None = None
        self._reading = asyncio.Lock()

    async def start(self) -> None:
        """Connect, and read what is there."""
        topic, count = "rate-decks", await partitions_of(self._settings, "rate-decks")
        self._consumer = await started(self._settings, committed_reader(self._settings))
        self._consumer.assign([TopicPartition(self._settings.topic(topic), n) for n in range(count)])
        await self._consumer.seek_to_beginning()
        await self.read_to_end()

    async def stop(self) -> None:
        """Disconnect."""
        if self._consumer is not None:
            await self._consumer.stop()

    async def read_to_end(self) -> None:
        """See rater.kafka.rating_task.Decks."""
        async with self._reading, doubted(self._settings):
            consumer = self._consumer
            assert consumer is not None, "started"
            async for _, records in unread(consumer):
                for record in records:
                    self._apply(record.value)

    async def wait_for(self, versions: set[str]) -> None:
        """See rater.kafka.rating_task.Decks."""
        deadline = time.monotonic() + self._wait_s
        await self.read_to_end()
        while not all(version in self.tariffs for version in versions) and time.monotonic() < deadline:
            log.info("waiting for rate decks", versions=sorted(versions))
            await asyncio.sleep(_LOOK_AGAIN_S)
            await self.read_to_end()

    def _apply(self, value: bytes | None) -> None:
        """Publish a version; one that does not decode prices nothing, so a command that names it is refused."""
        if not value:
            return  # a record that could not be read was removed
        deck = decode_deck(value)
        if isinstance(deck, Refusal):
            log.error("a rate deck cannot be read", field=deck.field, reason=deck.message)
        else:
            self.tariffs.publish(deck)
