"""May a call start now, why, and for how many seconds at most.

Emergency calls always may; free calls may; all else may for as long as pools and credit cover it.
Rules 22 to 24, 43b, 50 to 54, A5, A17.
"""

from datetime import datetime

import msgspec

from rater.core.classify import OUTBOUND
from rater.core.quoting import Question, Quote, Reserved, quote
from rater.core.reasons import ALLOWS, Anomaly, Refusal, Why
from rater.core.state import Committed
from rater.core.step import Rules

#: What the rating core flags and does not refuse, because the call was made; here it has not begun.
_REFUSED_FOR = {
    Anomaly.POLICY: Why.POLICY,
    Anomaly.TOLL_FREE_EXCLUDED: Why.TOLL_FREE_EXCLUDED,
    Anomaly.UNSUPPORTED_NUMBER: Why.UNSUPPORTED_NUMBER,
}


class Answer(msgspec.Struct, frozen=True):
    """The answer to a switch; `seconds` is 0 where the call is refused."""

    allowed: bool
    reason: Why
    seconds: int


def authorize(
    committed: Committed, rules: Rules, question: Question, at: datetime, reserved: Reserved | None = None
) -> Answer | Refusal:
    """Whether a call may start at an instant, beside what running calls reserved.

    A Refusal says which field of the question no call can have.
    """
    quoted = quote(committed, rules, question, at, at, reserved or Reserved())
    if isinstance(quoted, Refusal):
        return quoted
    why = _refused(question, quoted) or quoted.why
    return Answer(True, why, min(quoted.seconds, quoted.longest_s)) if why in ALLOWS else Answer(False, why, 0)


def _refused(question: Question, quoted: Quote) -> Why | None:
    """Why a covered call may not start all the same."""
    if quoted.why in (Why.EMERGENCY, Why.FREE):
        return None
    if quoted.restricted and question.type in OUTBOUND:
        return Why.USER_RESTRICTED
    return next((why for anomaly, why in _REFUSED_FOR.items() if anomaly in quoted.anomalies), None)
