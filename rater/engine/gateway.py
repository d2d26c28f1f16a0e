"""The payment gateway as the rater sees it, the results of payments as commands, and a gateway that pretends.

A command is a pure function of the request and of the result: asked twice, or notified by a webhook as well, it
is the same command with the same id, and the second one is a duplicate.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Protocol

from rater.core import PaymentFailed, PaymentSucceeded, RechargeRequest

#: When a payment counts as answered if the gateway does not say; fixed, so that a run can be repeated.
ANSWERED_AFTER = timedelta(seconds=5)


def command_id(recharge_id: str, result: str) -> str:
    """The id of the command with a result ("succeeded", "failed"): the same however often it is reported."""
    return f"payment-{recharge_id}-{result}"


def succeeded(request: RechargeRequest, took: timedelta = ANSWERED_AFTER) -> PaymentSucceeded:
    """The request was paid in full."""
    return PaymentSucceeded(
        tenant=request.tenant,
        id=command_id(request.id, "succeeded"),
        at=request.at + took,
        recharge_id=request.id,
        amount=request.amount,
        currency=request.currency,
    )


def failed(request: RechargeRequest, reason: str, took: timedelta = ANSWERED_AFTER) -> PaymentFailed:
    """The request was declined."""
    return PaymentFailed(
        tenant=request.tenant,
        id=command_id(request.id, "failed"),
        at=request.at + took,
        recharge_id=request.id,
        reason=reason,
    )


DECLINE_REASON = "card_expired"


class PaymentGateway(Protocol):
    """Collects payments; the same request asked twice is paid once."""

    def collect(self, request: RechargeRequest) -> PaymentSucceeded | PaymentFailed:
        """The answer to a request, as the command that carries it back."""


class LocalGateway:
    """Pretends that everything was paid, except what is asked for tenants whose card does not work."""

    def __init__(self, declined_tenants: Iterable[str] = ()) -> None:
        self._declined = frozenset(declined_tenants)

    def collect(self, request: RechargeRequest) -> PaymentSucceeded | PaymentFailed:
        """See PaymentGateway."""
        if request.tenant in self._declined or "*" in self._declined:
            return failed(request, DECLINE_REASON)
        return succeeded(request)
