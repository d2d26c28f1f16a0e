"""A new price list on a real broker: compared before it is published, taken back by one command; and settlements."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

from rater.core.inputs import AnyCommand, CallRecord, FundsAdded, LicenseAssigned, TenantConfigured
from rater.core.reasons import CallType
from rater.dev.demo.rates import bundled_deck
from rater.files.deck_csv import read_deck
from rater.kafka.publisher import partition_of
from rater.kafka.settings import KafkaSettings
from rater.ops.doctor import cluster
from rater.ops.doctor.check import Check, State
from rater.wire.codec import encode_input
from rater.wire.errors import Exit, RaterError
from tests.commands import invoke
from tests.kafka.deployment import PARTITIONS, Deployment
from tests.world import DECK

COLUMNS = DECK.read_text().splitlines()[0]


def at(settings: KafkaSettings) -> tuple[str, str]:
    return f"--bootstrap={settings.bootstrap}", f"--prefix={settings.prefix}"


def activated(deployment: Deployment) -> int:
    """Activations for everybody that a partition has applied."""
    return sum(b'"deck.activated"' in value for value in deployment.values("account-events"))


def test_a_wrong_list_is_refused_and_withdrawn(deployment: Deployment, tmp_path: Path) -> None:
    """Also before a worker has applied what was published; a difference in a settlement file is corrected on Kafka."""
    where = at(deployment.settings)
    for name, price in (("old", "0.2"), ("wrong", "2")):
        (tmp_path / name).write_text(f"{COLUMNS}\noutbound,263,Zimbabwe,ZW,landline,{price},0,60,60,,\n")
    old, wrong = f"--deck={tmp_path / 'old'}", f"--deck={tmp_path / 'wrong'}"
    first = invoke("publish", old, *where)
    assert first.exit_code == 0, first.stderr
    version = read_deck(tmp_path / "old").version
    refused = invoke("publish", wrong, *where)
    assert isinstance(refused.exception, RaterError)
    assert refused.exception.exit is Exit.FAILED
    assert "nothing was published; if the list is right, give --accept-changes" in str(refused.exception)
    assert len(deployment.values("rate-decks")) == 1
    deployment.start("worker")
    deployment.wait_until_rated()
    accepted = invoke("publish", wrong, "--accept-changes", *where)
    assert f"to take it back: rater rates activate {version} --bootstrap" in accepted.stderr, accepted.stderr
    deployment.wait_until_rated()
    partitions = len({json.loads(value)["source"]["partition"] for value in deployment.values("account-events")})
    assert activated(deployment) == 2 * partitions
    again = invoke("publish", old, *where)  # publishing twice changes nothing, and says how it would
    assert f"to put it in force again: rater rates activate {version}" in again.stderr, again.stderr
    back = invoke("rates", "activate", version, *where)
    assert f"deck {version} counts for everybody" in back.stderr, back.stderr
    deployment.wait_until_rated()
    assert activated(deployment) == 3 * partitions
    twice = invoke("rates", "activate", version, *where)
    assert "no changes" in twice.stderr
    nobody = invoke("rates", "activate", version, "--tenant=contosso", *where)
    assert str(nobody.exception).startswith("--tenant: 'contosso' is not configured in")
    invoke("tenant", "add", "contoso", "--currency=USD", "--at=2025-03-01T00:00:00Z", *where)
    (tmp_path / "march.csv").write_text(
        "reference,amount,currency,type,at,tenant\ninv-1,200,USD,payment,2025-03-02T09:00:00Z,contoso\n"
    )
    reconcile = ("payments", "reconcile", str(tmp_path / "march.csv"), "--format=json", *where)
    missing = invoke(*reconcile)
    assert missing.exit_code == Exit.FAILED
    (difference,) = json.loads(missing.stdout)
    assert invoke("rates", "activate", version, "--tenant=contoso", *where).exit_code == Exit.OK
    invoke(*difference["mend"].split()[1:])
    deployment.wait_until_rated()
    assert invoke(*reconcile).exit_code == Exit.OK
    assert not deployment.verify().findings


def put(deployment: Deployment, key: str, value: bytes) -> None:
    """As somebody does who publishes to rate-decks by other means."""
    deployment.publish([("rate-decks", key, value)])


def decks_check(deployment: Deployment) -> Check:
    return asyncio.run(cluster.decks(deployment.settings))


def test_garbage_among_the_decks_is_removed_by_what_doctor_says(deployment: Deployment) -> None:
    """The command that doctor prints removes it; a deck that can be read stays, also where garbage has its key."""
    deck = bundled_deck()
    where = at(deployment.settings)
    put(deployment, deck.version, encode_input(deck))
    put(deployment, "garbage", b"no deck")
    found = decks_check(deployment)
    assert (found.state, "cannot be read: rate-decks[" in found.cause) == (State.FAIL, True), found
    assert found.fix.startswith("rater rates remove-unreadable --partition ")
    removed = invoke(*found.fix.split()[1:], "--yes", *where)
    assert removed.exit_code == Exit.OK, removed.output
    assert "cannot be read" not in decks_check(deployment).cause
    again = invoke(*found.fix.split()[1:], "--yes", *where)
    assert "a deck that can be read" not in str(again.exception)  # it still stands there until Kafka compacts
    place = ["--partition", str(partition_of(deck.version, PARTITIONS)), "--offset", "0"]
    readable = invoke("rates", "remove-unreadable", *place, "--yes", *where)
    assert isinstance(readable.exception, RaterError)
    assert f"deck {deck.version} can be read; decks are kept for ever" in str(readable.exception)
    put(deployment, deck.version, b"{}")
    covered = decks_check(deployment)
    refused = invoke(*covered.fix.split()[1:], "--yes", *where)
    assert "publish that deck again: it replaces this record" in str(refused.exception)
    put(deployment, deck.version, encode_input(deck))
    assert "cannot be read" not in decks_check(deployment).cause


def test_a_deck_of_36205_rows(deployment: Deployment, tmp_path: Path) -> None:
    """As large as a carrier's list: one record, read by the worker, and a call is priced by one of its last rows."""
    prefixes = [f"263{number:05d}" for number in range(36_204)]
    rows = [
        f"outbound,{prefix},Zimbabwe,ZW,landline,0.{n % 9 + 1},0,60,60,,\n" for n, prefix in enumerate(prefixes)
    ]
    path = tmp_path / "large.csv"
    path.write_text(f"{COLUMNS}\n{''.join(rows)}outbound,26378,Zimbabwe,ZW,mobile,0.7,0,60,60,,\n")
    where = at(deployment.settings)
    published = invoke("publish", f"--deck={path}", *where)
    assert published.exit_code == Exit.OK, published.output
    assert "published: 1 commands, 1 decks" in published.stderr
    (value,) = deployment.values("rate-decks")
    assert len(json.loads(value)["rows"]) == 36_205
    began = datetime(2025, 3, 1, tzinfo=UTC)
    commands: list[AnyCommand] = [
        TenantConfigured(tenant="contoso", id="1", at=began, currency="USD", credits="enabled"),
        FundsAdded(tenant="contoso", id="2", at=began, amount="10"),
        LicenseAssigned(
            tenant="contoso", id="3", at=began, user="ada", sku="MCOPSTNPP", country="US", since_ever=True
        ),
    ]
    deployment.publish([("commands", "contoso", encode_input(command)) for command in commands])
    call = CallRecord(
        tenant="contoso", usage_id="a", type=CallType.USER_OUT, answered_at=began, duration_s=120, user="ada",
        called="+263781234567",
    )  # fmt: skip
    deployment.publish([("cdrs", "contoso", encode_input(call))])
    deployment.start("worker")
    deployment.wait_until_rated()
    (rated,) = (json.loads(value) for value in deployment.values("rated-calls"))
    assert (rated["prefix"], rated["charge"]) == ("26378", "1.4")  # 2 * 0.7
