"""Plans and licences with their effective dates: who gets which minutes, and what else a licence gives.

Rules 1, 2, 6 to 8, 12, 13, 30 to 36, 49, 52, A9, A21.
"""

from datetime import date

import msgspec

from rater.core.geography import DIAL_OUT_900
from rater.core.reasons import ClosedList


class Service(ClosedList):
    """What a licence lets its holder do."""

    CALLING_PLAN = "calling_plan"  # bundled minutes
    PAY_AS_YOU_GO = "pay_as_you_go"  # unlimited inbound, every outbound call is charged (rule 12)
    AUDIO_CONFERENCING = "audio_conferencing"  # dial-in, and a share of the Zone A dial-out pool
    DIAL_OUT_US = "dial_out_us"  # unlimited dial-out to the United States and Canada (rule 32)
    CONFERENCING_PAY_PER_MINUTE = "conferencing_pay_per_minute"  # every conference leg is charged (rule 33)
    CREDITS = "credits"  # access to the tenant's balance (rule 49)
    PHONE_SYSTEM = "phone_system"  # may be called and call; brings no minutes
    VIRTUAL_USER = "virtual_user"  # a resource account of a queue or auto attendant


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A calling plan.  `priority` is the order in which two plans of one user are used up (A21)."""

    code: str
    capability: str
    priority: int = 1
    pooled: bool = True
    international: bool = False


class Sku(msgspec.Struct, frozen=True, kw_only=True):
    """A licence that can be assigned."""

    code: str
    title: str
    services: frozenset[Service]
    plan: Plan | None = None


_BIG = ("US", "PR", "CA")
_EUROPE = ["AT", "BE", "CH", "DE", "DK", "ES", "FR", "IE", "IT", "NL", "PT", "SE", "GB"]
#: GB got 3000 domestic minutes on this day; 1200 before.
GB_3000_FROM = date(2023, 1, 1)
DIAL_OUT_60_FROM = date(2019, 12, 1)
DIAL_OUT_BASIS_PURCHASED_FROM = date(2020, 10, 22)
UCAP_OUT_NEEDS_PAYG_FROM = date(2025, 11, 1)
_DOMESTIC: dict[str | None, int] = {**dict.fromkeys(_BIG, 3000), **dict.fromkeys(_EUROPE, 1200)}
#: Minutes per user and month by plan; `None` as country means every country.
_MINUTES: dict[str, dict[str | None, int]] = {
    "MCOPSTN1": _DOMESTIC,
    "MCOPSTN2": _DOMESTIC,
    "MCOPSTN5": {None: 120},
    "MCOPSTN6": {None: 240},
    "MCOPSTN8": {None: 120},
    "MCOPSTN9": {},
    "BUSINESS_VOICE_MED2": {"US": 3000, "PR": 3000},
    "BUSINESS_VOICE_MED": {"CA": 3000},
    "BUSINESS_VOICE": {"GB": 1200},
}
_INTERNATIONAL_MINUTES = 600


def allowance(plan: Plan, country: str, on: date) -> tuple[int, int]:
    """Domestic and international minutes per user and calendar month (rule 1); 0 where not sold."""
    minutes = _MINUTES.get(plan.code, {})
    domestic = minutes.get(country, minutes.get(None, 0))
    if country == "GB" and plan.code in ("MCOPSTN1", "MCOPSTN2") and on >= GB_3000_FROM:
        domestic = 3000
    return domestic, _INTERNATIONAL_MINUTES if plan.international and domestic else 0


def dial_out_minutes(tenant_country: str | None, on: date) -> int:
    """Zone A dial-out minutes per Audio Conferencing licence and month (rule 30)."""
    return 60 if on >= DIAL_OUT_60_FROM and tenant_country not in DIAL_OUT_900 else 900


def sku(code: str) -> Sku | None:
    """A licence by its code or alias, in any case; None for one that the catalogue does not know."""
    known = SKUS.get(code)
    if known is not None:
        return known
    code = code.strip().upper()
    return SKUS.get(_ALIASES.get(code, code))


def code_of(code: str) -> str:
    """A licence as the catalogue names it, or as it is written."""
    return known.code if (known := sku(code)) else code


def helps(code: str) -> bool:
    """Whether a licence gives minutes or access to credits: with it a restricted user may call out again."""
    known = sku(code)
    return known is not None and (known.plan is not None or not known.services.isdisjoint(_HELPFUL))


def _plan(code: str, priority: int = 1, *, pooled: bool = True, international: bool = False) -> Plan:
    return Plan(code=code, capability=code, priority=priority, pooled=pooled, international=international)


#: They include inbound calls, and no outbound minutes (rule 12).
PAY_AS_YOU_GO_PLANS = ("MCOPSTN_PAYG_1", "MCOPSTN_PAYG_2")
_S = Service
_HELPFUL = frozenset({_S.CREDITS, _S.AUDIO_CONFERENCING, _S.DIAL_OUT_US, _S.CONFERENCING_PAY_PER_MINUTE})
_VOICE = frozenset({_S.CALLING_PLAN, _S.PHONE_SYSTEM, _S.AUDIO_CONFERENCING})
_PLANS = (
    ("MCOPSTN1", "Domestic Calling Plan", _plan("MCOPSTN1")),
    ("MCOPSTN2", "Domestic and International Calling Plan", _plan("MCOPSTN2", 2, international=True)),
    ("MCOPSTN5", "Domestic Calling Plan (120 minutes)", _plan("MCOPSTN5")),
    ("MCOPSTN6", "Domestic Calling Plan (240 minutes)", _plan("MCOPSTN6")),
    ("MCOPSTN8", "Domestic Calling Plan (120 minutes per user)", _plan("MCOPSTN8", 0, pooled=False)),
    ("MCOPSTN9", "International Calling Plan", _plan("MCOPSTN9", 3)),
)
_BUSINESS_VOICE = (
    ("BUSINESS_VOICE_MED2", "Business Voice (US)", _plan("BUSINESS_VOICE_MED2")),
    ("BUSINESS_VOICE_MED", "Business Voice (Canada)", _plan("BUSINESS_VOICE_MED")),
    ("BUSINESS_VOICE", "Business Voice (UK)", _plan("BUSINESS_VOICE")),
)
_SERVICES: tuple[tuple[str, str, set[Service] | frozenset[Service]], ...] = (
    (PAY_AS_YOU_GO_PLANS[0], "Pay-As-You-Go Calling Plan, zone 1", {_S.PAY_AS_YOU_GO}),
    (PAY_AS_YOU_GO_PLANS[1], "Pay-As-You-Go Calling Plan, zone 2", {_S.PAY_AS_YOU_GO}),
    ("MCOPSTNPP", "Communications Credits", {_S.CREDITS}),
    ("MCOPSTNC", "Communications Credits", {_S.CREDITS}),
    ("MCOMEETADV", "Audio Conferencing", {_S.AUDIO_CONFERENCING}),
    ("MCOMEETADD_CN_GLOBAL", "Audio Conferencing (China, global)", {_S.AUDIO_CONFERENCING}),
    ("MCOMEETADD_TATA", "Audio Conferencing (Tata)", {_S.AUDIO_CONFERENCING}),
    ("MCOMEETADD_DIALOUT_US", "Audio Conferencing, unlimited US and Canada dial-out", {_S.DIAL_OUT_US}),
    ("MCOMEETACPEA", "Audio Conferencing Pay-Per-Minute", {_S.CONFERENCING_PAY_PER_MINUTE}),
    ("MCOMEETACPEA_GOV", "Audio Conferencing Pay-Per-Minute (GCC)", {_S.CONFERENCING_PAY_PER_MINUTE}),
    ("MCOEV", "Phone System", {_S.PHONE_SYSTEM}),
    ("MCOEV_VIRTUALUSER", "Phone System Virtual User", {_S.PHONE_SYSTEM, _S.VIRTUAL_USER}),
    ("MCOEV_VIRTUALUSER_GOV", "Phone System Virtual User (GCC)", {_S.PHONE_SYSTEM, _S.VIRTUAL_USER}),
    ("PHONESYSTEM_VIRTUALUSER", "Phone System Virtual User", {_S.PHONE_SYSTEM, _S.VIRTUAL_USER}),
    ("MCOCAP", "Common Area Phone", {_S.PHONE_SYSTEM}),
    ("MCOPSTNCAP", "Common Area Phone", {_S.PHONE_SYSTEM}),
    ("ENTERPRISEPREMIUM", "Office 365 E5", {_S.PHONE_SYSTEM, _S.AUDIO_CONFERENCING}),
    ("ENTERPRISEPREMIUM_NOPSTNCONF", "Office 365 E5 without Audio Conferencing", {_S.PHONE_SYSTEM}),
    ("SPE_E5", "Microsoft 365 E5", {_S.PHONE_SYSTEM, _S.AUDIO_CONFERENCING}),
    ("ENTERPRISEPACK", "Office 365 E3", set()),
    ("STANDARDPACK", "Office 365 E1", set()),
    ("BUSINESS_VOICE_DIRECTROUTING", "Business Voice without Calling Plan", _VOICE - {_S.CALLING_PLAN}),
    ("BUSINESS_VOICE_DIRECTROUTING_MED", "Business Voice without Calling Plan", _VOICE - {_S.CALLING_PLAN}),
)
_ALIASES = {
    "MCOPSTN_1": "MCOPSTN1",
    "MCOPSTN_5": "MCOPSTN5",
    "MCOPSTN_6": "MCOPSTN6",
    "MCOPSTN_8": "MCOPSTN8",
    "MCOMEETADD": "MCOMEETADV",
    "BUSINESS_VOICE_MED2_TELCO": "BUSINESS_VOICE_MED2",
}

SKUS: dict[str, Sku] = {
    **{c: Sku(code=c, title=t, services=frozenset({_S.CALLING_PLAN}), plan=p) for c, t, p in _PLANS},
    **{c: Sku(code=c, title=t, services=_VOICE, plan=p) for c, t, p in _BUSINESS_VOICE},
    **{c: Sku(code=c, title=t, services=frozenset(given)) for c, t, given in _SERVICES},
}
