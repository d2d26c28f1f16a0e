"""Whether a switch's records all come: when the last one did, and which of its numbers are missing.

Records overtake one another, so a number counts as missing only some time after a higher one came.
"""

import time
from collections.abc import Callable, Iterable

import msgspec
import structlog

from rater.core import CallRecord
from rater.ops.metrics.labels import NO_SWITCH
from rater.ops.metrics.meter import Metrics

#: How often what is missing is counted.
SHOWN_EVERY_S = 5.0
#: A number that is missing for so long is shown, and after so long forgotten.
MISSING_AFTER_S, FORGOTTEN_AFTER_S = 300.0, 86_400.0
#: Numbers of one switch that are kept as missing; a step further than this is a numbering that began anew.
MISSING_MAX = 1_000

log = structlog.get_logger("rater.agents")


class SeenRecord(msgspec.Struct):
    """What is looked at of a call's record before it is rated; a call record has the same."""

    tenant: str
    usage_id: str
    switch: str | None = None
    switch_sequence: int | None = None


_seen = msgspec.json.Decoder(SeenRecord)


def seen_in(raw: bytes) -> SeenRecord | None:
    """What can be read of a record; None of what is no call's record, which the rules reject."""
    try:
        return _seen.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


class _Numbering:
    """The numbers of one switch."""

    def __init__(self) -> None:
        self.highest: int | None = None
        #: When it was noticed that a number is missing.
        self.missing: dict[int, float] = {}

    def add(self, number: int, now_s: float) -> bool:
        """A record has this number; whether the numbering began anew."""
        if self.highest is None or abs(number - self.highest) > MISSING_MAX:
            anew, self.highest = self.highest is not None, number
            self.missing.clear()
            return anew
        self.missing.pop(number, None)
        for passed_over in range(self.highest + 1, number):
            self.missing[passed_over] = now_s
        while len(self.missing) > MISSING_MAX:
            del self.missing[next(iter(self.missing))]
        self.highest = max(self.highest, number)
        return False

    def missing_at(self, now_s: float) -> int:
        """How many numbers are missing by now; what is missing for too long is forgotten."""
        while self.missing and next(iter(self.missing.values())) <= now_s - FORGOTTEN_AFTER_S:
            del self.missing[next(iter(self.missing))]
        return sum(noticed_s <= now_s - MISSING_AFTER_S for noticed_s in self.missing.values())


class Completeness:
    """The records of the switches of a file; `record` each, `show` now and then."""

    def __init__(
        self, switches: Iterable[str], metrics: Metrics, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._metrics, self._clock = metrics, clock
        self._numberings = {name: _Numbering() for name in switches}
        #: What came since it was last shown: how many, and when the last one.
        self._came: dict[str, tuple[int, float]] = {}
        self._show_at_s = 0.0
        metrics.begin_switch_records(self._numberings)

    def record(self, seen: SeenRecord | CallRecord, at_s: float) -> None:
        """A record came, at an instant in Unix time; names that the file lacks count together."""
        name, sequence = seen.switch or NO_SWITCH, seen.switch_sequence
        numbering = self._numberings.get(name)
        if numbering is None:
            name = NO_SWITCH
        elif sequence is not None and numbering.add(sequence, self._clock()):
            log.warning("a switch numbers its records anew", switch=name, number=sequence)
        records, last_s = self._came.get(name, (0, at_s))
        self._came[name] = records + 1, max(last_s, at_s)

    def show(self) -> None:
        """Count what came, and every few seconds what is missing."""
        for name, (records, last_s) in self._came.items():
            self._metrics.switch_records(name, records, last_s)
        self._came.clear()
        now_s = self._clock()
        if now_s < self._show_at_s:
            return
        self._show_at_s = now_s + SHOWN_EVERY_S
        for name, numbering in self._numberings.items():
            self._metrics.switch_missing(name, numbering.missing_at(now_s))
