import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from multidict import CIMultiDict
from structlog.testing import capture_logs

from rater.agents.payments.settings import GatewaySettings
from rater.agents.payments.webhooks import PaymentCommand, WebhookReceiver, WebhookRefusal
from rater.agents.signed_webhooks import signed_headers, signer_of
from rater.core.inputs import PaymentFailed, PaymentSucceeded
from rater.core.outputs import RechargeRequest
from rater.dev.charge_log import read_charges
from rater.wire.errors import RaterError
from tests.payments.test_gateway import DECLINED, PAID
from tests.payments.world import AT, REQUEST, SECRET, ask, payment, sandbox, settings
from tests.world import World

OTHER_SECRET = "whsec_OTEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDk="


def notice(type: str = "payment.succeeded", **changes: Any) -> bytes:
    return b'{"type":"%s","data":%s}' % (type.encode(), payment(**changes))


def signed(body: bytes, secret: str = SECRET, ago: timedelta = timedelta(0), id: str = "msg_1") -> CIMultiDict[str]:
    return CIMultiDict(signed_headers(signer_of(secret, "the key"), id, body, datetime.now(UTC) - ago))


class Receiving:
    """The handler on a socket, with the one recharge that was asked for."""

    def __init__(self, url: str, published: list[PaymentCommand]) -> None:
        self.url = url
        self.published = published

    async def post(self, body: bytes, headers: CIMultiDict[str]) -> tuple[int, dict[str, Any]]:
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.url, data=body, headers=headers) as response,
        ):
            return response.status, await response.json()


@asynccontextmanager
async def receiving(monkeypatch: pytest.MonkeyPatch, *secrets: str) -> AsyncIterator[Receiving]:
    places = []
    for number, secret in enumerate(secrets or (SECRET,)):
        monkeypatch.setenv(f"WEBHOOK_KEY_{number}", secret)
        places.append({"env": f"WEBHOOK_KEY_{number}"})
    published: list[PaymentCommand] = []

    async def find(recharge_id: str) -> RechargeRequest | None:
        return REQUEST if recharge_id == REQUEST.id else None

    async def publish(command: PaymentCommand) -> None:
        published.append(command)

    receiver = WebhookReceiver(settings("https://pay.example.com", webhook_secrets=places), find, publish)
    app = web.Application()
    app.router.add_post("/v1/webhooks/payments", receiver.respond)
    async with TestServer(app) as server:
        yield Receiving(str(server.make_url("/v1/webhooks/payments")), published)


@pytest.mark.parametrize(
    ("body", "command"),
    [
        (notice(), PAID),
        (notice("payment.failed", status="failed", reason="card_expired"), DECLINED),
        (notice(amount="100.0", more={"x": [1]}), PAID),
    ],
)
def test_a_webhook_is_the_same_command_as_the_answer(
    monkeypatch: pytest.MonkeyPatch, body: bytes, command: PaymentSucceeded | PaymentFailed
) -> None:
    """Reported twice, it is the same command with the same id: the second is a duplicate."""

    async def outcome() -> list[Any]:
        async with receiving(monkeypatch) as receiver:
            headers = signed(body)
            answers = [await receiver.post(body, headers), await receiver.post(body, signed(body, id="msg_2"))]
            assert answers == [(202, {"command": command.id})] * 2
            return receiver.published

    assert asyncio.run(outcome()) == [command, command]


def test_the_rater_applies_a_repeated_webhook_once() -> None:
    """The same command applied twice adds the money once: 10 + 100."""
    world = World(funds=None, recharge=("50", "100"))
    asked = world.fund("10", "2025-03-10")
    request = next(output for output in world.outputs if isinstance(output, RechargeRequest))
    assert "recharge.requested" in asked
    paid = msgspec.structs.replace(
        PAID, id=f"payment-{request.id}-succeeded", recharge_id=request.id, at=request.at + timedelta(seconds=5)
    )
    assert "recharge.succeeded" in world.apply(paid)
    assert world.apply(paid) == []
    assert world.outcome.value == "duplicate"


Change = Callable[[bytes], tuple[bytes, CIMultiDict[str]]]


def without(header: str) -> Change:
    def change(body: bytes) -> tuple[bytes, CIMultiDict[str]]:
        headers = signed(body)
        del headers[header]
        return body, headers

    return change


def with_header(header: str, value: str) -> Change:
    def change(body: bytes) -> tuple[bytes, CIMultiDict[str]]:
        headers = signed(body)
        headers[header] = value
        return body, headers

    return change


def twice(header: str) -> Change:
    def change(body: bytes) -> tuple[bytes, CIMultiDict[str]]:
        headers = signed(body)
        headers.add(header, headers[header])
        return body, headers

    return change


def body_of(text: bytes) -> Change:
    return lambda _: (text, signed(text))


BAD: list[tuple[str, Change, int, WebhookRefusal]] = [
    ("no id", without("webhook-id"), 401, WebhookRefusal.UNSIGNED),
    ("no time", without("webhook-timestamp"), 401, WebhookRefusal.UNSIGNED),
    ("no signature", without("webhook-signature"), 401, WebhookRefusal.UNSIGNED),
    ("an invalid time", with_header("webhook-timestamp", "yesterday"), 401, WebhookRefusal.UNSIGNED),
    ("a time that is no number", with_header("webhook-timestamp", "nan"), 401, WebhookRefusal.UNSIGNED),
    ("two signatures headers", twice("webhook-signature"), 401, WebhookRefusal.UNSIGNED),
    ("two times", twice("webhook-timestamp"), 401, WebhookRefusal.UNSIGNED),
    ("six minutes old", lambda body: (body, signed(body, ago=timedelta(minutes=6))), 401, WebhookRefusal.STALE),
    ("six minutes ahead", lambda body: (body, signed(body, ago=-timedelta(minutes=6))), 401, WebhookRefusal.STALE),
    ("another key", lambda body: (body, signed(body, OTHER_SECRET)), 401, WebhookRefusal.FORGED),
    ("another id", with_header("webhook-id", "msg_9"), 401, WebhookRefusal.FORGED),
    ("another body", lambda body: (body.replace(b"100", b"900"), signed(body)), 401, WebhookRefusal.FORGED),
    ("a space more", lambda body: (body + b" ", signed(body)), 401, WebhookRefusal.FORGED),
    ("no version", with_header("webhook-signature", "Zm9v"), 401, WebhookRefusal.FORGED),
    ("not base64", with_header("webhook-signature", "v1,***"), 401, WebhookRefusal.FORGED),
    ("another version", with_header("webhook-signature", "v1a,Zm9v"), 401, WebhookRefusal.FORGED),
    ("not UTF-8", lambda body: (b"\xff" + body, signed(body)), 401, WebhookRefusal.FORGED),
    ("not JSON", body_of(b"<html>"), 400, WebhookRefusal.MALFORMED),
    ("empty", body_of(b""), 400, WebhookRefusal.MALFORMED),
    ("nothing in it", body_of(b"{}"), 400, WebhookRefusal.MALFORMED),
    ("nested deeply", body_of(b"[" * 20_000), 400, WebhookRefusal.MALFORMED),
    ("an amount as a number", body_of(notice(amount=100)), 400, WebhookRefusal.MALFORMED),
    ("a negative amount", body_of(notice(amount="-100")), 400, WebhookRefusal.MALFORMED),
    ("an unknown type", body_of(notice("payment.refunded")), 400, WebhookRefusal.MALFORMED),
    ("type and status differ", body_of(notice("payment.failed")), 400, WebhookRefusal.MALFORMED),
    ("pending", body_of(notice(status="pending")), 400, WebhookRefusal.MALFORMED),
    ("a field twice", body_of(notice()[:-2] + b',"amount":"100"}}'), 400, WebhookRefusal.MALFORMED),
    ("too large", body_of(notice(padding="x" * 70_000)), 413, WebhookRefusal.TOO_LARGE),
    ("an unknown recharge", body_of(notice(recharge_id="nobody")), 404, WebhookRefusal.UNKNOWN_RECHARGE),
    ("another tenant", body_of(notice(tenant="fabrikam")), 422, WebhookRefusal.OTHER_TENANT),
    ("a smaller amount", body_of(notice(amount="99.999999")), 422, WebhookRefusal.OTHER_AMOUNT),
    ("a larger amount", body_of(notice(amount="1000")), 422, WebhookRefusal.OTHER_AMOUNT),
    ("another currency", body_of(notice(currency="EUR")), 422, WebhookRefusal.OTHER_CURRENCY),
]


@pytest.mark.parametrize(("change", "status", "reason"), [bad[1:] for bad in BAD], ids=[bad[0] for bad in BAD])
def test_a_webhook_that_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, change: Change, status: int, reason: WebhookRefusal
) -> None:
    """Refused with its reason and status; nothing is published, one line is logged."""

    async def outcome() -> tuple[int, dict[str, Any], list[PaymentCommand]]:
        async with receiving(monkeypatch) as receiver:
            return *await receiver.post(*change(notice())), receiver.published

    with capture_logs() as logs:
        got, answer, published = asyncio.run(outcome())
    assert (got, answer["reason"], published) == (status, reason.value, [])
    assert answer["message"].startswith(("expected", "recharge "))
    assert [(entry["event"], entry["reason"]) for entry in logs] == [("webhook.refused", reason.value)]


def test_every_refusal_is_in_the_table() -> None:
    """The closed list and the table agree."""
    assert {bad[3] for bad in BAD} == set(WebhookRefusal)


def test_two_keys_while_one_replaces_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are accepted, a third is not."""

    async def outcome() -> list[int]:
        async with receiving(monkeypatch, OTHER_SECRET, SECRET) as receiver:
            third = "whsec_" + "QUJD" * 10
            headers = [signed(notice(), secret) for secret in (SECRET, OTHER_SECRET, third)]
            return [(await receiver.post(notice(), header))[0] for header in headers]

    assert asyncio.run(outcome()) == [202, 202, 401]


@pytest.mark.parametrize("secret", ["whsec_", "whsec_c2hvcnQ=", "not base64 at all!", "hunter2"])
def test_a_key_that_can_be_guessed_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    """Too short or no base64: one line that says how to make a good one."""
    monkeypatch.setenv("WEBHOOK_KEY", secret)

    async def never(_: object) -> None:
        raise AssertionError

    place = GatewaySettings.model_validate(
        {"url": "https://x.example", "webhook_secrets": [{"env": "WEBHOOK_KEY"}]}
    )
    with pytest.raises(RaterError, match="openssl rand"):
        WebhookReceiver(place, never, never)
    with pytest.raises(RaterError, match="expected the key"):
        WebhookReceiver(GatewaySettings(url="https://x.example"), never, never)


@pytest.mark.parametrize(("behaviour", "times"), [("late", 1), ("twice", 2)])
def test_the_sandbox_answers_by_webhook(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, behaviour: str, times: int
) -> None:
    """From end to end: asked over HTTP, reported by a signed webhook, the same command each time, one charge."""
    log = tmp_path / "charges.jsonl"

    async def outcome() -> tuple[list[PaymentCommand], object]:
        async with receiving(monkeypatch) as receiver:
            options = ("--script", behaviour, "--webhook-url", receiver.url, "--webhook-after", "0")
            with sandbox(log, *options, RATER_WEBHOOK_SECRET=SECRET) as gateway:
                await ask(gateway.url)
                while b'"told"' not in log.read_bytes():
                    await asyncio.sleep(0.01)
                return receiver.published, (await ask(gateway.url))[0]

    published, asked_again = asyncio.run(asyncio.wait_for(outcome(), 60))
    assert published == [PAID] * times
    assert asked_again == PAID
    assert len(read_charges(log)) == 1


def test_a_webhook_that_was_not_sent_before_a_kill_is_sent_after_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """kill -9 before the result was sent; the next process on the log sends it."""
    log = tmp_path / "charges.jsonl"

    async def outcome() -> list[PaymentCommand]:
        async with receiving(monkeypatch) as receiver:
            to = ("--webhook-url", receiver.url, "--webhook-after")
            with sandbox(log, "--script", "late", *to, "3600", RATER_WEBHOOK_SECRET=SECRET) as gateway:
                await ask(gateway.url)
                gateway.kill()
            assert receiver.published == []
            with sandbox(log, *to, "0", RATER_WEBHOOK_SECRET=SECRET):
                while b'"told"' not in log.read_bytes():
                    await asyncio.sleep(0.01)
            return receiver.published

    assert asyncio.run(asyncio.wait_for(outcome(), 60)) == [PAID]
    assert PAID.at - AT == timedelta(seconds=5)
