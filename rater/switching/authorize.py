"""May a call start now, why, and for how many seconds at most.

Emergency calls always may; what costs nobody anything may; all else may for as long as pools and credit carry it.
Sources: rating-rules 22 to 24, 43b, 50 to 54, A5, A17; the decision order of 1.8 is the rating core's own.
Refuses to know HTTP, Kafka and clocks.
"""

from datetime import datetime

import msgspec

from rater.core.classify import OUTBOUND
from rater.core.mediation import Refusal
from rater.core.reasons import Anomaly
from rater.core.state import Committed
from rater.core.step import Rules
from rater.switching.funding import Funding, Question, Reserved, fund
from rater.switching.reasons import ALLOWS, Why

#: What the rating core flags and does not refuse, because the call was made; here it has not begun.
_REFUSED_FOR = {
    Anomaly.POLICY: Why.POLICY,
    Anomaly.TOLL_FREE_EXCLUDED: Why.TOLL_FREE_EXCLUDED,
    Anomaly.UNSUPPORTED_NUMBER: Why.UNSUPPORTED_NUMBER,
}


class Answer(msgspec.Struct, frozen=True):
    """What a switch is told; `seconds` is 0 where the call is refused."""

    allowed: bool
    reason: Why
    seconds: int


def authorize(
    committed: Committed, rules: Rules, question: Question, at: datetime, reserved: Reserved | None = None
) -> Answer | Refusal:
    """Whether a call may start at an instant, beside what running calls reserved.

    A Refusal says which field of the question no call can have.
    """
    funding = fund(committed, rules, question, at, at, reserved or Reserved())
    if isinstance(funding, Refusal):
        return funding
    why = _refused(question, funding) or funding.why
    return Answer(True, why, min(funding.seconds, funding.longest_s)) if why in ALLOWS else Answer(False, why, 0)


def _refused(question: Question, funding: Funding) -> Why | None:
    """Why a call that could be carried may not start all the same."""
    if funding.why in (Why.EMERGENCY, Why.FREE):
        return None
    if funding.restricted and question.type in OUTBOUND:
        return Why.USER_RESTRICTED
    return next((why for anomaly, why in _REFUSED_FOR.items() if anomaly in funding.anomalies), None)
