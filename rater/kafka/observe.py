"""What a worker says about its tasks.  Refuses to know how they work."""

import structlog

from rater.contracts.commits import Commit
from rater.kafka.port import Doubt, Fenced
from rater.kafka.rating_task import RatingTask
from rater.task import Batch

log = structlog.get_logger(__name__)


class Logbook:
    """One line for each event that an operator may ask about."""

    def owned(self, task: RatingTask, entities: int, calls: int) -> None:
        """See rater.kafka.rating_task.Observer."""
        log.info("partition owned", partition=task.partition, entities=entities, calls_indexed=calls)

    def committed(self, batch: Batch, commit: Commit) -> None:
        """See rater.kafka.rating_task.Observer."""
        log.debug("committed", partition=commit.partition, sequence=commit.sequence, records=batch.taken)

    def doubted(self, task: RatingTask, doubt: Doubt) -> None:
        """See rater.kafka.rating_task.Observer."""
        fenced = isinstance(doubt, Fenced)
        log.warning("ownership is taken again", partition=task.partition, reason=str(doubt), fenced=fenced)
