"""How many records a client may send in a second: a bucket for each, which holds one second's worth."""

import math
import time
from collections.abc import Callable

from rater.serve.clients import Client
from rater.serve.problems import Kind, ProblemError

#: A request may hold more records than a second allows; the client then waits longer before its next one.
_BURST_S = 1.0


class Rates:
    """One for a process; each process counts for itself."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        #: By client: what is left, and when that was.
        self._left: dict[str, tuple[float, float]] = {}

    def count(self, client: Client, records: int) -> None:
        """Count records against a client's limit; ProblemError where nothing is left of it."""
        now = self._clock()
        most = client.records_per_s * _BURST_S
        left, at = self._left.get(client.name, (most, now))
        left = min(most, left + (now - at) * client.records_per_s)
        if left <= 0:
            self._left[client.name] = (left, now)
            wait_s = max(1, math.ceil(-left / client.records_per_s))
            raise ProblemError(
                Kind.TOO_MANY,
                f"{client.name}: expected at most {client.records_per_s} records a second (records_per_s of the"
                " clients' file); nothing of this request was stored, send it again later",
                wait_s,
            )
        self._left[client.name] = (left - records, now)
