"""Inputs that are not what they were, on a real broker: deleted before they were rated, and topics created again."""

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.errors import KafkaError

from rater.core.inputs import TenantConfigured
from rater.core.outputs import RatedCall
from rater.kafka.connect import connection, reachable
from rater.kafka.publisher import partition_of
from rater.ops.doctor import partitions
from rater.wire.codec import encode_input
from rater.wire.commits import Commit, Gap
from rater.wire.errors import RaterError
from tests.commands import invoke
from tests.kafka.deployment import PARTITIONS, Deployment, WorkerProcess, calls, provisioning, story, until
from tests.kafka.test_commands import at

AT = datetime(2025, 1, 1, tzinfo=UTC)
TENANT = "contoso"
HERE = partition_of(TENANT, PARTITIONS)


def configured() -> tuple[str, str, bytes]:
    return "commands", TENANT, encode_input(TenantConfigured(tenant=TENANT, id="s", at=AT, currency="USD"))


def call(id: str) -> tuple[str, str, bytes]:
    record = {"tenant": TENANT, "usage_id": id, "type": "user_in", "answered_at": AT, "duration_s": 60, "user": "u"}
    return "cdrs", TENANT, msgspec.json.encode(record)


def rated(deployment: Deployment) -> set[str]:
    return {msgspec.json.decode(value, type=RatedCall).usage_id for value in deployment.values("rated-calls")}


def gaps(deployment: Deployment) -> list[Gap]:
    return [gap for value in deployment.values("commits") for gap in msgspec.json.decode(value, type=Commit).gaps]


def stopped(worker: WorkerProcess) -> list[str]:
    return [line["error"] for line in worker.logged("partition stopped")]


def delete_records(deployment: Deployment, topic: str, before: int) -> None:
    """As retention would."""

    async def delete() -> None:
        settings = deployment.settings
        async with reachable(settings, AIOKafkaAdminClient(**connection(settings))) as admin:
            await admin.delete_records({TopicPartition(settings.topic(topic), HERE): RecordsToDelete(before)})

    asyncio.run(delete())


def create_again(deployment: Deployment, topic: str) -> None:
    """As somebody does who wants a topic empty: it can be created when the old one is gone."""
    settings = deployment.settings

    async def delete() -> None:
        async with reachable(settings, AIOKafkaAdminClient(**connection(settings))) as admin:
            await admin.delete_topics([settings.topic(topic)])

    async def create() -> bool:
        async with reachable(settings, AIOKafkaAdminClient(**connection(settings))) as admin:
            answer = await admin.create_topics([NewTopic(settings.topic(topic), PARTITIONS, 1)])
        return not answer.topic_errors[0][1]

    asyncio.run(delete())
    until(lambda: asyncio.run(create()), "the topic to be deleted")


def test_records_that_were_deleted_before_they_were_rated_stop_their_partition_until_they_are_given_up(
    deployment: Deployment,
) -> None:
    """Calls 1 and 2 of four are deleted while no worker runs; given up, 3 and 4 are rated, and verify says it."""
    deployment.publish([configured(), call("c-0")])
    worker = deployment.start("worker-0")
    deployment.wait_until_rated()
    assert worker.stop()[0] == 0
    deployment.publish([call(f"c-{number}") for number in range(1, 5)])
    delete_records(deployment, "cdrs", 3)
    worker = deployment.start("worker-1")
    until(lambda: len(stopped(worker)) == 1, "the partition to stop")
    (error,) = stopped(worker)
    assert "offsets 1 to 2 were deleted before they were rated" in error
    words = f"partition accept-loss --partition {HERE} --topic cdrs --note"
    assert f"rater {words} WHY" in error
    check = asyncio.run(partitions.inputs(deployment.settings))
    assert (check.state.value, check.fix) == ("fail", f"rater {words} WHY")
    check = asyncio.run(partitions.workers([f"http://127.0.0.1:{worker.web_port}"]))
    assert (check.state.value, check.fix) == ("fail", f"rater {words} WHY")
    status, page = worker.get("/healthz?verbose")
    assert (status, "accept-loss" in page) == (503, True)
    worker.stop()
    given_up = invoke(*words.split(), "billed by hand", "--by", "grace", "--yes", *at(deployment))
    assert given_up.exit_code == 0, given_up.output
    deployment.start("worker-2")
    deployment.wait_until_rated()
    assert rated(deployment) == {"c-0", "c-3", "c-4"}
    (gap,) = gaps(deployment)
    assert (gap.topic, gap.next_was, gap.goes_on_at, gap.by, gap.note) == ("cdrs", 1, 3, "grace", "billed by hand")
    report = deployment.verify()
    assert report.findings == []
    assert [remark for remark in report.remarks if "offsets 1 to 2 of cdrs" in remark and "grace" in remark]
    again = invoke(*words.split(), "twice", "--yes", *at(deployment))
    assert "nothing of that kind is missing" in str(again.exception)


@pytest.mark.parametrize("running", [True, False])
def test_a_topic_that_was_created_again_stops_its_partitions_until_it_is_accepted(
    deployment: Deployment, running: bool
) -> None:
    """`cdrs` is deleted and created again, and filled beyond where reading stood: no call is passed over."""
    deployment.publish([configured(), call("c-0"), call("c-1")])
    worker = deployment.start("worker-0")
    deployment.wait_until_rated()
    if not running:
        worker.stop()
    create_again(deployment, "cdrs")
    until(lambda: not publishes(deployment, [call(f"n-{number}") for number in range(5)]), "the new topic")
    if not running:
        worker = deployment.start("worker-1")
    until(lambda: len(stopped(worker)) == 1, "the partition that had read something to stop")
    assert "deleted and created again" in stopped(worker)[0]
    worker.stop()
    words = ["--partition", str(HERE), "--topic", "cdrs", "--note", "by mistake", "--by", "grace", "--yes"]
    accepted = invoke("partition", "accept-new-topic", *words, *at(deployment))
    assert accepted.exit_code == 0, accepted.output
    worker = deployment.start("worker-2")
    until(lambda: {"c-0", "c-1", *(f"n-{number}" for number in range(5))} <= rated(deployment), "the new calls")
    deployment.wait_until_rated()
    report = deployment.verify()
    assert report.findings == []
    assert len([remark for remark in report.remarks if "cdrs was created again" in remark]) == 1
    assert [remark for remark in report.remarks if "were followed and added up" in remark]


def publishes(deployment: Deployment, messages: list[tuple[str, str, bytes]]) -> bool:
    """Whether publishing has to be tried again: brokers learn of the new topic a little later."""
    try:
        deployment.publish(messages)
    except (RaterError, KafkaError):
        return True
    return False


def test_verify_begins_where_inputs_begin(deployment: Deployment) -> None:
    """From the day that retention deletes inputs: commits are followed up to a snapshot, and computed from there."""
    deployment.publish([*provisioning(story(400)), *calls(story(400))])
    worker = deployment.start("worker-0")
    deployment.wait_until_rated()
    worker.stop()
    first = deployment.verify()
    assert (first.findings, first.followed) == ([], 0)
    delete_records(deployment, "cdrs", 20)
    gone = deployment.verify()
    assert gone.findings == [], gone.findings
    assert gone.followed > 0
    assert [remark for remark in gone.remarks if f"partition {HERE}: commits" in remark]
    deployment.start("worker-1")  # it writes a snapshot, for there was none
    deployment.publish([call(f"later-{number}") for number in range(3)])
    deployment.wait_until_rated()
    later = deployment.verify()
    assert later.findings == [], later.findings
    assert (later.followed, later.commits - first.commits) == (gone.followed, PARTITIONS + 1)


def test_verify_after_outputs_were_deleted(deployment: Deployment) -> None:
    """Day 401: the first inputs, rated calls and debits are gone.  What is left is followed; no difference is made up.

    A worker writes a snapshot; from there on everything is computed again, and the money adds up to its balances.
    """
    deployment.publish([*provisioning(story(400)), *calls(story(400))])
    worker = deployment.start("worker-0")
    deployment.wait_until_rated()
    worker.stop()
    for topic, before in (("cdrs", 20), ("rated-calls", 10), ("debits", 4)):
        delete_records(deployment, topic, before)
    gone = deployment.verify()
    assert gone.findings == [], gone.findings
    assert gone.followed > 0
    assert f"partition {HERE}: balances were not added up: the first debits or credits are deleted" in gone.remarks
    deployment.start("worker-1")
    deployment.publish([configured(), *(call(f"later-{number}") for number in range(3))])
    deployment.wait_until_rated()
    later = deployment.verify()
    assert later.findings == [], later.findings
    assert later.followed == gone.followed
    assert [remark for remark in later.remarks if "balances were not added up" in remark] == []


def test_verify_of_a_deployment_that_works(deployment: Deployment) -> None:
    """Calls are rated all the time while it looks: no difference, and what came later is not compared."""
    spec = story(20_000)
    deployment.publish(provisioning(spec))
    deployment.start("worker-0")
    messages = list(calls(spec))
    for first in range(0, len(messages), 5_000):
        deployment.publish(messages[first : first + 5_000])
        report = deployment.verify()
        assert report.findings == []
    deployment.wait_until_rated()
    assert deployment.verify().cdrs == len(messages)
