"""Calls in progress on a real Kafka: what switches ask and tell, what they are told, and what is billed then."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from prometheus_client import CollectorRegistry, generate_latest

from rater.agents.switchboard import Switchboard, SwitchboardSettings
from rater.contracts.call_control import CallCommand, CallEvent, CallProgress, DisconnectReason
from rater.contracts.codec import encode_input
from rater.core.inputs import (
    AnyCommand,
    CallRecord,
    DeckActivated,
    FundsAdded,
    LicenseAssigned,
    TenantConfigured,
)
from rater.core.outputs import Balance, RatedCall
from rater.core.reasons import CallType
from rater.core.settings import RatingSettings
from rater.formats.deck_csv import read_deck
from rater.kafka.consume import read_topic
from rater.kafka.publish import publish
from rater.metrics.meter import Metrics
from tests.kafka.deployment import WAIT_S, Deployment
from tests.world import DECK, HARARE, JAMAICA, LONDON

TOKEN = "of-this-test"


def commands(began: datetime) -> list[AnyCommand]:
    """contoso with 1.00 and two users who have nothing but credits; fabrikam without any money."""
    told: list[AnyCommand] = []
    for tenant, funds in (("contoso", "1"), ("fabrikam", None)):
        told.append(TenantConfigured(tenant=tenant, id="setup", at=began, currency="USD", credits="enabled"))
        told.append(DeckActivated(tenant=tenant, id="deck", at=began, version="deck-1"))
        if funds:
            told.append(FundsAdded(tenant=tenant, id="funds", at=began, amount=funds))
        told.extend(
            LicenseAssigned(
                tenant=tenant, id=user, at=began, user=user, sku="MCOPSTNPP", country="US", since_ever=True
            )
            for user in ("ada", "bob")
        )
    return told


@asynccontextmanager
async def serving(deployment: Deployment, folder: Path) -> AsyncIterator[tuple[Switchboard, CollectorRegistry]]:
    """A switchboard that has read everything."""
    token = folder / "token"
    token.write_text(TOKEN + "\n")
    registry = CollectorRegistry()
    settings = SwitchboardSettings(authorize_port=0, authorize_token_file=token)
    board = Switchboard(deployment.settings, RatingSettings(), settings, Metrics(registry))
    runs = asyncio.create_task(board.run())
    try:
        await until(lambda: board.ready and board.port is not None, runs)
        yield board, registry
    finally:
        runs.cancel()
        with suppress(asyncio.CancelledError):
            await runs


async def until(condition: Any, runs: asyncio.Task[None] | None = None) -> None:
    """Wait for something; what ended meanwhile says why."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        if runs is not None and runs.done():
            runs.result()
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


class Switch:
    """A switch that asks over HTTP and tells over Kafka."""

    def __init__(self, deployment: Deployment, board: Switchboard, session: aiohttp.ClientSession) -> None:
        self.deployment, self.board, self.session = deployment, board, session

    async def get(self, token: str = TOKEN, **parameters: str) -> tuple[int, Any]:
        """Status and body of an answer."""
        url = f"http://127.0.0.1:{self.board.port}/v1/authorize"
        headers = {"Authorization": f"Bearer {token}"}
        async with self.session.get(url, params=parameters, headers=headers) as response:
            return response.status, await response.json()

    async def may(self, called: str, tenant: str = "contoso", user: str = "ada") -> tuple[bool, str, int]:
        """May a call start."""
        status, body = await self.get(tenant=tenant, user=user, called=called)
        assert status == 200, body
        return body["allowed"], body["reason"], body["seconds"]

    async def comes_to(self, answer: tuple[bool, str, int], called: str, **call: str) -> None:
        """Wait until this is the answer: what was published last has been rated and read."""
        deadline = time.monotonic() + WAIT_S
        while (found := await self.may(called, **call)) != answer:
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.05)

    async def tell(self, id: str, event: CallProgress, called: str, user: str, started_at: datetime) -> None:
        """What happened to a call."""
        told = CallEvent(
            tenant="contoso", usage_id=id, type=CallType.USER_OUT, event=event, at=datetime.now(UTC),
            started_at=started_at, user=user, called=called, call_id=f"leg-{id}",
        )  # fmt: skip
        await publish(self.deployment.settings, [("call-events", "contoso", msgspec.json.encode(told))])

    async def orders(self, count: int) -> list[CallCommand]:
        """The orders that were given, once there are so many."""
        found: list[CallCommand] = []
        deadline = time.monotonic() + WAIT_S
        while len(found) < count:
            assert time.monotonic() < deadline, found
            found = await self.read("call-commands", CallCommand)
        return found

    async def read(self, topic: str, record: type) -> list[Any]:
        """Every record of a topic."""
        return [
            msgspec.json.decode(one.value or b"", type=record)
            async for records in read_topic(self.deployment.settings, topic)
            for one in records
        ]

    async def record(self, order: CallCommand, called: str, user: str, began: datetime, lasted_s: int) -> None:
        """The record of a call that was ended on order."""
        cdr = CallRecord(
            tenant="contoso", usage_id=order.usage_id, type=CallType.USER_OUT, answered_at=began,
            duration_s=lasted_s, user=user, called=called, authorized_s=order.authorized_s, call_id=order.call_id,
        )  # fmt: skip
        await publish(self.deployment.settings, [("cdrs", "contoso", encode_input(cdr))])


def test_credit_runs_out_while_calls_run(deployment: Deployment, tmp_path: Path) -> None:
    """A record eats the credit; the running call is ended, and its record costs no more than it was authorised for."""
    asyncio.run(asyncio.wait_for(_credit_runs_out(deployment, tmp_path), WAIT_S))


async def _credit_runs_out(deployment: Deployment, folder: Path) -> None:
    now = datetime.now(UTC)
    settings = deployment.settings
    await publish(settings, [("rate-decks", "deck-1", encode_input(read_deck(DECK, version="deck-1")))])
    told = commands(now - timedelta(hours=1))
    await publish(settings, [("commands", command.tenant, encode_input(command)) for command in told])
    deployment.start("w")
    async with serving(deployment, folder) as (board, registry), aiohttp.ClientSession() as session:
        switch = Switch(deployment, board, session)
        await switch.comes_to((True, "credit", 20 * 60), LONDON)  # 1 / 0.05
        await switch.comes_to((False, "credits_suspended", 0), HARARE, tenant="fabrikam")
        assert await switch.may("911", "fabrikam") == (True, "emergency", 86_400)
        assert await switch.may(HARARE, "nobody") == (False, "unknown_tenant", 0)
        began = now - timedelta(seconds=125)
        await switch.tell("running", CallProgress.HEARTBEAT, LONDON, "ada", began)
        # it reserves what it used and 90 s more, 4 minutes of 0.05: 0.8 are left, 2 minutes to Jamaica
        await switch.comes_to((True, "credit", 2 * 60), JAMAICA, user="bob")
        other = CallRecord(
            tenant="contoso", usage_id="other", type=CallType.USER_OUT, answered_at=now, duration_s=180,
            user="bob", called=JAMAICA,
        )  # fmt: skip
        await publish(settings, [("cdrs", "contoso", encode_input(other))])  # 3 * 0.4: 1 - 1.2 = -0.2
        (order,) = await switch.orders(1)
        assert (order.usage_id, order.reason) == ("running", DisconnectReason.CREDITS_SUSPENDED)
        assert (order.user, order.call_id) == ("ada", "leg-running")
        assert 125 <= order.authorized_s < 240
        await switch.record(order, LONDON, "ada", began, 600)
        rated: dict[str, RatedCall] = {}
        while "running" not in rated:
            rated = {call.usage_id: call for call in await switch.read("rated-calls", RatedCall)}
        call = rated["running"]
        assert call.authorized_s == order.authorized_s
        assert call.minutes == -(-order.authorized_s // 60) < 10
        balances = [balance.balance for balance in await switch.read("balances", Balance)]
        assert call.balance in balances
        shown = generate_latest(registry).decode()
        assert 'rater_disconnects_total{reason="credits_suspended"} 1.0' in shown
        assert 'rater_authorizations_total{answer="unknown"}' in shown


def test_what_is_wrong_is_said(deployment: Deployment, tmp_path: Path) -> None:
    """One sentence for each bad question; an event that is none is counted and passed over."""
    asyncio.run(asyncio.wait_for(_wrong_questions(deployment, tmp_path), WAIT_S))


async def _wrong_questions(deployment: Deployment, folder: Path) -> None:
    told = commands(datetime.now(UTC))
    await publish(deployment.settings, [("commands", command.tenant, encode_input(command)) for command in told])
    deployment.start("w")
    async with serving(deployment, folder) as (board, registry), aiohttp.ClientSession() as session:
        switch = Switch(deployment, board, session)
        await switch.comes_to((False, "unknown_tenant", 0), LONDON, tenant="nobody")
        call = {"tenant": "contoso", "user": "ada", "called": LONDON}
        expected = {
            401: [(await switch.get("guessed", **call), "expected the header Authorization: Bearer TOKEN")],
            400: [
                (await switch.get(user="ada", called=LONDON), "tenant: field required"),
                (await switch.get(**call, typ="user_out"), "typ: no such parameter; expected tenant, user, called"),
                (await switch.get(**call, type="call"), "type: input should be 'user_in', "),
                (await switch.get(**call | {"tenant": "x" * 200}), "tenant: string should have at most 128"),
                (await switch.get(tenant="contoso", called=LONDON), "user: expected the user who pays"),
                (await switch.get(**call | {"called": " 442079460000"}), "called: expected an E.164 number"),
            ],
        }
        for status, answers in expected.items():
            for (answered, body), words in answers:
                assert (answered, body["error"][: len(words)]) == (status, words)
        assert "write + as %2B" in expected[400][-1][0][1]["error"]
        await publish(deployment.settings, [("call-events", "contoso", b'{"tenant": "contoso"}')])
        await until(lambda: 'result="unreadable"} 1.0' in generate_latest(registry).decode())
