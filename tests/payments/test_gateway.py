import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from rater.agents.payments.answers import Cause, GatewayAnswer, Pending, Unknown
from rater.agents.payments.blocking import WaitingGateway
from rater.agents.payments.circuit import CircuitBreaker
from rater.agents.payments.http_gateway import HttpGateway
from rater.agents.payments.settings import GatewaySettings
from rater.core.inputs import PaymentFailed, PaymentSucceeded
from rater.dev.charge_log import read_charges
from rater.wire.errors import Exit, RaterError
from tests.payments.world import (
    AT,
    REQUEST,
    SECRET,
    ask,
    gateway_that_sends,
    http,
    payment,
    request,
    sandbox,
    settings,
)

PAID = PaymentSucceeded(
    tenant="contoso",
    id=f"payment-{REQUEST.id}-succeeded",
    at=AT + timedelta(seconds=5),
    recharge_id=REQUEST.id,
    amount="100",
    currency="USD",
)
DECLINED = PaymentFailed(
    tenant="contoso",
    id=f"payment-{REQUEST.id}-failed",
    at=AT + timedelta(seconds=5),
    recharge_id=REQUEST.id,
    reason="card_expired",
)
HTML = b"<!DOCTYPE html><html><body>Please sign in to the network</body></html>"


PENDING = Pending("contoso", REQUEST.id)
#: Behaviour, what the first question gives, what the second with the same key gives.
BEHAVIOURS = (
    ("approve", PAID, PAID),
    ("card_expired", DECLINED, DECLINED),
    ("late", PENDING, PENDING),
    ("twice", PAID, PAID),
    ("drop", Cause.UNREACHABLE, PAID),
    ("html", Cause.NOT_UNDERSTOOD, PAID),
    ("unavailable", Cause.UNAVAILABLE, PAID),
)


def test_what_a_gateway_does_and_what_it_says_when_asked_again(tmp_path: Path) -> None:
    """Each behaviour of the sandbox process, asked once, then again with the same key: one charge each in its log."""
    log = tmp_path / "charges.jsonl"
    nobody = ("--webhook-url", "http://127.0.0.1:9/", "--webhook-after", "3600")
    script = ",".join(behaviour for behaviour, _, _ in BEHAVIOURS)
    requests = [request(id=behaviour) for behaviour, _, _ in BEHAVIOURS]
    with sandbox(log, "--script", script, *nobody, RATER_WEBHOOK_SECRET=SECRET) as gateway:
        first = asyncio.run(ask(gateway.url, *requests, attempts_max=1))
        again = asyncio.run(ask(gateway.url, *requests, attempts_max=1))
    outcomes = [
        (asked.id, *[_of_the_example(answer, asked.id) for answer in answers])
        for asked, *answers in zip(requests, first, again, strict=True)
    ]
    assert outcomes == list(BEHAVIOURS)
    assert [charge.key for charge in read_charges(log)] == [behaviour for behaviour, _, _ in BEHAVIOURS]


def _of_the_example(answer: GatewayAnswer, recharge: str) -> object:
    """The answer as it would be for REQUEST; of an unknown outcome, the cause."""
    if isinstance(answer, Unknown):
        return answer.cause
    changes = {"recharge_id": REQUEST.id}
    if not isinstance(answer, Pending):
        changes["id"] = answer.id.replace(f"-{recharge}-", f"-{REQUEST.id}-")
    return msgspec.structs.replace(answer, **changes)


def test_the_money_is_taken_once_although_the_gateway_was_killed(tmp_path: Path) -> None:
    """kill -9 after the charge and before the answer; a new process on the same log is asked with the same key."""
    log = tmp_path / "charges.jsonl"
    with sandbox(log, "--script", "drop") as gateway:
        lost = asyncio.run(ask(gateway.url, attempts_max=1))
        gateway.kill()
    assert isinstance(lost[0], Unknown)
    with sandbox(log) as gateway:
        assert asyncio.run(ask(gateway.url)) == [PAID]
    assert [(charge.key, charge.status) for charge in read_charges(log)] == [(REQUEST.id, "succeeded")]


def test_one_call_asks_until_it_is_answered(tmp_path: Path) -> None:
    """A dropped connection and a 503 pass by themselves within one call."""
    log = tmp_path / "charges.jsonl"
    with sandbox(log, "--script", "drop,unavailable") as gateway:
        answers = asyncio.run(ask(gateway.url, REQUEST, request(id="another")))
    assert [type(answer) for answer in answers] == [PaymentSucceeded, PaymentSucceeded]
    assert [charge.key for charge in read_charges(log)] == [REQUEST.id, "another"]


def test_asked_by_two_at_the_same_time(tmp_path: Path) -> None:
    """Two workers that hold the same request: one charge, the same command for both."""

    async def both(url: str) -> list[GatewayAnswer]:
        async with HttpGateway(settings(url)) as gateway:
            return list(await asyncio.gather(gateway.collect(REQUEST), gateway.collect(REQUEST)))

    with sandbox(tmp_path / "charges.jsonl") as gateway:
        assert asyncio.run(both(gateway.url)) == [PAID, PAID]
    assert len(read_charges(tmp_path / "charges.jsonl")) == 1


@pytest.mark.parametrize(
    ("answer", "cause", "says"),
    [
        (http(200, HTML, "text/html"), Cause.NOT_UNDERSTOOD, "text/html that starts '<!DOCTYPE html>"),
        (http(200, b"\x00\xff\x10"), Cause.NOT_UNDERSTOOD, "expected a payment as JSON"),
        (http(200, b""), Cause.NOT_UNDERSTOOD, "expected a payment as JSON"),
        (http(200, b"[]"), Cause.NOT_UNDERSTOOD, "body"),
        (http(200, b"{}"), Cause.NOT_UNDERSTOOD, "recharge_id: Field required"),
        (http(200, b"[" * 5000), Cause.NOT_UNDERSTOOD, "expected a payment as JSON"),
        (http(200, b'"' + b"x" * 70_000 + b'"'), Cause.NOT_UNDERSTOOD, "more than 65536 bytes"),
        (http(200, payment(amount=100)), Cause.NOT_UNDERSTOOD, "amount: Input should be a valid string"),
        (http(200, payment(amount="1e2")), Cause.NOT_UNDERSTOOD, "expected a decimal amount"),
        (http(200, payment(status="maybe")), Cause.NOT_UNDERSTOOD, "status"),
        (http(200, payment()[:-1] + b',"amount":"1"}'), Cause.NOT_UNDERSTOOD, "amount: expected every field once"),
        (http(200, payment(status="failed")), Cause.NOT_UNDERSTOOD, "answered 200 with a payment that is failed"),
        (http(402, payment()), Cause.NOT_UNDERSTOOD, "answered 402 with a payment that is succeeded"),
        (http(204), Cause.NOT_UNDERSTOOD, "status 204"),
        (http(302, b"", "text/html", "location: http://127.0.0.1:9/"), Cause.NOT_UNDERSTOOD, "status 302"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", Cause.NOT_UNDERSTOOD, "expected HTTP: Bad status line"),
        (b"", Cause.UNREACHABLE, "ServerDisconnectedError"),
        (http(401, b"{}"), Cause.REFUSED, "answered 401: look at token"),
        (http(404, HTML, "text/html"), Cause.REFUSED, "answered 404"),
        (http(500, HTML, "text/html"), Cause.UNAVAILABLE, "answered 500"),
        (http(429), Cause.BUSY, "answered 429"),
        (http(409), Cause.BUSY, "answered 409"),
        (http(200, payment(recharge_id="other")), Cause.MISMATCH, f"expected {REQUEST.id}, got other"),
        (http(200, payment(tenant="fabrikam")), Cause.MISMATCH, "expected contoso, got fabrikam"),
        (http(200, payment(amount="10")), Cause.MISMATCH, "expected 100, got 10"),
        (http(200, payment(currency="EUR")), Cause.MISMATCH, "expected USD, got EUR"),
        (None, Cause.TIMED_OUT, "no answer within 0.3 s"),
    ],
)
def test_an_answer_that_is_no_clear_answer(answer: bytes | None, cause: Cause, says: str) -> None:
    """Neither a success nor a decline: unknown, with one clear line in the log."""

    async def asked() -> Any:
        async with gateway_that_sends(answer) as (url, _):
            return (await ask(url, attempts_max=1, answer_timeout_s=0.3))[0]

    with capture_logs() as logs:
        unknown = asyncio.run(asked())
    assert isinstance(unknown, Unknown)
    assert (unknown.tenant, unknown.recharge_id, unknown.cause) == ("contoso", REQUEST.id, cause)
    assert says in unknown.message
    assert [(entry["event"], entry["cause"]) for entry in logs] == [("payment.unknown", cause.value)]


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        (payment(amount="100.00"), 200, PAID),
        (payment(fee="0.30", psp={"name": "x"}), 201, PAID),
        (payment(status="pending"), 202, Pending("contoso", REQUEST.id)),
        (payment(status="failed", reason="card_expired"), 402, DECLINED),
        (payment(settled_at="2025-03-10T11:01:05+01:00"), 200, PAID),
    ],
)
def test_answers_of_other_gateways(body: bytes, status: int, expected: object) -> None:
    """The same amount written otherwise, fields we do not know, a time in another zone."""

    async def asked() -> object:
        async with gateway_that_sends(http(status, body)) as (url, _):
            return (await ask(url))[0]

    assert asyncio.run(asked()) == expected


@pytest.mark.parametrize(
    ("settled_at", "counts"),
    [
        ("2025-03-10T12:01:00Z", timedelta(hours=2)),
        ("2025-03-10T09:00:00Z", timedelta(0)),
        ("2099-01-01T00:00:00Z", timedelta(days=31)),
    ],
)
def test_the_clock_of_the_gateway_is_not_trusted_far(settled_at: str, counts: timedelta) -> None:
    """A payment is not answered before it was asked for, and never years later: that would expire all funds."""

    async def asked() -> Any:
        async with gateway_that_sends(http(200, payment(settled_at=settled_at))) as (url, _):
            return (await ask(url))[0]

    assert asyncio.run(asked()).at - AT == counts


def test_every_attempt_is_the_same_request_with_the_same_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three attempts, byte for byte: the key, the token from its variable, the order."""
    monkeypatch.setenv("PAY_TOKEN", "s3cret")

    async def asked() -> list[bytes]:
        async with gateway_that_sends(http(503), http(429), http(200, payment())) as (url, read):
            assert await ask(url, token={"env": "PAY_TOKEN"}) == [PAID]
            return read

    sent = asyncio.run(asked())
    assert len(sent) == 3
    assert len(set(sent)) == 1
    assert f"idempotency-key: {REQUEST.id}".encode() in sent[0].lower()
    assert b"authorization: bearer s3cret" in sent[0].lower()
    assert sent[0].endswith(
        b'{"recharge_id":"376b42902d5597f81d7284cb597dc3b2","tenant":"contoso","amount":"100","currency":"USD",'
        b'"requested_at":"2025-03-10T10:01:00Z"}'
    )


def test_a_gateway_that_fails_in_a_row_is_left_alone_for_a_while() -> None:
    """Three failures open the circuit; after 30 s one probe passes; an answer closes it."""
    now = [0.0]

    async def asked() -> tuple[list[Any], int]:
        async with gateway_that_sends(http(500), http(500), http(500), http(500), http(200, payment())) as (
            url,
            read,
        ):
            circuit = CircuitBreaker(3, 30, lambda: now[0])
            answers = []
            async with HttpGateway(settings(url, attempts_max=1), circuit=circuit) as gateway:
                for now[0] in (0, 1, 2, 3, 32, 33, 62, 63):
                    answer = await gateway.collect(REQUEST)
                    answers.append(answer.cause.value if isinstance(answer, Unknown) else "paid")
            return answers, len(read)

    answers, sent = asyncio.run(asked())
    assert answers == ["unavailable"] * 3 + ["circuit_open", "unavailable", "circuit_open", "paid", "paid"]
    assert sent == 3 + 1 + 2


def test_a_circuit_that_opens_during_one_call_says_why() -> None:
    """The last real cause is reported, because something was sent."""

    async def asked() -> Any:
        async with gateway_that_sends(http(500)) as (url, read):
            return (await ask(url, circuit_failures_max=2))[0], len(read)

    unknown, sent = asyncio.run(asked())
    assert (unknown.cause, sent) == (Cause.UNAVAILABLE, 2)


def test_a_probe_that_was_cancelled_does_not_close_the_way_for_ever() -> None:
    """Its report never comes; the next probe passes after the same wait."""
    now = [0.0]
    circuit = CircuitBreaker(1, 30, lambda: now[0])
    circuit.failed()
    passed = []
    for now[0] in (0, 30, 31, 59, 60):
        passed.append(circuit.admits())
    assert passed == [False, True, False, False, True]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"url": "pay.example.com"}, "expected an address"),
        ({"url": "http://pay.example.com"}, "expected https"),
        ({"url": "https://user:pw@pay.example.com"}, "expected no password"),
        ({"url": "https://pay.example.com", "token": {}}, "either file or env"),
        ({"url": "https://pay.example.com", "tocken": {}}, "Extra inputs"),
        ({"url": "https://pay.example.com", "attempts_max": 0}, "greater than or equal to 1"),
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, Any], says: str) -> None:
    """Each says what was expected."""
    with pytest.raises(ValidationError, match=says):
        GatewaySettings.model_validate(wrong)


def test_secrets_come_from_a_file_or_a_variable(tmp_path: Path) -> None:
    """A missing one is reported at the start, by its place."""
    with pytest.raises(RaterError, match="environment variable RATER_NO_SUCH_VARIABLE"):
        HttpGateway(settings("https://pay.example.com", token={"env": "RATER_NO_SUCH_VARIABLE"}))
    with pytest.raises(RaterError, match=r"token.txt cannot be read"):
        HttpGateway(settings("https://pay.example.com", token={"file": tmp_path / "token.txt"}))
    (tmp_path / "token.txt").write_text("\n")
    with pytest.raises(RaterError, match="first line"):
        HttpGateway(settings("https://pay.example.com", token={"file": tmp_path / "token.txt"}))


def test_the_waiting_gateway_asks_until_the_result_is_known(tmp_path: Path) -> None:
    """For the embedded rater: a lost answer is asked for again, at the time of the records."""
    with sandbox(tmp_path / "charges.jsonl", "--script", "drop,html,card_expired") as gateway:
        waiting = WaitingGateway(settings(gateway.url), (0, 0))
        assert waiting.collect(REQUEST) == PAID
        assert waiting.collect(request(id="b")).id == "payment-b-succeeded"
        assert waiting.collect(request(id="c")).id == "payment-c-failed"
    assert [charge.key for charge in read_charges(tmp_path / "charges.jsonl")] == [REQUEST.id, "b", "c"]


def test_the_waiting_gateway_gives_up_with_one_clear_error() -> None:
    """Nobody listens: the run ends, nothing is lost, nothing was declined."""
    waiting = WaitingGateway(settings("http://127.0.0.1:9"), (0, 0))
    with pytest.raises(RaterError, match=r"is not known .unreachable: .* run again") as raised:
        waiting.collect(REQUEST)
    assert raised.value.exit is Exit.PAYMENT_UNKNOWN


def test_a_gateway_is_used_inside_its_session() -> None:
    """A missing `async with` is a bug, and raises."""
    with pytest.raises(AssertionError, match="outside of `async with`"):
        asyncio.run(HttpGateway(settings("http://127.0.0.1:9")).collect(REQUEST))


def test_the_key_with_another_order_is_refused(tmp_path: Path) -> None:
    """The sandbox, as real gateways do: 422, and what was charged stays."""

    async def other(url: str) -> int:
        body = payment(amount="5", status=None, requested_at="2025-03-10T10:01:00Z")
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{url}/v1/payments", data=body, headers={"Idempotency-Key": REQUEST.id}) as response,
        ):
            return response.status

    with sandbox(tmp_path / "charges.jsonl") as gateway:
        assert asyncio.run(ask(gateway.url)) == [PAID]
        assert asyncio.run(other(gateway.url)) == 422
        (refused,) = asyncio.run(ask(gateway.url, request(amount="5")))
    assert isinstance(refused, Unknown)
    assert refused.cause is Cause.REFUSED
