"""Agents that are not all set alike: one serves switches, the other does not; and what says that they differ."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from rater.core.call_control import CallCommand, CallEvent, CallProgress
from rater.core.inputs import AnyCommand, DeckActivated, FundsAdded, LicenseAssigned, TenantConfigured
from rater.core.reasons import CallType
from rater.dev.ports import free_ports
from rater.files.deck_csv import read_deck
from rater.kafka.publisher import partition_of
from rater.ops.doctor import partitions
from rater.ops.doctor.check import State
from rater.wire.codec import encode_input
from tests.kafka.agents_world import AgentsProcess
from tests.kafka.deployment import PARTITIONS, Deployment, until
from tests.world import DECK, LONDON

#: One tenant for each partition.
TENANTS = [
    next(name for name in (f"t-{n}" for n in range(1_000)) if partition_of(name, PARTITIONS) == number)
    for number in range(PARTITIONS)
]
PAYS = {"RATER_GATEWAY_URL": "http://127.0.0.1:9"}
SWITCHES = {"RATER_SWITCHES_TOKEN": "of-this-test"}


def setting_up(tenant: str, at: datetime) -> list[AnyCommand]:
    """1.00, and a user who has nothing but credits."""
    return [
        TenantConfigured(tenant=tenant, id="setup", at=at, currency="USD", credits="enabled"),
        DeckActivated(tenant=tenant, id="deck", at=at, version="deck-1"),
        FundsAdded(tenant=tenant, id="funds", at=at, amount="1"),
        LicenseAssigned(tenant=tenant, id="a", at=at, user="ada", sku="MCOPSTNPP", country="US", since_ever=True),
    ]


def running(tenant: str, minutes: int) -> tuple[str, str, bytes]:
    """A call to London, five cents a minute, that began so many minutes ago."""
    now = datetime.now(UTC)
    event = CallEvent(
        tenant=tenant, usage_id=f"call-of-{tenant}", type=CallType.USER_OUT, event=CallProgress.HEARTBEAT,
        at=now, started_at=now - timedelta(minutes=minutes), user="ada", called=LONDON, call_id="leg",
    )  # fmt: skip
    return "call-events", tenant, msgspec.json.encode(event)


def ordered(deployment: Deployment) -> set[str]:
    return {msgspec.json.decode(value, type=CallCommand).tenant for value in deployment.values("call-commands")}


@pytest.mark.parametrize("first", ["pays", "both"])
def test_every_order_comes_where_one_of_two_agents_serves_switches(deployment: Deployment, first: str) -> None:
    """1.00 pays for 20 minutes; each of four calls has run for 21: each is ended, whichever process came first."""
    deck = read_deck(DECK, version="deck-1")
    deployment.publish([("rate-decks", deck.version, encode_input(deck))])
    at = datetime.now(UTC) - timedelta(hours=1)
    commands = [command for tenant in TENANTS for command in setting_up(tenant, at)]
    deployment.publish([("commands", command.tenant, encode_input(command)) for command in commands])
    deployment.start("w")
    deployment.wait_until_rated()
    ports = dict(zip(("pays", "both"), free_ports(2), strict=True))
    given = {"pays": PAYS, "both": PAYS | SWITCHES}
    agents: list[AgentsProcess] = []
    try:
        for name in sorted(given, key=lambda name: name != first):
            agents.append(AgentsProcess(deployment, name, ports[name], given[name]))
            until(lambda: agents[-1].ready, f"agents {name} to be ready")
        until(lambda: all(process.ready for process in agents), "both to be ready")
        deployment.publish([running(tenant, 21) for tenant in TENANTS])
        until(lambda: ordered(deployment) == set(TENANTS), "an order for each call")
        check = asyncio.run(partitions.workers([f"http://127.0.0.1:{port}" for port in ports.values()]))
        numbers = {process.counted("rater_settings_number") for process in agents}
    finally:
        for process in agents:
            process.kill()
    assert (check.state, "agents are set differently" in check.cause) == (State.WARN, True)
    assert len(numbers) == 2
