"""How a rating task acquires its partition, what its observer gets, and how it reacquires; on the model, no faults."""

import random
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from rater.core import RULES
from rater.core.inputs import DeckActivated
from rater.core.outputs import RatedCall, RejectedCdr
from rater.core.settings import RatingSettings
from rater.core.tariff import Tariffs
from rater.files.deck_csv import read_deck
from rater.kafka.changelog import META_KEY, STATE_VERSION, Meta, pack
from rater.kafka.index import MemoryIndex, StandsAt, indexed
from rater.kafka.observe import Watch
from rater.kafka.pages import line_of
from rater.kafka.port import Doubt
from rater.kafka.rating_task import RatingTask
from rater.ops.metrics.meter import Metrics
from rater.wire.codec import encode_input
from rater.wire.commits import Commit
from tests.simulation.cluster import PARTITIONS, Decks, ModelLog, Process
from tests.simulation.play import audit
from tests.simulation.story import call_record, tariffs
from tests.simulation.test_task import HOME, TENANT, Desk, Quiet, call, finish
from tests.world import DECK


class Watching:
    """Writes down what it is committed."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, object]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        def note(*facts: Any) -> None:
            counts = [
                fact if isinstance(fact, int) else len(fact)
                for fact in facts
                if isinstance(fact, int | tuple | list)
            ]
            self.noted.append((name, counts))

        return note


def watched(desk: Desk, index: MemoryIndex | None = None, **changes: Any) -> tuple[RatingTask, Watching]:
    """A task with an observer that writes down."""
    task, watching = desk.task(index), Watching()
    for name, value in {"_observer": watching, **changes}.items():
        setattr(task, name, value)
    return task, watching


def test_an_observer_knows_every_step() -> None:
    """Acquisition, each topic that is restored, what was consumed, rated and committed; in this order."""
    desk = Desk()
    desk.send(call(1), call(2))
    finish(desk.owner().step())
    stored = len(desk.broker.read(("state", HOME), 0))
    desk.send(call(3))
    task, watching = watched(desk)
    finish(task.own())
    finish(task.step())
    assert watching.noted == [
        ("owning", []),
        ("restoring", [stored]),
        ("restoring", [2]),
        ("owned", [2]),
        ("consumed", [1]),
        ("rated", []),
        ("committed", [1]),
    ]


def test_ownership_is_counted_and_shown() -> None:
    """1 after the first, 2 after the second; restored only while it owns."""
    desk = Desk()
    task = desk.task()
    assert (task.ownerships, task.restored) == (0, False)
    finish(task.own())
    assert (task.ownerships, task.restored) == (1, True)
    finish(task.own())
    assert (task.ownerships, task.restored) == (2, True)


def test_a_partition_has_a_line_for_operators() -> None:
    """Not acquired, restoring with what was read so far, rating with its positions, and why it is reacquired."""
    desk, watch = Desk(), Watch(Metrics(CollectorRegistry()))
    task, _ = watched(desk, _observer=watch)

    def line() -> str:
        text = line_of(HOME, task, watch.standings.get(HOME))
        return re.sub(r"since \S+Z", "since TIME", text.removeprefix(f"partition {HOME}: ").rstrip("\n"))

    assert line() == "given by the group, not acquired yet"
    watch.owning(task)
    watch.restoring(task, "state", 3)
    assert line() == "restoring since TIME, 3 records read, acquired 0 times"
    finish(task.own())
    assert line() == "rating since TIME, cdrs@0 commands@0, acquired 1 times"
    watch.doubted(task, Doubt("a newer producer"))
    finish(task.own())
    reason = "the last time because of: a newer producer"
    assert line() == f"rating since TIME, cdrs@0 commands@0, acquired 2 times, {reason}"


def test_offsets_are_committed_also_without_new_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the group shows as lag is right although nothing is committed."""
    desk = Desk()
    task = desk.owner()
    committed: list[dict[str, int]] = []

    async def note(_log: ModelLog, positions: dict[str, int]) -> None:
        committed.append(dict(positions))

    monkeypatch.setattr(ModelLog, "commit_offsets", note)
    finish(task.step())
    assert committed == [task.positions]
    desk.send(call(1))
    finish(task.step())
    assert committed[1:] == [{**committed[0], "cdrs": 1}] == [task.positions]


class Stops(Exception):
    """The end of a run that would go on."""


def test_each_doubt_in_a_row_waits_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """0, 1, 2; a step that succeeds begins anew; whenever it has failed it does not count as restored."""
    desk = Desk()
    task, watching = watched(desk)
    waited: list[tuple[int, bool]] = []
    failures = iter([True, True, True, False, True, False])

    async def back_off(_log: ModelLog, doubts: int) -> None:
        waited.append((doubts, task.restored))
        if len(waited) == 5:
            task.stopping = True

    closed: list[bool] = []

    async def step(_task: RatingTask) -> None:
        if next(failures, True):
            raise Doubt("no answer")

    async def close(_log: ModelLog) -> None:
        closed.append(task.restored)

    monkeypatch.setattr(ModelLog, "back_off", back_off)
    monkeypatch.setattr(ModelLog, "close", close)
    monkeypatch.setattr(RatingTask, "step", step)
    finish(task.run())
    assert waited == [(0, False), (1, False), (2, False), (0, False), (0, False)]
    assert [name for name, _ in watching.noted].count("doubted") == 5
    assert (closed, task.restored, task.ownerships) == ([False], False, 5)


def test_a_run_that_fails_closes_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug ends the run; it does not count as restored any more, and what it held is closed."""
    desk = Desk()
    task = desk.task()
    closed: list[bool] = []

    async def step(_task: RatingTask) -> None:
        assert task.restored
        raise Stops

    async def close(_log: ModelLog) -> None:
        closed.append(task.restored)

    monkeypatch.setattr(ModelLog, "close", close)
    monkeypatch.setattr(RatingTask, "step", step)
    with pytest.raises(Stops):
        finish(task.run())
    assert (closed, task.restored) == ([False], False)


class OnItsWay(Decks):
    """A deck that is published while somebody waits for it."""

    def __init__(self, tariffs: Tariffs) -> None:
        super().__init__(tariffs)
        self.waited: list[set[str]] = []

    async def wait_for(self, versions: set[str]) -> None:
        """See rater.kafka.rating_task.Decks."""
        self.waited.append(set(versions))
        if "deck-2" in versions:
            self.tariffs.publish(read_deck(DECK, version="deck-2"))


def test_a_deck_that_is_on_its_way_is_waited_for() -> None:
    """The command that activates it is applied; a deck that is there is not waited for, one that never comes is refused."""
    desk = Desk()
    decks = OnItsWay(Tariffs(tariffs()))
    task = RatingTask(
        desk.task()._log, MemoryIndex(), decks, RatingSettings(),
        partitions=PARTITIONS, batch_records_max=100, backlog_records_max=100, batch_bytes_max=1_000_000, observer=Quiet(),
    )  # fmt: skip
    finish(task.own())
    finish(task.step())
    assert decks.waited == []
    at = call_record(TENANT, 1).answered_at
    for version in ("deck-1", "deck-2", "deck-3"):
        desk.send(encode_input(DeckActivated(tenant=TENANT, id=version, at=at, version=version)), topic="commands")
    finish(task.step())
    assert decks.waited == [{"deck-2", "deck-3"}]
    assert [letter.reason.value for letter in desk.read("rejected-cdrs", RejectedCdr)] == ["unknown_deck"]
    assert desk.read("commits", Commit)[-1].unknown_decks == ("deck-3",)


class Counting(MemoryIndex):
    """Counts what is put into it."""

    def __init__(self) -> None:
        super().__init__()
        self.puts: list[int] = []
        self.cleared = 0

    def put(self, calls: Any, stands: StandsAt) -> None:
        """See UsageIndex."""
        self.puts.append(len(calls))
        super().put(calls, stands)

    def clear(self) -> None:
        """See UsageIndex."""
        self.cleared += 1
        super().clear()


def rated(desk: Desk, count: int) -> list[RatedCall]:
    """So many calls were rated by somebody before."""
    desk.send(*[call(number) for number in range(count)])
    finish(desk.owner().step())
    found: list[RatedCall] = desk.read("rated-calls", RatedCall)
    return found


def test_an_index_that_fits_is_only_brought_up_to_date() -> None:
    """Of three rated calls it knows the first; two are missing, and nothing is thrown away."""
    desk = Desk()
    calls = rated(desk, 3)
    place = [record.offset for record in desk.broker.read(("rated-calls", HOME), 0)]
    index = Counting()
    index.put(indexed(calls[0]), StandsAt(place[0] + 1, calls[0].id))
    index.puts.clear()
    task, watching = watched(desk, index)
    finish(task.own())
    assert (index.puts, index.cleared) == ([2], 0)
    assert ("owned", [2]) in watching.noted
    assert index.stands_at == StandsAt(place[2] + 1, calls[2].id)
    again, watching = watched(desk, index)
    finish(again.own())
    assert (index.puts, index.cleared) == ([2], 0)
    assert ("owned", [0]) in watching.noted


@pytest.mark.parametrize("beyond", [0, 1, 5])
def test_an_index_that_stands_elsewhere_is_built_anew(beyond: int) -> None:
    """The last call that it knows is another one, or is not there at all."""
    desk = Desk()
    calls = rated(desk, 3)
    last = [record.offset for record in desk.broker.read(("rated-calls", HOME), 0)][-1]
    index = Counting()
    known = {key: live for one in calls for key, live in indexed(one).items()}
    index.put(known, StandsAt(last + 1 + beyond, calls[-1].id if beyond else calls[0].id))
    index.puts.clear()
    task, _ = watched(desk, index)
    finish(task.own())
    assert (index.puts, index.cleared) == ([3], 1)
    assert audit(desk.broker).findings == []


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_an_index_that_lost_a_call_is_built_anew(lost: int) -> None:
    """Rule 68: it says where it stands, and one of its calls is gone; that call is a duplicate none the less."""
    desk = Desk()
    calls = rated(desk, 3)
    place = [record.offset for record in desk.broker.read(("rated-calls", HOME), 0)]
    index = Counting()
    known = {key: live for number, one in enumerate(calls) if number != lost for key, live in indexed(one).items()}
    index.put(known, StandsAt(place[2] + 1, calls[2].id))
    desk.send(call(lost))
    finish(desk.owner(index).step())
    assert index.cleared == 1
    assert len(desk.read("rated-calls", RatedCall)) == 3
    assert audit(desk.broker).findings == []


def test_only_the_last_calls_are_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 90 calls those at the last 10 positions, whatever lies before: a partition is not acquired later for a large index."""
    desk = Desk()
    calls = rated(desk, 90)
    place = [record.offset for record in desk.broker.read(("rated-calls", HOME), 0)]
    monkeypatch.setattr("rater.kafka.catch_up.PROBED_POSITIONS", 10)
    for first, cleared in ((80, 0), (81, 1)):
        index = Counting()
        known = {key: live for one in calls[first:] for key, live in indexed(one).items()}
        index.put(known, StandsAt(place[-1] + 1, calls[-1].id))
        finish(watched(desk, index)[0].own())
        assert index.cleared == cleared


class Noting(ModelLog):
    """Notes whether its last step was to seek the inputs."""

    sought = False

    async def _turn(self) -> None:
        self.sought = False
        await super()._turn()

    async def seek(self, positions: Mapping[str, int | None]) -> Mapping[str, int]:
        """See PartitionLog."""
        found = await super().seek(positions)
        self.sought = True
        return found


@pytest.mark.parametrize("rules", [RULES, RULES - 1])
def test_nothing_is_awaited_once_the_inputs_were_sought(rules: int) -> None:
    """A rebalance pauses the inputs of a task that is not restored; after `seek` they would not be resumed."""
    desk = Desk()
    finish(desk.owner().step())
    meta = Meta(STATE_VERSION, 1, {"cdrs": 0, "commands": 5}, rules=rules)
    desk.broker.append(("state", HOME), META_KEY, pack(meta))
    log = Noting(desk.broker, Process("worker"), HOME, random.Random(2))
    task, _ = watched(desk, _log=log)
    finish(task.own())
    assert (log.sought, task.restored) == (True, True)


def test_a_long_log_is_read_into_the_index_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a restore needs no memory for all calls at once: every 50 records that the log gives, here."""
    desk = Desk()
    rated(desk, 90)
    monkeypatch.setattr("rater.kafka.catch_up.PORTION_CALLS", 50)
    index = Counting()
    task, watching = watched(desk, index)
    finish(task.own())
    assert index.puts == [50, 40]
    assert [committed for committed in watching.noted if committed[0] == "owned"] == [("owned", [90])]


def test_older_rules_are_upgraded_once_with_a_report() -> None:
    """A51: the state that rules 1 wrote; its report goes to the observer, and the next owner has nothing to do."""
    desk = Desk()
    finish(desk.owner().step())
    meta = Meta(STATE_VERSION, 1, {"cdrs": 0, "commands": 5}, rules=1)
    desk.broker.append(("state", HOME), META_KEY, pack(meta))
    task, watching = watched(desk)
    finish(task.own())
    assert [name for name, _ in watching.noted if name in ("upgraded", "owned")] == ["upgraded", "owned"]
    assert ("upgraded", [1]) in watching.noted
    task, watching = watched(desk)
    finish(task.own())
    assert [name for name, _ in watching.noted if name == "upgraded"] == []
