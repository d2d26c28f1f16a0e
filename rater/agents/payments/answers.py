"""What a gateway's answer means: the command that carries it back, that it is pending, or that it is unknown."""

from datetime import timedelta

import msgspec

from rater.agents.payments.wire import Payment
from rater.core import ClosedList, PaymentFailed, PaymentSucceeded, RechargeRequest, parse_micros
from rater.engine.gateway import ANSWERED_AFTER, failed, succeeded

#: A gateway's clock moves a tenant's clock by no more than this: one that is years ahead would expire all funds.
SETTLED_WITHIN_MAX = timedelta(days=31)
DECLINED = "declined"


class Cause(ClosedList):
    """Why the outcome of a payment is not known.  It is asked again with the same key, never paid twice."""

    UNREACHABLE = "unreachable"  # no connection, or it broke before an answer came
    TIMED_OUT = "timed_out"  # no answer in time
    UNAVAILABLE = "unavailable"  # the gateway said that it cannot answer now (5xx)
    BUSY = "busy"  # the gateway asked us to come back later (429, 409)
    CIRCUIT_OPEN = "circuit_open"  # it failed often in a row and is left alone for a while; nothing was sent
    NOT_UNDERSTOOD = "not_understood"  # HTML, a redirect, no HTTP at all, or JSON that is no payment
    REFUSED = "refused"  # the gateway refused the request itself: look at token, address and version
    MISMATCH = "mismatch"  # the answer is about another recharge, tenant, amount or currency


class Pending(msgspec.Struct, frozen=True):
    """The gateway has the order; the result comes by webhook, or when asked again."""

    tenant: str
    recharge_id: str


class Unknown(msgspec.Struct, frozen=True):
    """Whether money was taken is not known; ask again with the same request."""

    tenant: str
    recharge_id: str
    cause: Cause
    message: str


#: The closed union of what asking a gateway can give.
GatewayAnswer = PaymentSucceeded | PaymentFailed | Pending | Unknown


class Mismatch(ClosedList):
    """What of a payment is not what was asked for."""

    OTHER_RECHARGE = "other_recharge"  # the payment answers another request
    OTHER_TENANT = "other_tenant"  # the recharge was asked for by another tenant
    OTHER_AMOUNT = "other_amount"  # more or less than was asked for
    OTHER_CURRENCY = "other_currency"  # not the tenant's currency


class Mismatched(msgspec.Struct, frozen=True):
    """A payment that is not the one that was asked for; the message names both."""

    kind: Mismatch
    message: str


def answer_of(
    payment: Payment, request: RechargeRequest
) -> PaymentSucceeded | PaymentFailed | Pending | Mismatched:
    """What a payment says about a request."""
    wrong = _mismatch(payment, request)
    if wrong is not None:
        return wrong
    if payment.status == "pending":
        return Pending(request.tenant, request.id)
    if payment.status == "failed":
        return failed(request, payment.reason or DECLINED, _answered_after(payment, request))
    return succeeded(request, _answered_after(payment, request))


def _answered_after(payment: Payment, request: RechargeRequest) -> timedelta:
    if payment.settled_at is None:
        return ANSWERED_AFTER
    return min(max(payment.settled_at - request.at, timedelta(0)), SETTLED_WITHIN_MAX)


def _mismatch(payment: Payment, request: RechargeRequest) -> Mismatched | None:
    if payment.recharge_id != request.id:
        kind, asked, got = Mismatch.OTHER_RECHARGE, request.id, payment.recharge_id
    elif payment.tenant != request.tenant:
        kind, asked, got = Mismatch.OTHER_TENANT, request.tenant, payment.tenant
    elif payment.currency != request.currency:
        kind, asked, got = Mismatch.OTHER_CURRENCY, request.currency, payment.currency
    elif parse_micros(payment.amount) != parse_micros(request.amount):
        kind, asked, got = Mismatch.OTHER_AMOUNT, request.amount, payment.amount
    else:
        return None
    return Mismatched(kind, f"recharge {request.id}: expected {asked}, got {got}")
