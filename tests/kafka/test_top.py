"""`rater top` on a real broker, and what it computes."""

import json
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from rater.core.inputs import Source
from rater.core.outputs import Balance
from rater.core.reasons import Outcome
from rater.ops.top.picture import Progress, picture_of, row_of
from rater.wire.commits import Commit
from tests.commands import rater
from tests.kafka.deployment import Deployment, calls, provisioning, story, until

NOW = 1_000.0


def top(deployment: Deployment, *words: str) -> Any:
    options = [f"--bootstrap={deployment.settings.bootstrap}", f"--prefix={deployment.settings.prefix}"]
    ran = rater("top", "--once", *words, *options, code=0)
    return json.loads(ran.stdout) if "--json" in words else ran.stdout


def test_what_waits_and_what_was_rated(deployment: Deployment) -> None:
    """Before a worker runs everything waits; afterwards nothing, with rate, latency and the poor tenants."""
    spec = msgspec.structs.replace(story(2_000), funds="20", recharge_trigger="30")
    deployment.publish(provisioning(spec))
    deployment.publish(list(calls(spec)))
    before = top(deployment, "--json")
    assert sum(row["cdrs_waiting"] for row in before["partitions"]) == deployment.published
    assert (before["waiting"], before["commands_waiting"] > 0) == (deployment.published, True)
    assert {row["latency_s"] for row in before["partitions"]} == {None}
    assert all(row["waiting_s"] > 0 for row in before["partitions"])
    deployment.start("worker-0")
    until(lambda: not deployment.lag(), "everything to be rated")
    after = top(deployment, "--json")
    assert (after["waiting"], after["commands_waiting"], after["tenants"]) == (0, 0, 24)
    assert after["rate"] > 0
    assert all(row["latency_s"] > 0 and row["waiting_s"] is None for row in after["partitions"])
    assert (after["in_flight"], len(after["recharges"])) == (24, 20)
    assert "recharges in flight" in top(deployment)


def commit(sequence: int, cdrs: int) -> Commit:
    return Commit(
        partition=0,
        sequence=sequence,
        commands_first=0,
        commands_next=1,
        cdrs_first=0,
        cdrs_next=cdrs,
        outcomes={Outcome.RATED: cdrs},
    )


def test_a_rate_is_that_of_the_last_ten_seconds() -> None:
    """100 records eleven seconds ago do not count; 50 five seconds ago are 5 a second."""
    progress = Progress(0, 0)
    progress.add(commit(1, 100), NOW - 11)
    progress.add(commit(2, 50), NOW - 5)
    row = row_of(0, progress, {"cdrs": 60, "commands": 1}, (NOW - 5.25, NOW - 2), NOW)
    assert (row.rate, row.cdrs_waiting, row.commands_waiting) == (5.0, 10, 0)
    assert (row.latency_s, row.waiting_s, row.idle_s) == (0.25, 2.0, 5.0)


def balance(
    tenant: str,
    amount: str,
    trigger: str = "50",
    credits: Literal["enabled", "not_set_up"] = "enabled",
    in_flight: str | None = None,
) -> Balance:
    at = datetime(2025, 3, 1, tzinfo=UTC)
    return Balance(
        tenant, tenant, 1, Source("cdrs", 0, 1), at, 1, "USD", amount, credits, True, trigger, "100", in_flight, recharge_requests=(at,)
    )  # fmt: skip


def test_who_is_near_zero() -> None:
    """Below the trigger or at nothing, the poorest first; who never set credits up is not near anything."""
    found = [
        balance("rich", "50"),
        balance("low", "49.999999"),
        balance("debt", "-1"),
        balance("zero", "0", trigger="0"),
        balance("free", "0", credits="not_set_up"),
        balance("-", "-5"),
        balance("asked", "10", in_flight="r-1"),
    ]
    picture = picture_of([], {one.tenant: one for one in found})
    assert [row.tenant for row in picture.near_zero] == ["debt", "zero", "asked", "low"]
    assert [(row.tenant, row.recharge_id) for row in picture.recharges] == [("asked", "r-1")]
    assert (picture.tenants, picture.low, picture.in_flight) == (6, 4, 1)
