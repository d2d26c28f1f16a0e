"""Past one record on a real broker: `rater partition skip`, in the topic of calls and in that of commands."""

from datetime import UTC, datetime

import msgspec

from rater.core.inputs import FundsAdded, Source, TenantConfigured
from rater.core.outputs import Balance, RatedCall, RejectedCdr
from rater.kafka.publisher import partition_of
from rater.wire.codec import encode_input
from rater.wire.commits import Commit
from tests.commands import invoke
from tests.kafka.deployment import PARTITIONS, Deployment, WorkerProcess, until
from tests.kafka.test_commands import at

AT = datetime(2025, 1, 1, tzinfo=UTC)
#: One for each of three partitions.
TENANTS = list({partition_of(f"tenant-{number}", PARTITIONS): f"tenant-{number}" for number in range(40)}.values())
CALLING, COMMANDING, OTHER, _ = TENANTS


def call(tenant: str, id: str) -> tuple[str, str, bytes]:
    record = {"tenant": tenant, "usage_id": id, "type": "user_in", "answered_at": AT, "duration_s": 60, "user": "u"}
    return "cdrs", tenant, msgspec.json.encode(record)


def funds(tenant: str, id: str) -> tuple[str, str, bytes]:
    return "commands", tenant, encode_input(FundsAdded(tenant=tenant, id=id, at=AT, amount="1"))


def stopped(worker: WorkerProcess) -> dict[tuple[str, int], str]:
    """What the worker says of the partitions that stopped: topic and offset, and the command past the record."""
    lines = worker.logged("partition stopped")
    return {(line["topic"], line["offset"]): line["error"].split("rater partition skip ")[-1] for line in lines}


def test_an_operator_goes_past_a_call_and_a_command_at_which_our_code_fails(deployment: Deployment) -> None:
    """Both partitions stop and name the record; the others go on; skipped, both are rated and verify passes."""
    configured = [TenantConfigured(tenant=t, id="s", at=AT, currency="USD", credits="enabled") for t in TENANTS]
    deployment.publish([("commands", command.tenant, encode_input(command)) for command in configured])
    deployment.publish([call(CALLING, "c-1"), call(CALLING, "poison"), call(CALLING, "c-2"), call(OTHER, "o-1")])
    deployment.publish([funds(COMMANDING, "f-1"), funds(COMMANDING, "poison"), funds(COMMANDING, "f-2")])
    worker = deployment.start("worker-0", program="tests.kafka.faulty")
    until(lambda: len(stopped(worker)) == 2, "two partitions to stop")
    until(lambda: usage_ids(deployment) == {"o-1"}, "the others to go on")
    calls, commands = partition_of(CALLING, PARTITIONS), partition_of(COMMANDING, PARTITIONS)
    assert stopped(worker) == {
        ("cdrs", 1): f"--partition {calls} --topic cdrs --offset 1 --note WHY",
        ("commands", 2): f"--partition {commands} --topic commands --offset 2 --note WHY",
    }
    status, page = worker.get("/healthz?verbose")
    assert (status, page.count("rater partition skip")) == (503, 2)
    assert worker.stop()[0] == 0
    for words in stopped(worker).values():
        skipped = invoke("partition", "skip", *words.split(" "), "--by", "grace", "--yes", *at(deployment))
        assert skipped.exit_code == 0, skipped.output
    deployment.start("worker-1", program="tests.kafka.faulty")  # the bug is still there
    deployment.wait_until_rated()
    assert usage_ids(deployment) == {"o-1", "c-1", "c-2"}
    assert funded(deployment) == "2"
    letters = [msgspec.json.decode(value, type=RejectedCdr) for value in deployment.values("rejected-cdrs")]
    places = {Source("cdrs", calls, 1), Source("commands", commands, 2)}
    assert {letter.source for letter in letters} == places
    assert {letter.reason.value for letter in letters} == {"skipped"}
    taken = [msgspec.json.decode(value, type=Commit) for value in deployment.values("commits")]
    assert {place for commit in taken for place in commit.skipped} == places
    assert deployment.verify().findings == []
    deployment.workers[-1].stop()
    deployment.start("worker-2")  # the bug is repaired
    replayed = invoke("dlq", "replay", "--reason", "skipped", *at(deployment))
    assert (replayed.exit_code, replayed.stderr) == (0, "2 of 2 records accepted\n")
    assert usage_ids(deployment) == {"o-1", "c-1", "c-2", "poison"}
    assert funded(deployment) == "3"
    assert deployment.verify().findings == []


def usage_ids(deployment: Deployment) -> set[str]:
    return {msgspec.json.decode(value, type=RatedCall).usage_id for value in deployment.values("rated-calls")}


def funded(deployment: Deployment) -> str:
    balances = [msgspec.json.decode(value, type=Balance) for value in deployment.values("balances")]
    return [balance.balance for balance in balances if balance.tenant == COMMANDING][-1]
