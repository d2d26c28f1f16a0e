"""What covers a call, and for how long: pools in their order, then credit, as the rating core would draw on them.

The question is rated on an overlay that is dropped, as a call of the longest duration; what running calls have
reserved is taken from pools and balance before.  `authorization` decides whether the call may start.
"""

from datetime import datetime, timedelta

import msgspec

from rater.core.calls import call_duration_max_s
from rater.core.entities import Account, Stretch, User
from rater.core.inputs import RESERVED_TENANTS, CallRecord, Source
from rater.core.instants import as_utc
from rater.core.mediation import Mediated, canonical_json, emergency_call, mediate, refusal
from rater.core.money import ceil_div
from rater.core.numbering import every_country
from rater.core.outputs import Segment
from rater.core.passing_time import advance
from rater.core.pricing import EMERGENCY_RULE, Priced, deck_in_force, price_call
from rater.core.rating import countries_of_help, payer
from rater.core.reasons import Anomaly, CallType, NumberType, Pocket, Refusal, Why
from rater.core.state import Committed, State
from rater.core.step import Rules, Step
from rater.core.tariff import Rate, affordable_seconds, charge

#: The longest that a call is authorised for, whatever covers it; to go on, ask again.
AUTHORIZED_S_MAX = 86_400
_NOWHERE = Source("authorization", 0, 0)


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A call that is to start, or runs; the fields are those of its later record."""

    tenant: str
    type: CallType = CallType.USER_OUT
    user: str | None = None
    calling: str | None = None
    called: str | None = None
    number_type: NumberType = NumberType.TOLL
    emergency: bool | None = None


class Reserved(msgspec.Struct):
    """What running calls of a tenant may still cost: micro-units, and minutes by the name of a pool's month."""

    money: int = 0
    pools: dict[str, int] = {}

    def add(self, other: "Reserved", sign: int = 1) -> None:
        """Add (or with -1 take away) another's."""
        self.money += sign * other.money
        for name, minutes in other.pools.items():
            left = self.pools.get(name, 0) + sign * minutes
            if left:
                self.pools[name] = left
            else:
                self.pools.pop(name, None)


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """What covers a call: minutes of pools in their order, then money at a rate, for so many seconds in all.

    `rate` is there when the subject may spend credits, even if nothing is left; `whole` says that a call longer
    than its pools' minutes goes whole to credits (A3), `suspended` that the balance is not above zero (A5).
    """

    why: Why
    seconds: int = 0
    pools: tuple[tuple[str, int], ...] = ()
    rate: Rate | None = None
    whole: bool = False
    suspended: bool = False
    #: The longest that a call may be authorised for (A44).
    longest_s: int = AUTHORIZED_S_MAX
    #: Who pays, by the spelling that is shown; None where nobody of this name is known.
    user: str | None = None
    restricted: bool = False
    anomalies: tuple[Anomaly, ...] = ()

    @property
    def pool_s(self) -> int:
        """Seconds that pools cover."""
        return 60 * sum(minutes for _, minutes in self.pools)

    def reservation(self, seconds: int) -> Reserved:
        """What so many seconds of the call take from pools and credit."""
        left = ceil_div(seconds, 60)
        if self.whole and self.rate is not None and seconds > self.pool_s:
            return Reserved(_price(self.rate, seconds))
        reserved = Reserved(0, {})
        for name, minutes in self.pools:
            taken = min(minutes, left)
            if taken:
                reserved.pools[name] = taken
                left -= taken
        if left and self.rate is not None:
            reserved.money = _price(self.rate, seconds - self.pool_s)
        return reserved


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


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What a call of a length costs: its segments in order, and money in micro-units; `charge` includes the `fee`.

    `unfunded` is what minutes would cost for which nobody may spend credits; `user` as in Quote.
    """

    seconds: int
    minutes: int
    segments: tuple[Segment, ...]
    charge: int = 0
    fee: int = 0
    unfunded: int = 0
    rate: Rate | None = None
    user: str | None = None
    anomalies: tuple[Anomaly, ...] = ()


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
    return msgspec.structs.replace(
        _from_segments(step.account, priced, whole, reserved),
        longest_s=AUTHORIZED_S_MAX if emergency else call_duration_max_s(step),
        user=None if user is None else user.user,
        restricted=user is not None and user.restricted_since is not None,
        anomalies=tuple(priced.anomalies),
    )


def _from_segments(account: Account, priced: Priced, whole: bool, reserved: Reserved) -> Quote:
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
            return _with_credit(account, priced, pools, whole, reserved)


def _with_credit(
    account: Account, priced: Priced, pools: tuple[tuple[str, int], ...], whole: bool, reserved: Reserved
) -> Quote:
    """Pools, then balance divided by rate; service needs a balance above zero (A5)."""
    rate = priced.rate
    assert rate is not None, "a segment of credit has a price"
    money = account.balance
    paid_s = affordable_seconds(rate, money, AUTHORIZED_S_MAX) if money > 0 else 0
    suspended = money + reserved.money <= 0
    carried = Quote(why=Why.POOL, pools=pools, rate=rate, whole=whole, suspended=suspended)
    seconds = max(carried.pool_s, paid_s) if whole else min(carried.pool_s + paid_s, AUTHORIZED_S_MAX)
    if paid_s:
        why = Why.POOL_THEN_CREDIT if pools else Why.CREDIT
    elif pools:
        why = Why.POOL
    elif suspended:
        why = Why.CREDITS_SUSPENDED
    else:
        enough = affordable_seconds(rate, money + reserved.money, AUTHORIZED_S_MAX)
        why = Why.CREDIT_RESERVED if enough else Why.CREDIT_TOO_LOW
    return msgspec.structs.replace(carried, why=why, seconds=seconds)


def _price(rate: Rate, seconds: int) -> int:
    return charge(rate, seconds) + rate.fee


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
