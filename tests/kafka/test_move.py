"""More partitions on a real broker: `rater partition move`, its checks, a kill at every step, and the way back."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer

from rater.agents.settings import AgentsSettings
from rater.core.outputs import Balance, Debit, RatedCall, RechargeRequest
from rater.dev.local_kafka import LocalKafka
from rater.kafka.connect import connection, reachable
from rater.kafka.move import moving
from rater.kafka.move.checks import AGENTS_GONE_S, WORKERS_GONE_S
from rater.kafka.move.moving import Order, move
from rater.kafka.move.writer import SetWriter, Writes
from rater.kafka.settings import WorkerSettings
from tests.commands import invoke
from tests.conftest import LONG
from tests.kafka.deployment import Deployment, WorkerProcess, calls, provisioning, story, until
from tests.kafka.test_commands import at

MORE = 10
SPEC = story(1_200)
CALLS = list(calls(SPEC))


@pytest.fixture
def moved(deployment: Deployment, tmp_path: Path) -> Iterator[Deployment]:
    """The deployment as it is after the move; its topics are not there yet."""
    folder = tmp_path / "moved"
    folder.mkdir()
    settings = deployment.settings
    found = Deployment(settings.bootstrap, folder, topics=False, prefix=f"{settings.prefix}more-", partitions=MORE)
    yield found
    found.end()


def words(moved: Deployment) -> list[str]:
    return ["partition", "move", "--to-prefix", moved.settings.prefix, "--partitions", str(MORE), "--yes"]


def half_rated(deployment: Deployment) -> WorkerProcess:
    """The first half of the calls is rated; the worker has ended."""
    deployment.publish([*provisioning(SPEC), *CALLS[:600]])
    worker = deployment.start("before")
    deployment.wait_until_rated()
    assert worker.stop()[0] == 0
    return worker


def ledger(deployment: Deployment) -> dict[str, Any]:
    """What counts, without the places of inputs, which differ between deployments."""
    rated = [msgspec.json.decode(value, type=RatedCall) for value in deployment.values("rated-calls")]
    debits = [msgspec.json.decode(value, type=Debit) for value in deployment.values("debits")]
    requests = [msgspec.json.decode(value, type=RechargeRequest) for value in deployment.values("recharges")]
    balances = [msgspec.json.decode(value, type=Balance) for value in deployment.values("balances")]
    last: dict[str, Balance] = {}
    for balance in sorted(balances, key=lambda one: one.sequence):
        last[balance.tenant] = balance
    return {
        "rated": sorted(
            (call.tenant, call.sequence, call.usage_id, call.version, call.outcome, call.charge, call.balance)
            for call in rated
        ),
        "debits": sorted((debit.tenant, debit.sequence, debit.id, debit.amount) for debit in debits),
        "recharges": sorted((request.tenant, request.sequence, request.id, request.amount) for request in requests),
        "balances": {tenant: balance.balance for tenant, balance in last.items()},
    }


@pytest.fixture(scope="module")
def undisturbed(broker: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The ledger of the same records where nothing was moved."""
    deployment = Deployment(broker.bootstrap, tmp_path_factory.mktemp("undisturbed"))
    deployment.publish([*provisioning(SPEC), *CALLS])
    deployment.start("worker")
    deployment.wait_until_rated()
    deployment.end()
    return ledger(deployment)


def stopped(worker: WorkerProcess) -> list[str]:
    return [line["error"] for line in worker.logged("partition stopped")]


def read_to_the_end(deployment: Deployment, group: str, topic: str) -> list[bytes]:
    """As billing does: what is new for a group, which is committed."""

    async def read() -> list[bytes]:
        consumer = AIOKafkaConsumer(
            deployment.settings.topic(topic),
            **connection(deployment.settings),
            group_id=group,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        found: list[bytes] = []
        async with reachable(deployment.settings, consumer):
            while not consumer.assignment():
                await consumer.getmany(timeout_ms=100)
            ends = await consumer.end_offsets(list(consumer.assignment()))
            while [True for place, end in ends.items() if await consumer.position(place) < end]:
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    found += [record.value for record in records]
            await consumer.commit()
        return found

    return asyncio.run(read())


def test_a_deployment_gets_more_partitions(
    deployment: Deployment, moved: Deployment, undisturbed: dict[str, Any]
) -> None:
    """Half of the calls are rated, 4 partitions become 10, all calls come again: the ledger is as if nothing was moved.

    Each rated call, each debit and each sequence is there once, billing goes on where it stood, the former topics
    verify as before and no worker rates there any more.
    """
    half_rated(deployment)
    billed = read_to_the_end(deployment, "billing", "debits")
    ran = invoke(*words(moved), "--group", "billing", *at(deployment))
    assert ran.exit_code == 0, (ran.output, ran.exception)
    assert f"{len(billed)} records copied" in ran.output.replace(",", "")
    moved.publish(CALLS)
    first, second = moved.start("one"), moved.start("two")
    moved.wait_until_rated()
    assert stopped(first) + stopped(second) == []
    report = moved.verify()
    assert report.findings == []
    assert len([remark for remark in report.remarks if "was moved from prefix" in remark]) == MORE
    assert ledger(moved) == undisturbed
    billed += read_to_the_end(moved, "billing", "debits")
    ids = [msgspec.json.decode(value, type=Debit).id for value in billed]
    assert sorted(ids) == sorted(debit[2] for debit in undisturbed["debits"])

    former = deployment.start("former")
    until(lambda: len(stopped(former)) == deployment.partitions, "the former partitions to stop")
    assert {f"moved to the topics of prefix {moved.settings.prefix!r}" in line for line in stopped(former)} == {
        True
    }
    assert deployment.verify().findings == []


class DyingWriter(SetWriter):
    """Ends with an error after so many commits, as a process that is killed between two of them."""

    left = 0

    async def commit(self, writes: Writes) -> None:
        if DyingWriter.left == 0:
            raise InterruptedError
        DyingWriter.left -= 1
        await super().commit(writes)


@pytest.mark.skipif(not LONG, reason="some ten attempts take minutes: make chaos")
def test_a_move_that_is_killed_is_completed_by_the_same_command(
    deployment: Deployment, moved: Deployment, undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each attempt gets seven commits further than the one before; a worker that starts in between stops."""
    half_rated(deployment)
    order = Order(deployment.settings, moved.settings, MORE)
    id = f"{moved.settings.group}.move"
    monkeypatch.setattr(moving, "writer_of", lambda target: DyingWriter(target, id))
    attempts = 0
    while True:
        attempts += 1
        DyingWriter.left = 7 * attempts
        try:
            asyncio.run(move(order, lambda _: None))
        except InterruptedError:
            continue
        break
    assert attempts > 5
    moved.publish(CALLS)
    moved.start("after")
    moved.wait_until_rated()
    assert moved.verify().findings == []
    assert ledger(moved) == undisturbed


@pytest.mark.skipif(not LONG, reason="two moves take a minute: make chaos")
def test_a_move_is_abandoned(
    deployment: Deployment, moved: Deployment, undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the new topics are not open, no worker rates there, and the former ones can be opened again."""
    half_rated(deployment)
    id = f"{moved.settings.group}.move"
    with monkeypatch.context() as patched:
        patched.setattr(moving, "writer_of", lambda target: DyingWriter(target, id))
        DyingWriter.left = 5
        with pytest.raises(InterruptedError):
            asyncio.run(move(Order(deployment.settings, moved.settings, MORE), lambda _: None))
    early = moved.start("early")
    until(lambda: len(stopped(early)) == MORE, "the partitions that are being filled to stop")
    assert all("are being filled and not complete" in line for line in stopped(early))
    early.stop()
    ran = invoke(*words(moved), "--abandon", *at(deployment))
    assert ran.exit_code == 0, (ran.output, ran.exception)
    assert "filling them was abandoned" in str(invoke(*words(moved), *at(deployment)).exception)
    deployment.publish(CALLS[600:])
    deployment.start("again")
    deployment.wait_until_rated()
    assert deployment.verify().findings == []
    assert ledger(deployment) == undisturbed


def test_what_must_be_so_before_a_move(deployment: Deployment, moved: Deployment) -> None:
    """A worker that runs, calls that are not rated, billing that has not read all: one line each, nothing is changed."""
    worker = half_rated(deployment)
    worker = deployment.start("running")
    until(lambda: worker.get("/readyz")[0] == 200, "the worker")
    assert "`rater worker` run" in str(invoke(*words(moved), *at(deployment)).exception)
    worker.stop()
    deployment.publish(CALLS[600:])
    assert "records are unrated" in str(invoke(*words(moved), *at(deployment)).exception)
    deployment.start("rest")
    deployment.wait_until_rated()
    deployment.workers[-1].stop()
    asked = invoke(*words(moved), "--group", "nobody", *at(deployment))
    assert "group nobody: has read none" in str(asked.exception)
    fewer = invoke(*words(moved)[:-2], "3", "--yes", *at(deployment))
    assert "at least the 4 partitions that there are" in str(fewer.exception)
    assert deployment.verify().findings == []


def test_records_that_are_published_in_the_former_topics_are_carried_over(
    deployment: Deployment, moved: Deployment, undisturbed: dict[str, Any]
) -> None:
    """A switch that was forgotten goes on publishing there; the command once more carries its calls over, once."""
    half_rated(deployment)
    assert invoke(*words(moved), *at(deployment)).exit_code == 0
    moved.start("worker")
    deployment.publish(CALLS[600:900])
    assert "300 unrated records carried over" in invoke(*words(moved), *at(deployment)).output
    deployment.publish(CALLS[900:])
    assert "300 unrated records carried over" in invoke(*words(moved), *at(deployment)).output
    assert "0 unrated records carried over" in invoke(*words(moved), *at(deployment)).output
    moved.wait_until_rated()
    assert moved.verify().findings == []
    assert ledger(moved) == undisturbed


def test_members_that_have_ended_are_waited_for() -> None:
    """A worker and an agent with an `--instance` stay in their group until their session ends: 10 s, 20 s."""
    assert WorkerSettings().session_timeout_ms / 1000 < WORKERS_GONE_S
    assert AgentsSettings().session_timeout_s < AGENTS_GONE_S
