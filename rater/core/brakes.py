"""Brakes: limits on what calls of a tenant, a user, a called country or a class of number may spend (A50), and
on what calls of a tenant or a user may spend on each country that is new to it.

A brake has a scope, a window (an hour, a day or a month in UTC, of the call's start), a limit and a mode.  What was
spent is counted when a call is rated, and taken back when it is corrected.  A brake never changes what a call
costs: `stop` limits the credit that authorisation counts on, `shadow` and `notify` mark the calls that it would not
have let begin.  Free calls, emergency calls and minutes of pools spend nothing.  How brakes are set is in
`brake_commands`; what is kept, and which countries are new, in `spent_windows`.

A limit is reached as soon as what is left of it does not pay for another first increment of such a call: from then
on `stop` refuses every call that spends credit, until the window is over.
"""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from rater.core.calls_at_once import CALLS_WINDOW
from rater.core.classify import OUTBOUND
from rater.core.entities import Account, Brake, BrakeShare, SpentWindow
from rater.core.identity import name_key
from rater.core.inputs import CallRecord
from rater.core.money import format_micros
from rater.core.outputs import BrakeCount
from rater.core.pricing import Priced
from rater.core.reasons import CallType, EventKind
from rater.core.spent_windows import (
    Place,
    alerts_of,
    as_set,
    brakes_of,
    is_known,
    is_over,
    keep,
    spent_key,
    spent_of,
    window_at,
    window_in,
    window_of,
)
from rater.core.state import State
from rater.core.step import Step
from rater.core.tariff import charge


def subject_of(brake: Brake, user: str | None, type: CallType, priced: Priced) -> str | None:
    """Which of the scope's subjects a call counts for; None where the brake is not about the call.

    Who calls a number of the tenant calls no country and no class of number: the row of the price list is that of
    the caller, or of the tenant's own number.
    """
    subject: str | None
    is_new = brake.measure == "new_countries"
    if (is_new or brake.scope in ("country", "class")) and type not in OUTBOUND:
        return None
    if is_new and priced.country is None:
        return None
    match brake.scope:
        case "tenant":
            return ""
        case "user":
            subject = name_key(user) if user is not None else None
        case "country":
            subject = priced.country
        case _:
            subject = priced.rate.type if priced.rate is not None else None
    return subject if brake.only is None or brake.only == subject else None


def count(step: Step, cdr: CallRecord, priced: Priced) -> tuple[BrakeCount, ...]:
    """Count a call's charge in the windows of its start; where, and which limits were reached before it began."""
    counts = []
    answered_at, rate = cdr.answered_at, priced.rate
    least = charge(rate, 1) + rate.fee if rate is not None else 1
    for brake in brakes_of(step.account):
        subject = subject_of(brake, cdr.user, cdr.type, priced)
        if subject is None or brake.measure == "calls_at_once":
            continue
        key, place = spent_key(brake.scope, subject), _place(brake, answered_at, priced)
        _, start, end, country = place
        spent = spent_of(step.state, step.account.tenant, key)
        if is_over(step, end) or (country is not None and is_known(spent, brake.name, country, start)):
            continue
        now = _as_set_now(step, brake, subject, window_at(spent, place), least)
        over = not now.released and _is_over_limit(brake, now, answered_at, least)
        keep(step, key, settled(step, brake, subject, _added(now, priced.charge, over), least))
        shown = country if brake.scope in ("tenant", "user") else subject
        counts.append(BrakeCount(brake.name, brake.scope, brake.window, start, shown, over))
    return tuple(counts)


def _place(brake: Brake, at: datetime, priced: Priced) -> Place:
    """The window of a brake that a call is counted in."""
    start, end = window_of(brake.window, at)
    return brake.name, start, end, priced.country if brake.measure == "new_countries" else None


def _as_set_now(step: Step, brake: Brake, subject: str, window: SpentWindow, least: int) -> SpentWindow:
    """The window before a call is counted in it; emit that the limit was reached when it was set, if it was."""
    now = as_set(brake, window, least)
    if now.number == window.number or now.reached_at is None:
        return now
    return settled(step, brake, subject, window, least, "configured")


def _is_over_limit(brake: Brake, window: SpentWindow, answered_at: datetime, least: int) -> bool:
    """Whether a brake that stops had refused a call: its limit was reached, or never paid for a first increment."""
    return least > brake.limit or (window.reached_at is not None and answered_at >= window.reached_at)


def shares(counts: Iterable[BrakeCount], user: str | None) -> tuple[BrakeShare, ...]:
    """Counts of a call as its live version keeps them: where they are taken back from."""
    name = name_key(user) if user is not None else ""
    return tuple([_share(one, name) for one in counts])


def _share(one: BrakeCount, name: str) -> BrakeShare:
    subject = {"tenant": "", "user": name}.get(one.scope, one.subject or "")
    new = one.subject if one.scope in ("tenant", "user") else None
    return BrakeShare(spent_key(one.scope, subject), one.brake, one.window, one.start, one.over, new)


def take_back(step: Step, counted: Iterable[BrakeShare], money: int) -> None:
    """A call is reversed: take its charge out of the windows that it was counted in, where they are still kept."""
    for share in counted:
        key, window = _counted_in(step, share)
        if window is not None:
            keep(step, key, _added(window, -money, share.over, -1))


def follow(step: Step, counted: Iterable[BrakeShare]) -> None:
    """A call was reversed and rated again: emit which limits are no longer reached."""
    brakes = {brake.name: brake for brake in brakes_of(step.account)}
    for share in counted:
        key, window = _counted_in(step, share)
        brake = brakes.get(share.brake)
        scope, _, subject = key.partition("/")
        if window is None or brake is None or (brake.measure == "new_countries") != (share.country is not None):
            continue
        if (brake.scope, brake.window) == (scope, share.window):
            keep(step, key, settled(step, brake, subject, window))


def alert(step: Step, before: int) -> None:
    """Emit the alert amounts below which the balance has fallen, the largest first; each once per crossing."""
    after = step.account.balance
    for amount in alerts_of(step.account):
        if before >= amount > after:
            step.emit(EventKind.BALANCE_ALERT, amount=format_micros(amount))


def rest(state: State, account: Account, cdr: CallRecord, priced: Priced) -> dict[str, int]:
    """What brakes that stop still allow a call to spend: micro-units, by the key of each; empty without brakes.

    Of a brake on calls at once, whatever its mode, it is how many may run; see `is_of_calls`.
    """
    left: dict[str, int] = {}
    for brake in brakes_of(account):
        if brake.mode != "stop" and brake.measure != "calls_at_once":
            continue
        if (subject := subject_of(brake, cdr.user, cdr.type, priced)) is None:
            continue
        if brake.measure == "calls_at_once":
            left[f"{brake.name}/{CALLS_WINDOW}/{brake.scope}/{subject}"] = brake.limit
            continue
        place = _place(brake, cdr.answered_at, priced)
        _, start, _, country = place
        spent = spent_of(state, account.tenant, spent_key(brake.scope, subject))
        if country is not None and is_known(spent, brake.name, country, start):
            continue
        now = as_set(brake, window_at(spent, place))
        if not now.released:
            key = "/".join([brake.name, start.isoformat(), brake.scope, subject, *([country] if country else [])])
            left[key] = brake.limit - now.spent if now.reached_at is None else 0
    return left


def settled(
    step: Step, brake: Brake, subject: str, window: SpentWindow, least: int = 0, why: str = "corrected"
) -> SpentWindow:
    """The window after its sum or its brake changed: emit whether the limit is reached, and what is stopped.

    `least` is the price of another first increment: what the rest of the limit must pay for; a limit that was
    reached stays so while it does not pay for the one that reached it.
    """
    now = as_set(brake, window, max(1, least))
    was_reached = window.number == brake.number and window.reached_at is not None
    least = now.least if now.reached_at is not None else least
    is_reached = least > 0 and now.spent + least > brake.limit
    if is_reached and not was_reached:
        reached_at = now.reached_at or step.account.clock
        now = msgspec.structs.replace(now, reached_at=reached_at, least=least)
        emit_brake(step, EventKind.BRAKE_REACHED, brake, subject, now, brake.mode)
    elif was_reached and not is_reached:
        now = msgspec.structs.replace(now, reached_at=None, least=0)
        emit_brake(step, EventKind.BRAKE_RELEASED, brake, subject, now, why)
    now = stopped(step, brake, subject, now, why)
    if now.reached_at is None and now.number != window.number:  # until a call says what must be left
        return msgspec.structs.replace(window, stopped=now.stopped)
    return now


def stopped(step: Step, brake: Brake, subject: str, window: SpentWindow, why: str) -> SpentWindow:
    """The window after what its brake stops may have changed: emit the service state where it has."""
    stops = brake.mode == "stop" and window.reached_at is not None and not window.released
    if stops == window.stopped:
        return window
    user, other = _shown(step, brake.scope, subject, window)
    state, reason = ("restricted", "brake_reached") if stops else ("allowed", why)
    step.service_state("brake", state, reason, user, brake=brake.name, subject=other, until=window.end)
    return msgspec.structs.replace(window, stopped=stops)


def emit_brake(
    step: Step, kind: EventKind, brake: Brake, subject: str, window: SpentWindow, reason: str, **more: object
) -> None:
    """Emit an event about a brake, with what was spent in the window, or how many calls at once of its limit."""
    user, other = _shown(step, brake.scope, subject, window)
    counted: dict[str, object] = {"amount": format_micros(window.spent)}
    if brake.measure == "calls_at_once":
        counted = {"used": window.spent, "total": brake.limit}
    step.emit(kind, brake=brake.name, user=user, subject=other, reason=reason, **counted, **more)


def _shown(step: Step, scope: str, subject: str, window: SpentWindow) -> tuple[str | None, str | None]:
    """A subject as outputs show it: the user, and the country or class of number."""
    if scope != "user":
        return None, window.country or subject or None
    found = step.state.user(step.account.tenant, subject)
    return subject if found is None else found.user, window.country


def _added(window: SpentWindow, money: int, over: bool, calls: int = 1) -> SpentWindow:
    """The window with a call's charge, or with -1 without it.

    Late calls may be later now than when it was dropped and begun anew: then it has too little to take back.
    """
    return msgspec.structs.replace(
        window,
        spent=max(0, window.spent + money),
        over_calls=max(0, window.over_calls + calls * over),
        over_money=max(0, window.over_money + money * over),
    )


def _counted_in(step: Step, share: BrakeShare) -> tuple[str, SpentWindow | None]:
    """The window that a call was counted in, and its key: of a user who was erased since, under the pseudonym."""
    state, tenant = step.state, step.account.tenant
    start, end = window_of(share.window, share.start)
    key, place = share.key, (share.brake, start, end, share.country)
    if is_over(step, end):
        return key, None
    window = window_in(spent_of(state, tenant, key), place)
    scope, _, subject = key.partition("/")
    if window is None and scope == "user" and (found := state.user_meant_by(tenant, subject)) is not None:
        key = spent_key(scope, name_key(found.user))
        window = window_in(spent_of(state, tenant, key), place)
    return key, window
