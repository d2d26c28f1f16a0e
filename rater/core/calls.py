"""A call-detail record arrives: duplicate, conflict, correction or new call.

Rules 68, 71, A12.
Prices are in `pricing`.
"""

from msgspec import UNSET

from rater.core.brakes import follow, shares, take_back
from rater.core.credit import refund
from rater.core.entities import Account, LiveCall, Share, Stretch, User
from rater.core.instants import parse_period, period_of
from rater.core.limits import may_name_too_many_lots, too_many_lots
from rater.core.mediation import Mediated, clock_ahead, emergency_call, former_contents, refusal
from rater.core.money import (
    BALANCE_MICROS_MAX,
    CHARGE_MICROS_MAX,
    LEDGER_MICROS_MAX,
    format_micros,
    parse_amount,
    parse_ledger,
)
from rater.core.outputs import Debit, LotShare, RatedCall
from rater.core.passing_time import advance, balance_moved, forfeited
from rater.core.pools import give_back
from rater.core.rating import countries_of_help, named, payer, rate_call
from rater.core.reasons import DebitKind, Outcome, Reason, Refusal
from rater.core.step import Step


def call_arrived(step: Step, call: Mediated) -> Outcome | Refusal:
    """Apply one record of a known tenant; a Refusal changed nothing; that of a conflict moved the clock (A37)."""
    account = step.account
    user, held = payer(step, call.cdr)
    call = named(call, user)
    cdr = call.cdr
    countries = countries_of_help(account, held.country, cdr.user_country)
    emergency = emergency_call(call, countries, step.rules.settings.emergency_numbers)
    refused = refusal(call, account.currency, account.domains, emergency) or clock_ahead(
        call, step.rules.settings.clock_ahead_max_h
    )
    if refused is not None:
        return refused
    live = live_version(step, call)
    if live is not None and cdr.version <= live.version:
        advance(step, step.at)  # the time of duplicates and of conflicting records counts (A37)
        return _duplicate_or_conflict(call, live)
    refused = None if emergency else _too_long(step, call) or owes_too_much(account)
    if refused is None:
        refused = rate_or_refuse(step, call, user, held, emergency, live)
    return refused or (Outcome.CORRECTED if live else Outcome.RATED)


def _duplicate_or_conflict(call: Mediated, live: LiveCall) -> Outcome | Refusal:
    if call.cdr.version < live.version or _is_again(call, live):
        return Outcome.DUPLICATE
    message = f"version {call.cdr.version} of this usage id was rated with other content"
    return Refusal(Reason.CONFLICTING_DUPLICATE, "usage_id", message)


def rate_or_refuse(
    step: Step, call: Mediated, user: User | None, held: Stretch, emergency: bool, live: LiveCall | None
) -> Refusal | None:
    """Rate a call anew, or in the place of its live version; a Refusal changed nothing, nor the clock (A37)."""
    account = step.account
    if not may_name_too_many_lots(account):
        _rate(step, call, user, held, emergency, live)
        return None
    attempt = step.attempt()
    _rate(attempt, call, user, held, emergency, live)
    lots = max([len(output.lots) for output in attempt.outputs if isinstance(output, Debit)], default=0)
    refused = too_many_lots(lots)
    if refused is None:
        step.adopt(attempt)
    return refused


def _rate(
    step: Step, call: Mediated, user: User | None, held: Stretch, emergency: bool, live: LiveCall | None
) -> None:
    advance(step, step.at)  # of a call that is rated again the command has done so
    before = step.account.balance
    if live is not None:
        _reverse(step, call, live)
    rate_call(step, call, user, held, emergency, live.version if live else None)
    balance_moved(step, before)
    if live is not None and live.brakes is not UNSET:
        follow(step, live.brakes)


def call_and_content(call: Mediated) -> str:
    """Which call a held record is of, and what it says: its dead letter and its acceptance keep this (A44)."""
    return f"{call.id} {call.content}"


def accepted_key(tenant: str, held: str) -> tuple[str, str]:
    """Under which it is noted that a person let a held record through."""
    return tenant, f"accepted/{held}"


def call_duration_max_s(step: Step) -> int:
    """The longest call of the tenant that is rated without a person's acceptance."""
    return step.account.call_duration_max_s or step.rules.settings.call_duration_max_s


def _too_long(step: Step, call: Mediated) -> Refusal | None:
    """Why a call of this length waits for a person's acceptance (A44)."""
    longest = call_duration_max_s(step)
    if call.cdr.duration_s <= longest:
        return None
    if step.state.seen(accepted_key(step.account.tenant, call_and_content(call))) is not None:
        return None
    message = (
        f"expected at most {longest} s (call_duration_max_s), got {call.cdr.duration_s}; if the call really lasted"
        " so long: rater dlq replay --accept with the id of this dead letter"
    )
    return Refusal(Reason.IMPLAUSIBLE_DURATION, "duration_s", message)


def live_version(step: Step, call: Mediated) -> LiveCall | None:
    """The live version of the call, also where it was rated under the id as it was spelled, before A41."""
    tenant, given = step.account.tenant, call.given
    live = step.state.call(tenant, call.cdr.usage_id)
    if given is None or given.usage_id == call.cdr.usage_id:
        return live
    former = step.state.call(tenant, given.usage_id)
    if former is not None and (live is None or _is_again(call, former)):
        return former
    return live


def _is_again(call: Mediated, live: LiveCall) -> bool:
    """Whether the record says what was rated; what was rated before A39 to A42 is compared as it was then."""
    if call.cdr.version != live.version:
        return False
    return call.content == live.content or live.content in former_contents(call)


def owes_too_much(account: Account) -> Refusal | None:
    """Why nothing more is taken from a tenant: no sum of its debt with anything else overflows 64 bits."""
    if account.balance >= -BALANCE_MICROS_MAX and account.debts.incurred <= LEDGER_MICROS_MAX - CHARGE_MICROS_MAX:
        return None
    least, balance = format_micros(-BALANCE_MICROS_MAX), format_micros(account.balance)
    message = f"expected a tenant with a balance of at least {least} (BALANCE_MICROS_MAX), got {balance}"
    if account.balance >= -BALANCE_MICROS_MAX:
        most = format_micros(LEDGER_MICROS_MAX - CHARGE_MICROS_MAX)
        message = (
            f"expected a tenant that never owed more than {most} in all (LEDGER_MICROS_MAX - CHARGE_MICROS_MAX)"
        )
    return Refusal(Reason.BAD_AMOUNT, "tenant", f"{message}; look for a wrong price in its rate deck")


def _reverse(step: Step, call: Mediated, live: LiveCall) -> None:
    """Give back everything of the live version: minutes to their month, money to its lots (A12)."""
    account = step.account
    for name, minutes in live.pools:
        give_back(step.state, account.tenant, name, minutes)
    if live.charge:
        went, over = refund(step.state, account, live.lots, f"refund-{call.id}", step.at)
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
        forfeited(step, over, call.id)
        if live.brakes is not UNSET:
            take_back(step, live.brakes, live.charge)


def live_call(call: RatedCall) -> LiveCall:
    """The live version that a rated call leaves: enough to recognise a duplicate and to reverse it (A12)."""
    return LiveCall(
        call.version,
        call.content,
        parse_period(call.period),
        parse_amount(call.charge),
        tuple([(part.pool, part.minutes) for part in call.segments if part.pool is not None]),
        tuple([_share(share) for part in call.segments for share in part.lots]),
        call.rating,
        shares(call.brakes, call.user) if call.brakes else UNSET,
    )


def _share(share: LotShare) -> Share:
    owed_from = None if share.owed_from is None else parse_ledger(share.owed_from)
    return Share(share.lot, parse_amount(share.amount), owed_from)
