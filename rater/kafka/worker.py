"""The rating worker: follows the consumer group's assignment, and runs one rating task for each partition of it.

In the callbacks of a rebalance nothing is done but pausing and seeking: no heartbeat is sent while they run.  A
task whose partition stays with this worker goes on with its state; had anybody else owned it in between, its next
commit would be refused and it would reacquire the partition.
"""

import asyncio
import time
from collections import Counter
from pathlib import Path

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from prometheus_client import CollectorRegistry

from rater.core import RatingSettings
from rater.kafka.at_fault import RecordAtFault
from rater.kafka.client import FETCH_WAIT_MS, RETRY_BACKOFF_MS, AiokafkaLog
from rater.kafka.connect import connection, started
from rater.kafka.decks import DeckReader
from rater.kafka.index import DiskIndex
from rater.kafka.input_topics import IDENTIFIED, INPUTS
from rater.kafka.observe import Standing, Watch
from rater.kafka.partition_counts import PartitionsAddedError, must_be_so_many
from rater.kafka.port import Doubt
from rater.kafka.rating_task import RatingTask
from rater.kafka.settings import KafkaSettings, WorkerSettings
from rater.kafka.standing import metas_of
from rater.kafka.topic_ids import TopicIds
from rater.kafka.topics import partitions_of_task
from rater.ops.metrics.labels import Input, PartitionState
from rater.wire.errors import Exit, RaterError

#: Tasks poll all the time; only restoring a very large partition keeps them from it.
_POLL_INTERVAL_MAX_MS = 3_600_000
_FETCH_BYTES = 4 << 20
#: How often it is asked whether a topic is another one by now.
_TOPICS_LOOKED_AT_S = 1.0

log = structlog.get_logger(__name__)


class _Running:
    """A task and the coroutine that runs it."""

    def __init__(self, task: RatingTask, index: DiskIndex) -> None:
        self.task = task
        self.index = index
        self.runs = asyncio.create_task(task.run(), name=f"rating {task.partition}")


class Worker(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """One process's share of the partitions."""

    #: What rates a partition; the benchmark puts one here that only copies.
    task_type = RatingTask

    def __init__(
        self,
        kafka: KafkaSettings,
        settings: WorkerSettings,
        rating: RatingSettings,
        watch: Watch,
    ) -> None:
        self.running = False
        self.rebalances = 0
        #: Partitions whose task met a bug and is stopped until a restart.
        self.failed: dict[int, BaseException] = {}
        self._kafka, self._settings, self._rating = kafka, settings, rating
        self._watch = watch
        self._running: dict[int, _Running] = {}
        self._wanted: set[int] = set()
        self._changed = asyncio.Event()
        self._stopping = False
        self._partitions = 0
        self._decks = DeckReader(kafka, settings.deck_wait_s)

    @property
    def registry(self) -> CollectorRegistry:
        """Where this worker's metrics are."""
        return self._watch.metrics.registry

    @property
    def assigned(self) -> set[int]:
        """The partitions that the group gave to this worker."""
        return set(self._wanted)

    @property
    def tasks(self) -> dict[int, RatingTask]:
        """The rating tasks that run, by partition."""
        return {partition: running.task for partition, running in self._running.items()}

    @property
    def standings(self) -> dict[int, Standing]:
        """Since when each partition is rated or restored, and why it was reacquired."""
        return self._watch.standings

    @property
    def ready(self) -> bool:
        """Whether every partition that was assigned is restored and rating."""
        return bool(self.rebalances) and all(
            partition in self._running and self._running[partition].task.restored for partition in self._wanted
        )

    async def run(self) -> None:
        """Rate until `stop`; RaterError when the cluster or its topics are not there."""
        self._partitions = await partitions_of_task(self._kafka)
        await self._compare_counts()
        await self._decks.start()
        self._consumer = await started(self._kafka, self._input_consumer())
        self.running = True
        watching = asyncio.create_task(self._watch_topics(), name="watching topics")
        self._consumer.subscribe([self._kafka.topic(topic) for topic in INPUTS], listener=self)
        try:
            await self.follow()
        finally:
            self.running = False
            watching.cancel()
            await self._release(set(self._running))
            await self._consumer.stop()
            await self._decks.stop()

    async def follow(self) -> None:
        """Run the tasks of what is assigned, until `stop`.

        A change that comes while tasks are started and released is not missed: a task that went on without its
        partition would fence the new owner again and again.
        """
        while not self._stopping:
            self._changed.clear()
            await self._reconcile()
            await self._something_changes()

    def stop(self) -> None:
        """Finish the batches at hand, commit them, leave the group."""
        self._stopping = True
        self._changed.set()

    def measure(self) -> None:
        """Set the gauges: partitions by state, and how far each input is behind."""
        states = Counter(
            PartitionState.RATING if running.task.restored else PartitionState.RESTORING
            for running in self._running.values()
        )
        states[PartitionState.STOPPED] = len(self.failed)
        metrics = self._watch.metrics
        metrics.partitions(states)
        for partition, running in self._running.items():
            metrics.usage_index(partition, running.index.entries())
            for topic, position in running.task.positions.items():
                end = self._consumer.highwater(TopicPartition(self._kafka.topic(topic), partition))
                behind = max(0, (end or 0) - position)
                since = self._watch.committed_up_to.get((partition, topic), time.time())
                metrics.lag(Input(topic), partition, behind, time.time() - since if behind else 0.0)

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Nothing to do: what does not come back is released when the new assignment is known."""
        log.info("rebalance begins", partitions=sorted({partition.partition for partition in revoked}))

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Pause what is new, and put what stayed where its task stands."""
        self.rebalances += 1
        self._watch.metrics.rebalance()
        partitions = {partition.partition for partition in assigned}
        log.info("partitions assigned", partitions=sorted(partitions))
        for partition in assigned:
            running = self._running.get(partition.partition)
            topic = partition.topic.removeprefix(self._kafka.prefix)
            if running is not None and running.task.restored:
                self._consumer.seek(partition, running.task.positions[topic])
            else:
                self._consumer.pause(partition)
        self._wanted = partitions
        self._changed.set()

    async def _compare_counts(self) -> None:
        """PartitionsAddedError if any partition's state was written for another number of partitions."""
        try:
            metas = await metas_of(self._kafka, range(self._partitions))
        except (Doubt, RaterError):
            return  # tasks meet that themselves
        must_be_so_many(metas, self._partitions)

    async def _something_changes(self) -> None:
        """Wait for a rebalance, for `stop`, or for a task that ended."""
        waiting = asyncio.create_task(self._changed.wait())
        await asyncio.wait(
            [waiting, *(running.runs for running in self._running.values())], return_when=asyncio.FIRST_COMPLETED
        )
        waiting.cancel()

    async def _watch_topics(self) -> None:
        """Make tasks look again whose topic was deleted and created again under them."""
        ids = TopicIds(self._kafka, IDENTIFIED)
        try:
            while True:
                await asyncio.sleep(_TOPICS_LOOKED_AT_S)
                try:
                    now = await ids.look()
                except (Doubt, RaterError):
                    continue  # tasks meet that themselves
                for task in self.tasks.values():
                    if any(now[topic] != id for topic, id in task.topics.items()):
                        task.look_again = True
        finally:
            await ids.close()

    async def _reconcile(self) -> None:
        """Start the tasks of partitions that came, release those that went."""
        self._note_failures()
        if any(partition >= self._partitions for partition in self._wanted):
            said = f"cdrs has more partitions than the {self._partitions} that this worker began with"
            raise PartitionsAddedError(said, max(self._wanted) + 1)
        await self._release(set(self._running) - self._wanted)
        for partition in sorted(self._wanted - set(self._running) - set(self.failed)):
            index = DiskIndex(self._index_folder(partition))
            task = self.task_type(
                AiokafkaLog(self._kafka, self._settings, self._consumer, partition),
                index,
                self._decks,
                self._rating,
                partitions=self._partitions,
                batch_records_max=self._settings.batch_records_max,
                backlog_records_max=self._settings.backlog_records_max,
                batch_bytes_max=self._settings.batch_bytes_max,
                observer=self._watch,
            )
            self._running[partition] = _Running(task, index)

    def _note_failures(self) -> None:
        for partition, running in list(self._running.items()):
            if running.runs.done() and (wrong := running.runs.exception()) is not None:
                at = wrong.source if isinstance(wrong, RecordAtFault) else None
                place = {"topic": at.topic, "offset": at.offset} if at else {}
                log.error("partition stopped", partition=partition, **place, error=str(wrong), exc_info=wrong)
                self.failed[partition] = wrong
                running.index.close()
                del self._running[partition]
                if isinstance(wrong, RaterError) and wrong.exit is Exit.DISK_FULL:
                    raise wrong  # the disk is that of every partition

    async def _release(self, partitions: set[int]) -> None:
        """End tasks: each finishes its commit within the bound, or is cut off and aborts."""
        released = [self._running.pop(partition) for partition in partitions]
        for running in released:
            running.task.stopping = True
        if released:
            await asyncio.wait([running.runs for running in released], timeout=self._settings.release_timeout_s)
        for running in released:
            running.runs.cancel()
        await asyncio.gather(*(running.runs for running in released), return_exceptions=True)
        for running in released:
            running.index.close()
            self._watch.metrics.forget_partition(running.task.partition)

    def _input_consumer(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            **connection(self._kafka),
            group_id=self._kafka.group,
            group_instance_id=self._settings.instance,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="none",
            partition_assignment_strategy=(RangePartitionAssignor,),
            session_timeout_ms=self._settings.session_timeout_ms,
            heartbeat_interval_ms=self._settings.session_timeout_ms // 5,
            max_poll_interval_ms=_POLL_INTERVAL_MAX_MS,
            max_partition_fetch_bytes=_FETCH_BYTES,
            retry_backoff_ms=RETRY_BACKOFF_MS,
            fetch_max_wait_ms=FETCH_WAIT_MS,
        )

    def _index_folder(self, partition: int) -> Path:
        return self._settings.index_folder / f"{self._kafka.group}-{partition}"
