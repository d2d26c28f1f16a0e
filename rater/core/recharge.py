"""Auto-recharge as a transition table: phase x event -> effects.

Rules 54, 58, 59, A6 to A8, A32, A45.  A crossing is one fall of the balance below the trigger; the id of a
recharge is made from it, so that the gateway sees the same id however often a step is repeated.
Every change of `Account.recharge` is made here.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import Enum, auto

from rater.core.entities import Account, InFlight, Recharge
from rater.core.identity import digest
from rater.core.inputs import RechargeSettings
from rater.core.money import parse_micros
from rater.core.reasons import EventKind
from rater.core.settings import RatingSettings
from rater.core.step import Step


class Phase(Enum):
    """How far the payment of the present crossing is."""

    IDLE = auto()  # nothing is asked for, and nothing failed
    HELD = auto()  # due, but a limit on recharges is reached (A7)
    ASKED = auto()  # a request is in flight
    WAITING = auto()  # a payment failed; it is asked for again at `retry_at` (A8)
    STOPPED = auto()  # the last attempt failed, money went back (A45) or the tenant closed; a person must act (A8)


class RechargeEvent(Enum):
    """What can happen to it."""

    FELL = auto()  # the balance fell below the trigger
    MOVED = auto()  # it moved, and was below the trigger before
    CREDITED = auto()  # a credit left it below the trigger: a crossing of its own
    ROSE = auto()  # it stands at the trigger or above
    PAID = auto()  # the request in flight was paid
    FAILED = auto()  # the request in flight failed
    TIME = auto()  # time has passed: a tick
    CHANGED = auto()  # a person changed the recharge settings or the payment method
    ENABLED = auto()  # a person set up credits
    MONEY_WENT_BACK = auto()  # a refund or a charge-back (A45)
    CLOSED = auto()  # the tenant was closed


class Effect(Enum):
    """What follows; each is one function below."""

    CROSS = auto()  # a crossing begins at this revision
    END = auto()  # the crossing is over
    ASK = auto()  # ask for a payment, if settings and limits allow it
    SETTLE = auto()  # nothing is in flight and nothing failed
    FAIL = auto()  # nothing is in flight; count the failure and note when to try again
    FORGET = auto()  # earlier failures do not count any more
    STOP = auto()  # nothing is asked for until a person changes something
    RELEASE = auto()  # a person did
    AFRESH = auto()  # new settings: to be below the trigger counts as just having fallen


X = Effect
_ALL_PHASES: Mapping[RechargeEvent, tuple[Effect, ...]] = {
    RechargeEvent.FELL: (X.CROSS,),
    RechargeEvent.MOVED: (),
    RechargeEvent.CREDITED: (X.CROSS,),
    RechargeEvent.ROSE: (X.END,),
    RechargeEvent.CHANGED: (X.FORGET, X.RELEASE, X.AFRESH, X.ASK),
    RechargeEvent.ENABLED: (X.AFRESH, X.ASK),
    RechargeEvent.MONEY_WENT_BACK: (X.STOP,),
    RechargeEvent.CLOSED: (X.STOP,),
}
#: After a failure only time or a person asks again; all else that moves the balance below the trigger does at once.
_NOTHING_FAILED: Mapping[RechargeEvent, tuple[Effect, ...]] = {
    RechargeEvent.FELL: (X.CROSS, X.ASK),
    RechargeEvent.MOVED: (X.ASK,),
    RechargeEvent.CREDITED: (X.CROSS, X.ASK),
}
TABLE: Mapping[tuple[Phase, RechargeEvent], tuple[Effect, ...]] = {
    **{(phase, event): effects for phase in Phase for event, effects in _ALL_PHASES.items()},
    **{(phase, event): effects for phase in (Phase.IDLE, Phase.HELD) for event, effects in _NOTHING_FAILED.items()},
    (Phase.ASKED, RechargeEvent.PAID): (X.SETTLE,),
    (Phase.ASKED, RechargeEvent.FAILED): (X.FAIL,),
    (Phase.HELD, RechargeEvent.TIME): (X.ASK,),
    (Phase.WAITING, RechargeEvent.TIME): (X.ASK,),
}

#: A7, A32: the setting that says how many requests at most, and the hours of its window; one more is held back.
LIMITS = (("recharges_per_hour_max", 1), ("recharges_per_day_max", 24), ("recharges_per_month_max", 30 * 24))


def phase(recharge: Recharge) -> Phase:
    """The phase, which follows from what is kept."""
    if recharge.in_flight is not None:
        return Phase.ASKED
    if recharge.stopped:
        return Phase.STOPPED
    if recharge.failures:
        return Phase.STOPPED if recharge.retry_at is None else Phase.WAITING
    return Phase.HELD if recharge.suppressed else Phase.IDLE


def advance_recharge(step: Step, event: RechargeEvent) -> None:
    """Apply what follows from an event in the present phase; nothing where the table has no row."""
    for effect in TABLE.get((phase(step.account.recharge), event), ()):
        _EFFECTS[effect](step)


def set_terms(account: Account, changed: RechargeSettings) -> None:
    """The settings that a person named; the others stay.  Apply `RechargeEvent.CHANGED` afterwards."""
    terms = account.recharge
    if changed.enabled is not None:
        terms.enabled = changed.enabled
    if changed.trigger is not None:
        terms.trigger = parse_micros(changed.trigger)
    if changed.amount is not None:
        terms.amount = parse_micros(changed.amount)


def is_wanted(recharge: Recharge, credits: bool, balance: int) -> bool:
    """Strictly below the trigger, switched on and not stopped, credits set up, nothing in flight (rules 58, 59)."""
    if not recharge.enabled or recharge.stopped or not credits or recharge.in_flight is not None:
        return False
    return recharge.low_since is not None and balance < recharge.trigger


def may_retry(recharge: Recharge, at: datetime) -> bool:
    """Whether no failure has to be waited for at this instant (A8)."""
    return not recharge.failures or (recharge.retry_at is not None and at >= recharge.retry_at)


def limit_reached(recharge: Recharge, at: datetime, settings: RatingSettings) -> str | None:
    """The name of the first limit that holds a request back at this instant (A7, A32), or None."""
    for limit, hours in LIMITS:
        since = at - timedelta(hours=hours)
        if sum([asked > since for asked in recharge.requested]) >= getattr(settings, limit):
            return limit
    return None


def recharge_id(tenant: str, low_since: int, attempt: int) -> str:
    """The id of an attempt to pay one crossing below the trigger: the gateway's idempotency key."""
    return digest(tenant, "recharge", low_since, attempt)


def _cross(step: Step) -> None:
    terms = step.account.recharge
    terms.low_since, terms.attempt = step.account.revision, 0


def _end(step: Step) -> None:
    terms = step.account.recharge
    terms.low_since, terms.suppressed = None, False


def _settle(step: Step) -> None:
    _answered(step.account.recharge)
    _forget(step)


def _fail(step: Step) -> None:
    """Wait 1, 6, 24 hours; then it is off until the payment method or the settings change (A8)."""
    terms, waits = step.account.recharge, step.rules.settings.recharge_retry_hours
    _answered(terms)
    retries = terms.failures < len(waits) and not terms.stopped
    terms.retry_at = step.at + timedelta(hours=waits[terms.failures]) if retries else None
    terms.failures += 1


def _answered(terms: Recharge) -> None:
    if terms.in_flight is not None:
        terms.answered, terms.in_flight = terms.in_flight.recharge, None


def _forget(step: Step) -> None:
    terms = step.account.recharge
    terms.failures, terms.retry_at = 0, None


def _stop(step: Step) -> None:
    """No retry is due any more, and no end of a limit's window is waited for."""
    terms = step.account.recharge
    terms.stopped, terms.suppressed, terms.retry_at = True, False, None


def _release(step: Step) -> None:
    step.account.recharge.stopped = False


def _look_afresh(step: Step) -> None:
    """A crossing of its own has a revision of its own: the id of the recharge is made from it."""
    account, terms = step.account, step.account.recharge
    if account.balance >= terms.trigger:
        terms.low_since = None
    elif terms.low_since is None:
        account.revision += 1
        _cross(step)


def _ask(step: Step) -> None:
    """Ask for a payment in the same commit as what caused it; emit once that a limit holds it back."""
    account, terms = step.account, step.account.recharge
    if not is_wanted(terms, account.credits, account.balance) or not may_retry(terms, step.at):
        return
    if limit := limit_reached(terms, step.at, step.rules.settings):
        if not terms.suppressed:
            terms.suppressed = True
            step.emit(EventKind.RECHARGE_SUPPRESSED, reason=limit)
            step.balance_changed()
        return
    assert terms.low_since is not None, "is_wanted"
    terms.attempt, terms.suppressed = terms.attempt + 1, False
    id = recharge_id(account.tenant, terms.low_since, terms.attempt)
    terms.in_flight = InFlight(id, terms.amount, terms.attempt, step.at)
    terms.requested = (*terms.requested, step.at)[-step.rules.settings.recharges_per_month_max :]
    step.request_recharge(terms.in_flight, terms.low_since)


_EFFECTS: Mapping[Effect, Callable[[Step], None]] = {
    Effect.CROSS: _cross,
    Effect.END: _end,
    Effect.ASK: _ask,
    Effect.SETTLE: _settle,
    Effect.FAIL: _fail,
    Effect.FORGET: _forget,
    Effect.STOP: _stop,
    Effect.RELEASE: _release,
    Effect.AFRESH: _look_afresh,
}
