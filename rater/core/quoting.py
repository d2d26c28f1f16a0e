"""What covers a call, and for how long: pools in their order, then credit, as the rating core would draw on them.

The question is rated on an overlay that is dropped, as a call of the longest duration; what running calls have
reserved is taken from pools and balance before.  `authorization` decides whether the call may start.
"""

from datetime import datetime, timedelta

import msgspec
from msgspec import UNSET

from rater.core.brakes import rest
from rater.core.calls import call_duration_max_s
from rater.core.calls_at_once import is_of_calls
from rater.core.entities import Account, Stretch, User
from rater.core.inputs import RESERVED_TENANTS, CallRecord, Source
from rater.core.instants import as_utc
from rater.core.mediation import Mediated, canonical_json, emergency_call, mediate, refusal
from rater.core.numbering import every_country
from rater.core.passing_time import advance
from rater.core.pricing import EMERGENCY_RULE, Priced, deck_in_force, price_call
from rater.core.quotes import AUTHORIZED_S_MAX, Cost, Question, Quote, Reserved
from rater.core.rating import countries_of_help, named, payer
from rater.core.reasons import Anomaly, Pocket, Refusal, Why
from rater.core.state import Committed, State
from rater.core.step import Rules, Step
from rater.core.tariff import affordable_seconds

_NOWHERE = Source("authorization", 0, 0)


def quote(
    committed: Committed, rules: Rules, question: Question, started_at: datetime, at: datetime, reserved: Reserved
) -> Quote | Refusal:
    """What covers a call that starts (or started) at an instant, with the state `at`; Refusal: no such call."""
    call = _as_if_made(question, started_at, at, AUTHORIZED_S_MAX)
    step = _step_beside(committed, rules, call.tenant, at, reserved)
    if step is None:
        added = rules.settings.emergency_numbers
        emergency = emergency_call(call, every_country(added), added)
        if (refused := refusal(call, "", (), emergency)) is not None:
            return refused
        if emergency:
            return Quote(why=Why.EMERGENCY, seconds=AUTHORIZED_S_MAX)
        return Quote(why=Why.UNKNOWN_TENANT)
    return _quote(step, call, reserved)


def cost_of(
    committed: Committed, rules: Rules, question: Question, seconds: int, at: datetime, reserved: Reserved
) -> Cost | Refusal | None:
    """What a call of so many seconds would be charged that starts at an instant, whether or not it may start.

    It is priced as its record would be, beside what running calls reserved; money may go below zero (A17).
    Refusal: no such call; None for an unknown tenant, and while its price list is not known.
    """
    call = _as_if_made(question, at, at, seconds)
    step = _step_beside(committed, rules, call.tenant, at, reserved)
    if step is None:
        return None
    asked = _subject_of(step, call)
    if isinstance(asked, Refusal):
        return asked
    user, held, emergency = asked
    if not emergency and _waits_for_deck(step, call):
        return None
    priced = price_call(step, call, user, held, emergency)
    return Cost(
        seconds=seconds,
        minutes=priced.minutes,
        segments=priced.segments,
        charge=priced.charge,
        fee=priced.fee,
        unfunded=priced.unfunded or 0,
        rate=priced.rate,
        user=None if user is None else user.user,
        anomalies=priced.anomalies,
    )


def _as_if_made(question: Question, started_at: datetime, at: datetime, seconds: int) -> Mediated:
    """The call that is asked about, as if it had been made."""
    cdr = CallRecord(
        tenant=question.tenant,
        usage_id="authorization",
        type=question.type,
        answered_at=as_utc(started_at),
        duration_s=seconds,
        user=question.user,
        calling=question.calling,
        called=question.called,
        number_type=question.number_type,
        emergency=question.emergency,
        received_at=as_utc(at),
    )
    return mediate(cdr, canonical_json(cdr))


def _step_beside(committed: Committed, rules: Rules, tenant: str, at: datetime, reserved: Reserved) -> Step | None:
    """A tenant's step on an overlay, as if running calls had used what they reserved; None for an unknown one."""
    state = State(committed)
    account = state.account(tenant) if tenant not in RESERVED_TENANTS else None
    if account is None:
        return None
    step = Step(state, rules, account, _NOWHERE, as_utc(at))
    advance(step, step.at)
    account.balance -= reserved.money
    for name, minutes in reserved.pools.items():
        state.pool(tenant, name).used += minutes
    return step


def _subject_of(step: Step, call: Mediated) -> tuple[User | None, Stretch, bool] | Refusal:
    """Who pays, what they hold, and whether it is a call for help; Refusal: no such call."""
    user, held = payer(step, call.cdr)
    countries = countries_of_help(step.account, held.country)
    emergency = emergency_call(call, countries, step.rules.settings.emergency_numbers)
    return refusal(call, step.account.currency, step.account.domains, emergency) or (user, held, emergency)


def _waits_for_deck(step: Step, call: Mediated) -> bool:
    """Whether the price list that is in force has not been read yet."""
    deck = deck_in_force(step, call.cdr.answered_at)
    return deck is not None and deck not in step.rules.tariffs


def _quote(step: Step, call: Mediated, reserved: Reserved) -> Quote | Refusal:
    asked = _subject_of(step, call)
    if isinstance(asked, Refusal):
        return asked
    user, held, emergency = asked
    if not emergency and (closed_since := step.account.closed_since) is not None:
        lasted = (closed_since - call.cdr.answered_at) // timedelta(seconds=1)
        return Quote(why=Why.TENANT_CLOSED, seconds=max(0, lasted), user=None if user is None else user.user)
    if not emergency and _waits_for_deck(step, call):
        return Quote(why=Why.NOT_READY)
    whole = step.rules.settings.straddle == "whole_to_credits"
    if whole:  # what pools would carry of a shorter call is asked for all the same
        settings = msgspec.structs.replace(step.rules.settings, straddle="split")
        step = Step(step.state, Rules(settings, step.rules.tariffs), step.account, step.source, step.at)
    priced = price_call(step, call, user, held, emergency)
    left = {} if step.account.brakes is UNSET else rest(step.state, step.account, named(call, user).cdr, priced)
    quoted = _from_segments(step.account, priced, whole, reserved, left)
    return msgspec.structs.replace(
        quoted,
        brakes={} if quoted.why in (Why.EMERGENCY, Why.FREE) else left,
        longest_s=AUTHORIZED_S_MAX if emergency else call_duration_max_s(step),
        user=None if user is None else user.user,
        restricted=user is not None and user.restricted_since is not None,
        anomalies=tuple(priced.anomalies),
    )


def _from_segments(
    account: Account, priced: Priced, whole: bool, reserved: Reserved, brakes: dict[str, int]
) -> Quote:
    """What the segments of the longest call say."""
    last = priced.segments[-1]
    pools = tuple([(part.pool, part.minutes) for part in priced.segments if part.pool is not None])
    match last.pocket:
        case Pocket.FREE:
            return Quote(why=_free(priced), seconds=AUTHORIZED_S_MAX)
        case Pocket.INCLUDED:
            return Quote(why=Why.INCLUDED, seconds=AUTHORIZED_S_MAX)
        case Pocket.POOL:
            return Quote(why=Why.POOL, seconds=AUTHORIZED_S_MAX, pools=pools)
        case Pocket.UNFUNDED:
            minutes = Quote(why=Why.POOL, pools=pools)
            if pools:
                return msgspec.structs.replace(minutes, seconds=minutes.pool_s)
            return Quote(why=_unfunded(account, priced))
        case Pocket.CREDIT:
            return _with_credit(account, priced, pools, whole, reserved, brakes)


def _with_credit(
    account: Account,
    priced: Priced,
    pools: tuple[tuple[str, int], ...],
    whole: bool,
    reserved: Reserved,
    brakes: dict[str, int],
) -> Quote:
    """Pools, then balance divided by rate; service needs a balance above zero (A5); brakes may leave less (A50)."""
    rate = priced.rate
    assert rate is not None, "a segment of credit has a price"
    money = account.balance
    allowed, brake = money, None
    for key, left in brakes.items():
        if not is_of_calls(key) and left - reserved.brakes.get(key, 0) < allowed:
            allowed, brake = left - reserved.brakes.get(key, 0), key.partition("/")[0]
    paid_s = affordable_seconds(rate, allowed, AUTHORIZED_S_MAX) if allowed > 0 else 0
    suspended = money + reserved.money <= 0
    carried = Quote(why=Why.POOL, pools=pools, rate=rate, whole=whole, suspended=suspended, brake=brake)
    seconds = max(carried.pool_s, paid_s) if whole else min(carried.pool_s + paid_s, AUTHORIZED_S_MAX)
    if paid_s:
        why = Why.POOL_THEN_CREDIT if pools else Why.CREDIT
    elif pools:
        why = Why.POOL
    elif suspended:
        why = Why.CREDITS_SUSPENDED
    elif brake is not None and money > 0 and affordable_seconds(rate, money, AUTHORIZED_S_MAX):
        why = Why.BRAKE_REACHED
    else:
        enough = affordable_seconds(rate, money + reserved.money, AUTHORIZED_S_MAX)
        why = Why.CREDIT_RESERVED if enough else Why.CREDIT_TOO_LOW
    return msgspec.structs.replace(carried, why=why, seconds=seconds)


def _free(priced: Priced) -> Why:
    """Why nobody pays; a number that should not connect is no call at all."""
    if Anomaly.UNSUPPORTED_NUMBER in priced.anomalies:
        return Why.UNSUPPORTED_NUMBER
    if {Anomaly.NO_RATE, Anomaly.PREMIUM_WITHOUT_RATE} & set(priced.anomalies):
        return Why.NOT_PRICED
    return Why.EMERGENCY if priced.rule == EMERGENCY_RULE else Why.FREE


def _unfunded(account: Account, priced: Priced) -> Why:
    """Why nobody has the right to spend credits on it."""
    if Anomaly.NEEDS_PAY_AS_YOU_GO in priced.anomalies:
        return Why.NEEDS_PAY_AS_YOU_GO
    if Anomaly.UNKNOWN_USER in priced.anomalies:
        return Why.UNKNOWN_USER
    return Why.NO_CREDITS_LICENSE if account.credits else Why.CREDITS_NOT_SET_UP
