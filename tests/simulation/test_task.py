"""The points of architecture "The rating task", one by one, on the model: one worker, no faults but the one named."""

import random
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from rater.core.inputs import DeckActivated, Source
from rater.core.outputs import Debit, RatedCall, RejectedCdr
from rater.core.settings import RatingSettings
from rater.kafka.at_fault import RecordAtFault, skip_order
from rater.kafka.changelog import META_KEY, STATE_VERSION, Meta, entity_of, pack, state_key
from rater.kafka.index import MemoryIndex, StandsAt
from rater.kafka.port import Doubt, Fenced
from rater.kafka.publisher import partition_of
from rater.kafka.rating_task import RatingTask
from rater.wire.codec import decode_call, encode_input
from rater.wire.commits import Commit
from rater.wire.errors import RaterError
from tests.simulation.broker import Broker
from tests.simulation.cluster import PARTITIONS, Decks, ModelLog, Process
from tests.simulation.play import audit
from tests.simulation.story import TENANTS, call_record, provision, tariffs

TENANT = TENANTS[0]
HOME = partition_of(TENANT, PARTITIONS)


class Quiet:
    """No listener."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


class Desk:
    """One broker, and tasks for the tenant's partition."""

    def __init__(self, *, batch_bytes_max: int = 1_000_000, batch_records_max: int = 100) -> None:
        self.broker = Broker()
        self.batch_records_max = batch_records_max
        self.batch_bytes_max = batch_bytes_max
        provision(self.broker)

    def task(self, index: MemoryIndex | None = None) -> RatingTask:
        """A task that has not acquired its partition yet."""
        return RatingTask(
            ModelLog(self.broker, Process("worker"), HOME, random.Random(2)),
            index if index is not None else MemoryIndex(),
            Decks(tariffs()),
            RatingSettings(),
            partitions=PARTITIONS,
            batch_records_max=self.batch_records_max,
            backlog_records_max=self.batch_records_max,
            batch_bytes_max=self.batch_bytes_max,
            observer=Quiet(),
        )

    def owner(self, index: MemoryIndex | None = None) -> RatingTask:
        """A task that owns the partition and has applied the provisioning."""
        task = self.task(index)
        finish(task.own())
        finish(task.step())
        return task

    def send(self, *values: bytes, topic: str = "cdrs") -> None:
        """Publish to the tenant's partition."""
        for value in values:
            self.broker.append((topic, HOME), TENANT.encode(), value)

    def read(self, topic: str, type: type[Any]) -> list[Any]:
        """What readers of committed records see."""
        values = [record.value for record in self.broker.read((topic, HOME), 0)]
        assert None not in values, topic
        return [msgspec.json.decode(value, type=type) for value in values if value is not None]


def finish(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run to the end, alone."""
    try:
        while True:
            coroutine.send(None)
    except StopIteration:
        return


def call(number: int, **changes: Any) -> bytes:
    """A minute to London."""
    return encode_input(call_record(TENANT, number, duration_s=60, **changes))


def test_a_batch_is_visible_at_once_or_not_at_all() -> None:
    """Outputs, changelog, commit record and positions are one transaction."""
    desk = Desk()
    task = desk.owner()
    desk.send(call(1), call(2))
    step = task.step()
    seen = set()
    try:
        while True:
            step.send(None)
            seen.add((len(desk.read("rated-calls", RatedCall)), len(desk.read("commits", Commit))))
    except StopIteration:
        pass
    assert seen == {(0, 1), (2, 2)}


def test_a_successor_goes_on_where_the_log_stands() -> None:
    """A new owner on an empty disk knows state, positions and usage ids: nothing is rated twice."""
    desk = Desk()
    desk.send(call(1))
    finish(desk.owner().step())
    desk.send(call(1), call(2))
    successor = desk.task()
    finish(successor.own())
    finish(successor.step())
    assert [rated.usage_id for rated in desk.read("rated-calls", RatedCall)] == ["call-1", "call-2"]
    assert [commit.outcomes for commit in desk.read("commits", Commit)][-1] == {"duplicate": 1, "rated": 1}
    assert audit(desk.broker).findings == []


def test_a_predecessor_is_refused() -> None:
    """Once a successor has started, what the one before still writes is refused."""
    desk = Desk()
    before = desk.owner()
    finish(desk.task().own())
    desk.send(call(1))
    with pytest.raises(Fenced):
        finish(before.step())
    assert desk.read("rated-calls", RatedCall) == []


def test_nothing_is_merged_before_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that failed leaves no trace in memory: read again, it is rated once."""
    desk = Desk()
    task = desk.owner()
    desk.send(call(1))

    async def no_answer(log: ModelLog) -> None:
        raise Doubt("no answer to the commit")

    with monkeypatch.context() as broken:
        broken.setattr(ModelLog, "commit", no_answer)
        with pytest.raises(Doubt):
            finish(task.step())
    finish(task.own())
    finish(task.step())
    assert [rated.usage_id for rated in desk.read("rated-calls", RatedCall)] == ["call-1"]
    assert audit(desk.broker).findings == []


def test_bytes_that_do_not_decode_are_kept() -> None:
    """Poison goes to rejected-cdrs in the same transaction, and the records around it are rated."""
    desk = Desk()
    task = desk.owner()
    desk.send(call(1), b'{"tenant": "ada-ltd", "usage', call(2))
    finish(task.step())
    (letter,) = desk.read("rejected-cdrs", RejectedCdr)
    assert (letter.reason.value, letter.raw) == ("malformed", '{"tenant": "ada-ltd", "usage')
    assert len(desk.read("rated-calls", RatedCall)) == 2


def test_refused_records_in_a_row_do_not_stop_the_partition() -> None:
    """One bad source must not stop its neighbours: each is a letter that says where it stood, and calls are rated."""
    desk = Desk()
    task = desk.owner()
    desk.send(call(1), *[f"[{number}]".encode() for number in range(1_500)], call(2))
    while task.positions["cdrs"] < 1_502:
        try:
            finish(task.step())
        except Doubt:
            finish(task.own())
    assert [rated.usage_id for rated in desk.read("rated-calls", RatedCall)] == ["call-1", "call-2"]
    letters = desk.read("rejected-cdrs", RejectedCdr)
    assert [letter.source for letter in letters] == [Source("cdrs", HOME, offset) for offset in range(1, 1_501)]
    assert audit(desk.broker).findings == []


def test_a_batch_is_bounded_in_bytes() -> None:
    """Large records make several commits, one after the other; one that is larger than the bound is alone."""
    desk = Desk(batch_bytes_max=2_000)
    task = desk.owner()
    large = call(3)[:-1] + b',"x":"' + b"y" * 4_000 + b'"}'
    desk.send(*[call(number)[:-1] + b',"x":"' + b"y" * 600 + b'"}' for number in (1, 2)], large, call(4))
    finish(task.step())
    taken = [(commit.cdrs_first, commit.cdrs_next) for commit in desk.read("commits", Commit)]
    assert taken[-3:] == [(0, 2), (2, 3), (3, 4)]
    assert audit(desk.broker).findings == []


def test_a_record_in_the_wrong_partition() -> None:
    """A tenant has one writer: what another partitioner put elsewhere is a dead letter with that reason."""
    desk = Desk()
    task = desk.owner()
    stranger = next(tenant for tenant in TENANTS if partition_of(tenant, PARTITIONS) != HOME)
    desk.send(encode_input(call_record(stranger, 1, duration_s=60)))
    finish(task.step())
    (letter,) = desk.read("rejected-cdrs", RejectedCdr)
    assert letter.reason.value == "wrong_partition"
    assert "murmur2" in letter.message


def test_an_unpublished_deck() -> None:
    """The command is refused, and the commit record says which version was not known."""
    desk = Desk()
    task = desk.owner()
    later = DeckActivated(tenant=TENANT, id="later", at=call_record(TENANT, 1).answered_at, version="deck-2")
    desk.send(encode_input(later), topic="commands")
    finish(task.step())
    assert [letter.reason.value for letter in desk.read("rejected-cdrs", RejectedCdr)] == ["unknown_deck"]
    assert desk.read("commits", Commit)[-1].unknown_decks == ("deck-2",)
    assert audit(desk.broker).findings == []


def test_records_that_come_again_after_a_rebalance() -> None:
    """A consumer may be put back: what was committed is not read again, positions never go back."""
    desk = Desk()
    task = desk.owner()
    desk.send(call(1))
    finish(task.step())
    log = task._log
    assert isinstance(log, ModelLog)
    log._positions["cdrs"] = 0
    desk.send(call(2))
    finish(task.step())
    assert [(c.cdrs_first, c.cdrs_next) for c in desk.read("commits", Commit)] == [(0, 0), (0, 1), (1, 2)]


@pytest.mark.parametrize(
    "stands", [StandsAt(10_000, "beyond the end"), StandsAt(1, "another call")], ids=["beyond", "other log"]
)
def test_an_index_that_does_not_fit_the_log(stands: StandsAt) -> None:
    """Disk is a cache: one that stands for another log is emptied and built again."""
    desk = Desk()
    desk.send(call(1))
    finish(desk.owner().step())
    index = MemoryIndex()
    index.put({}, stands)
    successor = desk.task(index)
    finish(successor.own())
    desk.send(call(1))
    finish(successor.step())
    assert len(desk.read("rated-calls", RatedCall)) == 1


def test_a_state_of_a_newer_version() -> None:
    """An older worker refuses it in words, and changes nothing."""
    desk = Desk()
    meta = Meta(STATE_VERSION + 1, 1, {"cdrs": 0, "commands": 0})
    desk.broker.append(("state", HOME), META_KEY, pack(meta))
    with pytest.raises(RaterError, match="written by a newer rater"):
        finish(desk.task().own())


def test_debits_are_what_the_ledger_says() -> None:
    """The audit finds one debit changed by a micro-unit."""
    desk = Desk()
    desk.send(call(1, called="+263242700000"))
    finish(desk.owner().step())
    (debit,) = desk.read("debits", Debit)
    place = ("debits", HOME)
    forged = msgspec.structs.replace(debit, amount="0.200001")
    entry = next(entry for entry in desk.broker.logs[place] if entry.value is not None)
    entry.value = msgspec.json.encode(forged)
    findings = audit(desk.broker).findings
    assert any("debits" in finding for finding in findings)
    assert any("money in less money out" in finding for finding in findings)


@pytest.mark.parametrize("tenant", ["contoso", "a/b", "100%", "a%2Fb", "é"])
@pytest.mark.parametrize("name", ["", "ada@contoso", "MCOPSTN1/US-PR/2025-03"])
def test_state_keys_name_one_entity(tenant: str, name: str) -> None:
    """A slash within a tenant's name does not make it another's."""
    value = pack({"at": "2025-03-01T00:00:00Z"})
    assert entity_of(state_key("seen", (tenant, name)), value)[:2] == ("seen", (tenant, name))


def test_a_bug_names_its_record_and_an_operator_goes_past_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The partition stops and says where; the record is skipped unread, its commit says so, and verify agrees."""
    desk = Desk()
    task = desk.owner()
    desk.send(call(1), call(2), b"poison", call(3))

    def raises(raw: bytes) -> object:
        if raw == b"poison":
            raise OverflowError("a bug")
        return decode_call(raw)

    monkeypatch.setattr("rater.engine.batch.decode_call", raises)
    monkeypatch.setattr("rater.kafka.partition_audit.decode_cdr", raises)
    with pytest.raises(RecordAtFault, match=f"--partition {HOME} --topic cdrs --offset 2 --note WHY") as stopped:
        finish(task.step())
    assert stopped.value.source == Source("cdrs", HOME, 2)
    assert desk.read("rated-calls", RatedCall) == []
    order = skip_order(stopped.value.source, "grace", datetime(2025, 3, 1, tzinfo=UTC), "until 0.4.1")
    desk.send(msgspec.json.encode(order), topic="dlq-audit")
    successor = desk.task()
    finish(successor.own())
    finish(successor.step())
    assert [rated.usage_id for rated in desk.read("rated-calls", RatedCall)] == ["call-1", "call-2", "call-3"]
    (letter,) = desk.read("rejected-cdrs", RejectedCdr)
    assert (letter.reason.value, letter.raw, letter.source) == ("skipped", "poison", stopped.value.source)
    assert desk.read("commits", Commit)[-1].skipped == (stopped.value.source,)
    assert audit(desk.broker).findings == []
