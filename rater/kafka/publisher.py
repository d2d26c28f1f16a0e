"""A publisher that stays open: each record is stored when `publish` returns, in the partition of its tenant.

An idempotent producer can come to an end that it does not recover from; then the next record gets a new one.
"""

import asyncio
import contextlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from rater.core import RESERVED_TENANTS, Reason, Refusal
from rater.kafka.client import RETRY_BACKOFF_MS
from rater.kafka.connect import UnreachableError, connection, started
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import MESSAGE_BYTES_MAX, partitions_of
from rater.wire.errors import Exit, RaterError

#: A record that is not stored by then counts as not stored; whoever publishes it again gives it the same id.
STORED_WITHIN_S = 30.0
_STOP_TIMEOUT_S = 5.0


class NotStored(RaterError):
    """Whether the record was stored is not known; publish the same one again."""

    def __init__(self, topic: str, wrong: Exception) -> None:
        super().__init__(f"{topic}: a record was not stored: {type(wrong).__name__}: {wrong}", Exit.UNREACHABLE)


class Publisher:
    """One for a process; used as long as its event loop."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer: Any = None
        self._partitions: dict[str, int] = {}
        self._opening = asyncio.Lock()

    async def publish(self, topic: str, tenant: str, value: bytes, key: str | None = None) -> None:
        """Return once acknowledged by all in-sync replicas (key: the tenant, if not given); raises NotStored."""
        producer = None
        try:
            async with asyncio.timeout(STORED_WITHIN_S):
                producer = await self._open(topic)
                await producer.send_and_wait(
                    self._settings.topic(topic),
                    key=(key or tenant).encode(),
                    value=value,
                    partition=partition_of(tenant, self._partitions[topic]),
                )
        except (KafkaError, UnreachableError, TimeoutError, OSError) as wrong:
            await self._drop(producer)
            raise NotStored(topic, wrong) from wrong

    async def close(self) -> None:
        """Send what is under way, then disconnect."""
        await self._drop(self._producer)

    async def _open(self, topic: str) -> Any:
        async with self._opening:
            if topic not in self._partitions:
                self._partitions[topic] = await partitions_of(self._settings, topic)
            if self._producer is None:
                self._producer = await started(
                    self._settings,
                    AIOKafkaProducer(
                        **connection(self._settings),
                        enable_idempotence=True,
                        max_request_size=MESSAGE_BYTES_MAX,
                        retry_backoff_ms=RETRY_BACKOFF_MS,
                    ),
                )
            return self._producer

    async def _drop(self, producer: Any) -> None:
        """Records that others wait for go with it; each of them gets the failure, and publishes again."""
        if producer is None or producer is not self._producer:
            return
        self._producer = None
        with contextlib.suppress(KafkaError, TimeoutError, OSError):
            await asyncio.wait_for(producer.stop(), _STOP_TIMEOUT_S)


@lru_cache(maxsize=65_536)
def partition_of(tenant: str, partitions: int) -> int:
    """The partition of a tenant among so many."""
    return int((murmur2(tenant.encode()) & 0x7FFFFFFF) % partitions)


def admission(partition: int, partitions: int) -> Callable[[str], Refusal | None]:
    """Why a tenant's record must not be rated in this partition: a tenant has one writer."""

    def admit(tenant: str) -> Refusal | None:
        right = partition_of(tenant, partitions)
        if right == partition or tenant in RESERVED_TENANTS:
            return None
        message = (
            f"expected tenant {tenant!r} in partition {right}, got partition {partition};"
            " publish with the tenant as key and the murmur2 partitioner (kcat: -X topic.partitioner=murmur2)"
        )
        return Refusal(Reason.WRONG_PARTITION, "tenant", message)

    return admit
