"""Thousands of simulated hours, each with its own faults, and two designs that must not survive them."""

from collections import Counter
from collections.abc import Sequence

import pytest

from rater.kafka.rating_task import Prepared, RatingTask
from rater.kafka.records import Given
from tests.simulation.cluster import Cluster, ModelLog
from tests.simulation.play import play

#: `make chaos` plays two hundred times as many.
SEEDS = 500
SEEDS_A_TEST = 250
MUST_BE_CAUGHT_WITHIN = 50

#: What must have happened somewhere in the seeds of a test, so that none passes by luck.
MARKS = (
    "a worker crashed",
    "a crash between commit and merge",
    "a zombie woke",
    "a rebalance",
    "an epoch was fenced",
    "a fenced task reacquired",
    "a predecessor's open transaction was aborted",
    "a transaction timed out",
    "a commit was lost, outcome unknown",
    "a commit was done, outcome unknown",
    "a send failed",
    "a partition was restored",
)


@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_A_TEST))
def test_whatever_crashes(first: int) -> None:
    """Architecture "The rating task": after each seed the audit finds nothing lost and nothing twice."""
    marks: Counter[str] = Counter()
    for seed in range(first, first + SEEDS_A_TEST):
        report, happened = play(seed)
        marks += happened
        assert report.findings == [], f"replay it with: python -m tests.simulation {seed}"
        assert report.outcomes["rated"] > 0
    assert [mark for mark in MARKS if not marks[mark]] == []


class RemembersBeforeTheCommit(RatingTask):
    """A broken design: the usage id is noted outside of the transaction that rates its call."""

    def _prepare(self, given: Sequence[Given]) -> Prepared:
        prepared = super()._prepare(given)
        index = self._state.index
        index.put(prepared.batch.state.calls, index.stands_at)
        return prepared


class IdOfTheWorker(ModelLog):
    """A broken design: the transactional id belongs to the worker, so that no successor fences a zombie."""

    @property
    def transactional_id(self) -> str:
        """One for each worker (and partition, since every partition has a producer)."""
        return f"{self._process.name}.{self.partition}"


class Forgetful(Cluster):
    task_type = RemembersBeforeTheCommit


class Unfenced(Cluster):
    log_type = IdOfTheWorker


@pytest.mark.parametrize("broken", [Forgetful, Unfenced], ids=["dedupe outside", "id per worker"])
def test_broken_designs_are_caught(broken: type[Cluster]) -> None:
    """A simulation that does not catch these proves nothing."""
    assert any(_fails(seed, broken) for seed in range(MUST_BE_CAUGHT_WITHIN))


def _fails(seed: int, broken: type[Cluster]) -> bool:
    try:
        report, _ = play(seed, broken)
    except AssertionError:  # it does not even come to rest
        return True
    return bool(report.found)
