"""The price of a call: classify it, take minutes, price what overflows.

Rules 44 to 51, A1, A3, A17, A22, A23, and the order of decisions in RULES.md.
A debit may leave the balance below zero.
"""

from datetime import datetime
from functools import lru_cache

import msgspec

from rater.core.activations import activation_in_force
from rater.core.classify import OUTBOUND, Draws, Route, classify
from rater.core.entities import Stretch, User
from rater.core.inputs import NO_TENANT, CallRecord
from rater.core.instants import MonthIndex
from rater.core.mediation import Mediated, is_internal
from rater.core.money import ceil_div, format_amount
from rater.core.numbering import country_of
from rater.core.outputs import Segment
from rater.core.policies import policy_allows
from rater.core.pools import Taken, available, nothing_taken, take
from rater.core.reasons import Anomaly, CallType, EventKind, NumberType, Pocket
from rater.core.step import Step
from rater.core.tariff import Rate, Tariff, charge

#: Answers of the decision table; they depend on nothing but their key.
_ROUTES: dict[tuple[object, ...], Route] = {}
_ROUTES_MAX = 65_536
EMERGENCY_RULE = "23 emergency"
NOT_CONNECTED_RULE = "73 not connected"
_FREECALL = "FREECALL"


class Priced(msgspec.Struct, frozen=True, gc=False):
    """A priced call, before its debit; built by position, as it is for every call."""

    rule: str
    minutes: int
    segments: tuple[Segment, ...]
    capability: str | None = None
    context: str | None = None
    rate: Rate | None = None
    anomalies: tuple[Anomaly, ...] = ()
    #: Minutes by pool.
    pools: tuple[tuple[str, int], ...] = ()
    charge: int = 0
    #: None when every minute is covered; minutes at no price may be unfunded too.
    unfunded: int | None = None
    fee: int = 0
    overflow_s: int | None = None
    #: The called country, as the rules went by (A49); of a call priced by its origin, the origin's.
    country: str | None = None


class Case(msgspec.Struct, frozen=True, gc=False):
    """A connected call with everything that decides which pocket pays; `seconds` are those that are billed.

    `may_spend`: the tenant had set up credits and was not closed, and the subject has access (rule 50); the balance
    may be zero or below (A17).
    """

    cdr: CallRecord
    route: Route
    rate: Rate | None
    minutes: int
    seconds: int
    anomalies: tuple[Anomaly, ...]
    country: str | None
    may_spend: bool


_NOT_CONNECTED = Priced(NOT_CONNECTED_RULE, 0, ())


@lru_cache(maxsize=16_384)
def _whole(pocket: Pocket, minutes: int) -> tuple[Segment, ...]:
    """One pocket covers all minutes."""
    return (Segment(pocket, minutes),)


def price_call(step: Step, call: Mediated, user: User | None, held: Stretch, emergency: bool) -> Priced:
    """The decision order: not connected, emergency, internal, then the table.

    Uses the pools' minutes; the money is still to be debited.  Authorisation asks it on an overlay that it drops.
    """
    cdr = call.cdr
    seconds = cdr.duration_s
    if cdr.authorized_s is not None and cdr.authorized_s < seconds:
        seconds = cdr.authorized_s
    minutes = ceil_div(seconds, 60)
    if not minutes:
        return _NOT_CONNECTED
    if emergency:
        return Priced(EMERGENCY_RULE, minutes, _whole(Pocket.FREE, minutes))
    if is_internal(call, step.account.domains):
        return Priced("15 internal", minutes, _whole(Pocket.FREE, minutes))
    tariff = _tariff(step, cdr.answered_at) if call.again is None else step.rules.tariffs[call.again.deck]
    rate = None
    if tariff is not None and cdr.called is not None and cdr.type in OUTBOUND:
        rate = tariff.to(cdr.called, cdr.answered_at, cdr.destination)
    country = country_of(cdr.called, rate.country) if rate is not None else None
    route = _route(step, cdr, held, rate, country, call.month)
    if tariff is not None and rate is None and route.draws is Draws.CREDITS_OPEN:
        rate = _inbound_rate(tariff, cdr, route)
        country = rate.country if rate is not None else None
    anomalies = _anomalies(cdr, user, held, route, country)
    account = step.account
    closed = bool(account.closures) and account.was_closed(cdr.answered_at)
    if closed:
        anomalies = (*anomalies, Anomaly.TENANT_CLOSED)
    may_spend = account.credits and route.may_spend and not closed
    case = Case(cdr, route, rate, minutes, seconds, anomalies, country, may_spend)
    if route.whole is not None:
        return _priced(case, _whole(route.whole, minutes), route.capability)
    if route.draws is Draws.FREECALL:
        return _freecall(step, case, nothing_taken(minutes), Anomaly.UNSUPPORTED_NUMBER)
    return _paid(step, case)


def _paid(step: Step, case: Case) -> Priced:
    """Minutes of the route's pools first, money for what they do not cover (rules 47, 51)."""
    route = case.route
    if not route.pools or _straddler_goes_whole_to_credits(step, case):
        return _overflow(step, case, nothing_taken(case.minutes))
    taken = take(step.state, step.account, step.rules.settings, route.pools, case.cdr.answered_at, case.minutes)
    for found in taken.news:
        step.emit(found.kind, pool=found.name, used=found.used, total=found.total)
    if not taken.left:
        return _priced(case, taken.segments, taken.capability or route.capability, taken.pools)
    return _overflow(step, case, taken)


def _overflow(step: Step, case: Case, taken: Taken) -> Priced:
    """Price the seconds after the pools' minutes, from the first overflow second on (rules 46, 47)."""
    rate, minutes = case.rate, taken.left
    cannot = _no_price(rate)
    if rate is None or cannot is not None:
        return _freecall(step, case, taken, cannot or Anomaly.NO_RATE)
    overflow_s = case.seconds - 60 * (case.minutes - minutes)
    amount = charge(rate, overflow_s) + rate.fee
    if case.may_spend:
        segments = (*taken.segments, Segment(Pocket.CREDIT, minutes, format_amount(amount)))
        return _priced(case, segments, case.route.money_capability, taken.pools, amount, None, rate.fee, overflow_s)
    segments = (*taken.segments, Segment(Pocket.UNFUNDED, minutes, format_amount(amount)))
    capability = taken.capability or case.route.capability
    return _priced(case, segments, capability, taken.pools, 0, amount, rate.fee, overflow_s)


def _freecall(step: Step, case: Case, taken: Taken, why: Anomaly) -> Priced:
    """It cannot be priced, so the rest of it is free, and an event reports it (rule 48)."""
    step.emit(EventKind.RATING_EXCEPTION, usage_id=case.cdr.usage_id, user=case.cdr.user, reason=why.value)
    if why not in case.anomalies:
        case = msgspec.structs.replace(case, anomalies=(*case.anomalies, why))
    return _priced(case, (*taken.segments, Segment(Pocket.FREE, taken.left)), _FREECALL, taken.pools)


def _priced(
    case: Case,
    segments: tuple[Segment, ...],
    capability: str | None,
    pools: tuple[tuple[str, int], ...] = (),
    charged: int = 0,
    unfunded: int | None = None,
    fee: int = 0,
    overflow_s: int | None = None,
) -> Priced:
    route = case.route
    return Priced(
        route.rule,
        case.minutes,
        segments,
        capability,
        route.context,
        case.rate,
        case.anomalies,
        pools,
        charged,
        unfunded,
        fee,
        overflow_s,
        case.country,
    )


def _straddler_goes_whole_to_credits(step: Step, case: Case) -> bool:
    """A3's other choice: a call that the pools cannot cover whole takes none of their minutes."""
    settings = step.rules.settings
    if settings.straddle == "split" or not case.may_spend:
        return False
    answered_at = case.cdr.answered_at
    pools = [available(step.state, step.account, settings, pool, answered_at) for pool in case.route.pools]
    return sum([left for _, left, _ in pools]) < case.minutes


def _no_price(rate: Rate | None) -> Anomaly | None:
    """Why money cannot be asked for; None when it can."""
    if rate is None:
        return Anomaly.NO_RATE
    if not rate.priced:
        return Anomaly.PREMIUM_WITHOUT_RATE
    return Anomaly.UNSUPPORTED_NUMBER if rate.type == "unsupported" else None


def deck_in_force(step: Step, at: datetime) -> str | None:
    """The deck's version when the call started: the tenant's own, else everybody's of the tenant's currency."""
    account, tariffs = step.account, step.rules.tariffs
    found = activation_in_force(account.decks, at, account.currency, tariffs) if account.decks else None
    if found is None and (everybody := step.state.account(NO_TENANT)) is not None:
        found = activation_in_force(everybody.decks, at, account.currency, tariffs)
    return None if found is None else found[1]


def _tariff(step: Step, at: datetime) -> Tariff | None:
    version = deck_in_force(step, at)
    return None if version is None else step.rules.tariffs[version]


def _inbound_rate(tariff: Tariff, cdr: CallRecord, route: Route) -> Rate | None:
    """Toll-free by where the call came from; pay-per-minute toll by the bridge number called (rules 33, 42)."""
    if route.by_origin:
        return tariff.from_toll_free(cdr.calling, cdr.answered_at)
    return tariff.to(cdr.called, cdr.answered_at) if cdr.called else None


def _route(
    step: Step, cdr: CallRecord, held: Stretch, rate: Rate | None, country: str | None, month: MonthIndex
) -> Route:
    """The decision table's answer; asked once a month for each kind of call by each kind of user."""
    kind = rate.type if rate is not None else "none"
    own_user = cdr.user if held.own_plan and cdr.user else ""
    fallback = step.rules.settings.conf_fallback_to_calling_plan
    key = (held.profile, cdr.type, cdr.number_type, country, kind, month, own_user, fallback)
    route = _ROUTES.get(key)
    if route is None:
        if len(_ROUTES) >= _ROUTES_MAX:
            _ROUTES.clear()
        route = _ROUTES[key] = classify(
            cdr.type, cdr.number_type, own_user, held.country, held.skus, country, kind, month, fallback
        )
    return route


def _anomalies(
    cdr: CallRecord, user: User | None, held: Stretch, route: Route, called_country: str | None
) -> tuple[Anomaly, ...]:
    """What a person should look at; it never changes the price (rules 24, 43b)."""
    found = route.anomalies
    if user is None or not user.configured:
        return found if cdr.user is None else (*found, Anomaly.UNKNOWN_USER)
    if user.outbound_policy is not None and cdr.type in OUTBOUND:
        country, conference = held.country, cdr.type is CallType.CONF_OUT
        if not policy_allows(user.outbound_policy, conference, called_country, country, cdr.answered_at.date()):
            found = (*found, Anomaly.POLICY)
    if not user.toll_free_dial_in and cdr.type is CallType.CONF_IN and cdr.number_type is NumberType.TOLL_FREE:
        found = (*found, Anomaly.TOLL_FREE_EXCLUDED)
    return found
