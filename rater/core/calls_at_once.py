"""Brakes on calls at once (A50): their keys and windows, and calls that were asked for beyond their limit.

Who answers switches counts those calls; the rating task, which alone writes the ledger, learns how many there were
by a command, so that a replay decides the same.
"""

from collections.abc import Callable, Iterable
from datetime import datetime

from rater.core.entities import Brake
from rater.core.inputs import CallsOverBrake

#: The window of a brake on calls at once: what runs now.
CALLS_WINDOW = "now"
#: Of so many brakes and subjects calls are counted between two commands; of more, none.
COUNTED_MAX = 10_000


def counting_window(window: str) -> str:
    """The window in which a brake counts what is over its limit: of calls at once it is the day."""
    return "day" if window == CALLS_WINDOW else window


def counting_scope(brake: Brake) -> str:
    """The scope in the key of a brake's windows: calls at once have windows of their own, which count no money."""
    return f"calls_{brake.scope}" if brake.measure == "calls_at_once" else brake.scope


def is_of_calls(key: str) -> bool:
    """Whether a key of `rest` is that of a brake on calls at once: it counts calls, not money."""
    return key.split("/", 2)[1] == CALLS_WINDOW


def calls_brake(key: str) -> tuple[str, str | None]:
    """The brake of such a key, and its subject; None of the tenant."""
    name, _, _, subject = key.split("/", 3)
    return name, subject or None


class CallsOver:
    """Those of one process, since `pop` was called last."""

    def __init__(self) -> None:
        #: By tenant and key of the brake: how many, and how many would have run at once with the most of them.
        self._calls: dict[tuple[str, str], tuple[int, int]] = {}

    def count(self, tenant: str, over: Iterable[tuple[str, int]]) -> None:
        """A call is beyond these brakes, see `Answer.over`."""
        for key, running in over:
            place = (tenant, key)
            calls, most = self._calls.get(place, (0, 0))
            if calls or len(self._calls) < COUNTED_MAX:
                self._calls[place] = (calls + 1, max(most, running))

    def pop(self, at: datetime, new_id: Callable[[], str]) -> list[CallsOverBrake]:
        """A command for each brake and subject; what is in them is not counted any more."""
        counted, self._calls = self._calls, {}
        return [
            CallsOverBrake(tenant=tenant, id=new_id(), at=at, brake=brake, subject=subject, calls=calls, most=most)
            for (tenant, key), (calls, most) in counted.items()
            for brake, subject in (calls_brake(key),)
        ]
