"""A model of Kafka's log and transactions: enough to be wrong about in every way that matters here.

Markers have offsets too; readers see what was committed, up to the first open transaction; starting a
producer ends the transaction of the one before it and refuses its writes.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from rater.kafka.port import Consumed, Fenced

Place = tuple[str, int]


@dataclass
class Transaction:
    """What one producer writes until it commits or aborts."""

    id: str
    epoch: int
    began_at: int
    places: set[Place] = field(default_factory=set)
    state: str = "open"


@dataclass
class Entry:
    """A slot of the log: a record, or a marker when it has no key; without a value it is a tombstone."""

    key: bytes | None
    value: bytes | None
    transaction: Transaction | None = None


class Broker:
    """Every partition's log, and who may write with which transactional id."""

    def __init__(self) -> None:
        self.logs: dict[Place, list[Entry]] = defaultdict(list)
        self.now = 0
        self.marks: Counter[str] = Counter()
        self._epochs: dict[str, int] = defaultdict(int)
        self._open: dict[str, Transaction] = {}

    def append(self, place: Place, key: bytes, value: bytes) -> None:
        """A record outside of transactions."""
        self.logs[place].append(Entry(key, value))

    def start_producer(self, id: str) -> int:
        """A new epoch; the transaction of the one before is aborted."""
        self._epochs[id] += 1
        if id in self._open:
            self._end(self._open[id], "aborted")
            self.marks["a predecessor's open transaction was aborted"] += 1
        return self._epochs[id]

    def begin(self, id: str, epoch: int) -> Transaction:
        """Open a transaction; nothing is known of it at the broker before its first write."""
        self.check(id, epoch)
        transaction = self._open[id] = Transaction(id, epoch, self.now)
        return transaction

    def write(self, transaction: Transaction, place: Place, records: Sequence[tuple[bytes, bytes | None]]) -> int:
        """Append within a transaction; the position after the last record."""
        self.check(transaction.id, transaction.epoch)
        if transaction.state != "open":
            raise Fenced(f"{transaction.id}: transaction is {transaction.state}")
        transaction.places.add(place)
        self.logs[place].extend(Entry(key, value, transaction) for key, value in records)
        return len(self.logs[place])

    def commit(self, transaction: Transaction) -> None:
        """Make it visible; refused when a newer producer has started or the transaction timed out."""
        self.check(transaction.id, transaction.epoch)
        if transaction.state != "open":
            raise Fenced(f"{transaction.id}: transaction is {transaction.state}")
        self._end(transaction, "committed")

    def abort(self, transaction: Transaction) -> None:
        """Undo, if it is still open."""
        if transaction.state == "open" and self._epochs[transaction.id] == transaction.epoch:
            self._end(transaction, "aborted")

    def check(self, id: str, epoch: int) -> None:
        """Refuse a producer that has a successor."""
        if self._epochs[id] != epoch:
            self.marks["an epoch was fenced"] += 1
            raise Fenced(f"{id}: epoch {epoch} has a successor {self._epochs[id]}")

    def time_out(self, older_than: int) -> None:
        """Abort transactions that have been open for too long, and refuse their producer from then on."""
        for transaction in list(self._open.values()):
            if transaction.places and transaction.began_at < older_than:
                self._epochs[transaction.id] += 1
                self._end(transaction, "aborted")
                self.marks["a transaction timed out"] += 1

    def _end(self, transaction: Transaction, state: str) -> None:
        transaction.state = state
        self._open.pop(transaction.id, None)
        for place in transaction.places:
            self.logs[place].append(Entry(None, None, transaction))  # the marker has an offset

    def stable_end(self, place: Place) -> int:
        """The position up to which a reader of committed records may read: the first open transaction's."""
        for offset, entry in enumerate(self.logs[place]):
            if entry.transaction is not None and entry.transaction.state == "open":
                return offset
        return len(self.logs[place])

    def read(self, place: Place, start: int, limit: int = 1_000_000) -> list[Consumed]:
        """Committed records from a position on."""
        topic, partition = place
        found = []
        for offset in range(start, self.stable_end(place)):
            entry = self.logs[place][offset]
            if entry.key is not None and (entry.transaction is None or entry.transaction.state == "committed"):
                found.append(Consumed(topic, partition, offset, entry.key, entry.value))
                if len(found) == limit:
                    break
        return found
