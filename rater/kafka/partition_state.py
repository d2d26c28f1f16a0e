"""The committed state of one partition, as the rules read it."""

from collections.abc import Sequence

from rater.core import Account, CallRecord, Committed, Entity, Key, RatedCall
from rater.kafka.changelog import Entities
from rater.kafka.index import UsageIndex, keys_of
from rater.kafka.port import Doubt


class PartitionState(Committed):
    """What the rules read: the entities and the index of the partition, as committed."""

    def __init__(self, index: UsageIndex) -> None:
        self.entities = Entities()
        self.index = index
        self._fetched: dict[Key, Entity] = {}

    def load(self, kind: str, key: Key) -> Entity | None:
        """See rater.core.state.Committed."""
        return self._fetched.get(key) if kind == "call" else self.entities.load(kind, key)

    def check_includes(self, last: RatedCall) -> None:
        """Doubt if the state is older than the last rated call: another owner committed while they were read.

        This owner is fenced then, but would look for minutes of a call that its pools do not know.
        """
        account = self.entities.load("account", (last.tenant, ""))
        if not isinstance(account, Account) or account.sequences.rated_calls < last.sequence:
            raise Doubt("rated-calls is ahead of the state: another owner has committed meanwhile")

    def prepare(self, calls: Sequence[CallRecord]) -> None:
        """See rater.core.state.Committed: their live versions are looked up at once."""
        self._fetched = dict(self.index.fetch(keys_of(calls)))
