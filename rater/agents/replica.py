"""The rating task's state as others read it: a replica of the `state` topic in memory.

What one transaction wrote is merged at once.  Values are decoded when a rule first asks for them.
"""

from collections.abc import Callable, Sequence

from rater.core import Account, CallRecord, Committed, Entity, Key
from rater.kafka.changelog import META_KEY, entity_of, read_meta, state_key, tenant_of
from rater.kafka.port import Consumed
from rater.kafka.publisher import partition_of

#: Decoded entities of a partition that are kept; then they are decoded anew.
DECODED_MAX = 65_536
_ACCOUNT = b"account/"
#: Kept ids of commands and dead letters: no decision asks for them.
_SEEN = b"seen/"


class PartitionReplica(Committed):
    """The committed entities of one partition; see rater.core.state.Committed."""

    def __init__(self) -> None:
        self._raw: dict[bytes, bytes] = {}
        self._decoded: dict[bytes, Entity] = {}
        self._transaction: list[tuple[bytes, bytes | None]] = []

    def load(self, kind: str, key: Key) -> Entity | None:
        """See Committed."""
        name = state_key(kind, key)
        found = self._decoded.get(name)
        if found is None and (raw := self._raw.get(name)) is not None:
            if len(self._decoded) >= DECODED_MAX:
                self._decoded.clear()
            found = self._decoded[name] = entity_of(name, raw)[2]
        return found

    def prepare(self, calls: Sequence[CallRecord]) -> None:
        """See Committed; everything is at hand here."""

    def apply(self, key: bytes, value: bytes | None) -> list[bytes]:
        """The next record; when it ends a transaction, the keys of what changed.

        RaterError if a newer program wrote it.
        """
        if key != META_KEY:
            if not key.startswith(_SEEN):
                self._transaction.append((key, value))
            return []
        if value is not None:
            read_meta(value)
        changed, self._transaction = self._transaction, []
        for name, raw in changed:
            self._decoded.pop(name, None)
            if raw is None:
                self._raw.pop(name, None)
            else:
                self._raw[name] = raw
        return [name for name, _ in changed]

    def __len__(self) -> int:
        return len(self._raw)


class Replica:
    """Every partition's entities; `account_changed` is called with a tenant once its change is committed."""

    def __init__(self, partitions: int) -> None:
        self.account_changed: Callable[[str], None] = lambda _: None
        self._partitions = [PartitionReplica() for _ in range(partitions)]

    def apply(self, record: Consumed) -> None:
        """A record of the `state` topic, each partition's in order."""
        assert record.key is not None, f"state/{record.partition}@{record.offset}: a record without key"
        partition = self._partitions[record.partition]
        for name in partition.apply(record.key, record.value):
            if name.startswith(_ACCOUNT):
                self.account_changed(tenant_of(name))

    def of(self, tenant: str) -> PartitionReplica:
        """The partition that a tenant lives in."""
        return self._partitions[partition_of(tenant, len(self._partitions))]

    def account(self, tenant: str) -> Account | None:
        """The tenant's account as committed, not to be changed; None for an unknown one."""
        found = self.of(tenant).load("account", (tenant, ""))
        assert found is None or isinstance(found, Account)
        return found

    def __len__(self) -> int:
        return sum(map(len, self._partitions))
