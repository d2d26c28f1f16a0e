"""How often a client may send records, and read, in a second: a bucket for each, with one second's worth."""

import math
import time
from collections.abc import Callable

from rater.serve.clients import Client
from rater.serve.problems import Kind, ProblemError

#: A request may hold more records than a second allows; the client then waits longer before its next one.
_BURST_S = 1.0


class Rates:
    """One for records or for reading in a process; each process counts for itself."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        #: By client: what is left, and when that was.
        self._left: dict[str, tuple[float, float]] = {}

    def count(self, client: Client, records: int) -> None:
        """Count records against a client's limit; ProblemError where nothing is left of it."""
        wait_s = self._count(client, client.records_per_s, records)
        if wait_s is not None:
            raise ProblemError(
                Kind.TOO_MANY,
                f"{client.name}: expected at most {client.records_per_s} records a second (records_per_s of the"
                " clients' file); nothing of this request was stored, send it again later",
                wait_s,
            )

    def count_read(self, client: Client) -> None:
        """Count a request that reads; ProblemError where nothing is left of the client's limit."""
        wait_s = self._count(client, client.reads_per_s, 1)
        if wait_s is not None:
            raise ProblemError(
                Kind.TOO_MANY,
                f"{client.name}: expected at most {client.reads_per_s} requests a second (reads_per_s of the"
                " clients' file); ask again later",
                wait_s,
            )

    def _count(self, client: Client, per_s: int, number: int) -> int | None:
        """Count; the seconds to wait where nothing is left."""
        now = self._clock()
        most = per_s * _BURST_S
        left, at = self._left.get(client.name, (most, now))
        left = min(most, left + (now - at) * per_s)
        self._left[client.name] = (left if left <= 0 else left - number, now)
        return max(1, math.ceil(-left / per_s)) if left <= 0 else None
