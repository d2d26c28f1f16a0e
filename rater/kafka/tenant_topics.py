"""One tenant on Kafka, read once up to the end as of now: its state, its calls, its records in an output topic.

Each reads the tenant's partition from the beginning and keeps only what is the tenant's: 300,000 records a second.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping

import msgspec

from rater.core import AccountEvent, Memory, RatedCall, RejectedCdr, normal_usage_id
from rater.kafka.changelog import META_KEY, entity_of, read_meta, tenant_of
from rater.kafka.client import read_partition
from rater.kafka.consume import ends_of
from rater.kafka.publisher import partition_of
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import partitions_of

_rated_calls = msgspec.json.Decoder(RatedCall)
_events = msgspec.json.Decoder(AccountEvent)
_letters = msgspec.json.Decoder(RejectedCdr)
#: Where the outcome of a command is written.
ANSWERS = ("account-events", "rejected-cdrs")
_LOOK_S = 0.5


async def state_of(settings: KafkaSettings, tenant: str) -> Memory:
    """All that the rating task has committed about a tenant; RaterError if a newer program wrote it."""
    partition = partition_of(tenant, await partitions_of(settings, "state"))
    raw: dict[bytes, bytes | None] = {}
    async for records in read_partition(settings, "state", partition, None):
        for record in records:
            if record.key == META_KEY:
                read_meta(record.value or b"")
            elif record.key is not None and tenant_of(record.key) == tenant:
                raw[record.key] = record.value
    memory = Memory()
    for name, value in raw.items():
        if value is not None:
            kind, key, entity = entity_of(name, value)
            memory.entities[kind][key] = entity
    return memory


async def rated_calls_of(settings: KafkaSettings, tenant: str, usage_id: str) -> list[bytes]:
    """Every version of a call that was rated, oldest first."""
    sought = normal_usage_id(usage_id)
    quoted = {msgspec.json.encode(usage_id), msgspec.json.encode(sought)}
    return [
        value
        async for value in values_of(settings, "rated-calls", tenant, None)
        if any(name in value for name in quoted) and _rated_calls.decode(value).usage_id in (usage_id, sought)
    ]


async def answer_to(
    settings: KafkaSettings, tenant: str, id: str, raw: bytes, ends: Mapping[tuple[str, int], int], wait_s: float
) -> AccountEvent | RejectedCdr | None:
    """The outcome of a command that was published after the `ends` were noted; None if none came in that time."""
    deadline = time.monotonic() + wait_s
    while True:
        found = await _answer_now(settings, tenant, id, raw, ends)
        if found is not None or time.monotonic() > deadline:
            return found
        await asyncio.sleep(_LOOK_S)


async def answers_end(settings: KafkaSettings) -> dict[tuple[str, int], int]:
    """Where the topics end now in which `answer_to` looks."""
    return {(topic, part): end for topic in ANSWERS for part, end in (await ends_of(settings, topic)).items()}


async def _answer_now(
    settings: KafkaSettings, tenant: str, id: str, raw: bytes, ends: Mapping[tuple[str, int], int]
) -> AccountEvent | RejectedCdr | None:
    partition = partition_of(tenant, await partitions_of(settings, "commands"))
    async for value in values_of(settings, "account-events", tenant, ends[("account-events", partition)]):
        event = _events.decode(value)
        if event.command_id == id:
            return event
    async for value in values_of(settings, "rejected-cdrs", tenant, ends[("rejected-cdrs", partition)]):
        letter = _letters.decode(value)
        if letter.raw == raw.decode():
            return letter
    return None


async def values_of(
    settings: KafkaSettings, topic: str, tenant: str, start: int | None
) -> AsyncGenerator[bytes, None]:
    """A tenant's records in an output topic, in order, from an offset (None: the first) on."""
    partition, key = partition_of(tenant, await partitions_of(settings, topic)), tenant.encode()
    async for records in read_partition(settings, topic, partition, start):
        for record in records:
            if record.key == key and record.value is not None:
                yield record.value
