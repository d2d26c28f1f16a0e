"""What follows a rating task: for metrics and logs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from rater.engine.batch import Batch
from rater.kafka.changelog import Entities
from rater.kafka.port import Consumed, Doubt
from rater.wire.commits import Commit

if TYPE_CHECKING:
    from rater.kafka.rating_task import RatingTask


class Observer(Protocol):
    """Follows what a task does, for metrics and logs; it must not fail."""

    def owning(self, task: "RatingTask") -> None:
        """The partition is being acquired."""

    def restoring(self, task: "RatingTask", topic: str, records: int) -> None:
        """So many more records of a topic were read while acquiring the partition."""

    def owned(self, task: "RatingTask", entities: Entities, calls: int) -> None:
        """The partition was acquired: the restored entities, and how many calls were added to the index."""

    def upgraded(self, task: "RatingTask", report: Sequence[str]) -> None:
        """The state that older rules had written was migrated and committed."""

    def consumed(self, records: Sequence[Consumed]) -> None:
        """Records came in and are going to be rated."""

    def rated(self, batch: Batch) -> None:
        """They were rated and are going to be committed."""

    def committed(self, records: Sequence[Consumed], batch: Batch, commit: Commit) -> None:
        """They were committed and merged."""

    def doubted(self, task: "RatingTask", doubt: Doubt) -> None:
        """The partition is reacquired."""
