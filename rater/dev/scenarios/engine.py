"""Where a scenario is played: the one thing that an engine must be able to do, and the engine in process."""

from datetime import datetime
from typing import Protocol

from rater.core import (
    Account,
    Committed,
    Memory,
    Outcome,
    Output,
    PoolUse,
    RateDeck,
    RatingSettings,
    Rules,
    Source,
    State,
    Tariffs,
    pool_use,
)
from rater.engine.batch import Batch, Record, run_batch


class Engine(Protocol):
    """The rater, as a scenario sees it."""

    def publish(self, deck: RateDeck) -> None:
        """Make a version of a rate deck known."""

    def submit(self, kind: str, raw: bytes) -> tuple[Outcome, list[Output]]:
        """Apply one record of kind `cdr` or `command`; its outcome and its outputs."""

    def account(self, tenant: str) -> Account:
        """The tenant's present state."""

    def pool(self, tenant: str, name: str) -> PoolUse | None:
        """A pool's minutes; None when no pool can have this name."""

    def close(self) -> None:
        """Close everything."""


class EmbeddedEngine:
    """The rater in this process, without a file."""

    def __init__(self, settings: RatingSettings) -> None:
        self.memory = Memory()
        self.rules = Rules(settings, Tariffs())
        self._submitted = {"cdrs": 0, "commands": 0}

    def publish(self, deck: RateDeck) -> None:
        """See Engine."""
        self.rules.tariffs.publish(deck)

    def submit(self, kind: str, raw: bytes, arrived_at: datetime | None = None) -> tuple[Outcome, list[Output]]:
        """See Engine; `arrived_at` is the stamp that a broker would give the record (A43)."""
        topic = "cdrs" if kind == "cdr" else "commands"
        source = Source(topic, 0, self._submitted[topic])
        self._submitted[topic] += 1
        record = Record(
            "cdr" if kind == "cdr" else "command",
            source,
            raw,
            arrived_at=arrived_at,
            arrival_given=arrived_at is not None,
        )
        batch = run_batch(self.committed(), self.rules, [record])
        self._keep(batch)
        return batch.outcomes[0], batch.outputs

    def _keep(self, batch: Batch) -> None:
        self.memory.merge(batch.state)

    def committed(self) -> Committed:
        """All that is known, as the rules read it."""
        return self.memory

    def account(self, tenant: str) -> Account:
        """See Engine."""
        account = State(self.committed()).account(tenant)
        assert account is not None, tenant
        return account

    def pool(self, tenant: str, name: str) -> PoolUse | None:
        """See Engine."""
        return pool_use(State(self.committed()), self.rules.settings, self.account(tenant), name)

    def close(self) -> None:
        """See Engine."""
