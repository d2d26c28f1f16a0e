"""The HTTP gateway for a caller that can do nothing else meanwhile: asks until the result is known.

The embedded rater applies the answer to a payment before its next record, so it has to wait for it.
A payment that is pending is asked for again.
"""

import asyncio
import os
from collections.abc import Sequence

import msgspec
from pydantic import ValidationError

from rater.agents.payments.answers import GatewayAnswer, Pending, Unknown
from rater.agents.payments.http_gateway import HttpGateway
from rater.agents.payments.settings import GatewaySettings
from rater.core import PaymentFailed, PaymentSucceeded, RechargeRequest
from rater.engine.gateway import ANSWERED_AFTER
from rater.ops.logs import log_to_stderr
from rater.ops.secrets import SecretSource
from rater.wire.errors import Exit, RaterError

#: Seconds before each further question about the same payment; then the run ends, to be started again.
ASK_AGAIN_AFTER_S = (0.5, 1, 2, 4, 8, 15, 30, 60)


class WaitingGateway:
    """See rater.engine.gateway.PaymentGateway."""

    def __init__(self, settings: GatewaySettings, ask_again_after_s: Sequence[float] = ASK_AGAIN_AFTER_S) -> None:
        # The waits here are the retries: attempts and circuit of the gateway itself would only multiply them.
        self._settings = settings.model_copy(
            update={"attempts_max": 1, "circuit_failures_max": len(ask_again_after_s) + 2}
        )
        self._waits = tuple(ask_again_after_s)
        HttpGateway(settings)  # a missing token is reported before anything is rated

    def collect(self, request: RechargeRequest) -> PaymentSucceeded | PaymentFailed:
        """The result of a payment, at the time of the records that are rated, whatever the gateway's clock says.

        Raises RaterError with Exit.PAYMENT_UNKNOWN if it stays unknown; the next run asks with the same key.
        """
        answer = asyncio.run(self._ask(request))
        if isinstance(answer, PaymentSucceeded | PaymentFailed):
            return msgspec.structs.replace(answer, at=request.at + ANSWERED_AFTER)
        raise RaterError(
            f"{self._settings.url}: whether recharge {request.id} of {request.tenant} was paid is not known"
            f" ({_why(answer)}). What was rated is kept; run again: it is asked with the same key and paid once",
            Exit.PAYMENT_UNKNOWN,
        )

    async def _ask(self, request: RechargeRequest) -> GatewayAnswer:
        async with HttpGateway(self._settings) as gateway:
            answer = await gateway.collect(request)
            for wait_s in self._waits:
                if isinstance(answer, PaymentSucceeded | PaymentFailed):
                    break
                await asyncio.sleep(wait_s)
                answer = await gateway.collect(request)
        return answer


def waiting_gateway(url: str, token_env: str) -> WaitingGateway:
    """The gateway of a command line: an address, and a token where the variable is set; logs to standard error."""
    token = SecretSource(env=token_env) if token_env in os.environ else None
    try:
        settings = GatewaySettings(url=url, token=token)
    except ValidationError as wrong:
        message = wrong.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise RaterError(f"--gateway: {message}") from wrong
    log_to_stderr()
    return WaitingGateway(settings)


def _why(answer: Pending | Unknown) -> str:
    return "pending" if isinstance(answer, Pending) else f"{answer.cause.value}: {answer.message}"
