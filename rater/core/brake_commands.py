"""Brakes are set and released, and amounts that the tenant is notified of; erased users leave them (A50)."""

import re
from collections.abc import Iterable

import msgspec
from msgspec import UNSET

from rater.core.amounts import bad_amount
from rater.core.brakes import (
    as_set,
    brakes_of,
    emit_brake,
    is_over,
    keep,
    settled,
    spent_key,
    stopped,
    window_for,
    window_of,
)
from rater.core.calls_at_once import CALLS_WINDOW, counting_scope, counting_window
from rater.core.country_names import ISO_COUNTRIES, meant_country
from rater.core.entities import Account, Brake, Brakes, Spent, SpentWindow
from rater.core.identity import name_key
from rater.core.inputs import BrakeConfigured, BrakeReleased, CallsOverBrake
from rater.core.instants import as_utc
from rater.core.money import parse_micros
from rater.core.reasons import EventKind, Reason, Refusal
from rater.core.step import Step

#: Types of a price list's rows whose calls may cost something.
CLASSES = ("landline", "mobile", "premium", "toll_free")
#: A call looks at each of them.
BRAKES_MAX = 20
_CALLS = re.compile(r"[1-9][0-9]{0,6}")
BrakeCommand = BrakeConfigured | BrakeReleased | CallsOverBrake


def change_brake(step: Step, command: BrakeCommand) -> None:
    """Set a brake, end what it stops, or count calls that were asked for beyond it."""
    match command:
        case BrakeConfigured():
            _configure(step, command)
        case BrakeReleased():
            _release(step, command)
        case CallsOverBrake():
            _count_calls(step, command)


def _configure(step: Step, command: BrakeConfigured) -> None:
    """Set a brake, in the place of the one of its name; `off` takes it out of the table.

    What is stopped follows at once where it is known about whom the brake is: the tenant, or `only`.  Of each user,
    country or class by itself it follows with the next call that is counted; authorisation follows at once.
    """
    account = step.account
    before = Brakes() if account.brakes is UNSET else account.brakes
    former = next((brake for brake in before.table if brake.name == command.brake), None)
    table = [brake for brake in before.table if brake is not former]
    brake = None
    if command.mode != "off":
        brake = _brake(step, command)
        table.append(brake)
    table.sort(key=lambda one: one.name)
    _save(account, msgspec.structs.replace(before, table=tuple(table)))
    step.emit(EventKind.BRAKE_CONFIGURED, brake=command.brake, reason=command.mode, command_id=command.id)
    if brake is not None and (found := _window_now(step, brake)) is not None:
        key, subject, window = found
        keep(step, key, settled(step, brake, subject, window, 1, "configured"))
    if former is not None and (found := _window_now(step, former)) is not None:
        key, subject, window = found
        if brake is None or _place(brake) != _place(former):
            off = msgspec.structs.replace(former, mode="off")
            keep(step, key, stopped(step, off, subject, window, "configured"))


def _brake(step: Step, command: BrakeConfigured) -> Brake:
    """The brake that a command sets; each setting has a number of its own."""
    calls = command.measure == "calls_at_once"
    limit = int(command.limit) if calls else parse_micros(command.limit)
    only = _subject(step, command.scope, command.only) if command.only is not None else None
    number = step.account.sequences.account_events + 1
    return Brake(
        command.brake,
        command.scope,
        command.measure,
        CALLS_WINDOW if calls else command.window,
        limit,
        command.mode,
        only,
        number,
    )


def _subject(step: Step, scope: str, said: str) -> str:
    """A subject as calls are counted under it: a user by any of its names."""
    if scope != "user":
        return said
    found = step.state.user_meant_by(step.account.tenant, said)
    return name_key(said if found is None else found.user)


def _place(brake: Brake) -> tuple[str, str, str | None]:
    return brake.scope, brake.window, brake.only


def _window_now(step: Step, brake: Brake) -> tuple[str, str, SpentWindow] | None:
    """The present window of a brake that is about one subject, with its key."""
    subject = "" if brake.scope == "tenant" else brake.only
    if brake.measure != "spend" or subject is None:
        return None
    key = spent_key(brake.scope, subject)
    start, end = window_of(brake.window, step.account.clock)
    window = window_for(step.state, step.account.tenant, key, brake.name, start, end)
    return None if window is None else (key, subject, window)


def set_alerts(account: Account, amounts: Iterable[str]) -> None:
    """The balances below which the tenant wants to be notified; none takes them away."""
    before = Brakes() if account.brakes is UNSET else account.brakes
    alerts = tuple(sorted({parse_micros(amount) for amount in amounts}, reverse=True))
    _save(account, msgspec.structs.replace(before, alerts=alerts))


def _save(account: Account, brakes: Brakes) -> None:
    """A tenant whose last brake is gone costs as little as one that never had any."""
    account.brakes = UNSET if brakes == Brakes() else brakes


def _release(step: Step, command: BrakeReleased) -> None:
    """A person ends the stop of the present window: nothing more is stopped by this brake in it."""
    found = _reached(step, command)
    assert found is not None, "it was looked for before anything was changed"
    brake, key, subject, window = found
    window = msgspec.structs.replace(as_set(brake, window), released=True)
    more = {"by": command.by, "command_id": command.id}
    emit_brake(step, EventKind.BRAKE_RELEASED, brake, subject, window, command.reason or "by_hand", **more)
    keep(step, key, stopped(step, brake, subject, window, "by_hand"))


def _reached(step: Step, command: BrakeReleased) -> tuple[Brake, str, str, SpentWindow] | None:
    """The brake that a command names, and its present window, if its limit is reached in it."""
    brake = next((one for one in brakes_of(step.account) if one.name == command.brake), None)
    if brake is None or brake.measure != "spend":
        return None
    subject = _subject(step, brake.scope, command.subject or "")
    key = spent_key(brake.scope, subject)
    start, end = window_of(brake.window, as_utc(command.at))
    window = window_for(step.state, step.account.tenant, key, brake.name, start, end)
    if window is None:
        return None
    now = as_set(brake, window)
    return (brake, key, subject, now) if now.reached_at is not None and not now.released else None


def _count_calls(step: Step, command: CallsOverBrake) -> None:
    """Count calls beyond a brake on calls at once in the day on which they were asked for.

    The first of a day, and of each setting of the brake, is reported.  A brake that was taken away counts nothing.
    """
    brake = next((one for one in brakes_of(step.account) if one.name == command.brake), None)
    start, end = window_of(counting_window(CALLS_WINDOW), as_utc(command.at))
    if brake is None or brake.window != CALLS_WINDOW or is_over(step, end):
        return
    subject = _subject(step, brake.scope, command.subject or "")
    key = spent_key(counting_scope(brake), subject)
    found = window_for(step.state, step.account.tenant, key, brake.name, start, end)
    before = as_set(brake, found or SpentWindow(brake.name, start, end))
    window = msgspec.structs.replace(
        before,
        spent=max(before.spent, command.most),
        over_calls=before.over_calls + command.calls,
        reached_at=before.reached_at or step.account.clock,
    )
    if before.reached_at is None:
        emit_brake(step, EventKind.BRAKE_REACHED, brake, subject, window, brake.mode)
    keep(step, key, window)


def brake_refused(step: Step, command: BrakeConfigured | BrakeReleased) -> Refusal | None:
    """Why the command cannot be applied to this tenant."""
    if isinstance(command, BrakeConfigured):
        return _too_many_brakes(step.account, command)
    if _reached(step, command) is not None:
        return None
    message = "expected a brake that is reached in its present window, and its user, country or class as subject"
    return Refusal(Reason.NO_SUCH_BRAKE, "brake", f"{message}; got {command.brake!r}, {command.subject!r}")


def _too_many_brakes(account: Account, command: BrakeConfigured) -> Refusal | None:
    names = {brake.name for brake in brakes_of(account)} | {command.brake}
    if command.mode == "off" or len(names) <= BRAKES_MAX:
        return None
    return Refusal(Reason.TOO_MANY, "brake", f"expected at most {BRAKES_MAX} brakes (BRAKES_MAX)")


def unreadable_brake(command: BrakeConfigured) -> Refusal | None:
    """Why the command is invalid for every tenant."""
    if command.only is not None and command.scope == "tenant":
        return Refusal(Reason.MALFORMED, "only", "expected `only` with the scope user, country or class")
    wrong = _no_subject(command.scope, command.only)
    if wrong is not None or command.mode == "off":
        return wrong
    if command.measure == "spend":
        return bad_amount("limit", command.limit, zero=True)
    if _CALLS.fullmatch(command.limit):
        return None
    return Refusal(Reason.MALFORMED, "limit", f"expected a number of calls, 1 to 9999999, got {command.limit!r}")


def _no_subject(scope: str, only: str | None) -> Refusal | None:
    """Why no call can be about it."""
    if only is None or scope == "user":
        return None
    if scope == "country" and only not in ISO_COUNTRIES:
        message = f"expected an ISO 3166-1 alpha-2 country, got {only!r}{meant_country(only)}"
        return Refusal(Reason.MALFORMED, "only", message)
    if scope == "class" and only not in CLASSES:
        return Refusal(Reason.MALFORMED, "only", f"expected one of {', '.join(CLASSES)}, got {only!r}")
    return None


def rename_brakes(step: Step, names: Iterable[str], new: str) -> None:
    """A user of these keys is known by another from now on, also to brakes (the rule erasure)."""
    state, account = step.state, step.account
    old = [name for name in dict.fromkeys(names) if name != new]
    for scope, name in [(scope, name) for scope in ("user", "calls_user") for name in old]:
        before = (account.tenant, spent_key(scope, name))
        found = state.load("spent", before)
        if isinstance(found, Spent) and found.windows:
            after = (account.tenant, spent_key(scope, new))
            there = state.load("spent", after)
            state.spent[after] = _joined(there, found) if isinstance(there, Spent) else found
            state.spent[before] = Spent((), found.stated)  # its name is in the keys of service states
            state.gone.add(("spent", before))
    if account.brakes is not UNSET:
        table = [
            msgspec.structs.replace(one, only=new) if one.scope == "user" and one.only in old else one
            for one in account.brakes.table
        ]
        account.brakes = msgspec.structs.replace(account.brakes, table=tuple(table))


def _joined(one: Spent, other: Spent) -> Spent:
    """The windows of two names that mean the same user: their sums are added."""
    windows = {(window.start, window.brake, window.end): window for window in one.windows}
    for window in other.windows:
        place = (window.start, window.brake, window.end)
        same = windows.get(place)
        windows[place] = window if same is None else _both(same, window)
    return Spent(tuple([windows[place] for place in sorted(windows)]), tuple(sorted({*one.stated, *other.stated})))


def _both(one: SpentWindow, other: SpentWindow) -> SpentWindow:
    return msgspec.structs.replace(
        one if one.reached_at is not None else other,
        spent=one.spent + other.spent,
        over_calls=one.over_calls + other.over_calls,
        over_money=one.over_money + other.over_money,
        stopped=one.stopped or other.stopped,
    )
