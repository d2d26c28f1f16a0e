"""The rules' settings of a store: given once, kept, and the same for every later command on it."""

from collections.abc import Callable

import msgspec

from rater.core import RatingSettings, read_emergency_numbers
from rater.embedded.store import Reader, Store
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
    Raises RaterError: an invalid value; nothing is kept then.
    """
    given = given or GivenSettings()
    if given.emergency_numbers is not None:
        _keep_numbers(store, given.emergency_numbers, say)
    for name in ("clock_ahead_max_h", "call_duration_max_s"):
        if (value := getattr(given, name)) is not None:
            _keep_limit(store, name, value, say)
    return kept_settings(store)


def kept_settings(store: Reader) -> RatingSettings:
    """The settings as the store keeps them."""
    defaults = RatingSettings()
    return RatingSettings(
        emergency_numbers=read_emergency_numbers(store.setting(EMERGENCY_NUMBERS) or ""),
        clock_ahead_max_h=int(store.setting("clock_ahead_max_h") or defaults.clock_ahead_max_h),
        call_duration_max_s=int(store.setting("call_duration_max_s") or defaults.call_duration_max_s),
    )


def _keep_numbers(store: Store, given: str, say: Callable[[str], None]) -> None:
    kept = store.setting(EMERGENCY_NUMBERS) or ""
    try:
        numbers = () if given == NONE else read_emergency_numbers(given)
    except ValueError as wrong:
        raise RaterError(f"--emergency-numbers: {wrong}") from wrong
    now = ",".join(numbers)
    if now != kept:
        store.set(EMERGENCY_NUMBERS, now)
        if kept:
            say(f"{store.path}: the added emergency numbers are now {now or NONE}; they were {kept}")


def _keep_limit(store: Store, name: str, given: int, say: Callable[[str], None]) -> None:
    """A number that the store keeps, once it was given."""
    kept = store.setting(name)
    if kept != str(given):
        store.set(name, str(given))
        if kept is not None:
            say(f"{store.path}: {name} is now {given}; it was {kept}")
