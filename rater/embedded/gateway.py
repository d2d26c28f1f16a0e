"""The payment gateway as the rater sees it, and the local one, which pretends: it collects no money.

Refuses to know balances: it collects what it is asked to collect.
"""

from collections.abc import Iterable
from typing import Protocol

from rater.core.inputs import PaymentFailed, PaymentSucceeded
from rater.core.outputs import RechargeRequest
from rater.payments.results import failed, succeeded

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
