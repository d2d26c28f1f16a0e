"""How far a mirror's outputs reach, and the last snapshot that they reach; see `replaying`."""

from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

import msgspec

from rater.core import RULES, Account, Memory
from rater.kafka.client import read_partition
from rater.kafka.settings import KafkaSettings
from rater.kafka.snapshot import HISTORY, Snapshot
from rater.wire.commits import Commit, part_of
from rater.wire.errors import Exit, RaterError


class Owned(msgspec.Struct, frozen=True):
    """What every output says: whose it is, and its place among the tenant's in its topic."""

    tenant: str
    sequence: int


owned = msgspec.json.Decoder(Owned).decode
_commit = msgspec.json.Decoder(Commit).decode


class Reached(NamedTuple):
    """The first and the last sequence of each tenant in each topic, by (topic, tenant)."""

    first: Mapping[tuple[str, str], int]
    last: Mapping[tuple[str, str], int]

    def holds(self, state: Memory) -> bool:
        """Whether everything is there that had been emitted when the state was written."""
        return all(
            self.last.get((topic, tenant), 0) >= sequence
            for (topic, tenant), sequence in sequences_of(state).items()
            if topic in HISTORY
        )

    def cut(self) -> set[str]:
        """Topics that lack the first records of a tenant."""
        return {topic for (topic, _), sequence in self.first.items() if sequence > 1}


def sequences_of(state: Memory) -> dict[tuple[str, str], int]:
    """The last sequence of each topic and tenant, as the accounts say."""
    found = {}
    for account in state.entities["account"].values():
        assert isinstance(account, Account)
        for topic, sequence in msgspec.structs.asdict(account.sequences).items():
            found[(topic.replace("_", "-"), account.tenant)] = sequence
    return found


async def reached(settings: KafkaSettings, number: int) -> Reached:
    """Of one partition."""
    first: dict[tuple[str, str], int] = {}
    last: dict[tuple[str, str], int] = {}
    for topic in HISTORY:
        async for records in read_partition(settings, topic, number, None):
            for record in records:
                output = owned(record.value or b"")
                place = (topic, output.tenant)
                first.setdefault(place, output.sequence)
                last[place] = output.sequence
    return Reached(first, last)


class Start(NamedTuple):
    """Where computing again begins: after this commit, with this state."""

    commit: Commit
    state: Memory


async def start_of(settings: KafkaSettings, number: int, found: Reached, first: Mapping[str, int]) -> Start:
    """The last snapshot whose inputs since and outputs before are there; else the beginning.

    `first` are the offsets of the first inputs that are kept.  RaterError if the mirror has neither.
    """
    marks = [commit async for commit, _ in _snapshots(settings, number)]
    for sequence in reversed([commit.sequence for commit in marks]):
        async for commit, parts in _snapshots(settings, number):
            if commit.sequence != sequence:
                continue
            state = parts.memory(commit.migrated or "")
            kept = commit.cdrs_first >= first["cdrs"] and commit.commands_first >= first["commands"]
            if state is not None and kept and commit.rules == RULES and found.holds(state):
                return Start(commit, state)
    beginning = Commit(
        partition=number, sequence=0, commands_first=0, commands_next=0, cdrs_first=0, cdrs_next=0, outcomes={}
    )
    if any(first.values()) or found.cut():
        raise RaterError(
            f"{settings.topic('commits')}[{number}]: no snapshot has its later inputs and earlier outputs in"
            " the mirror, which does not reach back to the beginning either; nothing was opened. A worker writes a"
            " snapshot when it starts and the last one is a week old",
            Exit.FAILED,
        )
    return Start(beginning, Memory())


async def _snapshots(settings: KafkaSettings, number: int) -> AsyncIterator[tuple[Commit, Snapshot]]:
    """Every commit that begins with a state, and its parts."""
    parts = Snapshot()
    async for commit in commits_of(settings, number, parts):
        if commit.migrated is not None:
            yield commit, parts


async def commits_of(settings: KafkaSettings, number: int, parts: Snapshot) -> AsyncIterator[Commit]:
    """Every commit of a partition; parts of states are put aside."""
    async for records in read_partition(settings, "commits", number, None):
        for record in records:
            if part_of(record.key) is not None:
                parts.add(record)
            else:
                yield _commit(record.value or b"")
