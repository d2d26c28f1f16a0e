"""What a worker says about its tasks: one log line for each event that an operator may ask about, and the metrics.

Clocks are read here and nowhere deeper.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import structlog

from rater.core import AccountEvent, EventKind, RejectedCdr
from rater.engine.batch import Batch
from rater.kafka.changelog import Entities
from rater.kafka.port import Consumed, Doubt, Fenced
from rater.kafka.rating_task import RatingTask
from rater.ops.metrics.labels import CommitResult
from rater.ops.metrics.meter import Metrics
from rater.wire.commits import Commit
from rater.wire.lookalikes import Lookalikes

#: How often the progress of restoring a partition is logged.
PROGRESS_S = 2.0
#: Of one batch whose books do not balance.
TENANTS_NAMED_MAX = 20

log = structlog.get_logger(__name__)


class Standing(msgspec.Struct):
    """What an operator may ask about a partition that is owned: since when, how far, and why it was lost before."""

    #: When its rating began, or its restoring if it does not rate yet.
    since: datetime
    #: Read while it is restored, of state and rated calls.
    records: int = 0
    #: Why it was reacquired the last time; empty: it was not.
    doubt: str = ""


class Watch:
    """Logs and counts what tasks do; see rater.kafka.rating_task.Observer."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        #: The publication of the last record that was committed, by partition and topic, in Unix seconds.
        self.committed_up_to: dict[tuple[int, str], float] = {}
        self.standings: dict[int, Standing] = {}
        self._owning_since: dict[int, float] = {}
        self._logged_at: dict[int, float] = {}
        self._since = 0.0
        #: Of the partitions that this worker rated; `rater doctor` knows those of all.
        self._tenants = Lookalikes()

    def owning(self, task: RatingTask) -> None:
        """See Observer."""
        self._owning_since[task.partition] = self._logged_at[task.partition] = time.monotonic()
        before = self.standings.get(task.partition)
        self.standings[task.partition] = Standing(datetime.now(UTC), doubt=before.doubt if before else "")

    def restoring(self, task: RatingTask, topic: str, records: int) -> None:
        """See Observer; logged every few seconds."""
        partition, now = task.partition, time.monotonic()
        standing = self.standings[partition]
        standing.records += records
        if now - self._logged_at[partition] > PROGRESS_S:
            self._logged_at[partition] = now
            log.info("partition is being restored", partition=partition, topic=topic, records=standing.records)

    def owned(self, task: RatingTask, entities: Entities, calls: int) -> None:
        """See Observer."""
        seconds, now = time.monotonic() - self._owning_since[task.partition], datetime.now(UTC)
        self.standings[task.partition].since = now
        self.metrics.restored(task.partition, entities.accounts(), seconds, now)
        log.info(
            "partition owned",
            partition=task.partition,
            entities=len(entities),
            calls_indexed=calls,
            seconds=round(seconds, 3),
        )
        for account in entities.accounts():
            self._tenants.add(account.tenant)

    def upgraded(self, task: RatingTask, report: Sequence[str]) -> None:
        """See Observer."""
        log.warning("partition upgraded", partition=task.partition, report=list(report))

    def consumed(self, records: Sequence[Consumed]) -> None:  # noqa: ARG002 - the protocol's
        """See Observer."""
        self._since = time.monotonic()

    def rated(self, batch: Batch) -> None:  # noqa: ARG002 - the protocol's
        """See Observer."""
        now = time.monotonic()
        self.metrics.batch_seconds(now - self._since)

    def committed(self, records: Sequence[Consumed], batch: Batch, commit: Commit) -> None:
        """See Observer."""
        now, metrics = time.time(), self.metrics
        found = metrics.observe_batch(batch, commit.partition)
        metrics.commit(CommitResult.COMMITTED, time.monotonic() - self._since)
        metrics.committed_at(commit.partition, datetime.fromtimestamp(now, UTC))
        metrics.latencies([now - record.published_ms / 1e3 for record in records if record.topic == "cdrs"])
        for topic, last in {record.topic: record for record in records}.items():
            self.committed_up_to[(commit.partition, topic)] = last.published_ms / 1e3
        if found.difference_micros or found.breaks:
            log.error(
                "the books do not balance",
                partition=commit.partition,
                commit=commit.sequence,
                tenants=found.tenants[:TENANTS_NAMED_MAX],
                difference_micros=found.difference_micros,
                sequence_breaks=dict(found.breaks),
            )
        self._say_lookalikes(batch)
        log.debug("committed", partition=commit.partition, commit=commit.sequence, records=batch.consumed)

    def _say_lookalikes(self, batch: Batch) -> None:
        """One line for a tenant, configured or not, that looks like another one."""
        outputs = batch.outputs
        configured = [
            output.tenant
            for output in outputs
            if isinstance(output, AccountEvent) and output.event is EventKind.TENANT_CONFIGURED
        ]
        for tenant in configured:
            self._tenants.add(tenant)
        unknown = [o.claimed_tenant for o in outputs if isinstance(o, RejectedCdr) and o.claimed_tenant is not None]
        for remark in self._tenants.remarks([*configured, *unknown]):
            log.warning("tenants look alike", remark=remark)

    def doubted(self, task: RatingTask, doubt: Doubt) -> None:
        """See Observer."""
        fenced = isinstance(doubt, Fenced)
        self.standings[task.partition].doubt = str(doubt)
        self.metrics.commit(CommitResult.ABORTED if fenced else CommitResult.UNKNOWN)
        log.warning("partition is reacquired", partition=task.partition, reason=str(doubt), fenced=fenced)
