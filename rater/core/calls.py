"""A call-detail record arrives: duplicate, conflict, correction or new call.

Sources: rating-rules 68, 71, A12; conformance README "Settled details".
Refuses to know prices: see `rating`.
"""

from hashlib import blake2b

import msgspec

from rater.core.credit import refund
from rater.core.entities import LiveCall
from rater.core.inputs import CallRecord
from rater.core.instants import period_of
from rater.core.mediation import Refusal, emergency_call, refusal
from rater.core.passing_time import advance, balance_moved
from rater.core.pools import give_back
from rater.core.rating import call_hash, payer, rate_call
from rater.core.reasons import DebitKind, Outcome, Reason
from rater.core.step import Step

_content_encoder = msgspec.msgpack.Encoder()


def content_hash(cdr: CallRecord) -> str:
    """A hash over every field of the record except when it was received."""
    if cdr.received_at is not None:
        cdr = msgspec.structs.replace(cdr, received_at=None)
    return blake2b(_content_encoder.encode(cdr), digest_size=8).hexdigest()


def call_arrived(step: Step, cdr: CallRecord) -> Outcome | Refusal:
    """Apply one record of a known tenant; a Refusal changed neither money nor minutes."""
    account = step.account
    user, held = payer(step, cdr)
    emergency = emergency_call(cdr, held.country or cdr.user_country)
    refused = refusal(cdr, account.currency, emergency)
    if refused is not None:
        return refused
    content = content_hash(cdr)
    live = step.state.call(account.tenant, cdr.usage_id)
    if live is not None:
        if cdr.version < live.version or (cdr.version == live.version and content == live.content):
            return Outcome.DUPLICATE
        if cdr.version == live.version:
            message = f"version {cdr.version} of this usage id was rated with other content"
            return Refusal(Reason.CONFLICTING_DUPLICATE, "usage_id", message)
    if step.at > account.clock:
        advance(step, step.at)
    before = account.balance
    if live is not None:
        _reverse(step, cdr, live)
    rate_call(step, cdr, user, held, emergency, content, live.version if live else None)
    balance_moved(step, before)
    return Outcome.CORRECTED if live else Outcome.RATED


def _reverse(step: Step, cdr: CallRecord, live: LiveCall) -> None:
    """Give back everything of the live version: minutes to their month, money to its lots (A12)."""
    account = step.account
    for name, minutes in live.pools:
        give_back(step.state, account.tenant, name, minutes)
    if live.charge:
        id = call_hash(cdr)
        went = refund(account, list(live.lots), f"refund-{id}", step.at)
        step.debit(
            DebitKind.REVERSAL,
            f"{id}-0",
            -live.charge,
            [(lot, -amount) for lot, amount in went],
            usage_id=cdr.usage_id,
            version=live.version,
            user=cdr.user,
            period=period_of(live.month),
        )
