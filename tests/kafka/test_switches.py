"""Orders to end calls are carried to switches on a real Kafka, through a kill of the agents."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry

from rater.agents.order_reader import OrderReader
from rater.agents.switches.carriage import Carriage
from rater.core.call_control import CallProgress
from rater.ops.metrics.meter import Metrics
from tests.agents.pretending import PretendedSwitch, beside, order, pretending, written
from tests.commands import rater
from tests.kafka.deployment import WAIT_S, Deployment, until
from tests.kafka.test_calls import Switch, set_up
from tests.world import JAMAICA, LONDON


def test_orders_reach_their_switch_through_a_kill(deployment: Deployment, tmp_path: Path) -> None:
    """Two calls run when a record uses up the credit, and their switch does not answer.  The agents are killed; one
    call ends meanwhile; the switch answers again.  The agents that start then end the other call, and order nothing
    for the one that is over.
    """
    set_up(deployment)
    with beside("freeswitch", "leg-run") as pretended:
        pretended.fails = "silent"
        file = written(tmp_path, pretended.entry(tmp_path, timeout_s=1))
        switch = Switch(deployment, RATER_SWITCHES_FILE=str(file))
        waiting = f'rater_switch_orders_waiting{{switch="{pretended.name}"}}'
        try:
            until(lambda: switch.agents.ready, "the agents to be ready")
            began = switch.now - timedelta(seconds=65)
            until(lambda: switch.may(LONDON)[0], "contoso's credit")
            for id in ("run", "over"):
                switch.send(id, LONDON, "ada", began)
            until(lambda: switch.agents.counted("rater_running_calls") == 2, "the calls to be known")
            switch.record("other", JAMAICA, "bob", switch.now, 180)  # 3 * 0.4: 1 - 1.2 = -0.2
            until(lambda: switch.agents.counted(waiting) == 2, "two orders under way")
            switch.agents.kill()
            switch.send("over", LONDON, "ada", began, progress=CallProgress.ENDED)
            pretended.fails = None
            switch.start()
            until(lambda: pretended.ended == ["leg-run"], "the end of the call")
            series = f'rater_switch_orders_total{{result="obeyed",switch="{pretended.name}"}}'
            until(lambda: switch.agents.counted(series) == 1, "the count")
            records = 'rater_switch_records_total{switch="none"}'
            until(lambda: switch.agents.counted(records) == 1, "the record of the other call")
            where = (f"--bootstrap={deployment.settings.bootstrap}", f"--prefix={deployment.settings.prefix}")
            looked = rater("doctor", *where, "--switches", file, "--json")
            (check,) = [one for one in json.loads(looked.stdout) if one["name"] == f"switch {pretended.name}"]
            assert check["state"] == "ok"
            assert "it answers status; no record among the latest; the last order" in check["cause"]
        finally:
            switch.agents.kill()
    assert pretended.ordered == ["leg-run"]


def test_two_processes_share_orders(deployment: Deployment, tmp_path: Path) -> None:
    """A second reader begins while orders of every partition wait for their switch: it carries what the first
    releases, and each call is ended, by one order.
    """
    tenants = [f"tenant-{number}" for number in range(24)]
    orders = [order(tenant, tenant) for tenant in tenants]
    deployment.publish([("call-commands", one.tenant, msgspec.json.encode(one)) for one in orders])

    async def play() -> PretendedSwitch:
        async with pretending("freeswitch", *(f"leg-{tenant}" for tenant in tenants)) as switch:
            switch.fails = "silent"
            first, second = Reading(deployment, switch, tmp_path), Reading(deployment, switch, tmp_path)
            async with first, asyncio.timeout(WAIT_S):
                await first.reaches(lambda: first.carriage.waiting == len(tenants))
                async with second:
                    await second.reaches(lambda: 0 < second.carriage.waiting < len(tenants))
                    await first.reaches(lambda: first.carriage.waiting + second.carriage.waiting == len(tenants))
                    switch.fails = None
                    await first.reaches(lambda: len(switch.ended) == len(tenants))
            return switch

    switch = asyncio.run(play())
    assert sorted(switch.ordered) == sorted(f"leg-{tenant}" for tenant in tenants)


class Reading:
    """A reader of orders with its carriage, as one process of the agents has them."""

    def __init__(self, deployment: Deployment, switch: PretendedSwitch, folder: Path) -> None:
        metrics = Metrics(CollectorRegistry())
        self.carriage = Carriage([switch.entry(folder, retry_wait_max_s=0.5)], metrics)
        self._reader = OrderReader(deployment.settings, self.carriage, metrics)

    async def __aenter__(self) -> None:
        await self.carriage.__aenter__()
        self._tasks = [asyncio.create_task(work.run()) for work in (self.carriage, self._reader)]

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.carriage.__aexit__()

    async def reaches(self, holds: Callable[[], bool]) -> None:
        """Wait for something that the readers do."""
        while not holds():
            await asyncio.sleep(0.05)
