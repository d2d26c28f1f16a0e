"""Why a call cost what it did, line by line, from the rated call, and who held which licence when.

The rated call says which one applied.
"""

from collections.abc import Iterator
from datetime import datetime

from rater.core.coverage import coverage
from rater.core.entities import User
from rater.core.entitlements import stretch_at
from rater.core.geography import PREMIUM_OVERLAY
from rater.core.outputs import AccountEvent, BrakeCount, Debit, LotShare, RatedCall, Segment
from rater.core.reasons import Anomaly, DebitKind, Outcome, Pocket

_POCKETS = {
    Pocket.INCLUDED: "included in the plan, not counted",
    Pocket.FREE: "free",
    Pocket.UNFUNDED: "not debited: the payer has no access to credits, or the tenant did not set them up",
}
_ANOMALIES = {
    Anomaly.UNKNOWN_USER: "nobody assigned a licence to this user",
    Anomaly.UNKNOWN_SKU: "the user holds a licence that the catalogue does not know; it gives no minutes",
    Anomaly.POLICY: "the user's outbound policy does not allow this call",
    Anomaly.TOLL_FREE_EXCLUDED: "callers cannot join this organizer's meetings by toll-free",
    Anomaly.NO_RATE: "no row of the deck matches the number, so the call is free",
    Anomaly.PREMIUM_WITHOUT_RATE: "a premium number that the deck does not price, so the call is free; to charge"
    " such calls, add a row of type premium with its prefix to the deck",
    Anomaly.UNSUPPORTED_NUMBER: "a number that should not have connected, so the call is free",
    Anomaly.NEEDS_PAY_AS_YOU_GO: "outbound calls of a queue need a pay-as-you-go plan since 2025-11-01",
    Anomaly.TENANT_CLOSED: "the tenant was closed when the call was answered, so nothing covered it",
}

_DEBITS = {
    DebitKind.CALL: "A call cost it.",
    DebitKind.REVERSAL: "A correction, or a new rating, gave it back (A12).",
    DebitKind.EXPIRY: "The time of its lot was over: it is forfeited (rule 63, A46).",
    DebitKind.ADJUSTMENT: "A person took it off by hand (A45).",
    DebitKind.REFUND: "Money of a purchase was paid out (A45).",
    DebitKind.CHARGE_BACK: "The bank took the payment of a purchase back (A45): first what was left of it.",
    DebitKind.PAY_OUT: "The tenant was closed, and what was left of its money was paid out.",
    DebitKind.FORFEIT: "The tenant was closed, and what was left of it was forfeited.",
}

_LISTED = dict(PREMIUM_OVERLAY)


def explain(call: RatedCall, user: User | None = None) -> Iterator[str]:
    """The lines, from what happened to what it cost; `user` is who pays for it, where that is known."""
    yield f"Call {call.usage_id} version {call.version} of {call.tenant}: {call.type.value}, {call.outcome.value}"
    if call.rating:
        why = f": {call.reason}" if call.reason else ""
        deck = f" with deck {call.deck}" if call.deck else ""
        yield f"  Rated again (rating {call.rating}){deck}{why}."
        yield "  Everything of the rating before was given back first."
    elif call.outcome is Outcome.CORRECTED:
        yield f"  It replaces version {call.corrects_version}, of which everything was given back first."
    yield f"  From {call.calling or 'a withheld number'} to {call.called or 'no number'}, {_payer(call)}."
    late = ", late: its month was closed" if call.late else ""
    yield f"  Started {_time(call.answered_at)}, so it belongs to {call.period} (UTC){late}."
    yield f"  {_duration(call)}"
    yield f"  {coverage(call, user)}"
    if call.prefix is not None:
        yield f"  {_matched(call)}"
    for segment in call.segments:
        yield f"  {_segment(call, segment)}"
    for counted in call.brakes:
        yield f"  {_counted(call, counted)}"
    if any(not share.lot for segment in call.segments for share in segment.lots):
        yield "  Note: credit was used up, and the switch let the call go on: what it did not pay is owed."
    for anomaly in call.anomalies:
        yield f"  Note: {_ANOMALIES[anomaly]}."
    if user is not None:
        yield from _later_licences(call, user)
    yield f"  Debited: {call.charge} {call.currency}; the balance after it is {call.balance} {call.currency}."


def explain_debit(debit: Debit, event: AccountEvent | None = None) -> Iterator[str]:
    """The lines of a debit that is no call's; `event` is the one of the same step that says who and why (A45)."""
    yield f"Debit {debit.id} of {debit.tenant}: {debit.kind.value}, {debit.amount} {debit.currency}"
    yield f"  {_DEBITS[debit.kind]}"
    if event is not None:
        yield from _person(event)
    yield f"  It took {_paid(debit.lots)}."
    yield f"  The balance after it is {debit.balance} {debit.currency}."


def explain_credit(event: AccountEvent) -> Iterator[str]:
    """The lines of money that came in: what it was, who gave it and why."""
    yield f"Money of {event.tenant}: {event.event.value}, {event.amount} {event.currency}"
    yield from _person(event)
    lot, balance = event.lot or event.recharge_id, f"{event.balance} {event.currency}"
    yield f"  It is lot {lot}; the balance after the step is {balance}."


def _person(event: AccountEvent) -> Iterator[str]:
    who = f" by {event.by}" if event.by else ""
    why = f": {event.reason}" if event.reason else ""
    yield f"  {event.event.value} at {_time(event.at)}{who}{why}."
    if event.usage_id:
        yield f"  It is about call {event.usage_id}: rater explain {event.usage_id}"


def _paid(shares: tuple[LotShare, ...]) -> str:
    return ", ".join(f"{lot.amount} from {'lot ' + lot.lot if lot.lot else 'debt'}" for lot in shares)


def _payer(call: RatedCall) -> str:
    return f"on {call.user} ({call.user_country or 'no country'})" if call.user else "on the tenant itself"


def _matched(call: RatedCall) -> str:
    """Where the price was looked for; known premium prefixes (rule 22) are no rows of a deck.

    `tariff` names those after the deck's ordinary row, with the kind in brackets.
    """
    kind = _LISTED.get(call.prefix or "")
    if kind is None or not _named_after(call.destination, kind):
        return f"The number matches prefix {call.prefix} ({call.destination}) of deck {call.deck}."
    return (
        f"The number matches prefix {call.prefix} ({call.destination}) of rater's own list of premium prefixes;"
        f" deck {call.deck} has no price for it."
    )


def _named_after(destination: str | None, kind: str) -> bool:
    return destination is not None and (destination == kind or destination.endswith(f" ({kind})"))


def _counted(call: RatedCall, counted: BrakeCount) -> str:
    """A brake in whose window the charge was counted (A50)."""
    whose = {"tenant": "all calls", "user": f"calls of {call.user}", "country": f"calls to {counted.subject}"}
    about = whose.get(counted.scope, f"calls to numbers of type {counted.subject}")
    if counted.subject is not None and counted.scope in ("tenant", "user"):
        about += f" to {counted.subject}, which was new,"
    line = f"Brake {counted.brake} counted it: {about} in the {counted.window} from {_time(counted.start)} on."
    return f"{line} Its limit was reached before the call began." if counted.over else line


def _later_licences(call: RatedCall, user: User) -> Iterator[str]:
    """Licences that the user got only after the call, where minutes of it were not paid for (rules 14, 50)."""
    if all(segment.pocket is not Pocket.UNFUNDED for segment in call.segments):
        return
    held = stretch_at(user, call.answered_at).skus
    shown = set(held)
    for stretch in user.timeline:
        if stretch.since is None or stretch.since <= call.answered_at:
            continue
        for sku in stretch.skus:
            if sku not in shown:
                shown.add(sku)
                yield f"  Note: {user.user} holds {sku} only from {_time(stretch.since)} on, after this call."


def _time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _minutes(count: int) -> str:
    return f"{count} minute" if count == 1 else f"{count} minutes"


def _duration(call: RatedCall) -> str:
    if call.duration_s == 0:
        return "It was not connected: 0 seconds, 0 minutes."
    seconds = call.duration_s
    if call.authorized_s is not None and call.authorized_s < seconds:
        return (
            f"It lasted {seconds} s, but the rater ended it: at most the authorised {call.authorized_s} s"
            f" are billed, {_minutes(call.minutes)}."
        )
    return f"It lasted {seconds} s = {_minutes(call.minutes)} ({seconds} / 60, rounded up)."


def _segment(call: RatedCall, segment: Segment) -> str:
    minutes = f"{segment.minutes} min"
    if segment.pocket is Pocket.POOL:
        return (
            f"{minutes} from pool {segment.pool}: {segment.pool_used_before} + {segment.minutes} ="
            f" {segment.pool_used_after} of {segment.pool_total} used."
        )
    if segment.pocket not in (Pocket.CREDIT, Pocket.UNFUNDED):
        return f"{minutes} {_POCKETS[segment.pocket]}."
    fee = f" + connection fee {call.connection_fee}" if call.connection_fee != "0" else ""
    if call.increments == "60/60":
        price = f"{segment.minutes} x {call.price_per_minute}{fee} = {segment.charge}"
    else:
        price = (
            f"{call.billed_overflow_s} s in increments of {call.increments} s at {call.price_per_minute}"
            f" a minute{fee} = {segment.charge}"
        )
    if segment.pocket is Pocket.UNFUNDED:
        return f"{minutes} unfunded: {price} {call.currency}, {_POCKETS[Pocket.UNFUNDED]}."
    paid = _paid(segment.lots)
    return f"{minutes} from credit: {price} {call.currency}{', ' + paid if paid else ''}."
