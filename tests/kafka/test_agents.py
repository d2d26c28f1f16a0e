"""Agents on a real Kafka, between a sandbox gateway and a mail server: whatever is killed, everybody pays once.

`RATER_CHAOS=long` kills them 20 times while 200 tenants run below their triggers.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import aiohttp
import msgspec

from rater.agents.signed_webhooks import signed_headers, signer_of
from rater.core.inputs import FundsAdded
from rater.core.money import parse_micros
from rater.core.outputs import AccountEvent, RechargeRequest
from rater.core.reasons import EventKind
from rater.dev.charge_log import read_charges
from tests.conftest import LONG
from tests.kafka.agents_world import (
    SECRET,
    AgentsProcess,
    Surroundings,
    balances,
    call,
    charged,
    command,
    deck,
    notices_of,
    now,
    prepaid,
    records,
    requests,
    surroundings,
    tenant_names,
)
from tests.kafka.deployment import Deployment, until

KILLS = 20 if LONG else 3
TENANTS = 200 if LONG else 20


def settled(deployment: Deployment) -> bool:
    """Nothing is left to rate, and no recharge is in flight or due."""
    return not deployment.lag() and all(
        balance.recharge_in_flight is None and parse_micros(balance.balance) >= parse_micros("50")
        for balance in balances(deployment).values()
    )


def everybody_paid_once(around: Surroundings) -> None:
    """Each crossing was asked for once, charged once, credited once; the ledgers are clean."""
    deployment = around.deployment
    asked = Counter(request.id for request in requests(deployment))
    credited = [
        event
        for event in records(deployment, "account-events", AccountEvent)
        if event.event is EventKind.RECHARGE_SUCCEEDED
    ]
    assert set(asked.values()) == {1}
    assert Counter(charge.key for charge in read_charges(around.charges) if charge.status == "succeeded") == asked
    assert Counter(event.recharge_id for event in credited) == asked
    assert deployment.verify().findings == []


def everyone_notified(around: Surroundings) -> bool:
    return set(notices_of(around.deployment)) <= around.mailbox.sent.keys()


def reached(count: Callable[[], int], goal: int, done: Callable[[], bool] = lambda: False) -> Callable[[], bool]:
    """Whether a count has come to a goal by now, or there is nothing left to count."""
    return lambda: done() or count() >= goal


def goes_on(done: Callable[[], bool], progress: Callable[[], int], what: str) -> None:
    """Wait as long as it goes on: how much there is to do depends on the run, how fast it is on the machine."""
    finished = False
    while not finished:
        until(reached(progress, progress() + 1, done), what)
        finished = done()


def test_agents_are_killed(deployment: Deployment) -> None:
    """kill -9 of one of two agents at random while tenants run below: each crossing paid once, each e-mail once.

    A message that was on its way at a kill may come again, under the same Message-ID (rater.agents.notices.outbox).
    """
    chance = random.Random(20250310)
    begin = now() - timedelta(days=KILLS + 4)
    with surroundings(deployment) as around:
        deployment.start("worker-0")
        around.start_gateway()
        around.start("agents-0")
        names = tenant_names(TENANTS)
        deployment.publish(deck(begin) + [message for name in names for message in prepaid(name, begin)])
        for number in range(KILLS):
            before = charged(around.charges)
            at = begin + timedelta(days=number + 1)
            deployment.publish([call(name, number, at) for name in names])
            goal = before + chance.randrange(1, TENANTS // 2)
            until(reached(lambda: charged(around.charges), goal), f"{goal} charges")
            if number == 0:
                around.start("agents-1")
            killed = chance.choice(list(around.agents))
            around.agents[killed].kill()
            around.start(killed)
        goes_on(lambda: settled(deployment), lambda: charged(around.charges), "every tenant to be recharged")
        everybody_paid_once(around)
        assert len(requests(deployment)) >= KILLS * TENANTS
        expected = set(notices_of(deployment))
        sent = around.mailbox.sent
        goes_on(lambda: expected <= sent.keys(), lambda: len(sent), "every e-mail")
        assert set(sent) == expected
        print(f"{len(expected)} e-mails, of which {sent.total() - len(sent)} came twice after {KILLS} kills")
        assert sent.total() - len(sent) <= KILLS


async def _post(agents: AgentsProcess, body: bytes, headers: dict[str, str]) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.post(agents.webhook_url, data=body, headers=headers) as response,
    ):
        return response.status


def _webhook(
    agents: AgentsProcess, request: RechargeRequest, secret: str = SECRET, ago: int = 0, **changes: str
) -> int:
    """Send the gateway's message that a request was paid; the status that it is answered with."""
    data = {
        "recharge_id": request.id,
        "tenant": request.tenant,
        "status": "succeeded",
        "amount": request.amount,
        "currency": request.currency,
        **changes,
    }
    body = msgspec.json.encode({"type": "payment.succeeded", "data": data})
    at = datetime.now(UTC) - timedelta(minutes=ago)
    return asyncio.run(_post(agents, body, signed_headers(signer_of(secret, "the key"), "msg_1", body, at)))


def test_webhooks_over_the_real_route(deployment: Deployment) -> None:
    """Forged, old, wrong and repeated ones change nothing; the right one is answered once its command is stored."""
    begin = now() - timedelta(hours=2)
    other = "whsec_OTEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDk="
    with surroundings(deployment) as around:
        around.start_gateway("--webhook-after=3600")
        agents = around.start("agents-0")
        deployment.publish([*deck(begin), *prepaid("late-0000", begin), call("late-0000", 1, begin)])
        worker = deployment.start("worker-0")
        until(lambda: charged(around.charges) == 1, "the request to be charged")
        (request,) = requests(deployment)
        until(lambda: agents.ready and _webhook(agents, request, amount="61") == 422, "the request to be known")
        assert _webhook(agents, request, secret=other) == 401
        assert _webhook(agents, request, ago=6) == 401
        assert _webhook(agents, request, recharge_id="0" * 32) == 404
        assert _webhook(agents, request, currency="EUR") == 422
        assert balances(deployment)["late-0000"].recharge_in_flight == request.id
        worker.kill()
        before = len(deployment.values("commands"))
        assert _webhook(agents, request) == 202
        assert len(deployment.values("commands")) == before + 1
        deployment.start("worker-1")
        until(lambda: settled(deployment), "the payment to be credited")
        repeated = 'rater_payment_webhooks_total{result="repeated"}'
        until(
            lambda: _webhook(agents, request) == 202 and agents.counted(repeated) >= 1,
            "the agents to know that it was credited",
        )
        assert balances(deployment)["late-0000"].balance == "100"
        assert agents.counted('rater_payment_webhooks_total{result="forged"}') == 1
        assert agents.counted('rater_payment_webhooks_total{result="stale"}') == 1
        assert agents.counted('rater_payment_webhooks_total{result="mismatched"}') >= 3
        everybody_paid_once(around)


def _events(deployment: Deployment, kind: EventKind) -> dict[str, AccountEvent]:
    found = records(deployment, "account-events", AccountEvent)
    return {event.tenant: event for event in found if event.event is kind}


def test_time_passes(deployment: Deployment) -> None:
    """Ticks bring what time makes due: a retry after a failure, expiry; and notices of money that expires soon."""
    begin = now() - timedelta(hours=2)
    with surroundings(deployment, RATER_EXPIRING_S="1") as around:
        deployment.start("worker-0")
        around.start_gateway("--when=tenant:declined=card_expired")
        around.start("agents-0")
        old, soon = now() - timedelta(days=400), now() - timedelta(days=350)
        deployment.publish(
            [
                *deck(begin),
                *prepaid("declined-0000", begin, funds="40"),
                *prepaid("expired-0000", old, funds="70", enabled=False),
                *prepaid("expiring-0000", soon, funds="80", enabled=False),
                command(FundsAdded(tenant="expiring-0000", id="later", at=begin, amount="5")),
            ]
        )
        until(lambda: len(requests(deployment)) == 2, "the declined recharge to be asked for again")
        until(lambda: "expired-0000" in _events(deployment, EventKind.FUNDS_EXPIRED), "funds to expire")
        until(lambda: "expiring-0000: 80 USD expire within 30 days" in around.mailbox.subjects, "the notice")
        until(lambda: everyone_notified(around), "every e-mail")
        until(
            lambda: balances(deployment)["declined-0000"].recharge_failures == 2 and not deployment.lag(),
            "the second refusal",
        )
        first, second = requests(deployment)
        assert (first.attempt, second.attempt) == (1, 2)
        assert second.at - first.at >= timedelta(hours=1)
        assert balances(deployment)["expired-0000"].balance == "0"
        expiring = [mail for mail in around.mailbox.subjects if "within 30 days" in mail]
        assert expiring == ["expiring-0000: 80 USD expire within 30 days"]
        assert deployment.verify().findings == []
