"""Passing time, crossings of the balance, and who may call on it: what every input may cause.

Rules 53, 54, 58 to 60, 63, A5 to A8, A19.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from msgspec import UNSET

from rater.core.brakes import alert
from rater.core.credit import expire, forfeit, next_expiry
from rater.core.entities import Account, Share, User
from rater.core.entitlements import next_help
from rater.core.identity import digest
from rater.core.instants import month_index, month_start
from rater.core.money import format_micros
from rater.core.reasons import DebitKind, EventKind
from rater.core.recharge import RechargeEvent, advance_recharge
from rater.core.restrictions import add_restriction, remove_restriction, restricted_users
from rater.core.state import State
from rater.core.step import Step


def advance(step: Step, at: datetime) -> None:
    """Move the tenant's clock; expiry and month starts that it passes are applied first.  It never goes back."""
    account = step.account
    clock = account.clock
    if at <= clock:
        return
    account.clock = at
    if at < account.wake_at:
        return
    before = account.balance
    for share in expire(step.state, account, at):
        _emit_expired(step, share, digest(account.tenant, "expiry", share.lot))
    if account.restrictions.users and month_index(at) > month_index(clock):
        unrestrict_all(step, "month_start")
    elif account.relief_at is not None and at >= account.relief_at:
        _relieve(step, at)
    set_alarm(account)
    balance_moved(step, before)


def forfeited(step: Step, shares: Sequence[Share], call: str) -> None:
    """What a correction gave back to promotions that have expired is forfeited at once (A46)."""
    for lot in dict.fromkeys([share.lot for share in shares]):
        whole = Share(lot, sum([share.amount for share in shares if share.lot == lot]))
        forfeit(step.state, step.account, whole)
        _emit_expired(step, whole, digest(step.account.tenant, "expiry", lot, call))


def _emit_expired(step: Step, share: Share, id: str) -> None:
    step.emit(EventKind.FUNDS_EXPIRED, lot=share.lot, amount=format_micros(share.amount))
    step.debit(DebitKind.EXPIRY, id, share.amount, [share])


def set_alarm(account: Account) -> None:
    """Note the next instant at which passing time changes something."""
    next_month = month_start(month_index(account.clock) + 1)
    account.wake_at = min(next_month, next_expiry(account) or next_month, account.relief_at or next_month)


def balance_moved(step: Step, before: int, *, credited: bool = False) -> None:
    """Emit the crossings of zero between two balances, and let the recharge follow."""
    account = step.account
    after = account.balance
    if after == before:
        return
    if account.closed_since is not None:
        step.emit(EventKind.CLOSED_BALANCE, amount=format_micros(after - before))
    _cross_zero(step, before, after)
    if account.brakes is not UNSET:
        alert(step, before)
    recharge = account.recharge
    if after >= recharge.trigger:
        if recharge.low_since is not None or recharge.suppressed:
            advance_recharge(step, RechargeEvent.ROSE)
    elif credited:
        advance_recharge(step, RechargeEvent.CREDITED)
    else:
        advance_recharge(step, RechargeEvent.FELL if recharge.low_since is None else RechargeEvent.MOVED)


def _cross_zero(step: Step, before: int, after: int) -> None:
    """Note a crossing of zero; of a closed tenant nothing is suspended or resumed by it."""
    account = step.account
    is_open = account.closed_since is None
    if before > 0 >= after:
        account.depleted_since = account.revision
        if is_open:
            step.emit(EventKind.BALANCE_DEPLETED)
            step.emit(EventKind.CREDITS_SUSPENDED)
    elif after > 0 and account.depleted_since is not None:
        account.depleted_since = None
        if is_open:
            step.emit(EventKind.CREDITS_RESUMED)


def switch_service(step: Step) -> None:
    """Emit the tenant's service state where it has changed."""
    account = step.account
    service = service_of(account)
    if service == account.service:
        return
    reason = {"closed": "tenant_closed"}.get(service, "balance")
    if account.service == "closed":
        reason = "tenant_reopened"
    account.service = service
    step.service_state("tenant", service, reason)


def service_of(account: Account) -> Literal["active", "suspended", "closed"]:
    """Credit-funded calls may start only while credits are set up and the balance is above zero (rule 50, A5)."""
    if account.closed_since is not None:
        return "closed"
    return "active" if account.credits and account.balance > 0 else "suspended"


def restrict(step: Step, user: User, reason: str) -> None:
    """A call of this user had unfunded minutes: outbound is refused until something changes (rules 50, 53)."""
    account = step.account
    add_restriction(step.state, account, user, step.at)
    if relief_at := next_help(user, step.at):
        expect_relief(account, relief_at)
    step.emit(EventKind.USER_RESTRICTED, user=user.user, reason=reason)
    step.service_state("user", "restricted", reason, user.user)


def unrestrict(step: Step, user: str, reason: str) -> None:
    """The user of this key may call out again."""
    found = remove_restriction(step.state, step.account, user)
    if found is None:
        return
    step.emit(EventKind.USER_UNRESTRICTED, user=found.user, reason=reason)
    step.service_state("user", "allowed", reason, found.user)


def unrestrict_all(step: Step, reason: str) -> None:
    """Every restricted user of the tenant may call out again."""
    step.account.relief_at = None
    for user in restricted_users(step.state, step.account):
        unrestrict(step, user, reason)


def expect_relief(account: Account, at: datetime) -> None:
    """A licence that helps a restricted user becomes effective then."""
    account.relief_at = min(at, account.relief_at or at)
    set_alarm(account)


def _relieve(step: Step, at: datetime) -> None:
    """The users whose licence has become effective may call out again; the others wait for theirs."""
    state, account = step.state, step.account
    account.relief_at = None
    for name in restricted_users(state, account):
        user = state.user(account.tenant, name)
        assert user is not None, name
        helped_at = next_help(user, user.restricted_since) if user.restricted_since is not None else None
        if helped_at is None:
            continue
        if helped_at <= at:
            unrestrict(step, name, "license_effective")
        else:
            expect_relief(account, helped_at)


def open_account(state: State, tenant: str, currency: str, at: datetime) -> Account:
    """A new tenant, without money and without credits set up."""
    account = Account(tenant=tenant, currency=currency, clock=at, wake_at=at)
    set_alarm(account)
    state.accounts[tenant] = account
    return account
