"""What a command about money will do, before it is sent: tried on a store without a trace, or only said."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from rater.cli.run import settings_for
from rater.core import (
    AccountEvent,
    Debit,
    FundsAdded,
    FundsAdjusted,
    FundsRefunded,
    MoneyByHand,
    Outcome,
    PaymentReversed,
    RejectedCdr,
    format_micros,
)
from rater.embedded.run import tried
from rater.embedded.store import Store
from rater.wire.visible import visible


def preview(command: MoneyByHand, store: Path | None) -> Iterator[str]:
    """The lines: what is asked for, and on a store what comes of it."""
    yield visible(f"{command.tenant}: {_asked(command)}")
    if store is None:
        yield "the balance is not looked at; what becomes of it is in account-events, or in rejected-cdrs"
        return
    opened = Store(store)
    try:
        account = opened.account(command.tenant)
        before = format_micros(account.balance) if account else "none"
        outcome, outputs, after = tried(opened, settings_for(opened), command, datetime.now(UTC))
    finally:
        opened.close()
    refused = next((output for output in outputs if isinstance(output, RejectedCdr)), None)
    if refused is not None:
        yield visible(f"it would be refused: {refused.field}: {refused.message}")
        return
    if outcome is not Outcome.RATED:
        yield "it would change nothing: this id was taken before"
        return
    for output in outputs:
        if isinstance(output, Debit):
            shares = ", ".join(f"{share.amount} of {share.lot or 'what is owed'}" for share in output.lots)
            yield visible(f"{output.kind.value} {output.amount} {output.currency}: {shares}")
    yield visible(f"balance {before} -> {format_micros(after)}")
    events = [output.event.value for output in outputs if isinstance(output, AccountEvent)]
    yield f"events: {', '.join(events)}"


def _asked(command: MoneyByHand) -> str:
    match command:
        case FundsAdded(amount=amount, expires=expires):
            return f"promotion of {amount}, expires {expires.isoformat() if expires else 'as a purchase does'}"
        case FundsAdjusted(amount=amount, reason=reason, by=by, usage_id=call):
            return f"adjustment of {amount} by {by}: {reason}{f' (call {call})' if call else ''}"
        case FundsRefunded(amount=amount, lot=lot, reason=reason, by=by):
            return f"refund of {amount} out of {lot} by {by}: {reason}"
        case PaymentReversed(lot=lot, reason=reason, by=by):
            return f"payment of {lot} reversed by the bank, noted by {by}: {reason}"
