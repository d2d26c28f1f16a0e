"""What brakes counted: the windows of each subject, such as a user, and the countries that are not new to it (A50).

A country is new until a window in which it was called has passed, or a person allows it: so a brake in shadow
learns where people call.  A country that `stop` stopped stays new.
"""

from datetime import datetime, timedelta

import msgspec
from msgspec import UNSET

from rater.core.brake_stops import list_stopped
from rater.core.entities import Account, Brake, Spent, SpentWindow
from rater.core.instants import month_index, month_start
from rater.core.state import Committed
from rater.core.step import Step

#: Of a brake a window, from when to before when, and the country of one on new countries.
Place = tuple[str, datetime, datetime, str | None]


def window_of(window: str, at: datetime) -> tuple[datetime, datetime]:
    """The hour, day or month in UTC that an instant is in: its first instant, and that of the next."""
    if window == "month":
        month = month_index(at)
        return month_start(month), month_start(month + 1)
    if window == "day":
        start = at.replace(hour=0, minute=0, second=0, microsecond=0)
        return start, start + timedelta(days=1)
    start = at.replace(minute=0, second=0, microsecond=0)
    return start, start + timedelta(hours=1)


def brakes_of(account: Account) -> tuple[Brake, ...]:
    """The tenant's brakes, by name."""
    return () if account.brakes is UNSET else account.brakes.table


def brake_named(account: Account, name: str) -> Brake | None:
    """The tenant's brake of a name."""
    return next((brake for brake in brakes_of(account) if brake.name == name), None)


def alerts_of(account: Account) -> tuple[int, ...]:
    """The balances below which the tenant wants to be notified, in micro-units, the largest first."""
    return () if account.brakes is UNSET else account.brakes.alerts


def spent_key(scope: str, subject: str) -> str:
    """Under which the windows of a user, a country, a class of number or the tenant are kept."""
    return f"{scope}/{subject}"


def spent_of(state: Committed, tenant: str, key: str) -> Spent:
    """What was counted of a subject."""
    found = state.load("spent", (tenant, key))
    return found if isinstance(found, Spent) else Spent()


def place_of(window: SpentWindow) -> Place:
    """Which window of which brake it is."""
    return window.brake, window.start, window.end, window.country


def window_in(spent: Spent, place: Place) -> SpentWindow | None:
    """A brake's window, if anything was counted in it."""
    return next((one for one in spent.windows if place_of(one) == place), None)


def window_at(spent: Spent, place: Place) -> SpentWindow:
    """A brake's window, or the one that begins with nothing."""
    brake, start, end, country = place
    return window_in(spent, place) or SpentWindow(brake, start, end, country=country)


def as_set(brake: Brake, window: SpentWindow, least: int = 1) -> SpentWindow:
    """The window under the brake's present setting: what was reached or released under another does not hold.

    Where what was spent before does not leave `least` of the new limit, it is reached when it is set.
    """
    if window.number == brake.number:
        return window
    least = max(least, window.least)
    reached_at = brake.set_at if _is_spent_already(brake, window, least) else None
    least = least if reached_at is not None else 0
    return msgspec.structs.replace(window, number=brake.number, reached_at=reached_at, least=least, released=False)


def _is_spent_already(brake: Brake, window: SpentWindow, least: int) -> bool:
    """Whether what was counted in a window before the brake was set reaches the new limit."""
    if brake.measure == "calls_at_once" or not window.number or brake.set_at is None:
        return False
    return window.end > brake.set_at and window.spent + least > brake.limit


def reached_in(brake: Brake, window: SpentWindow) -> datetime | None:
    """When the limit that a brake has now was reached in a window."""
    return as_set(brake, window).reached_at


def is_over(step: Step, end: datetime) -> bool:
    """Whether a window is over for longer than a call may be late: nothing is counted in it any more."""
    return end + timedelta(hours=step.rules.settings.grace_hours) <= step.account.clock


def is_known(spent: Spent, brake: str, country: str, start: datetime) -> bool:
    """Whether a country is not new any more for calls of the window that begins then."""
    return known_name(brake, country) in spent.known or any(
        (window.brake, window.country) == (brake, country) and window.end <= start and _made_known(window)
        for window in spent.windows
    )


def known_countries(spent: Spent, brake: str, start: datetime) -> tuple[str, ...]:
    """Those that are not new any more for calls of the window that begins then, in alphabetical order."""
    called = {window.country for window in spent.windows if window.brake == brake and window.country is not None}
    called |= {country for name, _, country in (one.partition("/") for one in spent.known) if name == brake}
    return tuple(sorted(country for country in called if is_known(spent, brake, country, start)))


def known_name(brake: str, country: str) -> str:
    """As Spent keeps that a country is known to a brake."""
    return f"{brake}/{country}"


def keep(step: Step, key: str, window: SpentWindow) -> None:
    """Keep a window, and drop those that no late call is counted in any more."""
    place = place_of(window)
    before = spent_of(step.state, step.account.tenant, key)
    others = [one for one in before.windows if place_of(one) != place]
    passed = [one for one in others if is_over(step, one.end)]
    windows = tuple(sorted([window, *(one for one in others if not is_over(step, one.end))], key=in_order))
    stated = before.stated
    if window.stopped:
        name = window.brake if window.country is None else known_name(window.brake, window.country)
        stated = tuple(sorted({*stated, name}))
        list_stopped(step.state, step.account.tenant, window.brake, key, window.end, step.account.clock)
    learned = [known_name(one.brake, one.country) for one in passed if one.country and _made_known(one)]
    known = tuple(sorted({*before.known, *learned})) if learned else before.known
    step.state.spent[(step.account.tenant, key)] = Spent(windows, stated, known)


def allow(step: Step, key: str, brake: str, country: str) -> None:
    """A country is not new any more."""
    before = spent_of(step.state, step.account.tenant, key)
    known = tuple(sorted({*before.known, known_name(brake, country)}))
    step.state.spent[(step.account.tenant, key)] = msgspec.structs.replace(before, known=known)


def in_order(window: SpentWindow) -> tuple[datetime, str, datetime, str]:
    """The order in which windows are kept."""
    return window.start, window.brake, window.end, window.country or ""


def _made_known(window: SpentWindow) -> bool:
    """Whether its country is not new once it has passed: something was spent on it, and calls were not stopped."""
    return window.spent > 0 and not window.stopped
