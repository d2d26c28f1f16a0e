"""A running audit beside the rating: do balances and sequences follow from what was sent out?

For each tenant of a partition that was seen lately it keeps the balance and the sequences, and compares the next
batch with them: credit in minus debits out is what the balance moved by; each output bears the next number.  Also
which tenants are low, suspended, or wait for a payment.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from rater.core import NO_TENANT, OUTPUT_TOPICS, Account, Sequences, money_in
from rater.ops.metrics.tally import Tally

#: Tenants of a partition whose last figures are kept; beyond it they are learnt anew.
KNOWN_TENANTS_MAX = 50_000
_FIELD_OF = {topic: topic.replace("-", "_") for topic in OUTPUT_TOPICS}


class _Known(NamedTuple):
    balance: int
    sequences: Sequences


class _Partition:
    """What is known of one partition's tenants."""

    def __init__(self) -> None:
        self.known: dict[str, _Known] = {}
        self.low: set[str] = set()
        self.suspended: set[str] = set()
        self.waiting: set[str] = set()
        self.owing: set[str] = set()
        self.holding: set[str] = set()

    def learn(self, account: Account) -> None:
        """Apply an account's present state."""
        tenant = account.tenant
        if len(self.known) >= KNOWN_TENANTS_MAX and tenant not in self.known:
            self.known.clear()
        self.known[tenant] = _Known(account.balance, msgspec.structs.replace(account.sequences))
        if tenant == NO_TENANT:
            return
        closed = account.closed_since is not None
        credits = account.credits and not closed
        suspended = credits and account.balance <= 0
        low = credits and not suspended and account.recharge.low_since is not None
        for tenants, belongs in (
            (self.low, low),
            (self.suspended, suspended),
            (self.owing, closed and account.balance < 0),
            (self.holding, closed and account.balance > 0),
            (self.waiting, account.recharge.in_flight is not None),
        ):
            (tenants.add if belongs else tenants.discard)(tenant)


class Findings(msgspec.Struct, frozen=True):
    """What the audit of one batch found: micro-units that do not add up, broken sequences by topic, and whose."""

    difference_micros: int
    breaks: Counter[str]
    tenants: tuple[str, ...]


class Books:
    """The partitions of this process."""

    def __init__(self) -> None:
        self._partitions: dict[int, _Partition] = {}

    def restore(self, partition: int, accounts: Iterable[Account]) -> None:
        """Begin a partition with its accounts as they were restored."""
        kept = self._partitions[partition] = _Partition()
        for account in accounts:
            kept.learn(account)

    def forget(self, partition: int) -> None:
        """The partition is no longer ours: another worker writes its tenants now."""
        self._partitions.pop(partition, None)

    def check(self, partition: int, accounts: Iterable[Account], sums: Tally) -> Findings:
        """Compare a committed batch with what was known, then merge what is new."""
        kept = self._partitions.setdefault(partition, _Partition())
        differences, breaks, tenants = 0, Counter[str](), []
        for account in accounts:
            broken = breaks.total()
            difference = abs(account.balance - money_in(account) + account.debt)
            before = kept.known.get(account.tenant)
            if before is not None:
                difference += abs(account.balance - before.balance - sums.moved[account.tenant])
                _check_sequences(account, before.sequences, sums, breaks)
            if difference or breaks.total() > broken:
                tenants.append(account.tenant)
            differences += difference
            kept.learn(account)
        return Findings(differences, breaks, tuple(tenants))

    @property
    def low(self) -> int:
        """Tenants below their recharge trigger, above zero."""
        return sum(len(partition.low) for partition in self._partitions.values())

    @property
    def suspended(self) -> int:
        """Tenants with credits set up and nothing left."""
        return sum(len(partition.suspended) for partition in self._partitions.values())

    @property
    def owing(self) -> int:
        """Tenants that are closed and owe money."""
        return sum(len(partition.owing) for partition in self._partitions.values())

    @property
    def holding(self) -> int:
        """Tenants that are closed and have money to be paid out."""
        return sum(len(partition.holding) for partition in self._partitions.values())

    @property
    def waiting(self) -> int:
        """Tenants with a recharge in flight."""
        return sum(len(partition.waiting) for partition in self._partitions.values())


def _check_sequences(account: Account, before: Sequences, sums: Tally, breaks: Counter[str]) -> None:
    for topic, field in _FIELD_OF.items():
        given, last = sums.outputs[topic, account.tenant], getattr(before, field)
        if getattr(account.sequences, field) != last + given or (
            given and sums.last[topic, account.tenant] != last + given
        ):
            breaks[topic] += 1
