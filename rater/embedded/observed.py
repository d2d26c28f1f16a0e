"""What a run counts for Prometheus, where somebody asked for metrics."""

from collections.abc import Iterable, Sequence

from rater.core import Account, CallCommand
from rater.embedded.rows import Rows
from rater.engine.batch import Batch, Record
from rater.files.source import CALL_EVENTS
from rater.ops.metrics.labels import CallEventResult, CommitResult
from rater.ops.metrics.meter import Metrics


class Observed:
    """Nothing is counted without metrics."""

    def __init__(self, metrics: Metrics | None, accounts: Iterable[Account]) -> None:
        self._metrics = metrics
        if metrics:
            metrics.open_books(list(accounts))

    @property
    def sums(self) -> bool:
        """Whether the sums of every batch are counted."""
        return self._metrics is not None

    def rated(self, seconds: float) -> None:
        """A batch was rated."""
        if self._metrics:
            self._metrics.batch_seconds(seconds)

    def call_events(self, events: int, others: Sequence[Record]) -> None:
        """So many events of running calls came among other records, some of which should have been events."""
        if self._metrics:
            self._metrics.call_events(CallEventResult.TAKEN, events)
            unreadable = sum(
                record.envelope is not None and record.envelope.format == CALL_EVENTS for record in others
            )
            self._metrics.call_events(CallEventResult.UNREADABLE, unreadable)

    def committed(
        self, batch: Batch, rows: Rows, orders: Iterable[CallCommand], running: int, seconds: float
    ) -> None:
        """A batch was committed, with the orders to end calls that follow from it."""
        if self._metrics:
            for order in orders:
                self._metrics.disconnect(order.reason)
            self._metrics.running_calls(running)
            self._metrics.commit(CommitResult.COMMITTED, seconds)
            self._metrics.observe_batch(batch, sums=rows.sums)
