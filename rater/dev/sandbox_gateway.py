"""A sandbox payment gateway: the interface of `rater.agents.payments.wire`, with the misbehaviour of real ones.

It charges once for each idempotency key, from a log on disk; the charge is on the disk before the answer
leaves.  Settlement times are made from the order, so that a scenario gives the same bytes every time.
"""

import asyncio
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus

import aiohttp
import stamina
import structlog
from aiohttp import web
from standardwebhooks import Webhook

from rater.agents.payments.wire import (
    BODY_BYTES_MAX,
    KEY_HEADER,
    PAYMENTS_PATH,
    BodyError,
    Payment,
    PaymentNotice,
    PaymentOrder,
    read_body,
)
from rater.agents.signed_webhooks import signed_headers
from rater.dev.charge_log import Charge, ChargeLog, Notified
from rater.dev.sandbox_rules import DECLINES, WEBHOOKS, Behaviour, Rules
from rater.engine.gateway import ANSWERED_AFTER
from rater.wire.errors import RaterError

#: A webhook that is not accepted is sent again this often, with growing waits, then left until the next start.
WEBHOOK_ATTEMPTS_MAX = 60
WEBHOOK_TIMEOUT_S = 10
_HTML = "<!DOCTYPE html><html><body><h1>Welcome</h1><p>Please sign in to the network.</p></body></html>"
log = structlog.get_logger("rater.dev.sandbox_gateway")


class WebhookTarget:
    """Where results are sent, and the key that they are signed with."""

    def __init__(self, url: str, signer: Webhook, after_s: float = 1.0) -> None:
        self.url = url
        self.signer = signer
        self.after_s = after_s


class _NotAccepted(Exception):
    """A webhook that is sent again."""


class Sandbox:
    """The gateway's answers; `application` is what a server serves."""

    def __init__(self, charges: ChargeLog, rules: Rules, target: WebhookTarget | None = None) -> None:
        if target is None and rules.may((Behaviour.LATE, Behaviour.TWICE)):
            raise RaterError("late and twice answer by webhook: set its address with --webhook-url")
        self._charges = charges
        self._rules = rules
        self._target = target
        self._turned_away: set[str] = set()
        self._notifying: set[asyncio.Task[None]] = set()

    def application(self) -> web.Application:
        """The HTTP application; webhooks that were not accepted before the last end are sent when it starts."""
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_post(PAYMENTS_PATH, self.ask)
        app.on_startup.append(self._resume)
        app.on_cleanup.append(self._stop)
        return app

    async def ask(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/payments."""
        try:
            order = read_body(PaymentOrder, await request.read())
        except BodyError as wrong:
            return _refusal(HTTPStatus.BAD_REQUEST, f"expected a payment order: {wrong}")
        key = request.headers.get(KEY_HEADER, "")
        if not key:
            return _refusal(HTTPStatus.BAD_REQUEST, f"expected the header {KEY_HEADER}")
        known = self._charges.find(key)
        if known is not None:
            return self._repeat(known, order)
        behaviour = self._behaviour_of(key, order)
        if behaviour is None:
            return _refusal(HTTPStatus.SERVICE_UNAVAILABLE, "come back later; nothing was charged")
        charge = _decide(key, order, behaviour)
        self._charges.append(charge)
        return self._first_answer(charge, behaviour, request)

    def _behaviour_of(self, key: str, order: PaymentOrder) -> Behaviour | None:
        """What a new order meets; None turns it away, once."""
        if key in self._turned_away:
            self._turned_away.discard(key)
            return Behaviour.APPROVE
        behaviour = self._rules.choose(order)
        if behaviour is not Behaviour.UNAVAILABLE:
            return behaviour
        self._turned_away.add(key)
        return None

    def _first_answer(self, charge: Charge, behaviour: Behaviour, request: web.Request) -> web.StreamResponse:
        if behaviour in WEBHOOKS:
            self._notify(charge, WEBHOOKS[behaviour])
        if behaviour is Behaviour.LATE:
            return _payment(charge, pending=True)
        if behaviour is Behaviour.HTML:
            return web.Response(text=_HTML, content_type="text/html")
        if behaviour is Behaviour.DROP and request.transport is not None:
            request.transport.abort()
        return _payment(charge)

    def _repeat(self, charge: Charge, order: PaymentOrder) -> web.StreamResponse:
        same = (order.recharge_id, order.tenant, order.amount, order.currency)
        if same != (charge.recharge_id, charge.tenant, charge.amount, charge.currency):
            return _refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "this key came with another order")
        waits = charge.behaviour == Behaviour.LATE.value and not self._charges.was_notified(charge.key)
        return _payment(charge, pending=waits)

    def _notify(self, charge: Charge, times: int) -> None:
        if self._target is None:
            return
        task = asyncio.create_task(self._send(self._target, charge, times))
        self._notifying.add(task)
        task.add_done_callback(self._notifying.discard)

    async def _send(self, target: WebhookTarget, charge: Charge, times: int) -> None:
        await asyncio.sleep(target.after_s)
        notice = PaymentNotice.model_validate(
            {"type": f"payment.{charge.status}", "data": _payment_of(charge).model_dump()}
        )
        body = notice.model_dump_json(exclude_none=True).encode()
        timeout = aiohttp.ClientTimeout(total=WEBHOOK_TIMEOUT_S)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session:
                for _ in range(times):
                    await self._send_until_accepted(session, target, charge, body)
        except _NotAccepted as last:
            log.warning("webhook.given_up", key=charge.key, message=str(last))
            return
        if not self._charges.was_notified(charge.key):
            self._charges.append(Notified(key=charge.key))

    async def _send_until_accepted(
        self, session: aiohttp.ClientSession, target: WebhookTarget, charge: Charge, body: bytes
    ) -> None:
        attempts = stamina.retry_context(
            on=_NotAccepted, attempts=WEBHOOK_ATTEMPTS_MAX, timeout=None, wait_initial=0.2, wait_max=10
        )
        async for attempt in attempts:
            with attempt:
                headers = signed_headers(target.signer, f"msg_{charge.key}", body, datetime.now(UTC))
                try:
                    async with session.post(target.url, data=body, headers=headers) as response:
                        status = response.status
                except (aiohttp.ClientError, OSError) as wrong:
                    raise _NotAccepted(f"{target.url}: {wrong}") from wrong
                if status >= 300:
                    raise _NotAccepted(f"{target.url} answered {status}")

    async def _resume(self, _app: web.Application) -> None:
        for charge in self._charges.charges():
            times = WEBHOOKS.get(Behaviour(charge.behaviour), 0)
            if times and not self._charges.was_notified(charge.key):
                self._notify(charge, times)

    async def _stop(self, _app: web.Application) -> None:
        for task in self._notifying:
            task.cancel()
        await asyncio.gather(*self._notifying, return_exceptions=True)


async def serve(sandbox: Sandbox, port: int, ready: Callable[[str], None]) -> None:
    """Serve on 127.0.0.1 until SIGINT or SIGTERM; `ready` gets the address (port 0: a free one)."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    runner = web.AppRunner(sandbox.application())
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        ready(f"http://127.0.0.1:{runner.addresses[0][1]}")
        await stopped.wait()
    except OSError as wrong:
        raise RaterError(f"--port {port}: {wrong.strerror}; --port 0 chooses a free one") from wrong
    finally:
        await runner.cleanup()


def _decide(key: str, order: PaymentOrder, behaviour: Behaviour) -> Charge:
    declined = behaviour in DECLINES
    return Charge(
        key=key,
        recharge_id=order.recharge_id,
        tenant=order.tenant,
        amount=order.amount,
        currency=order.currency,
        requested_at=order.requested_at,
        behaviour=behaviour.value,
        status="failed" if declined else "succeeded",
        settled_at=order.requested_at + ANSWERED_AFTER,
        reason=behaviour.value if declined else None,
    )


def _payment_of(charge: Charge, *, pending: bool = False) -> Payment:
    return Payment(
        recharge_id=charge.recharge_id,
        tenant=charge.tenant,
        status="pending" if pending else charge.status,
        amount=charge.amount,
        currency=charge.currency,
        reason=None if pending else charge.reason,
        settled_at=None if pending else charge.settled_at,
    )


def _payment(charge: Charge, *, pending: bool = False) -> web.Response:
    payment = _payment_of(charge, pending=pending)
    status = {"pending": HTTPStatus.ACCEPTED, "succeeded": HTTPStatus.OK, "failed": HTTPStatus.PAYMENT_REQUIRED}
    return web.Response(
        text=payment.model_dump_json(exclude_none=True),
        status=status[payment.status],
        content_type="application/json",
    )


def _refusal(status: HTTPStatus, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)
