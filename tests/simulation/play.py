"""Plays one seed and audits the result, as `rater verify` does."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Sequence
from functools import partial
from typing import Any

from rater.core.inputs import CallRecord
from rater.core.settings import RatingSettings
from rater.kafka.audit_report import Report
from rater.kafka.partition_audit import verify_partition
from rater.kafka.port import Consumed
from tests.simulation.broker import Broker
from tests.simulation.cluster import PARTITIONS, Cluster
from tests.simulation.story import calls, money, provision, reratings, tariffs

CALLS = 40
MONEY = 24
RERATINGS = 16
STEPS = 700


def play(seed: int, cluster_type: type[Cluster] = Cluster) -> tuple[Report, Counter[str]]:
    """One hour with faults, then calm, then the audit; the report and the marks of what happened."""
    broker = Broker()
    provision(broker)
    cluster = cluster_type(broker, tariffs(), seed)
    chance = random.Random(seed * 7919 + 1)
    sent: list[CallRecord] = []
    try:
        for _ in range(2):
            sent += calls(broker, chance, CALLS // 2)
            money(broker, random.Random(seed), MONEY // 2)
            reratings(broker, random.Random(seed + 1), sent, RERATINGS // 2)
            cluster.run(STEPS // 2)
    finally:
        cluster.shut_down()
    return audit(broker), broker.marks


def audit(broker: Broker) -> Report:
    """The same comparison as `rater verify`, on the model's logs."""
    report = Report()
    report.partitions = PARTITIONS
    for partition in range(PARTITIONS):
        read = partial(_read, broker, partition)
        _finish(verify_partition(read, RatingSettings(), tariffs(), report, partition))
    return report


async def _read(broker: Broker, partition: int, topic: str) -> AsyncIterator[Sequence[Consumed]]:
    found = broker.read((topic, partition), 0)
    if found:
        yield found


def _finish(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never waits."""
    try:
        while True:
            coroutine.send(None)
    except StopIteration:
        return
