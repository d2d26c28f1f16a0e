"""What a command about money will do, before it is sent: tried on what is known of the tenant, without a trace."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import assert_never

from rater.cli.kafka_options import talk
from rater.cli.run import settings_for
from rater.cli.sending import USED_BEFORE
from rater.core import (
    Committed,
    Debit,
    FundsAdded,
    FundsAdjusted,
    FundsRefunded,
    MoneyByHand,
    PaymentReversed,
    RateDeck,
    RatingSettings,
    State,
    TenantClosed,
    TenantReopened,
    format_micros,
    parse_ledger,
)
from rater.embedded.store import Store
from rater.engine.trial import tried
from rater.kafka.settings import KafkaSettings, rating_of_environment
from rater.kafka.tenant_topics import state_of
from rater.ops.masking import mask_people
from rater.wire.errors import Exit, RaterError
from rater.wire.visible import visible

_REFUSED = "it would be refused: "
#: A line after which nothing needs to be sent.
CHANGES_NOTHING = f"it would change nothing: {USED_BEFORE}"


def preview(command: MoneyByHand, store: Path | None, kafka: KafkaSettings | None) -> Iterator[str]:
    """The lines: what is asked for, and its outcome in a store, or as of the last commit on Kafka.

    RaterError: a store would refuse it, so it is not sent.  On Kafka the rating task may know more by then.
    """
    yield visible(f"{command.tenant}: {_asked(command)}")
    if kafka is not None:
        yield from _on_kafka(command, kafka)
    elif store is not None:
        opened = Store(store)
        try:
            lines = list(_outcome(command, opened, settings_for(opened), opened.decks()))
        finally:
            opened.close()
        if lines[0].startswith(_REFUSED):
            raise RaterError(f"{lines[0]}; nothing was sent", Exit.REFUSED)
        yield from lines


def _on_kafka(command: MoneyByHand, kafka: KafkaSettings) -> Iterator[str]:
    try:
        memory = talk(kafka, "operators", state_of(kafka, command.tenant))
    except RaterError as wrong:
        if wrong.exit is not Exit.DENIED:
            raise
        yield f"the balance is not looked at ({wrong})"
        yield "what becomes of it is in account-events, or in rejected-cdrs"
        return
    if memory.load("account", (command.tenant, "")) is None:
        yield f"{_REFUSED}no worker has committed anything of this tenant yet"
        return
    yield "as of the last commit:"
    yield from _outcome(command, memory, rating_of_environment(), ())


def _outcome(
    command: MoneyByHand, committed: Committed, settings: RatingSettings, decks: Iterable[RateDeck]
) -> Iterator[str]:
    account = State(committed).account(command.tenant)
    trial = tried(committed, settings, decks, command, datetime.now(UTC))
    if trial.refused is not None:
        yield visible(mask_people(f"{_REFUSED}{trial.refused.field}: {trial.refused.message}"))
        return
    if trial.changes_nothing:
        yield CHANGES_NOTHING
        return
    for debit in trial.debits:
        yield from _debited(debit, trial.after)
    before = format_micros(account.balance) if account else "none"
    changed = trial.after.account(command.tenant)
    yield visible(f"balance {before} -> {format_micros(changed.balance if changed else 0)}")
    in_flight = changed.recharge.in_flight if changed and changed.closed_since else None
    if in_flight is not None:
        amount, lot = format_micros(in_flight.amount), in_flight.recharge
        yield f"a recharge of {amount} is in flight: if it is paid, pay it back: rater tenant refund, lot {lot}"
    yield f"events: {', '.join(event.value for event in trial.events)}"


def _debited(debit: Debit, after: State) -> Iterator[str]:
    """What is taken from which lot; of what leaves at a closing, the sum of each kind of lot too."""
    shares = ", ".join(f"{share.amount} of {share.lot or 'what is owed'}" for share in debit.lots)
    yield visible(f"{debit.kind.value} {debit.amount} {debit.currency}: {shares}")
    if debit.kind not in ("pay_out", "forfeit"):
        return
    kinds = Counter[str]()
    for share in debit.lots:
        history = after.lot_history(debit.tenant, share.lot)
        kinds[history.kind.value if history else "purchase"] += parse_ledger(share.amount)
    sums = ", ".join(f"{kind} {format_micros(amount)}" for kind, amount in sorted(kinds.items()))
    yield f"  by kind of lot: {sums}"


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
        case TenantClosed(remainder=remainder, reason=reason, by=by):
            left = "paid out (promotions are forfeited)" if remainder == "pay_out" else "forfeited"
            return f"closed by {by}: {reason}; what is left is {left}; no call may start but emergency calls"
        case TenantReopened(reason=reason, by=by):
            return f"reopened by {by}: {reason}"
        case _:
            assert_never(command)
