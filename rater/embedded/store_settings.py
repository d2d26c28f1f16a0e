"""The rules' settings of a store: given once, kept, and the same for every later command on it."""

from collections.abc import Callable

from rater.core import RatingSettings, read_emergency_numbers
from rater.embedded.store import Store
from rater.wire.errors import RaterError

#: The name of the setting, and the value that takes it back.
EMERGENCY_NUMBERS = "emergency_numbers"
NONE = "none"


def rating_settings(
    store: Store, given: str | None = None, say: Callable[[str], None] = lambda _: None
) -> RatingSettings:
    """The settings with the store's own emergency numbers (A38): the given ones, which are kept, else those it has.

    `say` gets one line where the given ones replace others.
    Raises RaterError: a value that is none; nothing is kept then.
    """
    kept = store.setting(EMERGENCY_NUMBERS) or ""
    if given is None:
        return RatingSettings(emergency_numbers=read_emergency_numbers(kept))
    try:
        numbers = () if given == NONE else read_emergency_numbers(given)
    except ValueError as wrong:
        raise RaterError(f"--emergency-numbers: {wrong}") from wrong
    now = ",".join(numbers)
    if now != kept:
        store.set(EMERGENCY_NUMBERS, now)
        if kept:
            say(f"{store.path}: the added emergency numbers are now {now or NONE}; they were {kept}")
    return RatingSettings(emergency_numbers=numbers)
