"""A worker follows the group: what changes while it starts and releases tasks is not missed."""

import asyncio

from prometheus_client import CollectorRegistry

from rater.core.settings import RatingSettings
from rater.kafka.observe import Watch
from rater.kafka.settings import KafkaSettings, WorkerSettings
from rater.kafka.worker import Worker
from rater.ops.metrics.meter import Metrics

WAIT_S = 10


class StoppedMeanwhile(Worker):
    """It is stopped just while it reconciles, as by SIGTERM or by a rebalance during the release of a task."""

    async def _reconcile(self) -> None:
        await super()._reconcile()
        self.stop()


def test_a_change_while_tasks_are_released_is_followed() -> None:
    """A worker that missed it would wait for the next rebalance, and its tasks would fence the new owners."""
    worker = StoppedMeanwhile(
        KafkaSettings(), WorkerSettings(), RatingSettings(), Watch(Metrics(CollectorRegistry()))
    )
    asyncio.run(asyncio.wait_for(worker.follow(), WAIT_S))
    assert worker.tasks == {}
