"""The payment gateway over HTTP: asks, waits, asks again with the same key, and says what it knows.

A payment is asked for under its recharge id, so that the gateway takes the money once however often it is asked.
Whatever is not a clear answer is `Unknown`: never a success, never a decline.
Whoever holds the request asks again later.
"""

import ssl
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, assert_never

import aiohttp
import stamina
import structlog

from rater.agents.payments.answers import Cause, GatewayAnswer, Mismatched, Pending, Unknown, answer_of
from rater.agents.payments.circuit import CircuitBreaker
from rater.agents.payments.settings import GatewaySettings
from rater.agents.payments.wire import (
    BODY_BYTES_MAX,
    KEY_HEADER,
    PAYMENTS_PATH,
    BodyError,
    Payment,
    PaymentOrder,
    read_body,
)
from rater.core import PaymentFailed, PaymentSucceeded, RechargeRequest
from rater.ops.metrics import labels
from rater.ops.metrics.meter import Metrics

#: Statuses whose body is a payment.
_ANSWERED = frozenset({200, 201, 202, 402})
#: The gateway is at work or overloaded: the same request is sent again.
_BUSY = frozenset({409, 425, 429})
#: Causes after which the gateway's next failure may be the one that opens the circuit.
_FAILURES = frozenset({Cause.UNREACHABLE, Cause.TIMED_OUT, Cause.UNAVAILABLE, Cause.BUSY, Cause.NOT_UNDERSTOOD})
#: Causes for which the same call tries again.
_PASSING = frozenset({Cause.UNREACHABLE, Cause.TIMED_OUT, Cause.UNAVAILABLE, Cause.BUSY})
_EXCERPT = 60

log = structlog.get_logger("rater.agents.payments")


class _TryAgain(Exception):
    """What may pass by itself: the same request is sent again."""


class HttpGateway:
    """One HTTP payment gateway; used as `async with HttpGateway(settings) as gateway`."""

    def __init__(
        self,
        settings: GatewaySettings,
        *,
        circuit: CircuitBreaker | None = None,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
        metrics: Metrics | None = None,
    ) -> None:
        self.settings = settings
        self._metrics = metrics
        self.circuit = circuit or CircuitBreaker(settings.circuit_failures_max, settings.circuit_open_s, clock)
        self._tls = tls
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if settings.token is not None:
            self._headers["Authorization"] = f"Bearer {settings.token.read('the payment gateway token')}"
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(
            total=self.settings.answer_timeout_s, sock_connect=self.settings.connect_timeout_s
        )
        connector = aiohttp.TCPConnector(ssl=self._tls if self._tls is not None else True)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=timeout, headers=self._headers, cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(
        self, type: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def collect(self, request: RechargeRequest) -> GatewayAnswer:
        """Ask for a payment; the same request asked again is never paid twice.  Raises nothing of the network."""
        answer = await self._ask_until_answered(request)
        facts = {"tenant": request.tenant, "recharge_id": request.id, "gateway": self.settings.url}
        match answer:
            case PaymentSucceeded():
                log.info("payment.succeeded", amount=request.amount, currency=request.currency, **facts)
            case PaymentFailed(reason=reason):
                log.info("payment.failed", reason=reason, **facts)
            case Pending():
                log.info("payment.pending", **facts)
            case Unknown(cause=cause, message=message):
                log.error("payment.unknown", cause=cause.value, message=message, **facts)
            case _:
                assert_never(answer)
        if self._metrics is not None:
            self._metrics.gateway_answer(label_of(answer))
        return answer

    async def _ask_until_answered(self, request: RechargeRequest) -> GatewayAnswer:
        settings = self.settings
        attempts = stamina.retry_context(
            on=_TryAgain,
            attempts=settings.attempts_max,
            timeout=settings.retry_within_s,
            wait_initial=settings.retry_wait_initial_s,
            wait_max=settings.retry_wait_max_s,
            wait_jitter=settings.retry_wait_initial_s,
        )
        passing: Unknown | None = None
        try:
            async for attempt in attempts:
                with attempt:
                    answer = await self._ask_once(request)
                    if not isinstance(answer, Unknown):
                        return answer
                    if answer.cause not in _PASSING:
                        return passing or answer if answer.cause is Cause.CIRCUIT_OPEN else answer
                    passing = answer
                    raise _TryAgain(answer.message)
        except _TryAgain:
            assert passing is not None
            return passing
        raise AssertionError("at least one attempt is made")

    async def _ask_once(self, request: RechargeRequest) -> GatewayAnswer:
        if not self.circuit.admits():
            message = "it failed often in a row and is left alone for a while; nothing was sent"
            return _unknown(request, Cause.CIRCUIT_OPEN, message)
        answer = await self._post(request)
        if not isinstance(answer, Unknown):
            self.circuit.succeeded()
        elif answer.cause in _FAILURES:
            self.circuit.failed()
        return answer

    async def _post(self, request: RechargeRequest) -> GatewayAnswer:
        assert self._session is not None, "used outside of `async with`"
        url = self.settings.url + PAYMENTS_PATH
        headers = {KEY_HEADER: request.id}
        try:
            async with self._session.post(
                url, data=order_bytes(request), headers=headers, allow_redirects=False
            ) as response:
                raw = await read_up_to(response.content, BODY_BYTES_MAX)
                return _read_answer(request, response.status, response.content_type, raw)
        except TimeoutError:
            return _unknown(request, Cause.TIMED_OUT, f"no answer within {self.settings.answer_timeout_s:g} s")
        except aiohttp.ClientResponseError as wrong:
            return _unknown(request, Cause.NOT_UNDERSTOOD, f"expected HTTP: {' '.join(wrong.message.split())}")
        except (aiohttp.ClientError, OSError) as wrong:
            return _unknown(request, Cause.UNREACHABLE, f"{type(wrong).__name__}: {wrong}")


def order_bytes(request: RechargeRequest) -> bytes:
    """The body that asks for a payment: the same bytes for the same request."""
    order = PaymentOrder(
        recharge_id=request.id,
        tenant=request.tenant,
        amount=request.amount,
        currency=request.currency,
        requested_at=request.at,
    )
    return order.model_dump_json().encode()


_LABEL_OF = {
    Cause.UNREACHABLE: labels.GatewayAnswer.UNREACHABLE,
    Cause.TIMED_OUT: labels.GatewayAnswer.UNREACHABLE,
    Cause.UNAVAILABLE: labels.GatewayAnswer.UNAVAILABLE,
    Cause.BUSY: labels.GatewayAnswer.UNAVAILABLE,
    Cause.CIRCUIT_OPEN: labels.GatewayAnswer.CIRCUIT_OPEN,
    Cause.NOT_UNDERSTOOD: labels.GatewayAnswer.MALFORMED,
    Cause.REFUSED: labels.GatewayAnswer.REFUSED,
    Cause.MISMATCH: labels.GatewayAnswer.MISMATCHED,
}


def label_of(answer: GatewayAnswer) -> labels.GatewayAnswer:
    """What an answer is counted as."""
    match answer:
        case PaymentSucceeded():
            return labels.GatewayAnswer.APPROVED
        case PaymentFailed():
            return labels.GatewayAnswer.DECLINED
        case Pending():
            return labels.GatewayAnswer.PENDING
        case Unknown(cause=cause):
            return _LABEL_OF[cause]
        case _:
            assert_never(answer)


async def read_up_to(stream: aiohttp.StreamReader, limit: int) -> bytes | None:
    """The whole body, or None if it is longer than any body of this interface."""
    body = bytearray()
    async for chunk in stream.iter_any():
        body += chunk
        if len(body) > limit:
            return None
    return bytes(body)


def _read_answer(request: RechargeRequest, status: int, content_type: str, raw: bytes | None) -> GatewayAnswer:
    if status in _BUSY:
        return _unknown(request, Cause.BUSY, f"it answered {status}: come back later")
    if status >= 500:
        return _unknown(request, Cause.UNAVAILABLE, f"it answered {status}")
    if status not in _ANSWERED and status >= 400:
        return _unknown(request, Cause.REFUSED, f"it answered {status}: look at token, address and version")
    if raw is None or status not in _ANSWERED:
        why = f"more than {BODY_BYTES_MAX} bytes" if raw is None else f"status {status}"
        return _unknown(request, Cause.NOT_UNDERSTOOD, f"expected a payment as JSON, got {why}")
    try:
        payment = read_body(Payment, raw)
    except BodyError as wrong:
        start = raw[:_EXCERPT].decode(errors="replace")
        message = f"expected a payment as JSON, got {content_type} that starts {start!r}: {wrong}"
        return _unknown(request, Cause.NOT_UNDERSTOOD, message)
    if (status == 402) != (payment.status == "failed"):
        message = f"it answered {status} with a payment that is {payment.status}"
        return _unknown(request, Cause.NOT_UNDERSTOOD, message)
    answer = answer_of(payment, request)
    if isinstance(answer, Mismatched):
        return _unknown(request, Cause.MISMATCH, answer.message)
    return answer


def _unknown(request: RechargeRequest, cause: Cause, message: str) -> Unknown:
    return Unknown(request.tenant, request.id, cause, message)
