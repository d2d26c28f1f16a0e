"""Commands: provisioning, money, payments, ticks, decks.  Each is idempotent by its id.

Here is what all of them share: whether a command was applied before, and where its clock is.  What each does is in
`provisioning`, `funding` and `money_by_hand`.  Minimum amounts are checks of what people type, not of the ledger.
Rules 10, 14, 31, 58 to 67, A6 to A8, A10, A37, A45 to A47.
"""

from typing import assert_never

import msgspec

from rater.core.amounts import bad_amount, other_currency, too_much
from rater.core.brake_commands import BrakeCommand, brake_refused, change_brake, unreadable_brake
from rater.core.closing import close, refused_when_closed, reopen, reopening_refused
from rater.core.entities import Account, Seen
from rater.core.erasure import erase
from rater.core.funding import fund, is_answered_so, payment_arrived, payment_refused, unreadable_funds
from rater.core.identity import digest
from rater.core.inputs import (
    AnyCommand,
    BrakeConfigured,
    BrakeReleased,
    CallAccepted,
    CallRerated,
    CallsOverBrake,
    DeckActivated,
    FundsAdded,
    FundsAdjusted,
    FundsRefunded,
    LicenseAssigned,
    LicenseRemoved,
    MoneyByHand,
    PaymentFailed,
    PaymentReversed,
    PaymentSucceeded,
    TenantClosed,
    TenantConfigured,
    TenantReopened,
    Tick,
    UserConfigured,
    UserErased,
)
from rater.core.instants import as_utc
from rater.core.limits import too_long_history, too_many_dates, too_many_purchases, too_many_with_own_expiry
from rater.core.money import format_micros, parse_micros
from rater.core.money_by_hand import (
    adjust,
    adjustment_refused,
    refund_purchase,
    refund_refused,
    reversal_refused,
    reverse_payment,
    unexplained,
    unreadable_adjustment,
    unreadable_refund,
)
from rater.core.passing_time import advance
from rater.core.provisioning import (
    accept,
    activate,
    assign,
    blank,
    changed_user,
    configure_tenant,
    configure_user,
    no_country,
    no_held_record,
    no_such_deck,
    remove,
    too_many_counts,
    unreadable_tenant,
    unreadable_user,
)
from rater.core.reasons import Outcome, Reason, Refusal
from rater.core.recharge import RechargeEvent, advance_recharge
from rater.core.rerating import rerate, rerating_refused, unreadable_call
from rater.core.state import command_key
from rater.core.step import Step


def command_arrived(step: Step, command: AnyCommand) -> Outcome | Refusal:
    """Apply one command of a known tenant; a Refusal changed nothing."""
    if isinstance(command, Tick):
        advance(step, as_utc(command.at))
        advance_recharge(step, RechargeEvent.TIME)
        return Outcome.RATED
    before = step.state.seen(command_key(step.account.tenant, command.id))
    repeated = None if before is None else _repeated(step.account, command, before)
    if repeated is not None:
        return repeated
    if isinstance(command, PaymentSucceeded | PaymentFailed) and is_answered_so(step, command):
        return Outcome.DUPLICATE
    refused = unreadable(command) or _when_at_its_time(step, command)
    if refused is not None:
        return refused
    _apply(step, command)
    command_seen(step, command)
    return Outcome.CORRECTED if isinstance(command, CallRerated) else Outcome.RATED


def _when_at_its_time(step: Step, command: AnyCommand) -> Refusal | None:
    """Move the clock to the command's time and judge it there; a rejected one moves nothing (A37)."""
    at = as_utc(command.at)
    if at < step.account.wake_at:  # nothing is due before: it is judged as things stand
        refused = refused_when_closed(step.account, command) or _refusal(step, command)
        if refused is None:
            advance(step, at)
        return refused
    attempt = step.attempt()
    advance(attempt, at)
    refused = refused_when_closed(attempt.account, command) or _refusal(attempt, command)
    if refused is None:
        step.adopt(attempt)
    return refused


def command_seen(step: Step, command: AnyCommand) -> None:
    """Note that the command was applied, and its content."""
    step.state.seen_now[command_key(step.account.tenant, command.id)] = Seen(step.at, _said(step.account, command))


def _repeated(account: Account, command: AnyCommand, before: Seen) -> Outcome | Refusal | None:
    """The id was used before.  Money with other content is refused, so that none is lost without a message.

    `at` may differ: who repeats a command because the answer was lost says a new time; all else is content (A45).
    Of a payment the other result is no repetition (A47): None.  Other commands may say what they like: agents
    repeat the gateway's answers under their ids.
    """
    if before.said is None:
        return Outcome.DUPLICATE
    if isinstance(command, PaymentSucceeded | PaymentFailed):
        other = before.said in _PAYMENTS and before.said != _said(account, command)
        return None if other else Outcome.DUPLICATE
    if not isinstance(command, MoneyByHand):
        return Outcome.DUPLICATE
    wrong = unreadable(command)
    if wrong is not None:
        return wrong
    says, said = _said(account, command), before.said
    if said == says or said == _without_digest(says):  # releases before A45 kept kind, amount and currency
        return Outcome.DUPLICATE
    taken, now = _without_digest(said), _without_digest(says)
    what = f" of other words ({_MARK.join(says.split(_MARK)[1:])})" if taken == now else ""
    message = (
        f"expected an id of its own for {now!r}{what}: {command.id!r} was used by {taken!r}"
        f" at {before.at.isoformat()}; nothing was added"
    )
    return Refusal(Reason.CONFLICTING_DUPLICATE, "id", message)


def _said(account: Account, command: AnyCommand) -> str:
    """What a command said, in short; see Seen."""
    kind = str(type(command).__struct_config__.tag)
    if not isinstance(command, MoneyByHand):
        return kind
    words = [kind]
    fields = msgspec.structs.asdict(command) | {"at": None, "currency": None}
    if isinstance(command, FundsRefunded | PaymentReversed):
        words.append(command.lot)
    if isinstance(command, FundsAdded | FundsAdjusted | FundsRefunded):
        amount = fields["amount"] = format_micros(parse_micros(command.amount))
        words += [amount, command.currency or account.currency]
    if fields.get("source") == "manual":
        fields["source"] = msgspec.UNSET
    if fields.get("expires") is not None:
        fields["expires"] = as_utc(fields["expires"]).isoformat()
    return f"{' '.join(words)}{_MARK}{digest(*[f'{name}={value}' for name, value in sorted(fields.items())])}"


#: Before the digest of all that a command about money says.
_MARK = " #"
_PAYMENTS = ("payment_succeeded", "payment_failed")


def _without_digest(said: str) -> str:
    return said.partition(_MARK)[0]


def _apply(step: Step, command: AnyCommand) -> None:
    match command:
        case TenantConfigured() | BrakeConfigured() | BrakeReleased() | CallsOverBrake():
            _configure(step, command)
        case UserConfigured():
            configure_user(step, command)
        case LicenseAssigned():
            assign(step, command)
        case LicenseRemoved():
            remove(step, command)
        case UserErased():
            erase(step, command)
        case (
            FundsAdded() | FundsAdjusted() | FundsRefunded() | PaymentReversed() | TenantClosed() | TenantReopened()
        ):
            _move_money(step, command)
        case PaymentSucceeded() | PaymentFailed():
            payment_arrived(step, command)
        case DeckActivated():
            activate(step, command)
        case CallAccepted():
            accept(step, command)
        case CallRerated():
            rerate(step, command)
        case Tick():
            pass
        case _:
            assert_never(command)


def _configure(step: Step, command: TenantConfigured | BrakeCommand) -> None:
    if isinstance(command, TenantConfigured):
        configure_tenant(step, command)
    else:
        change_brake(step, command)


def _move_money(step: Step, command: MoneyByHand) -> None:
    match command:
        case FundsAdded():
            fund(step, command)
        case FundsAdjusted():
            adjust(step, command)
        case FundsRefunded():
            refund_purchase(step, command)
        case PaymentReversed():
            reverse_payment(step, command)
        case TenantClosed():
            close(step, command)
        case TenantReopened():
            reopen(step, command)


def unreadable(command: AnyCommand) -> Refusal | None:
    """Why the command is invalid for every tenant: an invalid amount, country or policy."""
    match command:
        case TenantConfigured():
            return unreadable_tenant(command)
        case UserConfigured():
            return unreadable_user(command)
        case UserErased(user=user):
            return blank("user", user)
        case LicenseAssigned(user=user, country=country) | LicenseRemoved(user=user, country=country):
            return blank("user", user) or no_country(country)
        case FundsAdded():
            return unreadable_funds(command)
        case FundsAdjusted():
            return unreadable_adjustment(command)
        case FundsRefunded():
            return unreadable_refund(command)
        case TenantClosed() | TenantReopened():
            return unexplained(command.reason, command.by)
        case CallRerated():
            return unreadable_call(command)
        case BrakeConfigured() | BrakeReleased():
            return unreadable_brake(command)
        case _:
            return None


def _refusal(step: Step, command: AnyCommand) -> Refusal | None:
    """Why the command cannot be applied to this tenant, found before anything is changed."""
    account = step.account
    match command:
        case TenantConfigured(currency=currency, recharge=terms, audio_conferencing_licenses=licenses):
            return (
                other_currency(account, currency)
                or (bad_amount("recharge.amount", terms.amount) if terms else None)
                or too_many_counts(account, licenses)
            )
        case UserConfigured() | LicenseAssigned() | LicenseRemoved():
            return too_long_history(changed_user(step, command)[1])
        case FundsAdded(amount=amount, currency=currency):
            return (
                other_currency(account, currency)
                or too_much(account, parse_micros(amount))
                or (too_many_with_own_expiry(account) if command.expires else too_many_purchases(account))
            )
        case FundsAdjusted():
            return adjustment_refused(step, command)
        case FundsRefunded():
            return refund_refused(step, command)
        case PaymentReversed():
            return reversal_refused(step, command)
        case TenantReopened():
            return reopening_refused(account)
        case PaymentSucceeded() | PaymentFailed():
            return payment_refused(step, command)
        case DeckActivated(version=version):
            return no_such_deck(step, version) or too_many_dates("decks", account.decks)
        case CallAccepted() | CallRerated():
            return _of_call_refused(step, command)
        case BrakeConfigured() | BrakeReleased():
            return brake_refused(step, command)
        case _:
            return None


def _of_call_refused(step: Step, command: CallAccepted | CallRerated) -> Refusal | None:
    if isinstance(command, CallAccepted):
        return no_held_record(step, command.letter)
    return rerating_refused(step, command)
