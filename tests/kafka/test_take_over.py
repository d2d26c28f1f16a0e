"""A site is gone, and its mirror is torn: `rater partition take-over` on a real broker."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from rater.core.inputs import FundsAdded
from rater.core.outputs import RatedCall
from rater.core.settings import RatingSettings
from rater.dev.generate import generate_commands
from rater.kafka.batch_publisher import Message
from rater.kafka.move import take_over
from rater.kafka.move.moving import Order
from rater.kafka.settings import KafkaSettings
from rater.wire.codec import encode_input
from tests.commands import invoke
from tests.conftest import LONG
from tests.kafka.deployment import PARTITIONS, Deployment, calls, provisioning, story
from tests.kafka.mirror import mirror
from tests.kafka.test_move import DyingWriter, ledger

SPEC = story(1_200)
CALLS = list(calls(SPEC))
#: Calls that are rated before tenants add money, which changes what the calls after it are paid with.
BEFORE = 500


def money() -> list[Message]:
    """Half of the tenants add money in the middle of the month."""
    setup = list(generate_commands(SPEC))
    at = setup[0].at + timedelta(days=10)
    tenants = sorted({command.tenant for command in setup})[::2]
    return [("commands", t, encode_input(FundsAdded(tenant=t, id="more", at=at, amount="25"))) for t in tenants]


@pytest.fixture
def rated(deployment: Deployment) -> Deployment:
    """Site A: calls, money, the rest of the calls, each rated before the next; a restart, and so a snapshot."""
    deployment.publish([*provisioning(SPEC), *CALLS[:BEFORE]])
    first = deployment.start("a-1")
    deployment.wait_until_rated()
    assert first.stop()[0] == 0
    second = deployment.start("a-2")
    deployment.publish(money())
    deployment.wait_until_rated()
    deployment.publish(CALLS[BEFORE:])
    deployment.wait_until_rated()
    assert second.stop()[0] == 0
    return deployment


@pytest.fixture
def site_b(rated: Deployment, tmp_path: Path) -> Iterator[Deployment]:
    """Site B, on topics that are not there yet."""
    (folder := tmp_path / "b").mkdir()
    found = Deployment(
        rated.settings.bootstrap, folder, topics=False, prefix=f"b.{rated.settings.prefix}", partitions=PARTITIONS
    )
    yield found
    found.end()


def mirrored(deployment: Deployment) -> KafkaSettings:
    settings = deployment.settings
    return KafkaSettings(bootstrap=settings.bootstrap, prefix=f"A.{settings.prefix}")


def taken_over(source: KafkaSettings, site_b: Deployment) -> Any:
    ahead = site_b.folder / "ahead.jsonl"
    words = ["partition", "take-over", f"--to-prefix={site_b.settings.prefix}", f"--partitions={PARTITIONS}"]
    return invoke(*words, f"--ahead={ahead}", f"--bootstrap={source.bootstrap}", f"--prefix={source.prefix}")


#: Each is played on topics that were rated for it.
IN_CHAOS = pytest.mark.skipif(not LONG, reason="five mirrors take three minutes: make chaos")


def everything_again(site_b: Deployment) -> None:
    """Switches and people send again what the mirror may lack; a worker rates at site B."""
    site_b.publish([*provisioning(SPEC), *money(), *CALLS])
    site_b.start("b")
    site_b.wait_until_rated()


@pytest.mark.parametrize(
    "lacks",
    [
        pytest.param({}, id="nothing", marks=IN_CHAOS),
        pytest.param({"cdrs": 20}, id="calls"),
        pytest.param({"commands": 2, "cdrs": 60}, id="commands", marks=IN_CHAOS),
        pytest.param({"commits": 3}, id="the order", marks=IN_CHAOS),
        pytest.param(
            {"rated-calls": 15, "debits": 30, "account-events": 1, "balances": 5, "commits": 1}, id="outputs"
        ),
    ],
)
def test_site_b_goes_on_where_the_mirror_ends(rated: Deployment, site_b: Deployment, lacks: dict[str, int]) -> None:
    """Whatever the mirror lacks: after everything was sent again, the ledger of B is that of A, each call once."""
    source = mirrored(rated)
    mirror(rated.settings, source, lacks)
    ran = taken_over(source, site_b)
    assert ran.exit_code == 0, (ran.output, ran.exception)
    everything_again(site_b)
    report = site_b.verify()
    assert report.findings == []
    assert ledger(site_b) == ledger(rated)


def test_what_site_a_was_ahead_by(rated: Deployment, site_b: Deployment) -> None:
    """Ledger records whose calls the mirror lacks are named; B rates those calls when they are sent again."""
    source = mirrored(rated)
    mirror(rated.settings, source, {"cdrs": 20})
    assert taken_over(source, site_b).exit_code == 0
    lines = [orjson.loads(line) for line in (site_b.folder / "ahead.jsonl").read_bytes().splitlines()]
    ahead = {line["output"]["id"] for line in lines if line["topic"] == "rated-calls"}
    there = {msgspec.json.decode(value, type=RatedCall).id for value in site_b.values("rated-calls")}
    at_a = {msgspec.json.decode(value, type=RatedCall).id for value in rated.values("rated-calls")}
    assert ahead
    assert there | ahead == at_a
    assert not there & ahead
    everything_again(site_b)
    assert {msgspec.json.decode(value, type=RatedCall).id for value in site_b.values("rated-calls")} == at_a


def test_a_mirror_that_begins_late(rated: Deployment, site_b: Deployment) -> None:
    """Retention has deleted the first calls: computing begins with the snapshot, and offsets follow from the outputs."""
    source = mirrored(rated)
    mirror(rated.settings, source, {"cdrs": 5}, begins={"cdrs": 20, "commands": 4})
    ran = taken_over(source, site_b)
    assert ran.exit_code == 0, (ran.output, ran.exception)
    everything_again(site_b)
    assert site_b.verify().findings == []
    assert ledger(site_b) == ledger(rated)


def test_a_mirror_that_has_a_record_twice(rated: Deployment, site_b: Deployment) -> None:
    """The commits do not fit it any more: an error, and no worker rates at B."""
    source = mirrored(rated)
    mirror(rated.settings, source, twice="cdrs")
    ran = taken_over(source, site_b)
    assert ran.exit_code == 1
    assert 'The mirror does not fit (deploy/drills.md, "A second site")' in str(ran.exception)


@pytest.mark.skipif(not LONG, reason="some ten attempts take minutes: make chaos")
def test_a_take_over_that_is_killed_is_completed_by_the_same_command(
    rated: Deployment, site_b: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each attempt gets nine commits further than the one before."""
    source = mirrored(rated)
    mirror(rated.settings, source, {"commits": 1})
    monkeypatch.setattr(take_over, "writer_of", lambda target: DyingWriter(target, f"{target.group}.move"))
    attempts = 0
    while True:
        attempts += 1
        DyingWriter.left = 9 * attempts
        order = Order(source, site_b.settings, PARTITIONS)
        try:
            asyncio.run(take_over.take_over(order, RatingSettings(), lambda _: None))
        except InterruptedError:
            continue
        break
    assert attempts > 2
    everything_again(site_b)
    assert site_b.verify().findings == []
    assert ledger(site_b) == ledger(rated)
