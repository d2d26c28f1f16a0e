"""Two clusters and MirrorMaker 2: site A is lost under traffic, site B goes on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rater.dev.local_kafka import LocalKafka
from tests.commands import invoke
from tests.conftest import LONG
from tests.kafka.conftest import local_kafka
from tests.kafka.deployment import PARTITIONS, Deployment, provisioning, until
from tests.kafka.mirror import MirrorMaker
from tests.kafka.test_move import CALLS, SPEC, ledger, undisturbed

__all__ = ["undisturbed"]  # a fixture
#: Calls that are published at a time; A is lost after this many portions, when the mirror has some of the first.
PORTION, MIRRORED_FIRST, LOST_AFTER = 60, 6, 15


@pytest.fixture
def site_a(tmp_path: Path) -> Iterator[LocalKafka]:
    """A cluster of its own, to be killed."""
    kafka = local_kafka(tmp_path / "a")
    kafka.start()
    yield kafka
    kafka.stop()


@pytest.mark.skipif(not LONG, reason="two clusters and MirrorMaker take minutes: make chaos")
def test_site_a_is_lost_under_traffic(
    site_a: LocalKafka, broker: LocalKafka, tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    """A's broker is killed with records that nobody has rated and nobody has mirrored.

    B computes A's ledger again as far as it is mirrored, and rates what switches send again: in the end each call,
    each debit and each request for payment is there once, with the id and the amount of a run without a loss.
    """
    (tmp_path / "deployment").mkdir()
    a = Deployment(site_a.bootstrap, tmp_path / "deployment")
    mirrored = f"A.{a.settings.prefix}"
    b = Deployment(
        broker.bootstrap,
        tmp_path / "deployment",
        topics=False,
        prefix=f"b-{a.settings.prefix}",
        partitions=PARTITIONS,
    )
    seen = Deployment(broker.bootstrap, tmp_path, topics=False, prefix=mirrored)
    maker = MirrorMaker(tmp_path, site_a.bootstrap, broker.bootstrap)
    try:
        a.publish(provisioning(SPEC))
        a.start("a")
        for number in range(LOST_AFTER):
            a.publish(CALLS[number * PORTION : (number + 1) * PORTION])
            if number == MIRRORED_FIRST:
                until(lambda: seen.values("rated-calls") is not None, "MirrorMaker to make topics")
                until(lambda: bool(seen.values("rated-calls")), "the mirror to begin")
                until(lambda: len(seen.values("rated-calls")) > 3 * PORTION, "the ledger to be mirrored")
        site_a.kill_node(1)
        a.end()
        maker.end()

        words = [f"--bootstrap={broker.bootstrap}", f"--prefix={mirrored}", f"--to-prefix={b.settings.prefix}"]
        ahead = f"--ahead={tmp_path / 'ahead.jsonl'}"
        ran = invoke("partition", "take-over", *words, f"--partitions={PARTITIONS}", ahead)
        assert ran.exit_code == 0, (ran.output, ran.exception)
        b.publish([*provisioning(SPEC), *CALLS])
        b.start("b")
        b.wait_until_rated()
        assert b.verify().findings == []
        assert ledger(b) == undisturbed
    finally:
        maker.end()
        a.end()
        b.end()
