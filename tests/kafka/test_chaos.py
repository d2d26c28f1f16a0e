"""Whatever crashes on a real Kafka, every record is accounted for and the audit finds nothing.

Each test shows that its fault did happen.  `make chaos` runs the long form: 100,000 records and 20 kills.
"""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rater.dev.generate import Spec
from rater.kafka.batch_publisher import Message
from tests.conftest import LONG
from tests.kafka.conftest import local_kafka
from tests.kafka.deployment import PARTITIONS, Deployment, WorkerProcess, calls, provisioning, story, until

RECORDS = 100_000 if LONG else 6_000
KILLS = 20 if LONG else 3
EXIT_S = 28.0


@pytest.fixture
def chance() -> random.Random:
    """The same faults each time."""
    return random.Random(20250310)


def slices(messages: list[Message], count: int) -> Iterator[list[Message]]:
    """The load, cut so that each fault comes while records arrive."""
    size = -(-len(messages) // count)
    yield from (messages[first : first + size] for first in range(0, len(messages), size))


def load(deployment: Deployment, spec: Spec) -> list[Message]:
    """Set the tenants up; the calls that are still to be published."""
    deployment.publish(provisioning(spec))
    return list(calls(spec))


def under_way(deployment: Deployment, before: int, share: float, slice_size: int) -> None:
    """Wait until the workers are somewhere within the slice that was just published."""
    goal = before + int(share * slice_size)
    until(lambda: deployment.rated() >= goal, f"{goal} records to be rated")


def audit(deployment: Deployment) -> None:
    """Everything that was published is rated or refused, once."""
    deployment.wait_until_rated()
    report = deployment.verify()
    assert report.findings == [], "\n".join([*report.findings, *deployment.evidence()])
    assert report.cdrs == deployment.published
    assert min(report.outcomes[outcome] for outcome in ("rated", "duplicate", "rejected")) > 0


def test_workers_are_killed(deployment: Deployment, chance: random.Random) -> None:
    """(a) kill -9 of one of three workers at random points, a new one in its place each time."""
    workers = [deployment.start(f"worker-{number}") for number in range(3)]
    messages = load(deployment, story(RECORDS))
    for number, part in enumerate(slices(messages, KILLS)):
        before = deployment.published
        deployment.publish(part)
        under_way(deployment, before, chance.random(), len(part))
        killed = chance.randrange(3)
        workers[killed].kill()
        same_name = number % 2 == 0
        workers[killed] = deployment.start(workers[killed].name if same_name else f"worker-{number + 3}")
    audit(deployment)
    assert sum(worker.process.returncode == -9 for worker in deployment.workers) == KILLS
    rebalances = [len(worker.logged("partitions assigned")) for worker in deployment.workers]
    assert max(rebalances) <= 2 * (len(workers) + 2 * KILLS), "a storm: each kill and each start asks for one"
    assert sum(len(worker.logged("partition owned")) for worker in deployment.workers) > PARTITIONS


def test_a_zombie_is_refused(deployment: Deployment) -> None:
    """(b) SIGSTOP past the session's end, then SIGCONT: others own its partitions by then, and what it writes is refused."""
    frozen, other = deployment.start("worker-0"), deployment.start("worker-1")
    first, *others = slices(load(deployment, story(RECORDS)), 4)
    # whether a frozen worker was about to write is chance: there are ten tries, and the first that was ends them
    tries = [part for quarter in others for part in slices(quarter, 3)]
    before = deployment.published
    deployment.publish(first)
    under_way(deployment, before, 0.1, len(first))
    _freeze_until_replaced(deployment, frozen, other, [])
    for part in tries:
        if frozen.was_fenced:
            deployment.publish(part)
            continue
        until(lambda: len(other.assigned()) < PARTITIONS, "the zombie to join again")
        _freeze_until_replaced(deployment, frozen, other, part)
    audit(deployment)
    assert frozen.was_fenced, "the zombie never tried to write"


def _freeze_until_replaced(
    deployment: Deployment, frozen: WorkerProcess, other: WorkerProcess, meanwhile: list[Message]
) -> None:
    """What is published meanwhile the other worker rates; the zombie finds it where it left off, and tries to."""
    frozen.freeze()
    try:
        deployment.publish(meanwhile)
        until(
            lambda: len(other.assigned()) == PARTITIONS and not deployment.lag(),
            "the other worker to own all partitions",
        )
    finally:
        frozen.thaw()


def test_the_broker_is_killed(tmp_path: Path, chance: random.Random) -> None:
    """(c) the only broker is killed and started again under load."""
    kafka = local_kafka(tmp_path / "kafka")
    deployment = Deployment(kafka.start(), tmp_path)
    try:
        worker = deployment.start("worker-0")
        messages = load(deployment, story(RECORDS))
        first, second = slices(messages, 2)
        deployment.publish(first)
        under_way(deployment, 0, chance.random(), len(first))
        kafka.kill_node(1)
        kafka.start_node(1)
        kafka.wait_for_node(1)
        deployment.publish(second)
        audit(deployment)
        assert worker.logged("Connect call failed")
    finally:
        deployment.end()
        kafka.stop()


@pytest.mark.skipif(not LONG, reason="three brokers take more than a minute: make chaos")
def test_one_of_three_brokers_is_killed(tmp_path: Path, chance: random.Random) -> None:
    """(c) with three brokers the other two go on, and no worker needs a restart."""
    kafka = local_kafka(tmp_path / "kafka")
    deployment = Deployment(kafka.start(brokers=3), tmp_path)
    try:
        workers = [deployment.start("worker-0")]
        messages = load(deployment, story(RECORDS))
        first, second = slices(messages, 2)
        deployment.publish(first)
        under_way(deployment, 0, chance.random(), len(first))
        kafka.kill_node(chance.randint(1, 3))
        deployment.publish(second)
        deployment.wait_until_rated()
        audit(deployment)
        assert [node["pid"] for node in kafka.status()].count(None) == 1
        assert [worker.process.poll() for worker in workers] == [None]
    finally:
        deployment.end()
        kafka.stop()


def test_rolling_restart(deployment: Deployment) -> None:
    """(d) SIGTERM to one worker after the other: each finishes its batch and exits 0 in time; no rebalance storm."""
    workers = [deployment.start(f"worker-{number}") for number in range(3)]
    messages = load(deployment, story(RECORDS))
    for number, part in enumerate(slices(messages, 3)):
        before = deployment.published
        deployment.publish(part)
        under_way(deployment, before, 0.2, len(part))
        code, seconds = workers[number].stop()
        assert (code, seconds < EXIT_S) == (0, True), f"exit {code} after {seconds:.1f} s"
        workers[number] = deployment.start(f"worker-{number}")
    audit(deployment)
    rebalances = sum(len(worker.logged("partitions assigned")) for worker in workers)
    assert rebalances <= 3 * 3 + 3 * 2 * 3  # joining, and each restart once out and once in


def test_local_state_is_deleted(deployment: Deployment) -> None:
    """(e) the index is rebuilt from `rated-calls`: what was rated before is a duplicate still."""
    messages = load(deployment, story(RECORDS))
    worker = deployment.start("worker-0")
    deployment.publish(messages)
    deployment.wait_until_rated()
    worker.stop()
    shutil.rmtree(deployment.folder / "worker-0")
    again = deployment.start("worker-0")
    deployment.publish(messages[:500])
    audit(deployment)
    assert sum(owned["calls_indexed"] for owned in again.logged("partition owned")) > RECORDS // 2
