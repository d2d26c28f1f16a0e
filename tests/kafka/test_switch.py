"""A real Kamailio in front of Kafka: what it may put through, what is billed, and a call that is cut."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rater.core import CallCommand, DeckActivated, DisconnectReason, RatedCall
from rater.dev.ports import free_ports
from rater.files.deck_csv import read_deck
from rater.wire.codec import encode_input
from tests.kafka.agents_world import AgentsProcess
from tests.kafka.deployment import Deployment, until
from tests.serve.processes import ServeProcess
from tests.serve.world import clients_file
from tests.switches.kamailio import MAPPING, Kamailio, missing
from tests.switches.phones import Answerer, Caller
from tests.switches.site import CUT_WITHIN_S, DECK, JAMAICA, LONDON, QUICK, setting_up

pytestmark = pytest.mark.skipif(missing() is not None, reason=missing() or "everything is here")


class Site:
    """`rater serve`, a worker and agents on Kafka, and a Kamailio that asks."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self.deployment, self.folder = deployment, folder
        self.agents = AgentsProcess(deployment, "agents-0", free_ports(1)[0], {"RATER_SWITCHES_TOKEN": "t"})
        clients = clients_file(folder)
        where = (f"--bootstrap={deployment.settings.bootstrap}", f"--prefix={deployment.settings.prefix}")
        self.serving = ServeProcess(folder, clients, *where, f"--map={MAPPING}")
        self.answerer = Answerer(folder)
        token = clients.tokens["switch"]
        self.kamailio = Kamailio(folder, self.serving.port, token, self.answerer.port, QUICK)
        self.callers: list[Caller] = []

    def start(self) -> None:
        """Start what is not started by the constructor, and wait until it answers."""
        self.serving.start()
        self.answerer.start()
        self.serving.wait_until_ready()
        until(lambda: self.agents.ready, "the agents to be ready")
        self.kamailio.start()

    def end(self) -> None:
        """End everything."""
        for phone in (*self.callers, self.answerer):
            phone.end()
        if self.kamailio.process is not None:
            self.kamailio.stop()
        self.serving.stop()
        self.agents.kill()

    def call(self, scenario: str, *words: str) -> Caller:
        """ada of contoso calls London."""
        caller = Caller(self.folder, self.kamailio.sip_port, scenario, "contoso", "ada", LONDON, *words)
        self.callers.append(caller)
        caller.start()
        return caller

    def may(self) -> tuple[str, int]:
        """Why ada may call London or not, and for how many seconds."""
        answer = self.serving.switch.ask("/v1/authorize?tenant=contoso&user=ada&called=%2B442079460000").body
        return answer["reason"], answer["seconds"]

    def rated(self, caller: Caller) -> RatedCall:
        """What the ledger has of a call, once it has it."""
        until(lambda: bool(self._rated(caller.id)), "the call to be rated")
        (found,) = self._rated(caller.id)
        return found

    def _rated(self, call_id: str) -> list[RatedCall]:
        found = [msgspec.json.decode(value, type=RatedCall) for value in self.deployment.values("rated-calls")]
        return [one for one in found if one.call_id == call_id]

    def balance(self) -> str:
        """What contoso has."""
        return str(json.loads(list(self.deployment.values("balances"))[-1])["balance"])


@pytest.fixture
def contoso(deployment: Deployment, tmp_path: Path) -> Iterator[Site]:
    """contoso with 5, of which a second to London costs 0.10."""
    deck = read_deck(DECK, version="deck-1")
    commands = list(setting_up("contoso", "5"))
    at = commands[0].at
    deployment.publish([("rate-decks", deck.version, encode_input(deck))])
    activated = DeckActivated(tenant="contoso", id="deck", at=at, version="deck-1")
    deployment.publish([("commands", "contoso", encode_input(one)) for one in (*commands, activated)])
    deployment.start("w")
    site = Site(deployment, tmp_path)
    try:
        site.start()
        until(lambda: site.may() == ("credit", 50), "5 / 0.10")
        yield site
    finally:
        site.end()


def test_one_call_is_paid_and_another_is_cut(contoso: Site) -> None:
    """A call of 1.2 s costs 0.10 for each second that began.  Then a call of another switch costs 60: the running call
    ends within 2 seconds of the rater's decision, and no more than its authorised seconds are billed (A22).
    """
    paid = contoso.call("hangs_up", "-d", "1200")
    assert paid.wait() == 0
    first = contoso.rated(paid)
    assert first.duration_s == contoso.kamailio.written(paid.id).duration_s >= 2
    assert first.charge == f"{first.duration_s / 10:g}"
    left = 50 - first.duration_s

    cut = contoso.call("stays")
    cut.wait_until_answered()
    until(lambda: contoso.may()[0] == "credit_reserved", "the rater to know of the call")
    until(lambda: contoso.agents.counted("rater_running_calls") > 0, "the agents to know of the call")
    before = datetime.now(UTC)
    other: dict[str, Any] = {
        "tenant": "contoso", "usage_id": "other", "type": "user_out", "user": "ada", "called": JAMAICA,
        "answered_at": (before - timedelta(seconds=60)).isoformat(), "duration_s": 60,
    }  # fmt: skip
    contoso.serving.switch.send(other)
    assert cut.wait() == 0
    orders = [msgspec.json.decode(value, type=CallCommand) for value in contoso.deployment.values("call-commands")]
    bye, *_ = cut.received("BYE")
    second = contoso.rated(cut)
    assert {order.id for order in orders} == {orders[0].id}
    assert orders[0].reason is DisconnectReason.CREDITS_SUSPENDED
    assert bye.at - orders[0].at.timestamp() < CUT_WITHIN_S
    assert second.authorized_s == orders[0].authorized_s
    billed = min(second.duration_s, orders[0].authorized_s)
    assert second.charge == f"{billed / 10:g}"
    assert contoso.balance() == f"{(left - billed) / 10 - 60:g}"
    assert contoso.deployment.verify().findings == []
