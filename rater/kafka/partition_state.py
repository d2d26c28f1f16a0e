"""What the rules read of one partition while a batch is rated."""

from collections.abc import Sequence

from rater.core import CallRecord, Entity, Key
from rater.kafka.changelog import Entities
from rater.kafka.index import UsageIndex, keys_of


class PartitionState:
    """What the rules read: the entities and the index of the partition, as committed."""

    def __init__(self, index: UsageIndex) -> None:
        self.entities = Entities()
        self.index = index
        self._fetched: dict[Key, Entity] = {}

    def load(self, kind: str, key: Key) -> Entity | None:
        """See rater.core.state.Committed."""
        return self._fetched.get(key) if kind == "call" else self.entities.load(kind, key)

    def prepare(self, calls: Sequence[CallRecord]) -> None:
        """See rater.core.state.Committed: their live versions are looked up at once."""
        self._fetched = dict(self.index.fetch(keys_of(calls)))
