"""What was asked of the payment gateway in a history, and how it answered; for a replay that asks for others."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from rater.core import AccountEvent, EventKind, PaymentFailed, PaymentSucceeded, RechargeRequest
from rater.engine.gateway import failed, succeeded


class PastAnswer(NamedTuple):
    """When a payment was answered, and why it was declined; None where it was paid."""

    at: datetime
    declined: str | None


class PastPayments(NamedTuple):
    """`asked` are the payments that were asked for: id -> (amount, when); `answers` those of a tenant, in order."""

    asked: Mapping[str, tuple[str, datetime]]
    answers: Mapping[str, Sequence[PastAnswer]]

    def has(self, request: RechargeRequest) -> bool:
        """Whether the same payment was asked for, at the same instant: then its answer is among the inputs."""
        return self.asked.get(request.id) == (request.amount, request.at)

    def likely_answer(self, request: RechargeRequest) -> PaymentSucceeded | PaymentFailed:
        """The answer to a payment that was not asked for: that of the tenant's next one, else of its last.

        A card that was declined would have been declined for another payment, too.  Paid where there was no other.
        """
        answers = self.answers.get(request.tenant, ())
        if not answers:
            return succeeded(request)
        next_one = bisect_left(answers, request.at, key=lambda answer: answer.at)
        declined = answers[min(next_one, len(answers) - 1)].declined
        return succeeded(request) if declined is None else failed(request, declined)


def past_payments(requests: Iterable[RechargeRequest], events: Iterable[AccountEvent]) -> PastPayments:
    """What a history says: its requests, and among its events the answers."""
    answers: dict[str, list[PastAnswer]] = {}
    for event in events:
        if event.event in (EventKind.RECHARGE_SUCCEEDED, EventKind.RECHARGE_FAILED):
            declined = event.reason if event.event is EventKind.RECHARGE_FAILED else None
            answers.setdefault(event.tenant, []).append(PastAnswer(event.at, declined))
    return PastPayments(
        {request.id: (request.amount, request.at) for request in requests},
        {tenant: sorted(one, key=lambda answer: answer.at) for tenant, one in answers.items()},
    )
