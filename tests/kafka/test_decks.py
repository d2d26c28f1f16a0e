"""A new price list on a real broker: compared before it is published, taken back by one command; and settlements."""

import json
from pathlib import Path

from rater.kafka.settings import KafkaSettings
from rater.wire.errors import Exit, RaterError
from tests.commands import invoke
from tests.kafka.deployment import Deployment
from tests.world import DECK

COLUMNS = DECK.read_text().splitlines()[0]


def at(settings: KafkaSettings) -> tuple[str, str]:
    return f"--bootstrap={settings.bootstrap}", f"--prefix={settings.prefix}"


def activated(deployment: Deployment) -> int:
    """Activations for everybody that a partition has applied."""
    return sum(b'"deck.activated"' in value for value in deployment.values("account-events"))


def test_a_wrong_list_is_refused_and_taken_back(deployment: Deployment, tmp_path: Path) -> None:
    """Also before a worker has applied what was published; a difference in a settlement file is mended on Kafka."""
    where = at(deployment.settings)
    for name, price in (("old", "0.2"), ("wrong", "2")):
        (tmp_path / name).write_text(f"{COLUMNS}\noutbound,263,Zimbabwe,ZW,landline,{price},0,60,60,,\n")
    old, wrong = f"--deck={tmp_path / 'old'}", f"--deck={tmp_path / 'wrong'}"
    first = invoke("publish", old, *where)
    assert "is the first in USD for everybody" in first.stderr, first.stderr
    version = first.stderr.split()[1]
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
