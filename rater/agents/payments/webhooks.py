"""Results that the gateway sends by itself: signed webhooks (Standard Webhooks) become commands.

The library compares in constant time and refuses what was signed more than five minutes ago or ahead.  A webhook
that comes twice gives the same command with the same id, so the second is a duplicate to the rater.
The caller keeps requests and publishes commands.
"""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

import msgspec
import structlog
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from rater.agents.payments.answers import Mismatch, Mismatched, Pending, answer_of
from rater.agents.payments.http_gateway import read_up_to
from rater.agents.payments.settings import GatewaySettings
from rater.agents.payments.wire import BODY_BYTES_MAX, BodyError, PaymentNotice, read_body
from rater.agents.signed_webhooks import ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, signer_of
from rater.core import ClosedList, PaymentFailed, PaymentSucceeded, RechargeRequest
from rater.ops.metrics.labels import WebhookResult
from rater.ops.metrics.meter import Metrics
from rater.wire.errors import RaterError

log = structlog.get_logger("rater.agents.payments")


class WebhookRefusal(ClosedList):
    """Why a webhook changed nothing."""

    TOO_LARGE = "too_large"  # larger than any webhook of this interface
    UNSIGNED = "unsigned"  # a header of the signature is missing, comes twice or is no such header
    STALE = "stale"  # signed more than five minutes ago or ahead: replayed, or a clock is wrong
    FORGED = "forged"  # the signature is not made with our key from this body
    MALFORMED = "malformed"  # signed, but the body is no payment notice
    UNKNOWN_RECHARGE = "unknown_recharge"  # we asked for no such recharge, or have not read yet that we did
    OTHER_TENANT = "other_tenant"  # the recharge was asked for by another tenant
    OTHER_AMOUNT = "other_amount"  # more or less than was asked for
    OTHER_CURRENCY = "other_currency"  # not the currency that was asked for


#: The answer to the sender; 404 makes it try again later, when the request may have been read.
STATUS_OF = {
    WebhookRefusal.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    WebhookRefusal.UNSIGNED: HTTPStatus.UNAUTHORIZED,
    WebhookRefusal.STALE: HTTPStatus.UNAUTHORIZED,
    WebhookRefusal.FORGED: HTTPStatus.UNAUTHORIZED,
    WebhookRefusal.MALFORMED: HTTPStatus.BAD_REQUEST,
    WebhookRefusal.UNKNOWN_RECHARGE: HTTPStatus.NOT_FOUND,
    WebhookRefusal.OTHER_TENANT: HTTPStatus.UNPROCESSABLE_ENTITY,
    WebhookRefusal.OTHER_AMOUNT: HTTPStatus.UNPROCESSABLE_ENTITY,
    WebhookRefusal.OTHER_CURRENCY: HTTPStatus.UNPROCESSABLE_ENTITY,
}
#: What a refusal is counted as.
RESULT_OF = {
    WebhookRefusal.TOO_LARGE: WebhookResult.FORGED,
    WebhookRefusal.UNSIGNED: WebhookResult.FORGED,
    WebhookRefusal.FORGED: WebhookResult.FORGED,
    WebhookRefusal.STALE: WebhookResult.STALE,
    WebhookRefusal.MALFORMED: WebhookResult.MISMATCHED,
    WebhookRefusal.UNKNOWN_RECHARGE: WebhookResult.MISMATCHED,
    WebhookRefusal.OTHER_TENANT: WebhookResult.MISMATCHED,
    WebhookRefusal.OTHER_AMOUNT: WebhookResult.MISMATCHED,
    WebhookRefusal.OTHER_CURRENCY: WebhookResult.MISMATCHED,
}
_REFUSAL_OF = {
    Mismatch.OTHER_RECHARGE: WebhookRefusal.UNKNOWN_RECHARGE,
    Mismatch.OTHER_TENANT: WebhookRefusal.OTHER_TENANT,
    Mismatch.OTHER_AMOUNT: WebhookRefusal.OTHER_AMOUNT,
    Mismatch.OTHER_CURRENCY: WebhookRefusal.OTHER_CURRENCY,
}
#: The library has one exception for everything; these are its words for a time outside of the window.
_STALE = ("Message timestamp too old", "Message timestamp too new")
_NO_HEADER = ("Missing required headers", "Invalid Signature Headers")

PaymentCommand = PaymentSucceeded | PaymentFailed
#: Looks up what was asked for under a recharge id; None if nothing was.
FindRequest = Callable[[str], Awaitable[RechargeRequest | None]]
#: Returns once the command cannot be lost any more; False where it is known to have been applied before.
Publish = Callable[[PaymentCommand], Awaitable[bool | None]]


class RefusedWebhook(msgspec.Struct, frozen=True):
    """A webhook that changes nothing; the message says what was expected."""

    reason: WebhookRefusal
    message: str


def verified_notice(
    signers: list[Webhook], body: bytes, headers: Mapping[str, str]
) -> PaymentNotice | RefusedWebhook:
    """The notice of a body that was signed with one of our keys, just now; or why not."""
    refused = RefusedWebhook(WebhookRefusal.FORGED, "expected a signature made with our key from this body")
    for signer in signers:
        found = _verify(signer, body, headers)
        if found is None:
            break
        refused = found
    else:
        return refused
    try:
        return read_body(PaymentNotice, body)
    except BodyError as wrong:
        return RefusedWebhook(WebhookRefusal.MALFORMED, f"expected a payment notice: {wrong}")


def _verify(signer: Webhook, body: bytes, headers: Mapping[str, str]) -> RefusedWebhook | None:
    try:
        signer.verify(body, dict(headers), json_parse=False)
    except WebhookVerificationError as wrong:
        if str(wrong) in _STALE:
            return RefusedWebhook(WebhookRefusal.STALE, "expected a webhook signed within the last five minutes")
        if str(wrong) in _NO_HEADER:
            expected = f"{ID_HEADER}, {TIMESTAMP_HEADER} and {SIGNATURE_HEADER}"
            return RefusedWebhook(WebhookRefusal.UNSIGNED, f"expected the headers {expected}")
    except ValueError:  # a signature that is no base64, or without its version; a body that is no UTF-8
        pass
    else:
        return None
    return RefusedWebhook(WebhookRefusal.FORGED, "expected a signature made with our key from this body")


class WebhookReceiver:
    """Turns the gateway's webhooks into commands: `receive` for bytes, `respond` as an aiohttp handler."""

    def __init__(
        self,
        settings: GatewaySettings,
        find_request: FindRequest,
        publish: Publish,
        metrics: Metrics | None = None,
    ) -> None:
        if not settings.webhook_secrets:
            raise RaterError("webhook_secrets: expected the key of the payment gateway's webhooks, got none")
        purpose = "the key of the payment gateway's webhooks"
        self._signers = [signer_of(source.read(purpose), purpose) for source in settings.webhook_secrets]
        self._find_request = find_request
        self._publish = publish
        self._metrics = metrics

    async def receive(self, body: bytes, headers: Mapping[str, str]) -> PaymentCommand | RefusedWebhook:
        """The command that a webhook stands for, not published yet; or why it changes nothing."""
        if len(body) > BODY_BYTES_MAX:
            return RefusedWebhook(WebhookRefusal.TOO_LARGE, f"expected at most {BODY_BYTES_MAX} bytes")
        notice = verified_notice(self._signers, body, headers)
        if isinstance(notice, RefusedWebhook):
            return notice
        request = await self._find_request(notice.data.recharge_id)
        if request is None:
            message = f"expected a recharge that was asked for, got {notice.data.recharge_id}"
            return RefusedWebhook(WebhookRefusal.UNKNOWN_RECHARGE, message)
        answer = answer_of(notice.data, request)
        if isinstance(answer, Mismatched):
            return RefusedWebhook(_REFUSAL_OF[answer.kind], answer.message)
        assert not isinstance(answer, Pending), "a notice is of a result"
        return answer

    async def respond(self, request: web.Request) -> web.Response:
        """Answer a webhook: 202 once its command is published, else the refusal; 500 makes the sender try again."""
        body = await read_up_to(request.content, BODY_BYTES_MAX)
        if body is None:
            received: PaymentCommand | RefusedWebhook = RefusedWebhook(
                WebhookRefusal.TOO_LARGE, f"expected at most {BODY_BYTES_MAX} bytes"
            )
        elif repeated := _repeated_header(request):
            received = RefusedWebhook(WebhookRefusal.UNSIGNED, f"expected the header {repeated} once")
        else:
            received = await self.receive(body, request.headers)
        if isinstance(received, RefusedWebhook):
            self._count(RESULT_OF[received.reason])
            log.warning("webhook.refused", reason=received.reason.value, message=received.message)
            answer = {"reason": received.reason.value, "message": received.message}
            return web.json_response(answer, status=STATUS_OF[received.reason])
        known = await self._publish(received) is False
        result = WebhookResult.REPEATED if known else WebhookResult.ACCEPTED
        self._count(result)
        log.info(f"webhook.{result.value}", tenant=received.tenant, command=received.id)
        return web.json_response({"command": received.id}, status=HTTPStatus.ACCEPTED)

    def _count(self, result: WebhookResult) -> None:
        if self._metrics is not None:
            self._metrics.payment_webhook(result)


def _repeated_header(request: web.Request) -> str | None:
    """A header of the signature that comes twice: readers differ in which one they use."""
    for name in (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER):
        if len(request.headers.getall(name, [])) > 1:
            return name
    return None
