"""Publishes rate decks: each is one record, compressed, so that a version is there as a whole or not at all.

What a broker limits is the compressed record: a deck of 36,000 rows is 5 MB of JSON, and 0.2 MB of what is sent.
Readers of every release decompress it without being asked.
"""

import gzip
from collections.abc import Iterable

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError

from rater.kafka.batch_publisher import Message
from rater.kafka.client import RETRY_BACKOFF_MS
from rater.kafka.connect import WRITE, connection, reachable
from rater.kafka.publisher import partition_of
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import MESSAGE_BYTES_MAX, partitions_of
from rater.wire.errors import RaterError

TOPIC = "rate-decks"
#: Of one version as JSON: what every worker holds in memory while it reads it.
DECK_BYTES_MAX = 100_000_000
#: What a batch has besides its record.
_FRAME_BYTES = 1_000
_SHORTER = "leave out rows that are no longer valid, or rows whose price is that of the prefix around them"


def split_decks(messages: Iterable[Message]) -> tuple[list[Message], list[Message]]:
    """The decks among messages, and the others; RaterError, before any is sent, if no broker would store a deck."""
    decks: list[Message] = []
    others: list[Message] = []
    for message in messages:
        topic, version, value = message
        if topic == TOPIC:
            _check_size(version, value)
        (decks if topic == TOPIC else others).append(message)
    return decks, others


def _check_size(version: str, value: bytes) -> None:
    if len(value) > DECK_BYTES_MAX:
        raise RaterError(
            f"rate deck {version}: expected at most {DECK_BYTES_MAX} bytes of JSON (DECK_BYTES_MAX), got"
            f" {len(value)}; nothing was published; {_SHORTER}"
        )
    packed = len(gzip.compress(value)) + _FRAME_BYTES
    if packed > MESSAGE_BYTES_MAX:
        raise RaterError(
            f"rate deck {version}: expected at most {MESSAGE_BYTES_MAX} bytes compressed (MESSAGE_BYTES_MAX), got"
            f" {packed}; nothing was published; {_SHORTER}"
        )


async def publish_decks(settings: KafkaSettings, decks: list[Message]) -> int:
    """Publish decks, each with its version, and wait until every one is stored; how many.

    Raises RaterError if the topic's limit is too small; what is put in force after that was not sent.
    """
    count = await partitions_of(settings, TOPIC, WRITE)
    producer = AIOKafkaProducer(
        **connection(settings),
        enable_idempotence=True,
        compression_type="gzip",
        max_request_size=DECK_BYTES_MAX + _FRAME_BYTES,
        retry_backoff_ms=RETRY_BACKOFF_MS,
    )
    async with reachable(settings, producer, WRITE):
        for _, version, value in decks:
            try:
                await producer.send_and_wait(
                    settings.topic(TOPIC), value, key=version.encode(), partition=partition_of(version, count)
                )
            except MessageSizeTooLargeError as wrong:
                raise RaterError(
                    f"rate deck {version}: {settings.topic(TOPIC)} does not accept a record of its size; it was"
                    " not put in force; compare the topic's max.message.bytes: rater topics diff"
                ) from wrong
    return len(decks)
