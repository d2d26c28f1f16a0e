"""Records of `rate-decks` that no rater can read, and their removal: an empty record under the same key.

The topic is compacted and kept for ever, so such a record would stay.  A readable deck is never removed: rated
calls name it, and `rater rerate` prices them by it.
"""

from collections.abc import Iterable

import msgspec
from aiokafka import AIOKafkaProducer

from rater.core import Refusal
from rater.kafka.client import RETRY_BACKOFF_MS
from rater.kafka.connect import WRITE, connection, reachable
from rater.kafka.consume import read_topic
from rater.kafka.port import Consumed
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import partitions_of
from rater.wire.codec import decode_deck
from rater.wire.errors import Exit, RaterError

TOPIC = "rate-decks"


class Unreadable(msgspec.Struct, frozen=True):
    """A record that is no deck, where it stands, and why it cannot be read."""

    partition: int
    offset: int
    key: bytes
    why: str


async def deck_records(settings: KafkaSettings) -> list[Consumed]:
    """Every record that compaction would keep: the last of each key and partition, if it is not empty."""
    last: dict[tuple[int, bytes | None], Consumed] = {}
    async for records in read_topic(settings, TOPIC):
        last |= {(record.partition, record.key): record for record in records}
    return [record for record in last.values() if record.value]


def unreadable_of(records: Iterable[Consumed]) -> list[Unreadable]:
    """Those among records that are no decks."""
    return [
        Unreadable(record.partition, record.offset, record.key or b"", f"{deck.field}: {deck.message}")
        for record in records
        if isinstance(deck := decode_deck(record.value or b""), Refusal)
    ]


async def find_unreadable(settings: KafkaSettings, partition: int, offset: int) -> Unreadable:
    """The unreadable record that stands there; RaterError if there is none, or a readable deck has its key."""
    same_key: list[Consumed] = []
    found = None
    async for records in read_topic(settings, TOPIC):
        for record in records:
            same_key += [record] if record.partition == partition else []
            found = record if (record.partition, record.offset) == (partition, offset) else found
    place = f"{TOPIC}[{partition}]:{offset}"
    if found is None or not found.value:
        raise RaterError(f"{place}: no such record; `rater doctor` names those that cannot be read", Exit.FAILED)
    deck = decode_deck(found.value)
    if not isinstance(deck, Refusal):
        raise RaterError(f"{place}: deck {deck.version} can be read; decks are kept for ever", Exit.FAILED)
    others = [decode_deck(record.value) for record in same_key if record.key == found.key and record.value]
    readable = [other.version for other in others if not isinstance(other, Refusal)]
    if readable:
        raise RaterError(
            f"{place}: a deck that can be read has the same key ({readable[0]}) and would go with it;"
            " publish that deck again: it replaces this record (rater publish --deck FILE)",
            Exit.FAILED,
        )
    return unreadable_of([found])[0]


async def remove_unreadable(settings: KafkaSettings, record: Unreadable) -> None:
    """Write the empty record; Kafka deletes both when it compacts the topic."""
    await partitions_of(settings, TOPIC, WRITE)
    producer = AIOKafkaProducer(**connection(settings), enable_idempotence=True, retry_backoff_ms=RETRY_BACKOFF_MS)
    async with reachable(settings, producer, WRITE):
        await producer.send_and_wait(settings.topic(TOPIC), None, key=record.key, partition=record.partition)
