"""The rules' settings of a store: given once, kept, and the same for every later command on it."""

from collections.abc import Callable

import msgspec

from rater.core import RatingSettings, read_emergency_numbers
from rater.embedded.store import Store
from rater.wire.errors import RaterError

#: The name of the setting, and the value that takes it back.
EMERGENCY_NUMBERS = "emergency_numbers"
NONE = "none"


class GivenSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What was given now; what is absent stays as the store keeps it."""

    emergency_numbers: str | None = None
    clock_ahead_max_h: int | None = None
    call_duration_max_s: int | None = None


def rating_settings(
    store: Store, given: GivenSettings | None = None, say: Callable[[str], None] = lambda _: None
) -> RatingSettings:
    """The settings with the store's own emergency numbers (A38) and limits (A43, A44).

    Given ones are kept from now on.  `say` gets one line for each that replaces another.
    Raises RaterError: a value that is none; nothing is kept then.
    """
    given = given or GivenSettings()
    defaults = RatingSettings()
    return RatingSettings(
        emergency_numbers=_numbers(store, given.emergency_numbers, say),
        clock_ahead_max_h=_limit(
            store, "clock_ahead_max_h", given.clock_ahead_max_h, defaults.clock_ahead_max_h, say
        ),
        call_duration_max_s=_limit(
            store, "call_duration_max_s", given.call_duration_max_s, defaults.call_duration_max_s, say
        ),
    )


def _numbers(store: Store, given: str | None, say: Callable[[str], None]) -> tuple[str, ...]:
    kept = store.setting(EMERGENCY_NUMBERS) or ""
    if given is None:
        return read_emergency_numbers(kept)
    try:
        numbers = () if given == NONE else read_emergency_numbers(given)
    except ValueError as wrong:
        raise RaterError(f"--emergency-numbers: {wrong}") from wrong
    now = ",".join(numbers)
    if now != kept:
        store.set(EMERGENCY_NUMBERS, now)
        if kept:
            say(f"{store.path}: the added emergency numbers are now {now or NONE}; they were {kept}")
    return numbers


def _limit(store: Store, name: str, given: int | None, default: int, say: Callable[[str], None]) -> int:
    """A number that the store keeps, once it was given."""
    kept = store.setting(name)
    if given is None:
        return default if kept is None else int(kept)
    if kept != str(given):
        store.set(name, str(given))
        if kept is not None:
            say(f"{store.path}: {name} is now {given}; it was {kept}")
    return given
