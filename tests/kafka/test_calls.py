"""Calls in progress on a real Kafka: questions and events of switches, answers and orders, and what is billed."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from rater.core.call_control import CallCommand, CallEvent, CallProgress, DisconnectReason
from rater.core.inputs import AnyCommand, CallRecord, DeckActivated, FundsAdded, LicenseAssigned, TenantConfigured
from rater.core.outputs import RatedCall
from rater.core.reasons import CallType
from rater.dev.ports import free_ports
from rater.files.deck_csv import read_deck
from rater.kafka.consume import read_topic
from rater.wire.codec import encode_input
from rater.wire.errors import Exit
from tests.commands import invoke, typed
from tests.kafka.agents_world import AgentsProcess
from tests.kafka.deployment import Deployment, until
from tests.world import DECK, HARARE, JAMAICA, LONDON, US

TOKEN = "of-this-test"
Answer = tuple[bool, str, int]


def setting_up(at: datetime) -> Iterator[AnyCommand]:
    """contoso with 1.00 and two users who have nothing but credits; fabrikam without any money."""
    for tenant, funds in (("contoso", "1"), ("fabrikam", None)):
        yield TenantConfigured(tenant=tenant, id="setup", at=at, currency="USD", credits="enabled")
        yield DeckActivated(tenant=tenant, id="deck", at=at, version="deck-1")
        if funds:
            yield FundsAdded(tenant=tenant, id="funds", at=at, amount=funds)
        for user in ("ada", "bob"):
            yield LicenseAssigned(
                tenant=tenant, id=user, at=at, user=user, sku="MCOPSTNPP", country="US", since_ever=True
            )


class Switch:
    """A switch that asks over HTTP, publishes call events, and reads its orders."""

    def __init__(self, deployment: Deployment, **environment: str) -> None:
        self.deployment = deployment
        self.now = datetime.now(UTC)
        self._environment = {"RATER_SWITCHES_TOKEN": TOKEN, **environment}
        self._port = free_ports(1)[0]
        self.start()

    def start(self) -> None:
        """Start the agents that serve it."""
        self.agents = AgentsProcess(self.deployment, "agents-0", self._port, self._environment)

    def get(self, token: str = TOKEN, **parameters: str) -> tuple[int, Any]:
        """Status and body of an answer."""
        url = f"http://127.0.0.1:{self.agents.web_port}/v1/authorize?{urlencode(parameters)}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)

    def may(self, called: str, tenant: str = "contoso", user: str = "ada") -> Answer:
        """May a call start."""
        status, body = self.get(tenant=tenant, user=user, called=called)
        assert status == 200, body
        return body["allowed"], body["reason"], body["seconds"]

    def send(
        self, id: str, called: str, user: str, started_at: datetime, tenant: str = "contoso",
        progress: CallProgress = CallProgress.HEARTBEAT,
    ) -> None:  # fmt: skip
        """A call runs, or something else happens to it."""
        event = CallEvent(
            tenant=tenant, usage_id=id, type=CallType.USER_OUT, event=progress,
            at=datetime.now(UTC), started_at=started_at, user=user, called=called, call_id=f"leg-{id}",
        )  # fmt: skip
        self.deployment.publish([("call-events", tenant, msgspec.json.encode(event))])

    def record(self, id: str, called: str, user: str, began: datetime, seconds: int, **more: Any) -> None:
        """A call is over, and this is its record."""
        cdr = CallRecord(
            tenant="contoso", usage_id=id, type=CallType.USER_OUT, answered_at=began, duration_s=seconds,
            user=user, called=called, **more,
        )  # fmt: skip
        self.deployment.publish([("cdrs", "contoso", encode_input(cdr))])

    def read(self, topic: str, record: type) -> dict[str, Any]:
        """The records of a topic by their usage id."""

        async def everything() -> list[Any]:
            return [
                msgspec.json.decode(one.value or b"", type=record)
                async for records in read_topic(self.deployment.settings, topic)
                for one in records
            ]

        return {found.usage_id: found for found in asyncio.run(everything())}


def set_up(deployment: Deployment) -> None:
    """Two tenants, a deck, and a worker that rates."""
    deck = read_deck(DECK, version="deck-1")
    deployment.publish([("rate-decks", deck.version, encode_input(deck))])
    commands = setting_up(datetime.now(UTC) - timedelta(hours=1))
    deployment.publish([("commands", command.tenant, encode_input(command)) for command in commands])
    deployment.start("w")


@pytest.fixture
def switch(deployment: Deployment) -> Iterator[Switch]:
    """A switch of two tenants that are set up."""
    set_up(deployment)
    switch = Switch(deployment)
    try:
        until(lambda: switch.agents.ready, "the agents to be ready")
        yield switch
    finally:
        switch.agents.kill()


def test_credit_runs_out_while_calls_run(switch: Switch) -> None:
    """A record uses up the credit; the running call is ended, and costs no more than it was authorised for."""
    until(lambda: switch.may(LONDON) == (True, "credit", 20 * 60), "1 / 0.05")
    until(lambda: switch.may(HARARE, "fabrikam") == (False, "credits_suspended", 0), "fabrikam")
    assert switch.may("911", "fabrikam") == (True, "emergency", 86_400)
    assert switch.may(HARARE, "nobody") == (False, "unknown_tenant", 0)
    began = switch.now - timedelta(seconds=125)
    switch.send("running", LONDON, "ada", began)
    # it reserves what it used and 90 s more, at least 4 minutes of 0.05: of 0.8 and less 1 minute to Jamaica is left
    until(lambda: switch.may(JAMAICA, user="bob")[2] < 2 * 60 + 1, "the reservation")
    switch.record("other", JAMAICA, "bob", switch.now, 180)  # 3 * 0.4: 1 - 1.2 = -0.2
    until(lambda: bool(switch.read("call-commands", CallCommand)), "an order")
    order = switch.read("call-commands", CallCommand)["running"]
    assert order.reason is DisconnectReason.CREDITS_SUSPENDED
    assert (order.user, order.call_id) == ("ada", "leg-running")
    assert 125 <= order.authorized_s < 540
    switch.record("running", LONDON, "ada", began, 600, authorized_s=order.authorized_s, call_id=order.call_id)
    until(lambda: "running" in switch.read("rated-calls", RatedCall), "the record to be rated")
    call = switch.read("rated-calls", RatedCall)["running"]
    assert (call.authorized_s, call.duration_s) == (order.authorized_s, 600)
    assert call.minutes == -(-order.authorized_s // 60) < 10
    assert switch.agents.counted('rater_disconnects_total{reason="credits_suspended"}') == 1
    assert switch.agents.counted('rater_authorizations_total{answer="unknown"}') >= 1


def test_a_customer_comes_and_leaves(switch: Switch) -> None:
    """The commands of the operators' page, one after the other: a user may call; closed, the running call is ended."""
    settings, names = switch.deployment.settings, {"NAME": "fresh", "USER": "eve@fresh.example", "INVOICE": "inv-1"}
    where = (f"--bootstrap={settings.bootstrap}", f"--prefix={settings.prefix}")
    assert invoke("rates", "activate", "deck-1", *where).exit_code == Exit.OK
    for words in (*typed("a customer comes", **names), *typed("a customer pays", **names)):
        assert invoke(*words, *where).exit_code == Exit.OK, words
    until(lambda: switch.may(HARARE, "fresh", "eve@fresh.example")[:2] == (True, "credit"), "500 of credit")
    assert switch.may(US, "fresh", "eve@fresh.example")[:2] == (True, "pool_then_credit")
    for id, called in (("running", HARARE), ("help", "911")):
        switch.send(id, called, "eve@fresh.example", datetime.now(UTC), "fresh")
    until(lambda: switch.agents.counted("rater_running_calls") == 2, "the calls to be known")
    (close, *_) = typed("a customer leaves", **names)
    closed = invoke(*close, "--reason", "contract ended", "--by", "kim", "--yes", *where)
    assert closed.exit_code == Exit.OK, closed.output
    until(lambda: bool(switch.read("call-commands", CallCommand)), "an order")
    orders = switch.read("call-commands", CallCommand)
    assert {id: order.reason for id, order in orders.items()} == {"running": DisconnectReason.TENANT_CLOSED}
    assert switch.may(US, "fresh", "eve@fresh.example") == (False, "tenant_closed", 0)
    assert switch.may("911", "fresh", "eve@fresh.example") == (True, "emergency", 86_400)


def test_a_new_country_is_refused_until_a_person_allows_it(switch: Switch) -> None:
    """A50: with a limit of 0 no call to a country begins that ada never called, but for help; Bob has no such limit."""
    settings = switch.deployment.settings
    where = (f"--bootstrap={settings.bootstrap}", f"--prefix={settings.prefix}")
    until(lambda: switch.may(LONDON)[:2] == (True, "credit"), "contoso")
    abroad = ("--scope", "user", "--only", "ada", "--measure", "new_countries", "--limit", "0", "--mode", "stop")
    assert invoke("tenant", "brake", "contoso", "abroad", *abroad, *where).exit_code == Exit.OK
    until(lambda: switch.may(LONDON) == (False, "brake_reached", 0), "the limit")
    assert [switch.may("911")[1], switch.may(LONDON, user="bob")[1]] == ["emergency", "credit"]
    allowing = ("--subject", "ada", "--country", "GB", "--by", "kim")
    assert invoke("tenant", "release-brake", "contoso", "abroad", *allowing, *where).exit_code == Exit.OK
    until(lambda: switch.may(LONDON)[:2] == (True, "credit"), "the allowed country")
    assert switch.may(HARARE) == (False, "brake_reached", 0)


def test_what_is_wrong_is_reported(switch: Switch) -> None:
    """One sentence for each bad question; an invalid event is counted and skipped."""
    call = {"tenant": "contoso", "user": "ada", "called": LONDON}
    until(lambda: switch.may(LONDON)[0], "contoso")
    for answer, status, words in (
        (switch.get("guessed", **call), 401, "expected the header Authorization: Bearer TOKEN"),
        (switch.get(user="ada", called=LONDON), 400, "tenant: field required"),
        (switch.get(**call, typ="user_out"), 400, "typ: no such parameter; expected tenant, user, called"),
        (switch.get(**call, type="call"), 400, "type: input should be 'user_in', "),
        (switch.get(**call | {"tenant": "x" * 200}), 400, "tenant: string should have at most 128"),
        (switch.get(tenant="contoso", called=LONDON), 400, "user: expected the user who pays"),
        (switch.get(**call | {"called": " 442079460000"}), 400, "called: expected an E.164 number"),
    ):
        assert (answer[0], answer[1]["error"][: len(words)]) == (status, words)
    assert switch.get(**call | {"called": " 442079460000"})[1]["error"].endswith("; write + as %2B")
    switch.deployment.publish([("call-events", "contoso", b'{"tenant": "contoso"}')])
    until(lambda: switch.agents.counted('rater_call_events_total{result="unreadable"}') == 1, "the event")
    assert switch.agents.ready
    assert b'"level":"critical"' not in switch.agents.log.read_bytes()
