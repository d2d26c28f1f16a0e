"""Waiting for what processes do by themselves."""

import time
from collections.abc import Callable
from typing import TypeVar

#: It takes much less, but for a machine that does much else.
WAIT_S = 120.0
_LOOK_S = 0.02
_T = TypeVar("_T")


def until(found: Callable[[], _T | None], what: str, shown: Callable[[], str] = str) -> _T:
    """What is found once it is there; an AssertionError says what was waited for, and shows something."""
    deadline = time.monotonic() + WAIT_S
    while not (value := found()):
        assert time.monotonic() < deadline, f"waited for {what} {shown()}"
        time.sleep(_LOOK_S)
    return value
