"""The compacted topics of one partition as of the last commit, compared with what a replay ends with."""

from collections.abc import Mapping

import msgspec

from rater.core import Account, Balance, Entity, Key, Memory, parse_ledger
from rater.kafka.audit_report import Report, unlike
from rater.kafka.changelog import entity_of, pack, state_key, tenant_of
from rater.kafka.latest import Latest, Read, StateAsOf
from rater.wire.commits import Commit

#: Output topics that keep the latest record of a key.
LATEST = ("balances", "service-states")


class Compacted:
    """What balances, service states and the changelog hold."""

    def __init__(self, report: Report, partition: int) -> None:
        self._report, self._partition = report, partition
        self._as_of: dict[str, Latest] = {topic: Latest() for topic in LATEST}
        self._state = StateAsOf()
        self._expected: dict[str, dict[bytes, bytes | None]] = {topic: {} for topic in LATEST}

    async def read(self, read: Read, last: Commit, copied: Mapping[str, int]) -> None:
        """Read them as of the last commit; what is before the positions in `copied` comes from other topics."""
        for topic in LATEST:
            self._as_of[topic].copied = copied.get(topic, 0)
            await self._as_of[topic].read(read, topic, last)
        await self._state.read(read, "state", last)

    def expect(self, topic: str, key: bytes, value: bytes | None) -> None:
        """The record that a replay emitted last for a key; None where it deleted what was there."""
        self._expected[topic][key] = value

    def expect_nothing(self) -> None:
        """Commits follow that are not computed: they may have written every key again."""
        self._expected = {topic: {} for topic in LATEST}

    def compare_latest(self) -> None:
        """The latest record of each key is the one that the replay emitted last."""
        for topic in LATEST:
            latest = self._as_of[topic]
            for key, expected in self._expected[topic].items():
                found = latest.found.get(key)
                if found != expected and key not in latest.later:
                    place = f"{topic}/{self._partition}: key {key.decode()}"
                    self._report.find(f"{place}: {unlike(expected, found)}")

    def compare_commits(self, last: Commit) -> None:
        """The changelog says that it stands after the last commit."""
        state = self._state
        commits = state.meta.commits if state.meta is not None else 0
        if commits != last.sequence and not (state.later and commits < last.sequence):
            self._report.find(f"state/{self._partition}: expected {last.sequence} commits, found {commits}")

    def compare_state(self, memory: Memory) -> None:
        """The changelog must hold what the replay ended with: what a new owner would start from."""
        for kind, entities in memory.entities.items():
            for key, entity in entities.items() if kind != "call" else ():
                name = state_key(kind, key)
                if name not in self._state.later and not _is(entity, name, self._state.found.get(name)):
                    self._report.find(
                        f"state/{self._partition}: {kind} {'/'.join(key)} is not what the replay ends with"
                    )

    def accounts(self) -> dict[Key, Entity]:
        """The accounts in the changelog, where nothing was computed that could be compared with them."""
        return {
            key: entity
            for kind, key, entity in (entity_of(key, value) for key, value in self._state.found.items())
            if kind == "account"
        }

    def emitted_balances(self) -> Mapping[str, int]:
        """Balances as published, by tenant, where no later commit wrote them."""
        latest = self._as_of["balances"]
        return {
            key.decode(): parse_ledger(msgspec.json.decode(value, type=Balance).balance)
            for key, value in latest.found.items()
            if key not in latest.later
        }

    def tenants_of_later_commits(self) -> set[str]:
        """Tenants whose records in the changelog a later commit wrote."""
        return {tenant_of(key) for key in self._state.later}


def _is(entity: Entity, key: bytes, value: bytes | None) -> bool:
    """Whether a record is this entity; one that no commit changed since is written as an earlier release did."""
    return value is not None and (value == pack(entity) or entity_of(key, value)[2] == entity)


def balances_of(memory: Memory) -> dict[str, int]:
    """The balances of the accounts in memory, by tenant."""
    accounts = memory.entities["account"].values()
    return {account.tenant: account.balance for account in accounts if isinstance(account, Account)}
