"""What time alone makes due: ticks that a tenant needs, and notices of money that expires soon.

A tick or a notice bears the instant that made it due and not the time at which somebody noticed, so that every
process, and the same process after a restart, makes the same ones.
Rules 53, 63, A7, A8, A19, A32.
"""

from datetime import datetime, timedelta

import msgspec

from rater.core.entities import Account, InFlight, Recharge
from rater.core.inputs import Source, Tick
from rater.core.instants import month_index, month_start
from rater.core.lots import shown_lots
from rater.core.money import format_micros, parse_ledger
from rater.core.outputs import AccountEvent, Balance
from rater.core.reasons import EventKind
from rater.core.recharge import LIMITS, is_wanted, limit_reached, may_retry
from rater.core.settings import RatingSettings

#: How long before it expires money is notified of.
EXPIRING = timedelta(days=30)
_CLOCK = Source("clock", 0, 0)


class Purchase(msgspec.Struct, frozen=True):
    """What is left of a lot, in micro-units, and when it expires."""

    lot: str
    remaining: int
    expires_at: datetime


class Funds(msgspec.Struct, frozen=True):
    """What time can change of a tenant's money; amounts in micro-units.

    `sequence` and `source` are those of the balance record that it was read from, or the last sequence and the
    clock where it was read from the account: a notice's id does not depend on them.
    """

    tenant: str
    currency: str
    credits: bool
    balance: int
    recharge: Recharge
    purchases: tuple[Purchase, ...]
    sequence: int
    source: Source


def funds_of(account: Account) -> Funds:
    """The state of an account."""
    purchases = tuple([Purchase(lot.lot, lot.remaining, lot.expires_at) for lot in shown_lots(account)])
    return Funds(
        account.tenant,
        account.currency,
        account.credits,
        account.balance,
        account.recharge,
        purchases,
        account.sequences.balances,
        _CLOCK,
    )


def funds_in(balance: Balance) -> Funds:
    """The state of a tenant by its balance record."""
    amount, requested, asked = parse_ledger(balance.recharge_amount), balance.recharge_requests, None
    if balance.recharge_in_flight is not None:
        asked_at = requested[-1] if requested else balance.at
        asked = InFlight(balance.recharge_in_flight, amount, balance.recharge_attempt, asked_at)
    recharge = Recharge(
        enabled=balance.recharge_enabled,
        trigger=parse_ledger(balance.recharge_trigger),
        amount=amount,
        low_since=balance.low_since,
        in_flight=asked,
        attempt=balance.recharge_attempt,
        failures=balance.recharge_failures,
        retry_at=balance.recharge_retry_at,
        suppressed=balance.recharge_suppressed,
        requested=requested,
        stopped=balance.recharge_stopped,
    )
    return Funds(
        balance.tenant,
        balance.currency,
        balance.credits == "enabled",
        parse_ledger(balance.balance),
        recharge,
        tuple([Purchase(lot.lot, parse_ledger(lot.remaining), lot.expires_at) for lot in balance.lots]),
        balance.sequence,
        balance.source,
    )


def ticks_due(
    funds: Funds, restricted_since: datetime | None, now: datetime, settings: RatingSettings
) -> tuple[Tick, ...]:
    """The ticks that a tenant needs now, oldest first; `restricted_since`: of its longest restricted user."""
    instants = {instant for instant in due_instants(funds, settings) if instant <= now}
    month = month_start(month_index(now))
    if restricted_since is not None and restricted_since < month:
        instants.add(month)
    return tuple([Tick(tenant=funds.tenant, id=f"tick-{at.isoformat()}", at=at) for at in sorted(instants)])


def due_instants(funds: Funds, settings: RatingSettings) -> list[datetime]:
    """Every instant, past or to come, from which on time changes something about the tenant's money."""
    instants = [purchase.expires_at for purchase in funds.purchases]
    recharge = recharge_due(funds, settings)
    return instants if recharge is None else [*instants, recharge]


def recharge_due(funds: Funds, settings: RatingSettings) -> datetime | None:
    """When a recharge that failed or was held back is to be asked for; None when no tick can bring it about."""
    recharge = funds.recharge
    if not recharge.failures and not recharge.suppressed:
        return None
    due = [] if recharge.retry_at is None else [recharge.retry_at]
    if recharge.suppressed:
        due.extend(_windows(recharge, settings))
    if not due or not is_wanted(recharge, funds.credits, funds.balance):
        return None
    at = max(due)
    if not may_retry(recharge, at):
        return None
    # A limit holds it back at the retry: that is notified of once, and from then on the window's end is due.
    return None if recharge.suppressed and limit_reached(recharge, at, settings) else at


def _windows(recharge: Recharge, settings: RatingSettings) -> list[datetime]:
    """For each limit that is reached, when its oldest request that counts leaves the window."""
    ends = []
    for limit, hours in LIMITS:
        allowed = getattr(settings, limit)
        if 0 < allowed <= len(recharge.requested):
            ends.append(recharge.requested[-allowed] + timedelta(hours=hours))
    return ends


def expiring(funds: Funds, now: datetime) -> list[AccountEvent]:
    """A notice for each purchase with money left that expires within 30 days (rule 63); `at` is when they began."""
    return [
        AccountEvent(
            tenant=funds.tenant,
            id=f"{funds.tenant}:expiring:{purchase.lot}",
            sequence=funds.sequence,
            source=funds.source,
            event=EventKind.FUNDS_EXPIRING,
            at=purchase.expires_at - EXPIRING,
            balance=format_micros(funds.balance),
            amount=format_micros(purchase.remaining),
            currency=funds.currency,
            lot=purchase.lot,
        )
        for purchase in funds.purchases
        if now < purchase.expires_at <= now + EXPIRING and purchase.remaining > 0
    ]
