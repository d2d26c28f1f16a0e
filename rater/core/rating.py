"""Rating one call: classify, take minutes, price what overflows, debit it, and explain all of it.

Sources: the decision order of rating-rules 1.8, rules 44 to 51, A1, A3, A10 to A12, A17, A18, A22, A23; the
conformance README's settled details.  Refuses to know bytes, time and where state is kept.
"""

from bisect import bisect_right
from datetime import UTC, date, datetime
from hashlib import blake2b

import msgspec

from rater.core.catalogue import CATALOGUE_CHANGES
from rater.core.classify import OUTBOUND, Draws, Route, classify
from rater.core.credit import debit
from rater.core.entities import Account, LiveCall, Stretch, User
from rater.core.entitlements import new_user, stretch_at
from rater.core.inputs import CallRecord
from rater.core.instants import MonthIndex, month_closes_at, month_index, period_of
from rater.core.mediation import internal_call
from rater.core.money import ceil_div, format_amount, format_micros
from rater.core.outputs import RatedCall, Segment
from rater.core.passing_time import restrict
from rater.core.policies import policy_allows
from rater.core.pools import Draw, available, take
from rater.core.reasons import Anomaly, CallType, DebitKind, EventKind, NumberType, Outcome, Pocket
from rater.core.step import NO_TENANT, Step, lot_shares
from rater.core.tariff import Rate, Tariff, charge

#: No rule changes between two of these instants.
_EPOCH_STARTS = tuple(datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (date.min, *CATALOGUE_CHANGES))
_LAST_EPOCH_START = _EPOCH_STARTS[-1]
_LAST_EPOCH = len(_EPOCH_STARTS) - 1
#: Answers of the decision table; they depend on nothing but their key.
_ROUTES: dict[tuple[object, ...], Route] = {}
_ROUTES_MAX = 65_536
_NOBODY = Stretch(None, None, (), "|")
EMERGENCY_RULE = "23 emergency"
_NOT_CONNECTED = "73 not connected"
_FREECALL = "FREECALL"


class Priced(msgspec.Struct):
    """What a call came to, before it is written down."""

    rule: str
    minutes: int
    capability: str | None = None
    segments: list[Segment] = []
    charge: int = 0
    unfunded: int = 0
    fee: int = 0
    overflow_s: int | None = None
    rate: Rate | None = None
    used_rate: bool = False
    context: str | None = None
    anomalies: list[Anomaly] = []
    draws: list[Draw] = []
    lots: list[tuple[str, int]] = []


def payer(step: Step, cdr: CallRecord) -> tuple[User | None, Stretch]:
    """Who pays, and what it held when the call started (rules 14, 17, 18, 26, 36); nobody knows some users."""
    if cdr.user is None:
        return None, _NOBODY
    user = step.state.user(step.account.tenant, cdr.user)
    return user, stretch_at(user, cdr.answered_at) if user else _NOBODY


def rate_call(
    step: Step,
    cdr: CallRecord,
    user: User | None,
    held: Stretch,
    emergency: bool,
    content: str,
    replaces: int | None,
) -> None:
    """Rate a record that was checked and is no duplicate; `replaces` is the version that it corrects."""
    month = month_index(cdr.answered_at)
    priced = price_call(step, cdr, user, held, emergency, month)
    account = step.account
    call_id = call_hash(cdr)
    if priced.charge:
        priced.lots = debit(account, priced.charge)
    _emit_rated_call(step, cdr, held, priced, call_id, content, month, replaces)
    if priced.charge:
        step.debit(
            DebitKind.CALL,
            f"{call_id}-1",
            priced.charge,
            priced.lots,
            cdr.usage_id,
            cdr.version,
            cdr.user,
            period_of(month),
        )
    step.state.calls[(account.tenant, cdr.usage_id)] = LiveCall(
        cdr.version,
        content,
        month,
        priced.charge,
        tuple([(draw.name, draw.minutes) for draw in priced.draws]),
        tuple(priced.lots),
    )
    if priced.unfunded and cdr.user is not None:
        user = step.state.user(account.tenant, cdr.user) or new_user(cdr.user, cdr.user_country)
        if user.restricted_since is None:
            restrict(step, user, _restriction_reason(account))


def call_hash(cdr: CallRecord) -> str:
    """The id of this version of the call: a hash of tenant, usage id and version."""
    return blake2b(f"{cdr.tenant}\0{cdr.usage_id}\0{cdr.version}".encode(), digest_size=16).hexdigest()


def price_call(
    step: Step, cdr: CallRecord, user: User | None, held: Stretch, emergency: bool, month: MonthIndex
) -> Priced:
    """The decision order: not connected, emergency, internal, then the table.

    Takes the pools' minutes; the money is still to be debited.  Authorisation asks it on an overlay that it drops.
    """
    seconds = cdr.duration_s
    if cdr.authorized_s is not None and cdr.authorized_s < seconds:
        seconds = cdr.authorized_s
    minutes = ceil_div(seconds, 60)
    if not minutes:
        return Priced(_NOT_CONNECTED, 0)
    if emergency:
        return _free(Priced(EMERGENCY_RULE, minutes))
    if internal_call(cdr):
        return _free(Priced("15 internal", minutes))
    tariff = _tariff(step, cdr.answered_at)
    rate = None
    if cdr.type in OUTBOUND and tariff is not None and cdr.called is not None:
        rate = tariff.to(cdr.called, cdr.answered_at, cdr.destination)
    route = _route(step, cdr, held, rate)
    if tariff is not None and not rate and route.draws is Draws.CREDITS_OPEN:
        rate = _inbound_rate(tariff, cdr, route)
    priced = Priced(route.rule, minutes, route.capability, rate=rate, context=route.context)
    priced.anomalies.extend(route.anomalies)
    _note_anomalies(cdr, user, held, rate, priced)
    _fill_pockets(step, cdr, route, priced, month, seconds)
    return priced


def _fill_pockets(
    step: Step, cdr: CallRecord, route: Route, priced: Priced, month: MonthIndex, seconds: int
) -> None:
    match route.draws:
        case Draws.FREE:
            _free(priced)
        case Draws.INCLUDED:
            priced.segments.append(Segment(Pocket.INCLUDED, priced.minutes))
        case Draws.FREECALL:
            _freecall(step, cdr, priced, Anomaly.UNSUPPORTED_NUMBER)
        case _:
            left = _take_minutes(step, cdr, route, priced, month)
            if left:
                _charge_overflow(step, cdr, route, priced, left, seconds)


def _take_minutes(step: Step, cdr: CallRecord, route: Route, priced: Priced, month: MonthIndex) -> int:
    """Minutes that no pool carried (A3: split at the minute, or none taken when the call would straddle)."""
    if not route.pools:
        return priced.minutes
    state, account, settings = step.state, step.account, step.rules.settings
    if settings.straddle == "whole_to_credits" and _may_spend(account, route):
        left = sum(available(state, account, settings, pool, month, cdr.answered_at)[1] for pool in route.pools)
        if left < priced.minutes:
            return priced.minutes
    draws, news = take(state, account, settings, route.pools, month, cdr.answered_at, priced.minutes)
    for found in news:
        step.tell(found.kind, pool=found.name, used=found.used, total=found.total)
    priced.draws = draws
    taken = 0
    for draw in draws:
        taken += draw.minutes
        priced.segments.append(
            Segment(Pocket.POOL, draw.minutes, "0", draw.name, draw.before, draw.before + draw.minutes, draw.total)
        )
    if draws:
        priced.capability = draws[0].pool.capability
    return priced.minutes - taken


def _charge_overflow(step: Step, cdr: CallRecord, route: Route, priced: Priced, minutes: int, seconds: int) -> None:
    """Price the seconds after the pool's minutes, from the first overflow second on (rules 46, 47)."""
    rate = priced.rate
    if rate is None or not rate.priced:
        _freecall(step, cdr, priced, Anomaly.NO_RATE if rate is None else Anomaly.PREMIUM_WITHOUT_RATE)
        return
    if rate.type == "unsupported":
        _freecall(step, cdr, priced, Anomaly.UNSUPPORTED_NUMBER)
        return
    overflow_s = seconds - 60 * (priced.minutes - minutes)
    amount = charge(rate, overflow_s) + rate.fee
    priced.used_rate, priced.overflow_s, priced.fee = True, overflow_s, rate.fee
    if _may_spend(step.account, route):
        priced.charge = amount
        priced.capability = route.money_capability
        priced.segments.append(Segment(Pocket.CREDIT, minutes, format_amount(amount)))
    else:
        priced.unfunded = amount
        priced.segments.append(Segment(Pocket.UNFUNDED, minutes, format_amount(amount)))


def _may_spend(account: Account, route: Route) -> bool:
    """Rule 50: the tenant set up credits and the subject has access; the balance may be zero or below (A17)."""
    return account.credits and route.may_spend


def _restriction_reason(account: Account) -> str:
    return "no_credits_license" if account.credits else "credits_not_set_up"


def _free(priced: Priced) -> Priced:
    priced.segments.append(Segment(Pocket.FREE, priced.minutes))
    return priced


def _freecall(step: Step, cdr: CallRecord, priced: Priced, anomaly: Anomaly) -> None:
    """It cannot be priced, so the rest of it is free, and somebody is told (rule 48)."""
    carried = sum(segment.minutes for segment in priced.segments)
    priced.segments.append(Segment(Pocket.FREE, priced.minutes - carried))
    priced.capability = _FREECALL
    if anomaly not in priced.anomalies:
        priced.anomalies.append(anomaly)
    step.tell(EventKind.RATING_EXCEPTION, usage_id=cdr.usage_id, user=cdr.user, reason=anomaly.value)


def deck_in_force(step: Step, at: datetime) -> str | None:
    """The deck's version when the call started: the tenant's own, else the one that every tenant has."""
    version = _in_force(step.account, at)
    if version is None and (everybody := step.state.account(NO_TENANT)) is not None:
        version = _in_force(everybody, at)
    return version


def _tariff(step: Step, at: datetime) -> Tariff | None:
    version = deck_in_force(step, at)
    return None if version is None else step.rules.tariffs[version]


def _in_force(account: Account, at: datetime) -> str | None:
    """The latest activation at or before an instant."""
    version = None
    for since, activated in account.decks:
        if since is None or since <= at:
            version = activated
    return version


def _inbound_rate(tariff: Tariff, cdr: CallRecord, route: Route) -> Rate | None:
    """Toll-free by where the call came from; pay-per-minute toll by the bridge number called (rules 33, 42)."""
    if route.by_origin:
        return tariff.from_toll_free(cdr.calling, cdr.answered_at)
    return tariff.to(cdr.called, cdr.answered_at) if cdr.called else None


def _route(step: Step, cdr: CallRecord, held: Stretch, rate: Rate | None) -> Route:
    """The decision table's answer; asked once for each kind of call by each kind of user."""
    answered_at = cdr.answered_at
    epoch = _LAST_EPOCH if answered_at >= _LAST_EPOCH_START else bisect_right(_EPOCH_STARTS, answered_at) - 1
    country, kind = (rate.country, rate.type) if rate is not None else (None, "none")
    own_user = cdr.user if held.own_plan and cdr.user else ""
    fallback = step.rules.settings.conf_fallback_to_calling_plan
    key = (held.profile, cdr.type, cdr.number_type, country, kind, epoch, own_user, fallback)
    route = _ROUTES.get(key)
    if route is None:
        if len(_ROUTES) >= _ROUTES_MAX:
            _ROUTES.clear()
        on = _EPOCH_STARTS[epoch].date()
        route = _ROUTES[key] = classify(
            cdr.type, cdr.number_type, own_user, held.country, held.skus, country, kind, on, fallback
        )
    return route


def _note_anomalies(cdr: CallRecord, user: User | None, held: Stretch, rate: Rate | None, priced: Priced) -> None:
    """What a person should look at; it never changes the price (rules 24, 43b)."""
    if user is None:
        if cdr.user is not None:
            priced.anomalies.append(Anomaly.UNKNOWN_USER)
        return
    if user.outbound_policy is not None and cdr.type in OUTBOUND:
        country, conference = held.country, cdr.type is CallType.CONF_OUT
        called_country = rate.country if rate else None
        if not policy_allows(user.outbound_policy, conference, called_country, country, cdr.answered_at.date()):
            priced.anomalies.append(Anomaly.POLICY)
    if not user.toll_free_dial_in and cdr.type is CallType.CONF_IN and cdr.number_type is NumberType.TOLL_FREE:
        priced.anomalies.append(Anomaly.TOLL_FREE_EXCLUDED)


def _emit_rated_call(
    step: Step,
    cdr: CallRecord,
    held: Stretch,
    priced: Priced,
    call_id: str,
    content: str,
    month: MonthIndex,
    replaces: int | None,
) -> None:
    """Write the call down, in the order of RatedCall's fields."""
    account, rate, received = step.account, priced.rate, step.at
    if priced.lots:
        last = priced.segments[-1]
        priced.segments[-1] = Segment(
            last.pocket, last.minutes, last.charge, None, None, None, None, lot_shares(priced.lots)
        )
    account.sequences.rated_calls += 1
    step.outputs.append(
        RatedCall(
            account.tenant,
            call_id,
            account.sequences.rated_calls,
            step.source,
            cdr.usage_id,
            cdr.version,
            Outcome.RATED if replaces is None else Outcome.CORRECTED,
            content,
            cdr.type,
            cdr.answered_at,
            cdr.duration_s,
            received,
            period_of(month),
            priced.minutes,
            priced.rule,
            account.currency,
            format_amount(priced.charge),
            format_micros(account.balance),
            tuple(priced.segments),
            format_amount(priced.unfunded),
            format_amount(priced.fee),
            received >= month_closes_at(month, step.rules.settings.grace_hours),
            priced.capability,
            cdr.user,
            cdr.calling,
            cdr.called,
            cdr.number_type,
            priced.context,  # type: ignore[arg-type]  # one of the two sides
            held.country or cdr.user_country,
            rate.country if rate is not None else None,
            rate.destination if rate is not None else cdr.destination,
            rate.deck if rate is not None else None,
            rate.prefix if rate is not None else None,
            rate.price_text if rate is not None and priced.used_rate else None,
            rate.increments if rate is not None and priced.used_rate else None,
            priced.overflow_s,
            cdr.authorized_s,
            cdr.call_id,
            cdr.conference_id,
            cdr.user_object_id,
            cdr.user_display_name,
            replaces,
            tuple(priced.anomalies),
        )
    )
