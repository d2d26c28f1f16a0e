"""What time alone makes due: which ticks a tenant needs, from its latest balance.

A tick bears the instant that made it due and not the time at which somebody noticed, so that every process, and
the same process after a restart, makes the same ones.
Sources: rating-rules 53, 63, A7, A8, A19.  Refuses to know clocks and who publishes.
"""

from datetime import datetime, timedelta

import msgspec

from rater.core.decisions import Ask, Suppress, decide_recharge
from rater.core.inputs import Tick
from rater.core.instants import month_index, month_start
from rater.core.outputs import Balance
from rater.core.settings import RatingSettings

_LIMITS = (("recharges_per_hour_max", 1), ("recharges_per_day_max", 24), ("recharges_per_month_max", 30 * 24))


def ticks_due(
    balance: Balance, restricted_since: datetime | None, now: datetime, settings: RatingSettings
) -> tuple[Tick, ...]:
    """The ticks that a tenant needs now, oldest first; `restricted_since`: of its longest restricted user."""
    instants = {instant for instant in due_instants(balance, settings) if instant <= now}
    month = month_start(month_index(now))
    if restricted_since is not None and restricted_since < month:
        instants.add(month)
    return tuple([Tick(tenant=balance.tenant, id=f"tick-{at.isoformat()}", at=at) for at in sorted(instants)])


def due_instants(balance: Balance, settings: RatingSettings) -> list[datetime]:
    """Every instant, past or to come, from which on time changes something about the tenant's money."""
    instants = [lot.expires_at for lot in balance.lots]
    recharge = recharge_due(balance, settings)
    if recharge is not None:
        instants.append(recharge)
    return instants


def recharge_due(balance: Balance, settings: RatingSettings) -> datetime | None:
    """When a recharge that failed or was held back is to be asked for; None when no tick can bring it about.

    Whether it is then asked for is `decide_recharge`'s to say: this only finds the instant to ask it about.
    """
    if not balance.recharge_failures and not balance.recharge_suppressed:
        return None
    due = [balance.recharge_retry_at] if balance.recharge_retry_at is not None else []
    if balance.recharge_suppressed:
        due.extend(_windows(balance, settings))
    if not due:
        return None
    at = max(due)
    match decide_recharge(msgspec.structs.replace(balance, at=at), settings):
        case Ask():
            return at
        case Suppress():
            # Told once: the rater notes it, and this instant moves on to the end of the window.
            return None if balance.recharge_suppressed else at
        case None:
            return None


def _windows(balance: Balance, settings: RatingSettings) -> list[datetime]:
    """For each limit that is reached, when its oldest request that counts leaves the window."""
    ends = []
    for limit, hours in _LIMITS:
        allowed = getattr(settings, limit)
        if 0 < allowed <= len(balance.recharge_requests):
            ends.append(balance.recharge_requests[-allowed] + timedelta(hours=hours))
    return ends
