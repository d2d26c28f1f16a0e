"""A tenant is closed, and reopened: what is left is paid out or forfeited, and nothing is covered any more.

While a tenant is closed nobody holds a licence and credits are not set up: calls that were answered in this time
are computed and not debited.  Calls that were answered before are rated as always, however late their records come;
what they leave owed stays owed.  The rule "closing" in RULES.md.
"""

from rater.core.credit import debit
from rater.core.entities import Account
from rater.core.identity import digest
from rater.core.inputs import (
    AnyCommand,
    FundsAdded,
    LicenseAssigned,
    LicenseRemoved,
    TenantClosed,
    TenantConfigured,
    TenantReopened,
    UserConfigured,
)
from rater.core.instants import as_utc
from rater.core.limits import CALL_LOTS_MAX, too_many_dates
from rater.core.lot_history import is_promotion, note_expired, note_paid_out
from rater.core.money import format_micros
from rater.core.reasons import DebitKind, EventKind, LotKind, Reason, Refusal
from rater.core.recharge import RechargeEvent, advance_recharge
from rater.core.step import Step

#: What has no meaning for a closed tenant; payments, refunds, adjustments, charge-backs, decks and late calls have.
_FOR_OPEN_TENANTS = (TenantConfigured, UserConfigured, LicenseAssigned, LicenseRemoved, FundsAdded, TenantClosed)


def refused_when_closed(account: Account, command: AnyCommand) -> Refusal | None:
    """Why a closed tenant cannot be given this command."""
    if account.closed_since is not None and isinstance(command, _FOR_OPEN_TENANTS):
        message = (
            f"expected an open tenant, got {account.tenant!r}, which is closed since"
            f" {account.closed_since.isoformat()}; rater tenant reopen opens it again"
        )
        return Refusal(Reason.TENANT_CLOSED, "tenant", message)
    return too_many_dates("closures", account.closures) if isinstance(command, TenantClosed) else None


def close(step: Step, command: TenantClosed) -> None:
    """End auto-recharge, pay out or forfeit what is left, and cover nothing from `at` on."""
    account, before = step.account, step.account.balance
    account.closures = (*account.closures, (as_utc(command.at), None))
    advance_recharge(step, RechargeEvent.CLOSED)
    step.emit(EventKind.TENANT_CLOSED, command_id=command.id, reason=command.reason, by=command.by)
    _take(step, command, DebitKind.FORFEIT, sum([lot.remaining for lot in account.promotions]))
    _take(step, command, DebitKind(command.remainder), max(0, account.balance))
    account.promotions = ()  # a correction gives them nothing back: it is forfeited at once, as after their time
    if before > 0:
        account.depleted_since = account.revision
    step.balance_changed()


def _take(step: Step, command: TenantClosed, kind: DebitKind, amount: int) -> None:
    """Empty lots in the order of use, with a debit for at most so many lots as one record names."""
    if not amount:
        return
    state, account = step.state, step.account
    shares = debit(state, account, amount)
    note, event = _NOTED[kind]
    for share in shares:
        note(state, account, share.lot, share.amount)
    promotion = LotKind.PROMOTION if is_promotion(state, account, shares[0].lot) else None
    step.emit(
        event,
        amount=format_micros(amount),
        command_id=command.id,
        reason=command.reason,
        by=command.by,
        lot_kind=promotion,
    )
    account.balance += amount  # each debit shows the balance after it
    for first in range(0, len(shares), CALL_LOTS_MAX):
        some = shares[first : first + CALL_LOTS_MAX]
        taken = sum([share.amount for share in some])
        account.balance -= taken
        id = digest(account.tenant, kind.value, command.id, promotion, first)
        step.debit(kind, id, taken, some, command_id=command.id)


_NOTED = {
    DebitKind.PAY_OUT: (note_paid_out, EventKind.FUNDS_PAID_OUT),
    DebitKind.FORFEIT: (note_expired, EventKind.FUNDS_FORFEITED),
}


def reopening_refused(account: Account) -> Refusal | None:
    """Why this tenant cannot be reopened."""
    if account.closed_since is not None:
        return None
    return Refusal(Reason.NOT_CLOSED, "tenant", f"expected a closed tenant, got {account.tenant!r}, which is open")


def reopen(step: Step, command: TenantReopened) -> None:
    """Licences and settings count again as they were; auto-recharge stays stopped until a person changes it."""
    account = step.account
    *earlier, (since, _) = account.closures
    account.closures = (*earlier, (since, max(since, as_utc(command.at))))
    step.emit(EventKind.TENANT_REOPENED, command_id=command.id, reason=command.reason, by=command.by)
    step.balance_changed()
