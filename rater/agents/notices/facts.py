"""Of which events people are notified, and the facts of each as texts may show them: phone numbers masked."""

from typing import Any

import msgspec

from rater.core import AccountEvent, ClosedList, EventKind, digest
from rater.ops.masking import mask_texts


class Notice(ClosedList):
    """Events that people are notified of; the value is that of EventKind."""

    RECHARGE_SUCCEEDED = "recharge.succeeded"  # money was added by an automatic recharge
    RECHARGE_FAILED = "recharge.failed"  # the payment method did not pay
    RECHARGE_SUPPRESSED = "recharge.suppressed"  # a recharge is due but a limit holds it back
    BALANCE_DEPLETED = "balance.depleted"  # nothing is left; calls that need credit stop
    BALANCE_ALERT = "balance.alert"  # the balance fell below an amount of the tenant's choice
    BRAKE_REACHED = "brake.reached"  # a limit on spending was reached
    POOL_WARNING = "pool.warning"  # a minute pool is nearly used up
    POOL_EXHAUSTED = "pool.exhausted"  # a minute pool is used up
    FUNDS_EXPIRING = "funds.expiring"  # money that was not used is forfeited within 30 days
    FUNDS_EXPIRED = "funds.expired"  # money that was not used was forfeited
    FUNDS_ADJUSTED = "funds.adjusted"  # a person gave money or took it off
    FUNDS_REFUNDED = "funds.refunded"  # money of a purchase was paid out
    PAYMENT_REVERSED = "payment.reversed"  # the bank took a payment back
    TENANT_CLOSED = "tenant.closed"  # the tenant was closed
    TENANT_REOPENED = "tenant.reopened"  # a closed tenant is open again
    FUNDS_PAID_OUT = "funds.paid_out"  # the tenant was closed, and what was left was paid out
    FUNDS_FORFEITED = "funds.forfeited"  # the tenant was closed, and what was left was forfeited
    CLOSED_BALANCE = "closed.balance"  # money of a closed tenant moved: it owes, or there is money to pay out
    PAYMENT_CONFLICT = "payment.conflict"  # the gateway gave two different results for one payment

    @property
    def template(self) -> str:
        """The name of its templates, without their endings."""
        return self.value.replace(".", "_")


_NOTICES = {notice.value: notice for notice in Notice}
#: Reasons in words, after "because"; others are shown as they are.
REASONS = {
    "card_expired": "the card has expired",
    "insufficient_funds": "there was not enough money behind the payment method",
    "declined": "the payment was declined",
    "failed, then succeeded": "it was reported as failed, and then as succeeded",
    "succeeded, then failed": "it was reported as succeeded, and then as failed",
    "notify": "the brake only notifies: nothing is stopped",
    "stop": "calls that spend credit are refused until its window is over or a person releases it",
    "recharges_per_hour_max": "the limit of recharges in one hour was reached",
    "recharges_per_day_max": "the limit of recharges in one day was reached",
    "recharges_per_month_max": "the limit of recharges in 30 days was reached",
}


def notice_of(event: AccountEvent) -> Notice | None:
    """The notice of an event; None for events without one, and for a brake that only counts (A50)."""
    if event.event is EventKind.BRAKE_REACHED and event.reason == "shadow":
        return None
    return _NOTICES.get(event.event.value)


def facts_of(event: AccountEvent) -> dict[str, Any]:
    """The fields of an event by their names, absent ones None, with `percent` and `because` added; all masked."""
    facts: dict[str, Any] = dict.fromkeys(AccountEvent.__struct_fields__)
    facts.update(msgspec.to_builtins(event))
    facts["at"] = event.at.strftime("%Y-%m-%d %H:%M UTC")
    facts["percent"] = event.used * 100 // event.total if event.used is not None and event.total else None
    facts["because"] = REASONS.get(event.reason or "", (event.reason or "no reason was given").replace("_", " "))
    return mask_texts(facts)


def message_key(event_ids: tuple[str, ...]) -> str:
    """The key of the message about these events: the same however often it is sent, in any order."""
    return digest("notice", *sorted(event_ids))
