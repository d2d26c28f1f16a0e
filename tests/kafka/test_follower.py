"""The follower reads what is there, reports that, and goes on with new records."""

import asyncio
import contextlib

from rater.agents.follower import Follower
from rater.kafka.batch_publisher import publish
from rater.kafka.port import Consumed
from tests.kafka.deployment import PARTITIONS, Deployment

TENANTS = [f"tenant-{number}" for number in range(20)]


async def _follow(deployment: Deployment) -> tuple[list[Consumed], list[Consumed]]:
    settings = deployment.settings
    await publish(settings, [("commands", tenant, b"%d" % n) for n in range(3) for tenant in TENANTS])
    taken: list[Consumed] = []
    more = asyncio.Event()

    def apply(record: Consumed) -> None:
        taken.append(record)
        if record.value == b"new":
            more.set()

    follower = Follower(settings, ["commands", "recharges"], apply)
    assert not follower.caught_up
    running = asyncio.create_task(follower.run())
    await asyncio.wait_for(follower.wait_until_caught_up(), 30)
    before = list(taken)
    await publish(settings, [("recharges", "tenant-1", b"new")])
    await asyncio.wait_for(more.wait(), 30)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    return before, taken[len(before) :]


def test_a_follower_reads_everything_then_what_comes(deployment: Deployment) -> None:
    """Each tenant's records in their order, from every partition, before `caught_up`; a later one after it."""
    before, after = asyncio.run(_follow(deployment))
    assert len(before) == 3 * len(TENANTS)
    assert {record.partition for record in before} == set(range(PARTITIONS))
    for tenant in TENANTS:
        assert [r.value for r in before if r.key == tenant.encode()] == [b"0", b"1", b"2"]
    assert [(record.topic, record.key, record.value) for record in after] == [("recharges", b"tenant-1", b"new")]
    assert after[0].published_ms > 0
