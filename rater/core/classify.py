"""Classification: which pocket a call draws on.  One table, read from the top; the first row that fits decides.

Rules 15 to 43, 49 to 52, and the order of decisions in RULES.md.
Amounts (minutes left, balance, rate) play no part here.
"""

from collections.abc import Iterator
from datetime import date
from enum import Enum, auto
from functools import lru_cache

import msgspec

from rater.core.catalogue import PAY_AS_YOU_GO_PLANS, UCAP_OUT_NEEDS_PAYG_FROM, Plan, Service, sku
from rater.core.entitlements import family_name
from rater.core.geography import INTERNATIONAL_PLAN, ZONE_A, destination_country, domestic_countries
from rater.core.instants import MonthIndex, first_day
from rater.core.pools import DOMESTIC, INTERNATIONAL, Pool, dial_out_pool, plan_pool
from rater.core.reasons import Anomaly, CallType, NumberType, Pocket

C = CallType
#: Calls of another operator, or of no operator: kept, and free (rule 38).
DIRECT_ROUTING = frozenset(
    type for type in C if type.value.startswith(("dr_", "oc_", "byot")) or type is C.UNASSIGNED_IN
)
INBOUND = frozenset({C.USER_IN, C.CONF_IN, C.UCAP_IN, C.PSTN_IN})
#: The direction of those that are free: there the rules ask for no number.
DIRECT_INBOUND = frozenset(type for type in DIRECT_ROUTING if "in" in type.value.split("_") or type is C.BYOT_IN)
OUTBOUND = frozenset(
    {
        C.USER_OUT,
        C.USER_OUT_CONF,
        C.USER_OUT_TRANSFER,
        C.USER_OUT_FORWARDING,
        C.CONF_OUT,
        C.UCAP_OUT,
        C.PSTN_OUT,
    }
)
QUEUE_OUT = frozenset({C.UCAP_OUT})
CONFERENCE = frozenset({C.CONF_IN})
CONFERENCE_OUT = frozenset({C.CONF_OUT})
NORTH_AMERICA_DIAL_OUT = frozenset({"US", "CA"})


class Draws(Enum):
    """What a row of the table draws on."""

    FREE = auto()  # nobody pays
    INCLUDED = auto()  # the plan includes it uncounted
    FREECALL = auto()  # nobody pays because it should not have connected
    CREDITS = auto()  # money, of a subject with access to credits
    CREDITS_OPEN = auto()  # money; no licence for credits is asked for
    UNFUNDED = auto()  # priced only
    DIAL_OUT_POOL = auto()  # the tenant's Zone A minutes, then credits
    PLAN_POOLS = auto()  # the subject's calling plan minutes, then credits


class Situation(msgspec.Struct, frozen=True):
    """Everything about a call that the table looks at; small enough to cache by."""

    type: CallType
    toll_free: bool
    services: frozenset[Service]
    kind: str
    zone_a: bool
    in_north_america: bool
    on: date


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the decision table.  A condition that is None is not asked."""

    rule: str
    types: frozenset[CallType]
    draws: Draws
    capability: str | None = None
    toll_free: bool | None = None
    holds: Service | None = None
    lacks: Service | None = None
    kinds: tuple[str, ...] | None = None
    zone_a: bool | None = None
    in_north_america: bool | None = None
    since: date = date.min
    by_origin: bool = False
    anomaly: Anomaly | None = None

    def fits(self, call: Situation) -> bool:
        """Whether every condition of the row holds."""
        return (
            call.type in self.types
            and (self.toll_free is None or self.toll_free == call.toll_free)
            and (self.holds is None or self.holds in call.services)
            and (self.lacks is None or self.lacks not in call.services)
            and (self.kinds is None or call.kind in self.kinds)
            and (self.zone_a is None or self.zone_a == call.zone_a)
            and (self.in_north_america is None or self.in_north_america == call.in_north_america)
            and self.since <= call.on
        )


S, D = Service, Draws
ORDINARY = ("landline", "mobile", "toll_free", "none")
PREMIUM = ("premium",)
UNSUPPORTED = ("unsupported",)

# fmt: off
TABLE: tuple[Row, ...] = (
    Row(rule="15 internal", types=frozenset({C.INTERNAL}), draws=D.FREE),
    Row(rule="38 direct routing", types=DIRECT_ROUTING, draws=D.FREE),
    Row(rule="33 pay-per-minute, toll-free", types=CONFERENCE, toll_free=True, holds=S.CONFERENCING_PAY_PER_MINUTE, draws=D.CREDITS_OPEN, by_origin=True, capability="MCOMEETACPEA"),
    Row(rule="39 toll-free inbound", types=INBOUND, toll_free=True, draws=D.CREDITS_OPEN, by_origin=True, capability="MCOPSTNPP"),
    Row(rule="33 pay-per-minute, toll", types=CONFERENCE, holds=S.CONFERENCING_PAY_PER_MINUTE, draws=D.CREDITS_OPEN, capability="MCOMEETACPEA"),
    Row(rule="25 conference dial-in", types=CONFERENCE, holds=S.AUDIO_CONFERENCING, draws=D.INCLUDED, capability="MCOMEETADD"),
    Row(rule="35 queue, toll", types=frozenset({C.UCAP_IN}), draws=D.INCLUDED, capability="MCOEV"),
    Row(rule="16 inbound, toll", types=INBOUND, draws=D.INCLUDED),
    Row(rule="22 unsupported number", types=OUTBOUND, kinds=UNSUPPORTED, draws=D.FREECALL, anomaly=Anomaly.UNSUPPORTED_NUMBER),
    Row(rule="32 US/CA dial-out licence", types=CONFERENCE_OUT, holds=S.DIAL_OUT_US, kinds=ORDINARY, in_north_america=True, draws=D.INCLUDED, capability="MCOMEETADD_DIALOUT_US"),
    Row(rule="33 pay-per-minute, dial-out", types=CONFERENCE_OUT, holds=S.CONFERENCING_PAY_PER_MINUTE, draws=D.CREDITS_OPEN, capability="MCOMEETACPEA"),
    Row(rule="27 premium dial-out", types=CONFERENCE_OUT, holds=S.AUDIO_CONFERENCING, kinds=PREMIUM, draws=D.CREDITS),
    Row(rule="27 Zone A dial-out", types=CONFERENCE_OUT, holds=S.AUDIO_CONFERENCING, zone_a=True, draws=D.DIAL_OUT_POOL),
    Row(rule="28 dial-out outside Zone A", types=CONFERENCE_OUT, holds=S.AUDIO_CONFERENCING, draws=D.CREDITS),
    Row(rule="36 queue without pay-as-you-go", types=QUEUE_OUT, lacks=S.PAY_AS_YOU_GO, since=UCAP_OUT_NEEDS_PAYG_FROM, draws=D.UNFUNDED, anomaly=Anomaly.NEEDS_PAY_AS_YOU_GO),
    Row(rule="36 queue, pay-as-you-go", types=QUEUE_OUT, since=UCAP_OUT_NEEDS_PAYG_FROM, draws=D.CREDITS),
    Row(rule="22 premium number", types=OUTBOUND, kinds=PREMIUM, draws=D.CREDITS),
    Row(rule="17, 20 calling plan", types=OUTBOUND, draws=D.PLAN_POOLS),
)
# fmt: on

#: Rows by which a premium number is priced (rules 22, 27).
PREMIUM_RULES = frozenset([row.rule for row in TABLE if row.kinds == PREMIUM])


#: Rows by which one pocket covers the whole call, and no price is asked for.
_WHOLE = {Draws.INCLUDED: Pocket.INCLUDED, Draws.FREE: Pocket.FREE}


class Route(msgspec.Struct, frozen=True):
    """The table's answer for one kind of call by one kind of user.

    `pools` are drawn on in order before money; `may_spend` says whether the subject has access to
    credits; `by_origin` that the rate is that of the calling number (rule 42); `whole` is the pocket that carries
    the whole call, if one does.
    """

    rule: str
    draws: Draws
    pools: tuple[Pool, ...]
    may_spend: bool
    capability: str | None
    money_capability: str
    context: str | None
    by_origin: bool
    anomalies: tuple[Anomaly, ...]
    whole: Pocket | None


def classify(
    type: CallType,
    number_type: NumberType,
    user: str,
    country: str | None,
    skus: tuple[str, ...],
    called_country: str | None,
    kind: str,
    month: MonthIndex,
    conf_fallback: bool,
) -> Route:
    """Find the row for a call, and resolve it to the month's pools and to capabilities.

    Rows and countries change on the first day of a month only, so the caller can cache the answer by month;
    `user` is only needed (else empty) when the user holds a plan of its own.
    """
    on = first_day(month)
    services, plans, unknown = holdings(skus)
    destination = destination_country(called_country)
    situation = Situation(
        type=type,
        toll_free=number_type is NumberType.TOLL_FREE,
        services=services,
        kind=kind,
        zone_a=destination in ZONE_A,
        in_north_america=destination in NORTH_AMERICA_DIAL_OUT,
        on=on,
    )
    row = next(row for row in TABLE if row.fits(situation))
    side = _side(country, called_country, on)
    pools = tuple(_pools(row, conf_fallback, plans, country, user, destination, side, month))
    anomalies = [anomaly for anomaly in (row.anomaly, Anomaly.UNKNOWN_SKU if unknown else None) if anomaly]
    return Route(
        rule=row.rule,
        draws=row.draws,
        pools=pools,
        may_spend=row.draws is Draws.CREDITS_OPEN
        or (row.draws is not Draws.UNFUNDED and Service.CREDITS in services),
        capability=row.capability or _capability(row, pools, plans, services, skus),
        money_capability=row.capability or "MCOPSTNPP",
        context=side if type in OUTBOUND and called_country else None,
        by_origin=row.by_origin,
        anomalies=tuple(anomalies),
        whole=_WHOLE.get(row.draws),
    )


@lru_cache(maxsize=4096)
def holdings(skus: tuple[str, ...]) -> tuple[frozenset[Service], tuple[Plan, ...], tuple[str, ...]]:
    """What licences give: services, calling plans in the order they are used up (A21), unknown codes."""
    known = [found for code in skus if (found := sku(code)) is not None]
    services = frozenset(service for found in known for service in found.services)
    plans = sorted({found.plan.code: found.plan for found in known if found.plan}.values(), key=_use_order)
    return services, tuple(plans), tuple(code for code in skus if sku(code) is None)


def _use_order(plan: Plan) -> tuple[int, str]:
    return plan.priority, plan.code


def _side(country: str | None, called_country: str | None, on: date) -> str:
    inside = country is not None and called_country in domestic_countries(country, on)
    return DOMESTIC if inside else INTERNATIONAL


def _pools(
    row: Row,
    conf_fallback: bool,
    plans: tuple[Plan, ...],
    country: str | None,
    user: str,
    destination: str | None,
    side: str,
    month: MonthIndex,
) -> Iterator[Pool]:
    """The pools of a row, in the order they are drawn on."""
    if row.draws is Draws.DIAL_OUT_POOL:
        yield dial_out_pool(month)
    if row.draws is Draws.PLAN_POOLS or (row.draws is Draws.DIAL_OUT_POOL and conf_fallback):
        for plan in plans:
            if country and (side == DOMESTIC or (plan.international and destination in INTERNATIONAL_PLAN)):
                family = family_name(plan.code, plan.pooled, country, user)
                yield plan_pool(family, side, plan, country, month)


def _capability(
    row: Row, pools: tuple[Pool, ...], plans: tuple[Plan, ...], services: frozenset[Service], skus: tuple[str, ...]
) -> str | None:
    """The licence code of the usage row when no money moves."""
    if row.draws in (Draws.FREE, Draws.FREECALL):
        return None
    if pools:
        return pools[0].capability
    if row.types is CONFERENCE_OUT and Service.AUDIO_CONFERENCING in services:
        return "MCOMEETADD"
    if plans:
        return plans[0].capability
    return next((code for code in PAY_AS_YOU_GO_PLANS if code in skus), None)
