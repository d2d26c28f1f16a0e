"""Where a scenario is played on Kafka: topics of its own, a worker in this process, one commit for each step."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from prometheus_client import CollectorRegistry

from rater.core import (
    TOPIC_OF,
    Account,
    CallRecord,
    Committed,
    Entity,
    Key,
    Outcome,
    Output,
    PoolUse,
    RateDeck,
    RatingSettings,
    State,
    pool_use,
)
from rater.kafka.changelog import Entities
from rater.kafka.client import committed_reader, unread
from rater.kafka.connect import connection, started
from rater.kafka.observe import Watch
from rater.kafka.settings import KafkaSettings, WorkerSettings
from rater.kafka.topics import apply
from rater.kafka.worker import Worker
from rater.ops.metrics.meter import Metrics
from rater.wire.codec import encode_input
from rater.wire.commits import Commit, part_of
from rater.wire.errors import RaterError
from rater.wire.topics import Topic, load_topics

#: A step says itself when it arrives (A43): the rater reads this stamp as none.
_NO_STAMP_MS = 0
ANSWER_TIMEOUT_S = 30.0
_READ_WAIT_MS = 20
_TYPE_OF = {topic: type for type, topic in TOPIC_OF.items()}
_Result = TypeVar("_Result")


class _Replica(Committed):
    """What the `state` topic says, as the rules read it."""

    def __init__(self) -> None:
        self.entities = Entities()

    def load(self, kind: str, key: Key) -> Entity | None:
        """See rater.core.state.Committed."""
        return None if kind == "call" else self.entities.load(kind, key)

    def prepare(self, calls: Sequence[CallRecord]) -> None:
        """See rater.core.state.Committed; everything is at hand here."""


def _unstamped(topics: dict[str, Topic]) -> dict[str, Topic]:
    """The topics without the broker's stamp; nothing is deleted for the age that its stamp shows."""
    other = {"timestamps": "writer", "retention_hours": None}
    return {name: t.model_copy(update=other) if t.timestamps == "broker" else t for name, t in topics.items()}


class KafkaEngine:
    """The rater on a broker; `raw` keeps every output as its bytes stand in the topics."""

    def __init__(self, settings: RatingSettings, bootstrap: str) -> None:
        self.raw: dict[str, list[bytes]] = {topic: [] for topic in _TYPE_OF}
        self._rating = settings
        self._kafka = KafkaSettings(bootstrap=bootstrap, prefix=f"check-{uuid4().hex[:12]}-")
        self._index = Path(tempfile.mkdtemp(prefix="rater-check-"))
        self._loop = asyncio.new_event_loop()
        try:
            self._wait(self._start())
        except BaseException:
            self._forget()
            raise

    def close(self) -> None:
        """See Engine."""
        self._wait(self._stop())
        self._forget()

    def _forget(self) -> None:
        self._loop.close()
        shutil.rmtree(self._index, ignore_errors=True)

    def publish(self, deck: RateDeck) -> None:
        """See Engine."""
        self._wait(self._produce("rate-decks", deck.version, encode_input(deck)))

    def submit(self, kind: str, raw: bytes) -> tuple[Outcome, list[Output]]:
        """See Engine."""
        return self._wait(self._submit("cdrs" if kind == "cdr" else "commands", raw))

    def account(self, tenant: str) -> Account:
        """See Engine."""
        account = State(self._wait(self._replica())).account(tenant)
        assert account is not None, tenant
        return account

    def pool(self, tenant: str, name: str) -> PoolUse | None:
        """See Engine."""
        state = State(self._wait(self._replica()))
        return pool_use(state, self._rating, self.account(tenant), name)

    def _wait(self, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
        return self._loop.run_until_complete(coroutine)

    async def _start(self) -> None:
        await apply(self._kafka, _unstamped(load_topics()), partitions=1)
        worker = WorkerSettings(index_folder=self._index, batch_wait_ms=5)
        self._worker = Worker(self._kafka, worker, self._rating, Watch(Metrics(CollectorRegistry())))
        self._running = asyncio.create_task(self._worker.run())
        producer = AIOKafkaProducer(**connection(self._kafka), enable_idempotence=True)
        self._producer = await started(self._kafka, producer)
        self._commits = await self._reader(["commits"])
        self._outputs = await self._reader(list(_TYPE_OF))
        # It sees what is written and not yet marked as committed.
        self._ends = await started(
            self._kafka, AIOKafkaConsumer(**connection(self._kafka), isolation_level="read_uncommitted")
        )

    async def _reader(self, topics: list[str]) -> AIOKafkaConsumer:
        consumer = await started(self._kafka, committed_reader(self._kafka))
        consumer.assign([TopicPartition(self._kafka.topic(topic), 0) for topic in topics])
        await consumer.seek_to_beginning()
        return consumer

    async def _stop(self) -> None:
        self._worker.stop()
        await self._running
        for client in (self._producer, self._commits, self._outputs, self._ends):
            await client.stop()

    async def _produce(self, topic: str, key: str, value: bytes) -> None:
        await self._producer.send_and_wait(
            self._kafka.topic(topic), value, key.encode(), partition=0, timestamp_ms=_NO_STAMP_MS
        )

    async def _submit(self, topic: str, raw: bytes) -> tuple[Outcome, list[Output]]:
        await self._produce(topic, "", raw)
        commit = await asyncio.wait_for(self._next_commit(), ANSWER_TIMEOUT_S)
        (outcome,) = commit.outcomes
        return outcome, await asyncio.wait_for(self._new_outputs(), ANSWER_TIMEOUT_S)

    async def _next_commit(self) -> Commit:
        while True:
            if self._worker.failed:
                raise RaterError(f"the worker stopped: {self._worker.failed[0]}")
            for records in (await self._commits.getmany(timeout_ms=_READ_WAIT_MS, max_records=1)).values():
                if part_of(records[0].key) is not None:
                    continue
                return msgspec.json.decode(records[0].value, type=Commit)

    async def _new_outputs(self) -> list[Output]:
        """What the commit wrote."""
        found: list[Output] = []
        async for partition, records in unread(self._outputs, await self._written(self._outputs)):
            topic = partition.topic.removeprefix(self._kafka.prefix)
            self.raw[topic].extend(record.value for record in records)
            found.extend(msgspec.json.decode(record.value, type=_TYPE_OF[topic]) for record in records)
        return found

    async def _written(self, reader: AIOKafkaConsumer) -> Mapping[TopicPartition, int]:
        """The ends of a reader's partitions, with what is committed but not marked so yet.

        A transaction becomes visible partition by partition: when its commit record is read, the other topics'
        committed ends may still lie before what it wrote.  Who reads up to these ends waits for their markers.
        """
        ends: Mapping[TopicPartition, int] = await self._ends.end_offsets(list(reader.assignment()))
        return ends

    async def _replica(self) -> _Replica:
        replica = _Replica()
        consumer = await self._reader(["state"])
        async for _, records in unread(consumer, await self._written(consumer)):
            for record in records:
                replica.entities.apply(record.key, record.value)
        await consumer.stop()
        return replica
