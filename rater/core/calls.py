"""A call-detail record arrives: duplicate, conflict, correction or new call.

Sources: rating-rules 68, 71, A12; conformance README "Settled details".
Refuses to know prices: see `rating`.
"""

from rater.core.credit import refund
from rater.core.entities import LiveCall, Share
from rater.core.instants import parse_period, period_of
from rater.core.mediation import Mediated, Refusal, emergency_call, refusal
from rater.core.money import parse_amount, parse_ledger
from rater.core.outputs import LotShare, RatedCall
from rater.core.passing_time import advance, balance_moved
from rater.core.pools import give_back
from rater.core.rating import payer, rate_call
from rater.core.reasons import DebitKind, Outcome, Reason
from rater.core.step import Step


def call_arrived(step: Step, call: Mediated) -> Outcome | Refusal:
    """Apply one record of a known tenant; a Refusal changed neither money nor minutes."""
    account, cdr = step.account, call.cdr
    user, held = payer(step, cdr)
    emergency = emergency_call(cdr, held.country or cdr.user_country)
    refused = refusal(call, account.currency, emergency)
    if refused is not None:
        return refused
    if step.at > account.clock:
        advance(step, step.at)
    live = step.state.call(account.tenant, cdr.usage_id)
    if live is not None:
        if cdr.version < live.version or (cdr.version == live.version and call.content == live.content):
            return Outcome.DUPLICATE
        if cdr.version == live.version:
            message = f"version {cdr.version} of this usage id was rated with other content"
            return Refusal(Reason.CONFLICTING_DUPLICATE, "usage_id", message)
    before = account.balance
    if live is not None:
        _reverse(step, call, live)
    rate_call(step, call, user, held, emergency, live.version if live else None)
    balance_moved(step, before)
    return Outcome.CORRECTED if live else Outcome.RATED


def _reverse(step: Step, call: Mediated, live: LiveCall) -> None:
    """Give back everything of the live version: minutes to their month, money to its lots (A12)."""
    account = step.account
    for name, minutes in live.pools:
        give_back(step.state, account.tenant, name, minutes)
    if live.charge:
        went = refund(account, live.lots, f"refund-{call.id}", step.at)
        step.debit(
            DebitKind.REVERSAL,
            f"{call.id}-0",
            -live.charge,
            [Share(share.lot, -share.amount) for share in went],
            usage_id=call.cdr.usage_id,
            version=live.version,
            user=call.cdr.user,
            period=period_of(live.month),
        )


def live_call(call: RatedCall) -> LiveCall:
    """The live version that a rated call leaves: enough to tell a duplicate and to reverse it (A12)."""
    return LiveCall(
        call.version,
        call.content,
        parse_period(call.period),
        parse_amount(call.charge),
        tuple([(part.pool, part.minutes) for part in call.segments if part.pool is not None]),
        tuple([_share(share) for part in call.segments for share in part.lots]),
    )


def _share(share: LotShare) -> Share:
    owed_from = None if share.owed_from is None else parse_ledger(share.owed_from)
    return Share(share.lot, parse_amount(share.amount), owed_from)
