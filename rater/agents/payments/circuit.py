"""A circuit breaker: who failed often in a row is left alone for a while, then tried with one request.

The caller gives the clock.
"""

import time
from collections.abc import Callable


class CircuitBreaker:
    """Closed until `failures_max` failures in a row; then open, and every `open_s` seconds one probe passes.

    A probe that succeeds closes the circuit.  One that is never reported (its task was cancelled) costs nothing:
    the next one passes `open_s` seconds later.
    """

    def __init__(self, failures_max: int, open_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._failures_max = failures_max
        self._open_s = open_s
        self._clock = clock
        self._failures = 0
        self._probe_from: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether requests are held back, apart from probes."""
        return self._probe_from is not None

    def admits(self) -> bool:
        """Whether a request may be sent now; True while open lets this one caller probe."""
        if self._probe_from is None:
            return True
        if self._clock() < self._probe_from:
            return False
        self._probe_from = self._clock() + self._open_s
        return True

    def succeeded(self) -> None:
        """A request was answered."""
        self._failures, self._probe_from = 0, None

    def failed(self) -> None:
        """A request was not answered."""
        self._failures += 1
        if self._failures >= self._failures_max:
            self._probe_from = self._clock() + self._open_s
