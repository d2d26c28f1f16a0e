"""What a running worker shows under /metrics, compared with what was published."""

from datetime import UTC, datetime

import msgspec

from rater.core.inputs import FundsAdded, TenantConfigured
from rater.wire.codec import encode_input
from tests.kafka.deployment import Deployment, WorkerProcess, until

AT = datetime(2025, 1, 1, tzinfo=UTC)
REMEMBERED = "rater_usage_index_entries"
CREDITED = 'rater_credited_micros_total{currency="EUR",source="funds"}'


def series(worker: WorkerProcess) -> dict[str, float]:
    """Every series with its value."""
    lines = [line for line in worker.get("/metrics")[1].splitlines() if line and line[0] != "#"]
    return {line.split(" ")[0]: float(line.split(" ")[1]) for line in lines}


def remembered(worker: WorkerProcess) -> float:
    return sum(value for name, value in series(worker).items() if name.startswith(REMEMBERED))


def call(id: str) -> tuple[str, str, bytes]:
    record = {
        "tenant": "contoso",
        "usage_id": id,
        "type": "user_in",
        "answered_at": AT,
        "duration_s": 60,
        "user": "u",
    }
    return "cdrs", "contoso", msgspec.json.encode(record)


def test_usage_ids_remembered(deployment: Deployment) -> None:
    """Five calls in five commits, two of them twice: 5 ids; after a restart on the same disk 5, and 6 with one more."""
    worker = deployment.start("worker-0")
    configured = TenantConfigured(tenant="contoso", id="1", at=AT, currency="USD")
    deployment.publish([("commands", "contoso", encode_input(configured))])
    for id in ("a", "b", "c", "d", "a", "e", "b"):
        deployment.publish([call(id)])
        deployment.wait_until_rated()
    until(lambda: remembered(worker) == 5, "five ids")  # it counts what it has committed a moment later
    worker.stop()
    worker = deployment.start("worker-0")
    until(lambda: worker.get("/readyz")[0] == 200, "the worker to be ready")
    assert remembered(worker) == 5
    deployment.publish([call("f")])
    until(lambda: remembered(worker) == 6, "six ids")


def test_credited(deployment: Deployment) -> None:
    """A tenant in a new currency: the series is there at 0 before the first purchase, and then has its sum."""
    worker = deployment.start("worker-0")
    configured = TenantConfigured(tenant="contoso", id="1", at=AT, currency="EUR", credits="enabled")
    deployment.publish([("commands", "contoso", encode_input(configured))])
    deployment.wait_until_rated()
    until(lambda: worker.get("/readyz")[0] == 200, "the worker to be ready")
    assert series(worker)[CREDITED] == 0
    for id, amount in (("2", "12.50"), ("3", "0.25"), ("3", "0.25")):  # the last one is a repetition
        funds = FundsAdded(tenant="contoso", id=id, at=AT, amount=amount)
        deployment.publish([("commands", "contoso", encode_input(funds))])
    deployment.wait_until_rated()
    until(lambda: series(worker)[CREDITED] == 12_750_000, "12.75 to be counted")
