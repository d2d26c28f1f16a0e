"""The drills of deploy/drills.md on a real broker: an upgrade under traffic, a refused downgrade, more partitions."""

import asyncio

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from rater.files.deck_csv import read_deck
from rater.kafka.connect import connection, reachable
from rater.kafka.publisher import partition_of
from rater.wire.codec import encode_input
from rater.wire.topics import load_topics
from tests.kafka.deployment import PARTITIONS, Deployment, until
from tests.kafka.test_release import TENANTS, calls, commands, old, published, refusals
from tests.world import DECK

__all__ = ["old"]  # a fixture
MORE = 4 * PARTITIONS
#: Of the tenants of the first partitions, those whose records go to another one when there are more.
MOVING = sorted(tenant for tenant in TENANTS if partition_of(tenant, MORE) != partition_of(tenant, PARTITIONS))


def provisioned(deployment: Deployment) -> None:
    """The deck, and every tenant with money."""
    deck = read_deck(DECK, version="deck-1")
    deployment.publish([("rate-decks", deck.version, encode_input(deck))])
    deployment.publish([("commands", t, encode_input(command)) for t in TENANTS for command in commands(t)])


def rated(deployment: Deployment) -> int:
    return len(deployment.values("rated-calls"))


def test_an_upgrade_under_traffic_and_a_refused_downgrade(deployment: Deployment, old: dict[str, str]) -> None:
    """0.3.0 ends in order while calls arrive, this release goes on; 0.3.0 started again stops and writes nothing."""
    provisioned(deployment)
    published(deployment, calls(0, 10))
    before = deployment.start("old", old)
    until(lambda: rated(deployment) == 10 * PARTITIONS, "the old release to rate")
    published(deployment, calls(10, 20))
    assert before.stop()[0] == 0
    published(deployment, calls(20, 30))
    after = deployment.start("new")
    until(lambda: rated(deployment) == 30 * PARTITIONS, "the new release to rate what arrived meanwhile")
    assert len(after.logged("partition upgraded")) == PARTITIONS
    assert after.stop()[0] == 0

    published(deployment, calls(30, 31))
    again = deployment.start("again", old)
    until(lambda: len(refusals(again)) == PARTITIONS, "the old release to refuse every partition")
    assert all("written by a newer rater" in line for line in refusals(again))
    assert rated(deployment) == 30 * PARTITIONS
    again.kill()

    deployment.start("forward")
    until(lambda: rated(deployment) == 31 * PARTITIONS, "the new release to go on")
    assert deployment.verify().findings == []


def add_partitions(deployment: Deployment, total: int) -> None:
    """As somebody does who wants more workers: `kafka-topics.sh --alter --partitions`, on every topic."""

    async def alter() -> None:
        settings = deployment.settings
        names = [settings.topic(name) for name, topic in load_topics().items() if topic.partitions > 1]
        async with reachable(settings, AIOKafkaAdminClient(**connection(settings))) as admin:
            await admin.create_partitions({name: NewPartitions(total_count=total) for name in names})

    asyncio.run(alter())


def test_partitions_that_were_added_stop_those_whose_tenants_would_move(deployment: Deployment) -> None:
    """Nothing is rated in a partition whose tenant has its account here and its records elsewhere."""
    provisioned(deployment)
    published(deployment, calls(0, 2))
    first = deployment.start("first")
    until(lambda: rated(deployment) == 2 * PARTITIONS, "the calls to be rated")
    first.stop()
    add_partitions(deployment, MORE)
    assert MOVING
    second = deployment.start("second")
    until(lambda: len(refusals(second)) == len(MOVING), "the partitions of tenants that would move to stop")
    for tenant in MOVING:
        here, there = partition_of(tenant, PARTITIONS), partition_of(tenant, MORE)
        (said,) = [line for line in refusals(second) if line.startswith(f"state[{here}]: ")]
        assert f"the account of tenant {tenant!r} is in this partition" in said
        assert f"its records would go to partition {there}: the topics were given more partitions" in said
    assert rated(deployment) == 2 * PARTITIONS
