"""May a call start now, why, and for how many seconds at most.

Emergency calls always may; free calls may; all else may for as long as pools and credit cover it.
Rules 22 to 24, 43b, 50 to 54, A5, A17, A50.
"""

from datetime import datetime

import msgspec

from rater.core.calls_at_once import calls_brake, is_of_calls
from rater.core.classify import OUTBOUND
from rater.core.entities import Account
from rater.core.quotes import Cost, Question, Quote, Reserved
from rater.core.quoting import cost_of, quote
from rater.core.reasons import ALLOWS, Anomaly, Pocket, Refusal, Why
from rater.core.spent_windows import brakes_of
from rater.core.state import Committed
from rater.core.step import Rules
from rater.core.tariff import Rate

#: What the rating core flags and does not refuse, because the call was made; here it has not begun.
_REFUSED_FOR = {
    Anomaly.POLICY: Why.POLICY,
    Anomaly.TOLL_FREE_EXCLUDED: Why.TOLL_FREE_EXCLUDED,
    Anomaly.UNSUPPORTED_NUMBER: Why.UNSUPPORTED_NUMBER,
}


#: The pocket that the first minute of an allowed call draws on; all else is free.
_POCKETS = {
    Why.POOL: Pocket.POOL,
    Why.POOL_THEN_CREDIT: Pocket.POOL,
    Why.CREDIT: Pocket.CREDIT,
    Why.INCLUDED: Pocket.INCLUDED,
}


class Answer(msgspec.Struct, frozen=True):
    """The answer to a switch; `seconds` is 0 where the call is refused.

    `pocket` is what the first minute of an allowed call draws on, `pools` the minutes of pools in the order of
    their use.  `rate` is what minutes cost that no pool covers, in `currency`; None where nobody may spend credits
    on it.  `cost` is what a call of the length costs that was asked for, also of one that is refused;
    `brake` the one that refuses it (A50), `quote` what the answer was made of.  `over`: the keys of brakes on calls
    at once, whatever their mode, beyond which the call is, and how many would run with it.
    """

    allowed: bool
    reason: Why
    seconds: int
    pocket: Pocket | None = None
    pools: tuple[tuple[str, int], ...] = ()
    rate: Rate | None = None
    currency: str | None = None
    cost: Cost | None = None
    brake: str | None = None
    quote: Quote | None = None
    over: tuple[tuple[str, int], ...] = ()


def authorize(
    committed: Committed,
    rules: Rules,
    question: Question,
    at: datetime,
    reserved: Reserved | None = None,
    length_s: int | None = None,
) -> Answer | Refusal:
    """Whether a call may start at an instant, beside what running calls reserved; and what so long a call costs.

    A Refusal says which field of the question no call can have.
    """
    reserved = reserved or Reserved()
    quoted = quote(committed, rules, question, at, at, reserved)
    if isinstance(quoted, Refusal):
        return quoted
    cost = None if length_s is None else cost_of(committed, rules, question, length_s, at, reserved)
    if isinstance(cost, Refusal):
        return cost
    found = committed.load("account", (question.tenant, ""))
    account = found if isinstance(found, Account) else None
    currency = account.currency if account is not None else None
    refused = _refused(question, quoted)
    over = _over(quoted, reserved) if refused is None else ()
    full = _full(account, over) if account is not None and over else None
    why = refused or (Why.CALLS_AT_ONCE if full else quoted.why)
    if why not in ALLOWS:
        brake = {Why.CALLS_AT_ONCE: full, Why.BRAKE_REACHED: quoted.brake}.get(why)
        return Answer(False, why, 0, rate=quoted.rate, currency=currency, cost=cost, brake=brake, over=over)
    seconds = min(quoted.seconds, quoted.longest_s)
    pocket = _POCKETS.get(why, Pocket.FREE)
    return Answer(True, why, seconds, pocket, quoted.pools, quoted.rate, currency, cost, quote=quoted, over=over)


def _over(quoted: Quote, reserved: Reserved) -> tuple[tuple[str, int], ...]:
    """The brakes on calls at once beyond which this call is, if it may start otherwise (A50); see Answer."""
    if quoted.why not in ALLOWS or not quoted.brakes:
        return ()
    running = reserved.brakes
    return tuple(
        [
            (key, running.get(key, 0) + 1)
            for key, limit in quoted.brakes.items()
            if is_of_calls(key) and running.get(key, 0) >= limit
        ]
    )


def _full(account: Account, over: tuple[tuple[str, int], ...]) -> str | None:
    """The first of these brakes that stops."""
    stop = {brake.name for brake in brakes_of(account) if brake.mode == "stop"}
    names = (calls_brake(key)[0] for key, _ in over)
    return next((name for name in names if name in stop), None)


def _refused(question: Question, quoted: Quote) -> Why | None:
    """Why a covered call may not start all the same."""
    if quoted.why in (Why.EMERGENCY, Why.FREE):
        return None
    if quoted.restricted and question.type in OUTBOUND:
        return Why.USER_RESTRICTED
    return next((why for anomaly, why in _REFUSED_FOR.items() if anomaly in quoted.anomalies), None)
