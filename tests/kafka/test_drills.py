"""The drills of deploy/drills.md on a real broker: an upgrade under traffic, a refused downgrade, more partitions."""

import asyncio
import re
from pathlib import Path

import msgspec
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from rater.core.outputs import RatedCall
from rater.files.deck_csv import read_deck
from rater.kafka.connect import connection, reachable
from rater.kafka.consume import read_topic
from rater.kafka.partition_counts import PartitionsAddedError, must_be_here
from rater.kafka.port import Consumed
from rater.kafka.publisher import partition_of
from rater.wire.codec import encode_input
from rater.wire.topics import load_topics
from tests.commands import invoke
from tests.conftest import LONG
from tests.kafka.deployment import PARTITIONS, Deployment, until
from tests.kafka.test_commands import at
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


@pytest.mark.skipif(not LONG, reason="the whole drill takes a minute: make chaos")
def test_partitions_that_were_added_are_moved_to_topics_of_their_own(
    deployment: Deployment, tmp_path: Path
) -> None:
    """No worker rates where somebody added partitions; everything is moved, with what was published meanwhile.

    Calls 0 and 1 of each tenant are rated before, 2 are published after, some in partitions without an account; all
    come again in the new topics.
    """
    provisioned(deployment)
    published(deployment, calls(0, 2))
    first = deployment.start("first")
    until(lambda: rated(deployment) == 2 * PARTITIONS, "the calls to be rated")
    first.stop()
    add_partitions(deployment, MORE)
    assert MOVING
    published(deployment, calls(2, 3))
    second = deployment.start("second")
    assert second.process.wait(timeout=60) == 1
    assert f"was written for {PARTITIONS} partitions, there are {MORE}" in second.log.read_text()
    assert rated(deployment) == 2 * PARTITIONS

    prefix = f"{deployment.settings.prefix}more-"
    words = ["partition", "move", "--to-prefix", prefix, "--partitions", str(MORE), "--yes"]
    refused = invoke(*words, *at(deployment))
    assert "records are unrated" in str(refused.exception)
    ran = invoke(*words, "--with-unrated", *at(deployment))
    assert ran.exit_code == 0, (ran.output, ran.exception)
    (folder := tmp_path / "moved").mkdir()
    moved = Deployment(deployment.settings.bootstrap, folder, topics=False, prefix=prefix, partitions=MORE)
    published(moved, calls(0, 4))
    moved.start("third")
    try:
        moved.wait_until_rated()
    finally:
        moved.end()
    assert rated(moved) == 4 * PARTITIONS
    assert moved.verify().findings == []
    usage = [msgspec.json.decode(value, type=RatedCall) for value in moved.values("rated-calls")]
    assert len({(call.tenant, call.usage_id) for call in usage}) == len(usage)
    for tenant in MOVING:
        assert {record.partition for record in records_of(moved, tenant)} == {partition_of(tenant, MORE)}


def records_of(deployment: Deployment, tenant: str) -> list[Consumed]:
    """A tenant's rated calls, with where they are."""

    async def read() -> list[Consumed]:
        return [
            record
            async for records in read_topic(deployment.settings, "rated-calls")
            for record in records
            if record.key == tenant.encode()
        ]

    return asyncio.run(read())


def test_a_state_without_a_note_of_how_many_partitions_there_were() -> None:
    """Release 0.3.0 noted none: a tenant whose records go elsewhere stops the partition."""
    (tenant, *_) = MOVING
    here, there = partition_of(tenant, PARTITIONS), partition_of(tenant, MORE)
    must_be_here(here, PARTITIONS, [tenant])
    said = f"tenant {tenant!r} is in this partition, its records would go to partition {there}"
    with pytest.raises(PartitionsAddedError, match=re.escape(said)):
        must_be_here(here, MORE, [tenant])
