"""Workers on the model: the real rating task, stepped by a seeded scheduler that may crash or stall them anywhere."""

import contextlib
import random
from collections.abc import AsyncIterator, Coroutine, Generator, Mapping, Sequence
from types import coroutine
from typing import Any

from rater.core.settings import RatingSettings
from rater.core.tariff import Tariffs
from rater.engine.batch import Batch
from rater.kafka.changelog import Entities
from rater.kafka.index import MemoryIndex
from rater.kafka.input_topics import INPUTS
from rater.kafka.port import Consumed, Doubt, Fenced, KeptRange, Writes
from rater.kafka.rating_task import RatingTask
from rater.wire.commits import Commit
from tests.simulation.broker import Broker, Transaction

PARTITIONS = 4
WORKERS = 3
BATCH_RECORDS_MAX = 6
BACKLOG_RECORDS_MAX = 15
BATCH_BYTES_MAX = 2_000
TRANSACTION_TIMEOUT = 150


class Crash(BaseException):
    """The process is gone: no `finally` of it does anything any more."""


@coroutine
def turn() -> Generator[None, None, None]:
    """Between two steps: anything may happen elsewhere."""
    yield


class Decks:
    """One deck that everybody knows."""

    def __init__(self, tariffs: Tariffs) -> None:
        self.tariffs = tariffs

    async def read_to_end(self) -> None:
        """See rater.kafka.rating_task.Decks."""
        await turn()

    async def wait_for(self, versions: set[str]) -> None:  # noqa: ARG002 - the protocol's
        """See rater.kafka.rating_task.Decks."""
        await turn()


class Process:
    """One worker's process: alive until it crashes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.stalled_until = 0
        #: Partitions that this worker believes to own, with the coroutine that rates each.
        self.runs: dict[int, tuple[RatingTask, Coroutine[Any, Any, None]]] = {}


class ModelLog:
    """The rating task's port on the model; between any two steps the scheduler may turn to others."""

    def __init__(self, broker: Broker, process: Process, partition: int, chance: random.Random) -> None:
        self.partition = partition
        self._broker, self._process, self._chance = broker, process, chance
        self._epoch = 0
        self._positions: dict[str, int] = {}
        self._transaction: Transaction | None = None

    @property
    def transactional_id(self) -> str:
        """One for each input partition."""
        return f"rater.{self.partition}"

    async def _turn(self) -> None:
        if not self._process.alive:
            raise Crash
        await turn()
        if not self._process.alive:
            raise Crash

    async def fence(self) -> None:
        """See PartitionLog."""
        await self._turn()
        self._transaction = None
        self._epoch = self._broker.start_producer(self.transactional_id)
        await self._turn()

    async def read(self, topic: str, start: int | None) -> AsyncIterator[Sequence[Consumed]]:
        """See PartitionLog."""
        end = self._broker.stable_end((topic, self.partition))
        found = [r for r in self._broker.read((topic, self.partition), start or 0) if r.offset < end]
        for first in range(0, len(found), 50):
            await self._turn()
            yield found[first : first + 50]

    async def end(self, topic: str) -> int:
        """See PartitionLog."""
        await self._turn()
        return self._broker.stable_end((topic, self.partition))

    def now_s(self) -> float:
        """See PartitionLog; a step is an hour here."""
        return self._broker.now * 3600.0

    async def kept(self, topics: Sequence[str]) -> Mapping[str, KeptRange]:
        """See PartitionLog."""
        await self._turn()
        return {topic: KeptRange(0, self._broker.stable_end((topic, self.partition))) for topic in topics}

    async def seek(self, positions: Mapping[str, int | None]) -> Mapping[str, int]:
        """See PartitionLog."""
        await self._turn()
        self._positions = {topic: position or 0 for topic, position in positions.items()}
        return dict(self._positions)

    async def fetch(self, limit: int) -> Sequence[Consumed]:
        """See PartitionLog."""
        await self._turn()
        found: list[Consumed] = []
        for topic in INPUTS:
            records = self._broker.read((topic, self.partition), self._positions[topic], limit - len(found))
            if records:
                self._positions[topic] = records[-1].offset + 1
                found.extend(records)
            if topic == "commands" and records:
                break  # commands go first
        return found

    async def begin(self) -> None:
        """See PartitionLog."""
        await self._turn()
        self._transaction = self._broker.begin(self.transactional_id, self._epoch)

    async def send(self, writes: Writes) -> Mapping[str, int]:
        """See PartitionLog."""
        assert self._transaction is not None
        stored = {}
        for topic, records in writes.items():
            await self._turn()
            stored[topic] = self._broker.write(self._transaction, (topic, self.partition), records)
        if self._chance.random() < 0.01:
            self._broker.marks["a send failed"] += 1
            raise Doubt("a send failed")
        return stored

    async def commit_offsets(self, positions: Mapping[str, int]) -> None:
        """See PartitionLog."""

    async def commit(self) -> None:
        """See PartitionLog; now and then the answer gets lost, on its way there or back."""
        assert self._transaction is not None
        await self._turn()
        lost = self._chance.random() < 0.03
        if lost and self._chance.random() < 0.5:
            self._broker.marks["a commit was lost, outcome unknown"] += 1
            raise Doubt("no answer to the commit")
        self._broker.commit(self._transaction)
        if lost:
            self._broker.marks["a commit was done, outcome unknown"] += 1
            raise Doubt("no answer to the commit")
        try:
            await self._turn()
        except Crash:
            self._broker.marks["a crash between commit and merge"] += 1
            raise

    async def back_off(self, doubts: int) -> None:
        """See PartitionLog."""
        for _ in range(min(doubts, 5)):
            await self._turn()

    async def close(self) -> None:
        """See PartitionLog."""
        if self._process.alive and self._transaction is not None:
            self._broker.abort(self._transaction)


class Cluster:
    """Workers, their group, and the scheduler."""

    log_type = ModelLog
    task_type = RatingTask

    def __init__(self, broker: Broker, tariffs: Tariffs, seed: int) -> None:
        self.broker = broker
        self.chance = random.Random(seed)
        self._decks = Decks(tariffs)
        self._disks: dict[tuple[str, int], MemoryIndex] = {}
        self._processes = [self._boot(f"worker-{n}") for n in range(WORKERS)]
        #: The group's view: who is a member, and who owns what.  Workers notice later.
        self._members = list(self._processes)
        self._noticing: list[tuple[int, Process]] = []
        self._rebalance()

    def _boot(self, name: str) -> Process:
        return Process(name)

    def run(self, steps: int) -> None:
        """Step coroutines at random, with faults; then, without faults, until all that was sent is rated."""
        for _ in range(steps):
            self.broker.now += 1
            self._fault()
            self._notice()
            self._step_one()
        self._calm()

    def shut_down(self) -> None:
        """End every process as it stands."""
        for process in self._processes:
            _end(process)

    def _calm(self) -> None:
        """The faults are over: every process continues, one more rebalance, and enough turns to finish."""
        for process in self._processes:
            process.stalled_until = 0
        self._members = [process for process in self._processes if process.alive]
        self._rebalance()
        for _ in range(400):
            for _ in range(25):
                self.broker.now += 1
                self._notice()
                self._step_one()
            # as a coordinator does with what an owner left behind
            self.broker.time_out(self.broker.now - TRANSACTION_TIMEOUT)
            if self._all_rated() and not self._noticing:
                return
        raise AssertionError("the pipeline does not come to rest")

    def _all_rated(self) -> bool:
        ends = {n: {topic: len(self.broker.logs[(topic, n)]) for topic in INPUTS} for n in range(PARTITIONS)}
        rated = {n: task.positions for process in self._members for n, (task, _) in process.runs.items()}
        return all(rated.get(n) == ends[n] for n in range(PARTITIONS)) and not any(
            entry.transaction is not None and entry.transaction.state == "open"
            for log in self.broker.logs.values()
            for entry in log[-1:]
        )

    def _step_one(self) -> None:
        ready = [
            (process, partition)
            for process in self._processes
            if process.alive and process.stalled_until <= self.broker.now
            for partition in process.runs
        ]
        if not ready:
            return
        process, partition = self.chance.choice(ready)
        _, run = process.runs[partition]
        try:
            run.send(None)
        except StopIteration:
            del process.runs[partition]
        except Crash:
            process.runs.clear()

    def _fault(self) -> None:
        """Crash, stall past the session's end, expel, join, time out: each now and then."""
        dice = self.chance.random()
        if dice < 0.006:
            self._crash(self.chance.choice(self._processes))
        elif dice < 0.012:
            self._stall(self.chance.choice(self._processes))
        elif dice < 0.016:
            self._rebalance()
        elif dice < 0.03:
            self.broker.time_out(self.broker.now - TRANSACTION_TIMEOUT)

    def _crash(self, process: Process) -> None:
        """The process is gone at once; another with the same disk replaces it."""
        _end(process)
        self.broker.marks["a worker crashed"] += 1
        successor = self._boot(process.name)
        self._processes[self._processes.index(process)] = successor
        self._members = [member for member in self._members if member is not process] + [successor]
        self._rebalance()

    def _stall(self, process: Process) -> None:
        """A stop so long that the group gives its partitions to others; then it continues as if nothing had happened."""
        process.stalled_until = self.broker.now + self.chance.randint(50, 400)
        self.broker.marks["a zombie woke"] += bool(process.runs)
        if len(self._members) > 1 and process in self._members:
            self._members.remove(process)
            self._rebalance()
            self._members.append(process)

    def _rebalance(self) -> None:
        """A new assignment; each worker learns of it some time later."""
        members = sorted((m for m in self._members if m.alive), key=lambda process: process.name)
        self.chance.shuffle(members)
        self._owners = {n: members[n % len(members)] for n in range(PARTITIONS)}
        for process in self._processes:
            self._noticing.append((self.broker.now + self.chance.choice((0, 3, 40, 150)), process))
        self.broker.marks["a rebalance"] += 1

    def _notice(self) -> None:
        due = [entry for entry in self._noticing if entry[0] <= self.broker.now]
        self._noticing = [entry for entry in self._noticing if entry[0] > self.broker.now]
        for at, process in due:
            if not process.alive:
                continue
            if process.stalled_until > self.broker.now:
                self._noticing.append((max(at, process.stalled_until) + 20, process))
            else:
                self._follow(process)

    def _follow(self, process: Process) -> None:
        """Close the tasks of revoked partitions, start those of assigned ones."""
        owned = {partition for partition, owner in self._owners.items() if owner is process}
        for partition, (task, _) in process.runs.items():
            if partition not in owned:
                task.stopping = True
        for partition in owned - set(process.runs):
            index = self._disks.setdefault((process.name, partition), MemoryIndex())
            task = self.task_type(
                self.log_type(self.broker, process, partition, self.chance),
                index,
                self._decks,
                RatingSettings(),
                partitions=PARTITIONS,
                batch_records_max=BATCH_RECORDS_MAX,
                backlog_records_max=BACKLOG_RECORDS_MAX,
                batch_bytes_max=BATCH_BYTES_MAX,
                observer=self,
            )
            process.runs[partition] = (task, task.run())
        if any(task.stopping for partition, (task, _) in process.runs.items() if partition in owned):
            self._noticing.append((self.broker.now + 5, process))  # assigned back while it was closing

    def owning(self, task: RatingTask) -> None:
        """See Observer."""
        self.broker.marks["partition was reacquired"] += task.ownerships > 1

    def restoring(self, task: RatingTask, topic: str, records: int) -> None:
        """See Observer."""
        assert not task.restored, topic
        self.broker.marks["records were restored"] += records

    def upgraded(self, task: RatingTask, report: Sequence[str]) -> None:
        """See Observer."""
        self.broker.marks["a partition was upgraded"] += bool(report and task.ownerships)

    def owned(self, task: RatingTask, entities: Entities, calls: int) -> None:
        """See Observer."""
        self.broker.marks["a partition was restored"] += bool(len(entities) and calls and task.ownerships)

    def consumed(self, records: Sequence[Consumed]) -> None:
        """See Observer."""
        self.broker.marks["records were consumed"] += len(records)

    def rated(self, batch: Batch) -> None:
        """See Observer."""
        self.broker.marks["records were rated"] += batch.consumed

    def committed(self, records: Sequence[Consumed], batch: Batch, commit: Commit) -> None:
        """See Observer."""
        assert len(records) == batch.consumed
        self.broker.marks["a batch was committed"] += bool(batch.consumed and commit.sequence)

    def doubted(self, task: RatingTask, doubt: Doubt) -> None:
        """See Observer."""
        assert not task.restored
        self.broker.marks["a fenced task reacquired" if isinstance(doubt, Fenced) else "a failure"] += 1


def _end(process: Process) -> None:
    """Its coroutines end where they are, without another request to the broker."""
    process.alive = False
    for _, run in process.runs.values():
        with contextlib.suppress(Crash, StopIteration):
            run.send(None)
    process.runs.clear()
