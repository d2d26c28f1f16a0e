"""Brakes (A50) on real Kafka: what one worker counted, the next one goes on with."""

from datetime import UTC, datetime, timedelta

import msgspec
import orjson

from rater.core import AccountEvent, BrakeConfigured, CallsOverBrake, EventKind, RatedCall, ServiceState
from rater.files.deck_csv import read_deck
from rater.wire.codec import encode_input
from tests.kafka.deployment import Deployment, until
from tests.kafka.test_calls import Switch, set_up, setting_up
from tests.kafka.test_serve import record
from tests.world import DECK, LONDON

BEGAN = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)


def brake(name: str, measure: str, limit: str) -> bytes:
    """Of each user, a day; in force before the calls."""
    return encode_input(
        msgspec.convert(
            {
                "tenant": "contoso", "id": name, "at": BEGAN, "brake": name, "scope": "user", "measure": measure,
                "window": "day", "limit": limit, "mode": "stop",
            },
            BrakeConfigured,
        )
    )  # fmt: skip


def publish(deployment: Deployment, minute: int, id: str, **more: int) -> None:
    """A call of a minute to London, 0.05."""
    at = (BEGAN + timedelta(hours=10, minutes=minute)).isoformat()
    deployment.publish([("cdrs", "contoso", orjson.dumps(record(id, LONDON, answered_at=at, **more)))])
    deployment.wait_until_rated()


def test_a_worker_goes_on_with_what_another_counted(deployment: Deployment) -> None:
    """Two calls reach both limits of 0.10; the next worker marks a third; when both others are corrected, both stops end."""
    deck = read_deck(DECK, version="deck-1")
    deployment.publish([("rate-decks", deck.version, encode_input(deck))])
    deployment.publish([("commands", one.tenant, encode_input(one)) for one in setting_up(BEGAN)])
    both = [brake("daily", "spend", "0.1"), brake("abroad", "new_countries", "0.1")]
    deployment.publish([("commands", "contoso", one) for one in both])
    first = deployment.start("worker-0")
    for minute, id in enumerate("ab"):
        publish(deployment, minute, id)
    assert first.stop()[0] == 0
    deployment.start("worker-1")
    publish(deployment, 2, "c")
    publish(deployment, 1, "b", version=2, duration_s=0)
    publish(deployment, 0, "a", version=2, duration_s=0)
    rated = [msgspec.json.decode(value, type=RatedCall) for value in deployment.values("rated-calls")]
    over = [(one.usage_id, [count.brake for count in one.brakes if count.over]) for one in rated]
    assert over == [("a", []), ("b", []), ("c", ["abroad", "daily"]), ("b", []), ("a", [])]
    states = [msgspec.json.decode(value, type=ServiceState) for value in deployment.values("service-states")]
    about = [("abroad", "GB"), ("daily", None)]
    said = [(one.brake, one.subject, one.state) for one in states if one.scope == "brake"]
    assert said == [(*one, state) for state in ("restricted", "allowed") for one in about]
    assert deployment.verify().findings == []


def test_calls_beyond_a_limit_are_counted_by_the_rating_task(deployment: Deployment) -> None:
    """Two of ada's calls ring, a third is refused: the agents publish it as a command, and the ledger says it."""
    set_up(deployment)
    deployment.publish([("commands", "contoso", brake("lines", "calls_at_once", "2"))])
    deployment.wait_until_rated()  # agents that begin now know it from the first question on
    switch = Switch(deployment)
    try:
        until(lambda: switch.agents.ready, "the agents")
        assert reasons(switch) == ["credit", "credit", "calls_at_once"]
        until(lambda: reached(deployment) == [("lines", "ada")], "the ledger to say it")
    finally:
        switch.agents.kill()
    commands = [value for value in deployment.values("commands") if b"calls_over_brake" in value]
    (first, *_) = [msgspec.json.decode(value, type=CallsOverBrake) for value in commands]
    assert (first.brake, first.subject, first.calls > 0, first.most) == ("lines", "ada", True, 3)
    deployment.wait_until_rated()
    assert deployment.verify().findings == []


def reasons(switch: Switch) -> list[str]:
    """Why each of three calls that are to ring may, or may not."""
    asked = [
        switch.get(tenant="contoso", user="ada", called=LONDON, usage_id=usage_id) for usage_id in ("a", "b", "c")
    ]
    return [body["reason"] for _, body in asked]


def reached(deployment: Deployment) -> list[tuple[str | None, str | None]]:
    events = [msgspec.json.decode(value, type=AccountEvent) for value in deployment.values("account-events")]
    return [(event.brake, event.user) for event in events if event.event is EventKind.BRAKE_REACHED]
