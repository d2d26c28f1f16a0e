"""Brakes are set and released, and amounts that the tenant is notified of; erased users leave them (A50)."""

import re
from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from msgspec import UNSET

from rater.core.amounts import bad_amount
from rater.core.brake_stops import listed_as_stopped
from rater.core.brakes import emit_brake, settled, stopped
from rater.core.calls_at_once import CALLS_WINDOW, counting_scope, counting_window
from rater.core.country_names import ISO_COUNTRIES, meant_country
from rater.core.entities import Account, Brake, Brakes, SpentWindow
from rater.core.identity import name_key
from rater.core.inputs import BrakeConfigured, BrakeReleased, CallsOverBrake
from rater.core.instants import as_utc
from rater.core.money import parse_micros
from rater.core.reasons import EventKind, Reason, Refusal
from rater.core.spent_windows import (
    allow,
    as_set,
    brake_named,
    brakes_of,
    is_over,
    keep,
    known_name,
    spent_key,
    spent_of,
    window_at,
    window_in,
    window_of,
)
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

    Whatever it stopped follows at once.  Of each user, country or class that the brake limits by itself, what was
    not stopped follows with the next call that is counted; authorisation follows at once.
    """
    account = step.account
    before = Brakes() if account.brakes is UNSET else account.brakes
    former = brake_named(account, command.brake)
    table = [brake for brake in before.table if brake is not former]
    brake = None
    if command.mode != "off":
        brake = _brake(step, command)
        table.append(brake)
    table.sort(key=lambda one: one.name)
    _save(account, msgspec.structs.replace(before, table=tuple(table)))
    step.emit(EventKind.BRAKE_CONFIGURED, brake=command.brake, reason=command.mode, command_id=command.id)
    if brake is not None and (found := _window_now(step, brake)) is not None:
        _follow(step, brake, *found)
    if former is not None:
        goes_on = brake is not None and _place(brake) == _place(former)
        after = brake if brake is not None and goes_on else msgspec.structs.replace(former, mode="off")
        for key, window in _stopped_by(step, former):
            _follow(step, after, key, window)


def _follow(step: Step, brake: Brake, key: str, window: SpentWindow) -> None:
    """What a brake stops in a window, as it is set now."""
    _, _, subject = key.partition("/")
    if brake.mode == "off":
        window = stopped(step, brake, subject, window, "configured")
    else:
        window = settled(step, brake, subject, window, max(1, window.least), "configured")
    keep(step, key, window)


def _stopped_by(step: Step, brake: Brake) -> list[tuple[str, SpentWindow]]:
    """The windows in which a brake stops calls now, by the keys of whose they are."""
    tenant, now = step.account.tenant, step.account.clock
    return [
        (key, window)
        for key in sorted(listed_as_stopped(step.state, tenant, brake.name))
        for window in spent_of(step.state, tenant, key).windows
        if window.brake == brake.name and window.stopped and window.end > now
    ]


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
        step.account.clock,
    )


def _subject(step: Step, scope: str, said: str) -> str:
    """A subject as calls are counted under it: a user by any of its names."""
    if scope != "user":
        return said
    found = step.state.user_meant_by(step.account.tenant, said)
    return name_key(said if found is None else found.user)


def _place(brake: Brake) -> tuple[str, str, str, str | None]:
    return brake.scope, brake.measure, brake.window, brake.only


def _window_now(step: Step, brake: Brake) -> tuple[str, SpentWindow] | None:
    """The present window of a brake that is about one subject, with its key."""
    subject = "" if brake.scope == "tenant" else brake.only
    if brake.measure != "spend" or subject is None:
        return None
    key = spent_key(brake.scope, subject)
    place = (brake.name, *window_of(brake.window, step.account.clock), None)
    window = window_in(spent_of(step.state, step.account.tenant, key), place)
    return None if window is None else (key, window)


def set_alerts(account: Account, amounts: Iterable[str]) -> None:
    """The balances below which the tenant wants to be notified; none takes them away."""
    before = Brakes() if account.brakes is UNSET else account.brakes
    alerts = tuple(sorted({parse_micros(amount) for amount in amounts}, reverse=True))
    _save(account, msgspec.structs.replace(before, alerts=alerts))


def _save(account: Account, brakes: Brakes) -> None:
    """A tenant whose last brake is gone costs as little as one that never had any."""
    account.brakes = UNSET if brakes == Brakes() else brakes


class _Stop(NamedTuple):
    """What a command releases: a brake, and the window of a subject in which it stops or may stop."""

    brake: Brake
    key: str
    subject: str
    window: SpentWindow


def _release(step: Step, command: BrakeReleased) -> None:
    """A person ends the stop of the present window: nothing more is stopped by this brake in it.

    A country that was new is known from now on.
    """
    stop = _stop(step, command)
    assert not isinstance(stop, Refusal), "it was looked for before anything was changed"
    brake, key, subject, window = stop
    window = msgspec.structs.replace(window, released=True)
    more = {"by": command.by, "command_id": command.id}
    emit_brake(step, EventKind.BRAKE_RELEASED, brake, subject, window, command.reason or "by_hand", **more)
    keep(step, key, stopped(step, brake, subject, window, "by_hand"))
    if command.country is not None:
        allow(step, key, brake.name, command.country)


def _stop(step: Step, command: BrakeReleased) -> _Stop | Refusal:
    """What a command releases, or why nothing."""
    brake = brake_named(step.account, command.brake)
    if brake is None or brake.measure == "calls_at_once":
        return _nothing_to_release(command)
    new = brake.measure == "new_countries"
    if new != (command.country is not None):
        expected = "a country, because the brake is about" if new else "no country, because the brake is not about"
        return Refusal(Reason.NO_SUCH_BRAKE, "country", f"expected {expected} new countries")
    if (brake.scope == "tenant") == (command.subject is not None):
        expected = "no subject" if brake.scope == "tenant" else f"a {brake.scope}"
        return Refusal(Reason.NO_SUCH_BRAKE, "subject", f"expected {expected}, because of the brake's scope")
    subject = _subject(step, brake.scope, command.subject or "")
    key = spent_key(brake.scope, subject)
    spent = spent_of(step.state, step.account.tenant, key)
    place = (brake.name, *window_of(brake.window, as_utc(command.at)), command.country)
    window = as_set(brake, window_at(spent, place))
    if command.country is not None:
        is_new = known_name(brake.name, command.country) not in spent.known
        return _Stop(brake, key, subject, window) if is_new else _nothing_to_release(command)
    if window.reached_at is None or window.released:
        return _nothing_to_release(command)
    return _Stop(brake, key, subject, window)


def _nothing_to_release(command: BrakeReleased) -> Refusal:
    message = "expected a brake that is reached in its present window, and its user, country or class as subject"
    if command.country is not None:
        message = f"expected a brake on new countries to which {command.country} is new"
    return Refusal(Reason.NO_SUCH_BRAKE, "brake", f"{message}; got {command.brake!r}, {command.subject!r}")


def _count_calls(step: Step, command: CallsOverBrake) -> None:
    """Count calls beyond a brake on calls at once in the day on which they were asked for.

    The first of a day, and of each setting of the brake, is reported.  A brake that was taken away counts nothing.
    """
    brake = brake_named(step.account, command.brake)
    start, end = window_of(counting_window(CALLS_WINDOW), as_utc(command.at))
    if brake is None or brake.window != CALLS_WINDOW or is_over(step, end):
        return
    subject = _subject(step, brake.scope, command.subject or "")
    key = spent_key(counting_scope(brake), subject)
    spent = spent_of(step.state, step.account.tenant, key)
    before = as_set(brake, window_at(spent, (brake.name, start, end, None)))
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
    stop = _stop(step, command)
    return stop if isinstance(stop, Refusal) else None


def _too_many_brakes(account: Account, command: BrakeConfigured) -> Refusal | None:
    names = {brake.name for brake in brakes_of(account)} | {command.brake}
    if command.mode == "off" or len(names) <= BRAKES_MAX:
        return None
    return Refusal(Reason.TOO_MANY, "brake", f"expected at most {BRAKES_MAX} brakes (BRAKES_MAX)")


def unreadable_brake(command: BrakeConfigured | BrakeReleased) -> Refusal | None:
    """Why the command is invalid for every tenant."""
    if isinstance(command, BrakeReleased):
        return _no_country("country", command.country) if command.country is not None else None
    if command.only is not None and command.scope == "tenant":
        return Refusal(Reason.MALFORMED, "only", "expected `only` with the scope user, country or class")
    if command.measure == "new_countries" and command.scope not in ("tenant", "user"):
        return Refusal(Reason.MALFORMED, "scope", "expected tenant or user for new_countries: to whom they are new")
    wrong = _no_subject(command.scope, command.only)
    if wrong is not None or command.mode == "off":
        return wrong
    if command.measure != "calls_at_once":
        return bad_amount("limit", command.limit, zero=True)
    if _CALLS.fullmatch(command.limit):
        return None
    return Refusal(Reason.MALFORMED, "limit", f"expected a number of calls, 1 to 9999999, got {command.limit!r}")


def _no_subject(scope: str, only: str | None) -> Refusal | None:
    """Why no call can be about it."""
    if only is None or scope == "user":
        return None
    if scope == "country":
        return _no_country("only", only)
    if scope == "class" and only not in CLASSES:
        return Refusal(Reason.MALFORMED, "only", f"expected one of {', '.join(CLASSES)}, got {only!r}")
    return None


def _no_country(field: str, said: str) -> Refusal | None:
    if said in ISO_COUNTRIES:
        return None
    message = f"expected an ISO 3166-1 alpha-2 country, got {said!r}{meant_country(said)}"
    return Refusal(Reason.MALFORMED, field, message)
