"""Rating one call: who pays, the price, the debit, and the outputs.

Rules 14, 17, 18, 26, 36, 49, 50, A10 to A12, A18.
"""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET

from rater.core.brakes import count, shares
from rater.core.credit import debit
from rater.core.entities import Account, LiveCall, Share, Stretch, User
from rater.core.entitlements import profile_key, stretch_at, unknown_user
from rater.core.erasure import hidden_record
from rater.core.identity import is_pseudonym, name_key
from rater.core.inputs import CallRecord
from rater.core.instants import month_of, period_of
from rater.core.mediation import Mediated
from rater.core.money import format_amount
from rater.core.outputs import BrakeCount, RatedCall, Segment
from rater.core.passing_time import restrict
from rater.core.pricing import Priced, price_call
from rater.core.reasons import DebitKind, Outcome
from rater.core.step import Step, lot_shares

#: Whoever is not known holds nothing.
_NOBODY = Stretch(None, None, (), "|")


def payer(step: Step, cdr: CallRecord) -> tuple[User | None, Stretch]:
    """The payer and their licences at call start (rules 14, 17, 18, 26, 36); None if unknown.

    Nobody held anything while the tenant was closed.
    """
    if cdr.user is None:
        return None, _NOBODY
    user = step.state.user_meant_by(step.account.tenant, cdr.user, cdr.user_object_id)
    held = stretch_at(user, cdr.answered_at) if user else _NOBODY
    if step.account.closures and step.account.was_closed(cdr.answered_at):
        held = Stretch(None, held.country, (), profile_key(held.country, ()))
    return user, held


def countries_of_help(account: Account, country: str | None, said: str | None = None) -> tuple[str, ...]:
    """Whose emergency numbers count: the user's country's, else those of all in which there are users (A36).

    `said` is the country that the record says, where the user's is not known: its numbers count as well.
    """
    if country is not None:
        return (country,)
    if said is None or said in account.user_countries:
        return account.user_countries
    return (*account.user_countries, said)


def named(call: Mediated, user: User | None) -> Mediated:
    """The call with the user's name as it is shown: by its first spelling (A40)."""
    if user is None or user.user == call.cdr.user:
        return call
    return msgspec.structs.replace(call, cdr=msgspec.structs.replace(call.cdr, user=user.user))


def rate_call(
    step: Step, call: Mediated, user: User | None, held: Stretch, emergency: bool, replaces: int | None
) -> None:
    """Rate a record that was checked and is no duplicate; `replaces` is the version that it corrects."""
    account, cdr = step.account, call.cdr
    priced = price_call(step, call, user, held, emergency)
    lots = debit(step.state, account, priced.charge) if priced.charge else ()
    brakes = count(step, cdr, priced) if priced.charge and account.brakes is not UNSET else ()
    shown = call if account.pseudonym_key is None else _hidden(call, account.pseudonym_key)
    _emit_rated_call(step, shown, held, priced, lots, replaces, brakes)
    if lots:
        step.debit(
            DebitKind.CALL,
            f"{call.id}-1",
            priced.charge,
            lots,
            cdr.usage_id,
            cdr.version,
            cdr.user,
            period_of(call.month),
        )
    step.state.calls[(account.tenant, cdr.usage_id)] = LiveCall(
        cdr.version,
        call.content,
        call.month,
        priced.charge,
        priced.pools,
        tuple(lots),
        0 if call.again is None else call.again.rating,
        shares(brakes, cdr.user) if brakes else UNSET,
    )
    if user is None and cdr.user is not None:  # the first spelling is the one that is shown
        step.state.users[(account.tenant, name_key(cdr.user))] = unknown_user(cdr.user)
    if priced.unfunded is not None and cdr.user is not None and not account.was_closed(cdr.answered_at):
        user = step.state.user(account.tenant, cdr.user)  # time that passed may have changed it
        if user is not None and user.restricted_since is None:
            restrict(step, user, _restriction_reason(account))


def _hidden(call: Mediated, key: str) -> Mediated:
    """What is written down of a call: of an erased user's, nothing that names a person."""
    if call.cdr.user is None or not is_pseudonym(call.cdr.user):
        return call
    return msgspec.structs.replace(call, cdr=hidden_record(call.cdr, key))


def _restriction_reason(account: Account) -> str:
    return "no_credits_license" if account.credits else "credits_not_set_up"


def _emit_rated_call(
    step: Step,
    call: Mediated,
    held: Stretch,
    priced: Priced,
    lots: Sequence[Share],
    replaces: int | None,
    brakes: tuple[BrakeCount, ...],
) -> None:
    """Write the call down, in the order of RatedCall's fields."""
    account, cdr, rate = step.account, call.cdr, priced.rate
    money = rate if priced.overflow_s is not None else None
    sequences = account.sequences
    sequences.rated_calls += 1
    month = month_of(call.month, step.rules.settings.grace_hours)
    step.outputs.append(
        RatedCall(
            account.tenant,
            call.id,
            sequences.rated_calls,
            step.source,
            cdr.usage_id,
            cdr.version,
            Outcome.RATED if replaces is None else Outcome.CORRECTED,
            call.content,
            cdr.type,
            cdr.answered_at,
            cdr.duration_s,
            call.at,
            month.period,
            priced.minutes,
            priced.rule,
            account.currency,
            format_amount(priced.charge),
            step.balance_text,
            _with_lots(priced.segments, lots) if lots else priced.segments,
            format_amount(priced.unfunded or 0),
            format_amount(priced.fee),
            call.late_at >= month.closes_at,
            priced.capability,
            cdr.user,
            cdr.calling,
            cdr.called,
            cdr.number_type,
            priced.context,  # type: ignore[arg-type]  # one of the two sides
            held.country or cdr.user_country,
            priced.country,
            rate.destination if rate is not None else cdr.destination,
            rate.deck if rate is not None else None,
            rate.prefix if rate is not None else None,
            money.price_text if money is not None else None,
            money.increments if money is not None else None,
            priced.overflow_s,
            cdr.authorized_s,
            cdr.call_id,
            cdr.conference_id,
            cdr.user_object_id,
            cdr.user_display_name,
            replaces,
            priced.anomalies,
            0 if call.again is None else call.again.rating,
            None if call.again is None else call.again.reason,
            brakes,
        )
    )


def _with_lots(segments: tuple[Segment, ...], lots: Sequence[Share]) -> tuple[Segment, ...]:
    """The last segment is the one that money paid: it says from which lots."""
    *before, paid = segments
    return (*before, Segment(paid.pocket, paid.minutes, paid.charge, None, None, None, None, lot_shares(lots)))
