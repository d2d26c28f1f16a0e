"""What a call draws on, in plain words: why minutes of plans paid for it, or why none did.

The rule is the name of a row of the decision table in `classify`, as the rated call says it.
"""

from rater.core.classify import TABLE, Draws, classify, holdings
from rater.core.country_names import country_name
from rater.core.entities import User
from rater.core.entitlements import stretch_at
from rater.core.instants import parse_period
from rater.core.outputs import RatedCall
from rater.core.reasons import Pocket

#: By the row of the table; of a calling plan it depends on what the user holds.
SAYS = {
    "23 emergency": "Calls for help cost nothing.",
    "73 not connected": "It was not connected, so it costs nothing.",
    "15 internal": "Calls within the organisation cost nothing.",
    "38 direct routing": "Another operator carried it, so it costs nothing here.",
    "33 pay-per-minute, toll-free": "The organizer pays for each minute of conferences, also of those who dial in.",
    "39 toll-free inbound": "Who owns a toll-free number pays for its callers; no plan has minutes for them.",
    "33 pay-per-minute, toll": "The organizer pays for each minute of conferences, also of those who dial in.",
    "25 conference dial-in": "Dialling in to a conference is included in the organizer's licence.",
    "35 queue, toll": "Calls to a queue are included in its licence.",
    "16 inbound, toll": "Calls that come in are included.",
    "22 unsupported number": "The number should not have been connected.",
    "32 US/CA dial-out licence": "The licence includes dialling out to the United States and Canada.",
    "33 pay-per-minute, dial-out": "The organizer pays for each minute of conferences.",
    "27 premium dial-out": "No minutes pay for premium numbers: they are always paid from credit.",
    "27 Zone A dial-out": "Dial-out minutes of all conferencing licences pay first.",
    "28 dial-out outside Zone A": "Dial-out minutes of conferences are for Zone A, in which this country is not.",
    "36 queue without pay-as-you-go": "Queues need a pay-as-you-go plan to call out.",
    "36 queue, pay-as-you-go": "Calls of a queue are paid from credit: no plan has minutes for them.",
    "22 premium number": "No plan has minutes for premium numbers: they are always paid from credit.",
}
_DRAWS = {row.rule: row.draws for row in TABLE}


def coverage(call: RatedCall, user: User | None) -> str:
    """The sentence, with the rule; `user` is who pays, where that is known."""
    said = SAYS.get(call.rule)
    if _DRAWS.get(call.rule) is Draws.PLAN_POOLS:
        said = _of_plans(call, user)
    elif _DRAWS.get(call.rule) is Draws.DIAL_OUT_POOL and not _from_pools(call) and call.minutes:
        said = "The dial-out minutes of the month were used up."
    return f"By rule {call.rule}." if said is None else f"{said} Rule {call.rule}."


def _of_plans(call: RatedCall, user: User | None) -> str | None:
    """Calls of a user, which minutes of calling plans pay first."""
    others = {segment.pocket for segment in call.segments} - {Pocket.POOL}
    if _from_pools(call):
        return (
            "Minutes of the plan paid for it."
            if not others
            else "Minutes of the plan paid until they were used up."
        )
    if user is None or not others or others == {Pocket.FREE}:
        return None
    held = stretch_at(user, call.answered_at)
    route = classify(
        call.type,
        call.number_type,
        call.user or "",
        held.country,
        held.skus,
        call.country,
        "none",
        parse_period(call.period),
        conf_fallback=False,
    )
    if route.pools:
        names = " and ".join(pool.name for pool in route.pools)
        return f"The minutes of the plan ({names}) were used up."
    if not holdings(held.skus)[1]:
        return "The user's licences give no minutes."
    where = f"to {country_name(call.country)}" if call.country is not None else "to this number"
    return f"The user's plan has no minutes for calls {where}."


def _from_pools(call: RatedCall) -> bool:
    return any(segment.pocket is Pocket.POOL for segment in call.segments)
