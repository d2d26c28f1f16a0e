"""Topics that release 0.3.0 wrote: the first worker upgrades them, and `verify` passes (A51)."""

import base64
import gzip
import json
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from rater.agents.tenants import Tenants
from rater.cli.publish import _call_messages, command_messages
from rater.core.inputs import LicenseAssigned, RateDeck
from rater.core.outputs import RatedCall, ServiceState
from rater.core.reasons import Outcome
from rater.core.settings import RatingSettings
from rater.core.tariff import Tariffs
from rater.kafka.audit_report import Report
from rater.kafka.changelog import META_KEY, Entities, pack, read_meta
from rater.kafka.consume import SequenceCheck
from rater.kafka.index import MemoryIndex
from rater.kafka.partition_audit import verify_partition
from rater.kafka.port import Consumed, Doubt, Fenced
from rater.kafka.rating_task import RatingTask
from rater.ops.metrics.meter import Metrics
from rater.wire.codec import encode_input
from rater.wire.commits import Commit, part_of
from rater.wire.errors import RaterError
from tests.simulation.broker import Broker, Entry
from tests.simulation.cluster import Decks, ModelLog, Process
from tests.upgrade.release import RELEASE
from tests.world import at

TOPICS = gzip.decompress((RELEASE / "topics.jsonl.gz").read_bytes()).splitlines()
OUTPUTS = ("rated-calls", "debits", "balances", "recharges", "rejected-cdrs")


class Steady(random.Random):
    """Nothing fails by chance."""

    def random(self) -> float:
        return 0.99


class Quiet:
    """No listener."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


class Cluster:
    """The topics as 0.3.0 left them, and workers of this release."""

    def __init__(self) -> None:
        self.broker = Broker()
        self.tariffs = Tariffs()
        for line in TOPICS:
            record = json.loads(line)
            key, value = base64.b64decode(record["key"]), base64.b64decode(record["value"])
            log = self.broker.logs[(record["topic"], 0)]
            log.extend([Entry(None, None)] * (record["offset"] - len(log)))  # markers
            log.append(Entry(key, value))
            if record["topic"] == "rate-decks":
                self.tariffs.publish(msgspec.json.decode(value, type=RateDeck))
        for log in self.broker.logs.values():
            log.append(Entry(None, None))

    def task(self) -> RatingTask:
        """A worker of this release that does not own the partition yet."""
        return RatingTask(
            ModelLog(self.broker, Process("worker"), 0, Steady()),
            MemoryIndex(),
            Decks(self.tariffs),
            RatingSettings(),
            partitions=1,
            batch_records_max=7,
            backlog_records_max=7,
            batch_bytes_max=1_000_000,
            observer=Quiet(),
        )

    def owner(self) -> RatingTask:
        """One that owns it."""
        task = self.task()
        finish(task.own())
        return task

    def values(self, topic: str) -> list[bytes | None]:
        """What readers see of a topic."""
        return [record.value for record in self.broker.read((topic, 0), 0)]

    def commits(self) -> list[Commit]:
        """The commit records."""
        records = self.broker.read(("commits", 0), 0)
        return [msgspec.json.decode(r.value or b"", type=Commit) for r in records if part_of(r.key) is None]

    def verify(self) -> Report:
        """As `rater verify` does it."""
        report = Report()
        report.partitions = 1
        finish(verify_partition(partial(_read, self.broker), RatingSettings(), self.tariffs, report, 0))
        return report

    def send_all_again(self) -> None:
        """Every input of the fixture, published a second time."""
        inputs = RELEASE / "inputs"
        names = ("PSTN.calls.2025-03.csv", "graph.json", "calls.jsonl")
        messages = [
            *command_messages([inputs / "setup.jsonl"], []),
            *_call_messages([str(inputs / name) for name in names], "contoso", None, []),
        ]
        for topic, key, value in messages:
            self.broker.append((topic, 0), key.encode(), value)


async def _read(broker: Broker, topic: str) -> AsyncIterator[Sequence[Consumed]]:
    if found := broker.read((topic, 0), 0):
        yield found


def finish(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Run to the end, alone."""
    try:
        while True:
            coroutine.send(None)
    except StopIteration:
        return


def test_the_first_commit_of_new_rules_has_a_digest() -> None:
    """A51: commits have the number of the rules; the first of a new one consumes no input and has the state's digest."""
    cluster = Cluster()
    before = {topic: cluster.values(topic) for topic in OUTPUTS}
    cluster.owner()
    *earlier, first = cluster.commits()
    assert {commit.rules for commit in earlier} == {1}
    assert (first.rules, first.outcomes, first.cdrs_first) == (2, {}, first.cdrs_next)
    assert first.migrated
    assert {topic: cluster.values(topic) for topic in OUTPUTS} == before


def test_the_state_is_upgraded_once() -> None:
    """The next owner finds a state of the present rules, the same one; entities that went are gone."""
    cluster = Cluster()
    own = cluster.owner()._state.entities.memory()
    commits = len(cluster.commits())
    assert cluster.owner()._state.entities.memory().entities == own.entities
    assert len(cluster.commits()) == commits
    assert ("contoso", "ada@contoso.example") in own.entities["user"]
    assert ("contoso", "Ada@Contoso.example") not in own.entities["user"]


def test_a_user_has_one_key_in_service_states_after_the_upgrade() -> None:
    """A40: the keys of other spellings go; who was restricted is so under the present key, since the same instant."""
    cluster = Cluster()
    cluster.owner()
    cluster.owner()  # once only
    records = cluster.broker.read(("service-states", 0), 0)
    latest = {record.key: record.value for record in records}
    assert latest.pop(b"contoso/ADA@contoso.example") is None
    users = {
        key: msgspec.json.decode(value, type=ServiceState)
        for key, value in latest.items()
        if value is not None and b"/" in (key or b"")
    }
    assert {(key or b"").decode(): (state.user, state.state) for key, state in users.items()} == {
        "contoso/ada@contoso.example": ("Ada@Contoso.example", "restricted"),
        "contoso/bob@contoso.example": ("bob@contoso.example", "restricted"),
        "northwind/dora@northwind.example": ("Dora@Northwind.example", "restricted"),
        "northwind/emil@northwind.example": ("Emil@Northwind.example", "restricted"),
    }
    assert users[b"northwind/dora@northwind.example"].since.isoformat() == "2025-03-02T12:02:00+00:00"
    check = SequenceCheck("service-states", compacted=True)
    assert [finding for record in records if (finding := check.check(record))] == []
    tenants = Tenants(Metrics(CollectorRegistry()))
    for record in records:
        tenants.apply(record)
    assert sorted(tenants.restricted_tenants()) == ["contoso", "northwind"]
    assert cluster.verify().findings == []


def test_a_user_who_is_allowed_again_after_the_upgrade_is_so_under_the_present_key() -> None:
    """A licence that helps: the restricted state of the migration is replaced, and sequences go on."""
    cluster = Cluster()
    task = cluster.owner()
    licensed = LicenseAssigned(
        tenant="northwind", id="again", at=at("2025-03-20"), user="DORA@northwind.example", sku="MCOPSTN5",
        country="US",
    )  # fmt: skip
    cluster.broker.append(("commands", 0), b"northwind", encode_input(licensed))
    finish(task.step())
    last = cluster.broker.read(("service-states", 0), 0)[-1]
    state = msgspec.json.decode(last.value or b"", type=ServiceState)
    assert (last.key, state.state) == (b"northwind/dora@northwind.example", "allowed")
    assert cluster.verify().findings == []


def test_calls_sent_again_are_duplicates_and_verify_passes() -> None:
    """A41, A51: nothing is rated again, the balances add up, and the report names what was not computed again."""
    cluster = Cluster()
    assert cluster.verify().findings == []
    task = cluster.owner()
    calls, debits = cluster.values("rated-calls"), cluster.values("debits")
    cluster.send_all_again()
    for _ in range(10):
        finish(task.step())
    assert (cluster.values("rated-calls"), cluster.values("debits")) == (calls, debits)
    new = [commit for commit in cluster.commits() if commit.rules == 2]
    assert sum(commit.outcomes.get(Outcome.DUPLICATE, 0) for commit in new) == 44
    report = cluster.verify()
    assert report.findings == []
    assert dict(report.former) == {1: 10}


def test_calls_after_the_upgrade_are_replayed() -> None:
    """New calls, and a correction of a call that 0.3.0 rated, are computed again from the migrated state."""
    cluster = Cluster()
    task = cluster.owner()
    call = {
        "tenant": "northwind", "usage_id": "n-2", "version": 2, "type": "user_out", "user": "DORA@northwind.example",
        "answered_at": "2025-03-02T13:00:00Z", "duration_s": 60, "calling": "+14255550200", "called": "+12065550100",
    }  # fmt: skip
    for changes in ({}, {"usage_id": "n-9", "version": 1}):
        cluster.broker.append(("cdrs", 0), b"northwind", json.dumps(call | changes).encode())
    finish(task.step())
    assert cluster.commits()[-1].outcomes == {"corrected": 1, "rated": 1}
    assert cluster.verify().findings == []


def test_verify_finds_a_changed_snapshot() -> None:
    """The digest in the commit is that of the state that it began with, and of no other."""
    cluster = Cluster()
    cluster.owner()
    (entry,) = [entry for entry in cluster.broker.logs[("commits", 0)] if part_of(entry.key) == 0]
    assert entry.value is not None
    entry.value = entry.value.replace(b"carol", b"karol")
    assert any("expected a state with digest" in finding for finding in cluster.verify().findings)


def test_verify_finds_money_that_earlier_rules_lost() -> None:
    """Of commits that it cannot compute again the sums are checked all the same."""
    cluster = Cluster()
    cluster.owner()
    entry = next(entry for entry in cluster.broker.logs[("debits", 0)] if entry.value)
    debit = json.loads(entry.value or b"")
    entry.value = json.dumps(debit | {"amount": "0.000001"}).encode()
    assert any("money in less money out" in finding for finding in cluster.verify().findings)


def test_a_predecessor_of_the_old_release_is_fenced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rolling upgrade: what the worker before still writes is refused, and the state is not mixed."""
    cluster = Cluster()
    with monkeypatch.context() as old:  # a worker of the old rules does not migrate
        old.setattr("rater.kafka.rating_task.RULES", 1)
        before = cluster.owner()
        cluster.send_all_again()
    cluster.owner()
    with pytest.raises(Fenced):
        finish(before.step())
    assert cluster.verify().findings == []


def test_an_upgrade_without_answer_is_done_again_or_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit of the migration fails: nothing has happened, and the next try does it."""
    cluster = Cluster()
    task = cluster.task()

    async def no_answer(log: ModelLog) -> None:
        raise Doubt("no answer to the commit")

    with monkeypatch.context() as broken:
        broken.setattr(ModelLog, "commit", no_answer)
        with pytest.raises(Doubt):
            finish(task.own())
    finish(task.own())
    assert [commit.rules for commit in cluster.commits()].count(2) == 1
    assert cluster.verify().findings == []


def test_a_snapshot_in_many_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large state is written in parts; after a crash between them the next owner begins again."""
    monkeypatch.setattr("rater.kafka.snapshot.PART_BYTES_MAX", 500)
    monkeypatch.setattr("rater.kafka.snapshot.TRANSACTION_BYTES_MAX", 2_000)
    cluster = Cluster()
    dying = cluster.task().own()
    while not any(part_of(r.key) is not None for r in cluster.broker.read(("commits", 0), 0)):
        dying.send(None)
    dying.close()
    assert {part_of(r.key) for r in cluster.broker.read(("commits", 0), 0)} > {None, 0}
    assert {commit.rules for commit in cluster.commits()} == {1}
    cluster.owner()
    assert cluster.verify().findings == []


def test_going_back_is_refused() -> None:
    """The meta record has a version that 0.3.0 does not know; and rules of a later release stop this one."""
    cluster = Cluster()
    cluster.owner()
    meta = read_meta(
        next(r.value for r in reversed(cluster.broker.read(("state", 0), 0)) if r.key == META_KEY) or b""
    )
    assert (meta.version, meta.rules) == (2, 2)
    later = msgspec.structs.replace(meta, rules=3)
    with pytest.raises(
        RaterError, match=r"written by a newer rater \(rules 3, this one knows 2\); upgrade this worker"
    ):
        Entities().apply(META_KEY, pack(later))


def test_every_rated_call_is_known_to_the_fixture() -> None:
    """The fixture has what its README says: otherwise the tests above prove little."""
    calls = [msgspec.json.decode(value or b"", type=RatedCall) for value in Cluster().values("rated-calls")]
    assert {call.usage_id for call in calls} > {"{9C4984C7-6C3C-427D-A30C-BD0B2EACEE90}", "b-1", "csv-3"}
