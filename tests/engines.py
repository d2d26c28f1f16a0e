"""Where the specification is played: in memory, on the SQLite store, on the simulated broker, on real Kafka."""

import contextlib
import random
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pytest
from aiokafka.errors import InvalidTimestampError

from rater.core.entities import Account, Entity
from rater.core.inputs import CallRecord, RateDeck
from rater.core.outputs import TOPIC_OF, Output
from rater.core.pools import PoolUse
from rater.core.reasons import Outcome
from rater.core.settings import RatingSettings
from rater.core.state import Committed, Key
from rater.core.step import Rules
from rater.core.tariff import Tariffs
from rater.dev.scenarios.engine import EmbeddedEngine
from rater.dev.scenarios.kafka_engine import KafkaEngine
from rater.embedded.rows import Rows
from rater.embedded.store import Store
from rater.engine.batch import Batch
from rater.kafka.changelog import Entities
from rater.kafka.index import MemoryIndex
from rater.kafka.port import Consumed
from rater.kafka.rating_task import RatingTask
from rater.wire.commits import Commit, part_of
from tests.simulation.broker import Broker
from tests.simulation.cluster import Decks, ModelLog, Process

#: After so many records an engine is started again from what it wrote down.
RESTARTS_AFTER = 5
_TYPE_OF = {topic: type for type, topic in TOPIC_OF.items()}


class Engine(Protocol):
    """A rater to play the specification on."""

    rules: Rules

    def publish(self, deck: RateDeck) -> None:
        """Make a version of a rate deck known."""

    def submit(self, kind: str, raw: bytes, arrived_at: datetime | None = None) -> tuple[Outcome, list[Output]]:
        """Apply one record of kind `cdr` or `command`; its outcome and its outputs."""

    def account(self, tenant: str) -> Account:
        """The tenant's present state."""

    def pool(self, tenant: str, name: str) -> PoolUse | None:
        """A pool's minutes; None when no pool can have this name."""

    def committed(self) -> Committed:
        """All that is known, as the rules read it."""

    def close(self) -> None:
        """Close everything."""


class OnSqlite(EmbeddedEngine):
    """One store, closed and opened again every few records."""

    def __init__(self, settings: RatingSettings) -> None:
        super().__init__(settings)
        self._folder = Path(tempfile.mkdtemp(prefix="rater-spec-"))
        self.path = self._folder / "rater.db"
        self._store = Store(self.path)

    def publish(self, deck: RateDeck) -> None:
        """See Engine."""
        super().publish(deck)
        self._store.publish(deck)

    def _keep(self, batch: Batch) -> None:
        rows = Rows()
        rows.add(batch.outputs)
        self._store.commit(batch.state, rows, {})
        if sum(self._submitted.values()) % RESTARTS_AFTER == 0:
            self._store.close()
            self._store = Store(self.path)

    def committed(self) -> Committed:
        """See Engine."""
        return self._store

    def close(self) -> None:
        """See Engine."""
        self._store.close()
        shutil.rmtree(self._folder)


class _NoFaults(random.Random):
    """Nothing unlikely happens."""

    def random(self) -> float:
        """See random.Random."""
        return 1.0


class _StampingLog(ModelLog):
    """Gives each record the stamp that a broker would give it."""

    def __init__(self, broker: Broker, process: Process, stamps: dict[tuple[str, int], int]) -> None:
        super().__init__(broker, process, 0, _NoFaults())
        self._stamps = stamps

    async def fetch(self, limit: int) -> Sequence[Consumed]:
        """See PartitionLog."""
        return [
            msgspec.structs.replace(record, published_ms=self._stamps.get((record.topic, record.offset), 0))
            for record in await super().fetch(limit)
        ]


class _Replica(Committed):
    """What the `state` topic and the index say."""

    def __init__(self, index: MemoryIndex) -> None:
        self.entities, self._index = Entities(), index

    def load(self, kind: str, key: Key) -> Entity | None:
        """See rater.core.state.Committed."""
        return self._index.fetch([key]).get(key) if kind == "call" else self.entities.load(kind, key)

    def prepare(self, calls: Sequence[CallRecord]) -> None:
        """See rater.core.state.Committed; everything is at hand here."""


class _Unwatched:
    """Observes nothing."""

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_: None


class OnSimulatedBroker(EmbeddedEngine):
    """The real rating task on the model of Kafka; every few records another owner restores from the topics."""

    def __init__(self, settings: RatingSettings) -> None:
        super().__init__(settings)
        self._broker = Broker()
        self._stamps: dict[tuple[str, int], int] = {}
        self._read = dict.fromkeys(("commits", *_TYPE_OF), 0)
        self._sent = 0
        self._own()

    def _own(self) -> None:
        """A new owner with an empty disk."""
        self._index = MemoryIndex()
        self._task = RatingTask(
            _StampingLog(self._broker, Process("worker"), self._stamps),
            self._index,
            Decks(self.rules.tariffs),
            self.rules.settings,
            partitions=1,
            batch_records_max=1,
            backlog_records_max=1,
            batch_bytes_max=1_000_000,
            observer=_Unwatched(),
        )
        self._run: Coroutine[Any, Any, None] = self._task.run()

    def submit(self, kind: str, raw: bytes, arrived_at: datetime | None = None) -> tuple[Outcome, list[Output]]:
        """See Engine."""
        if self._sent and self._sent % RESTARTS_AFTER == 0:
            self._run.close()
            self._own()
        self._sent += 1
        topic = "cdrs" if kind == "cdr" else "commands"
        offset = len(self._broker.logs[(topic, 0)])
        if arrived_at is not None:
            self._stamps[(topic, offset)] = int(arrived_at.timestamp() * 1000)
        self._broker.append((topic, 0), b"", raw)
        while not self._task.restored or self._task.positions[topic] <= offset:
            self._run.send(None)
        (commit,) = [
            msgspec.json.decode(found.value or b"", type=Commit)
            for found in self._new("commits")
            if part_of(found.key or b"") is None
        ]
        (outcome,) = commit.outcomes
        outputs: list[Output] = [
            msgspec.json.decode(found.value or b"", type=type)
            for topic, type in _TYPE_OF.items()
            for found in self._new(topic)
            if found.value is not None  # a tombstone
        ]
        return Outcome(outcome), outputs

    def _new(self, topic: str) -> list[Consumed]:
        found = self._broker.read((topic, 0), self._read[topic])
        self._read[topic] = len(self._broker.logs[(topic, 0)])
        return found

    def committed(self) -> Committed:
        """See Engine."""
        replica = _Replica(self._index)
        for record in self._broker.read(("state", 0), 0):
            replica.entities.apply(record.key or b"", record.value)
        return replica

    def close(self) -> None:
        """See Engine."""
        self._run.close()


class OnKafka(KafkaEngine):
    """Real Kafka; records bear the stamp that the test gives, so that March 2025 is not a year ago."""

    bootstrap = ""

    def __init__(self, settings: RatingSettings) -> None:
        self.rules = Rules(settings, Tariffs())
        self._stamp_ms = 0
        super().__init__(settings, self.bootstrap)

    def publish(self, deck: RateDeck) -> None:
        """See Engine."""
        self.rules.tariffs.publish(deck)
        super().publish(deck)

    def submit(self, kind: str, raw: bytes, arrived_at: datetime | None = None) -> tuple[Outcome, list[Output]]:
        """See Engine."""
        self._stamp_ms = int(arrived_at.timestamp() * 1000) if arrived_at is not None else 0
        try:
            return super().submit(kind, raw)
        except InvalidTimestampError:
            pytest.skip("a broker refuses a stamp that is ahead of its clock")

    async def _produce(self, topic: str, key: str, value: bytes) -> None:
        await self._producer.send_and_wait(
            self._kafka.topic(topic), value, key.encode(), partition=0, timestamp_ms=self._stamp_ms
        )

    def committed(self) -> Committed:
        """See Engine."""
        return self._wait(self._replica())


ENGINES: dict[str, Callable[[RatingSettings], Engine]] = {
    "memory": EmbeddedEngine,
    "sqlite": OnSqlite,
    "simulated": OnSimulatedBroker,
    "kafka": OnKafka,
}

_playing = ["memory"]
_open: list[Engine] = []


@contextlib.contextmanager
def played_on(name: str) -> Iterator[None]:
    """Every world that is made within is played on this engine; all are closed at the end."""
    _playing.append(name)
    try:
        yield
    finally:
        _playing.pop()
        while _open:
            _open.pop().close()


def new_engine(settings: RatingSettings) -> Engine:
    """An engine of the kind that is played on now; in memory by default."""
    engine = ENGINES[_playing[-1]](settings)
    _open.append(engine)
    return engine
