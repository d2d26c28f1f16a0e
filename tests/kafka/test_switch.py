"""A real Kamailio in front of Kafka: what it may put through, what is billed, and a call that is cut."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

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
from tests.switches.site import CUT_WITHIN_S, DECK, LONDON, QUICK, US, costly, setting_up

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

    def call(self, scenario: str, *words: str, tenant: str = "contoso", called: str = LONDON) -> Caller:
        """ada calls."""
        caller = Caller(self.folder, self.kamailio.sip_port, scenario, tenant, "ada", called, *words)
        self.callers.append(caller)
        caller.start()
        return caller

    def may(self, tenant: str = "contoso", called: str = LONDON) -> tuple[str, int]:
        """Why ada may call or not, and for how many seconds."""
        asked = urlencode({"tenant": tenant, "user": "ada", "called": called})
        answer = self.serving.switch.ask(f"/v1/authorize?{asked}").body
        return answer["reason"], answer["seconds"]

    def tenant(self, tenant: str, funds: str | None, sku: str) -> None:
        """One more tenant."""
        commands = list(setting_up(tenant, funds, sku))
        commands.append(DeckActivated(tenant=tenant, id="deck", at=commands[0].at, version="deck-1"))
        self.deployment.publish([("commands", tenant, encode_input(one)) for one in commands])

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
    ends as soon as the rater decided it, and no more than its authorised seconds are billed (A22).
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
    contoso.serving.switch.send(costly("contoso", datetime.now(UTC)))
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


def test_what_the_bundle_covers_what_is_refused_and_a_server_that_is_away(contoso: Site) -> None:
    """A plan's minutes cost nothing; without money a call is refused, but for emergencies; a call whose end comes while
    the server is stopped is billed once.
    """
    contoso.tenant("bundle", None, "MCOPSTN1")
    contoso.tenant("poor", None, "MCOPSTNPP")
    until(lambda: contoso.may("bundle", US)[0] == "pool", "the rater to know of the plan")
    until(lambda: contoso.may("poor")[1] == 0, "the rater to know that there is no money")
    covered = contoso.call("hangs_up", "-d", "300", tenant="bundle", called=US)
    refused = contoso.call("hangs_up", "-d", "300", tenant="poor")
    emergency = contoso.call("hangs_up", "-d", "300", tenant="poor", called="911")
    away = contoso.call("hangs_up", "-d", "2500")
    away.wait_until_answered()
    assert [covered.wait(), emergency.wait()] == [0, 0]
    refused.wait()
    assert contoso.serving.stop() == 0
    assert away.wait() == 0
    contoso.serving.start()
    contoso.serving.wait_until_ready()
    ratings = [contoso.rated(call) for call in (covered, emergency, away)]
    assert [segment.pocket for segment in ratings[0].segments] == ["pool"]
    assert (ratings[0].charge, ratings[1].charge, ratings[1].rule) == ("0", "0", "23 emergency")
    assert ratings[2].charge == f"{ratings[2].duration_s / 10:g}"
    assert ratings[2].duration_s == contoso.kamailio.written(away.id).duration_s
    assert refused.answer.startswith("402 ")
    assert contoso.deployment.verify().findings == []
