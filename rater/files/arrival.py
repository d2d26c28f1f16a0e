"""When a file arrived, and which part of it: what a run that goes on has to know of the first one (A43)."""

from datetime import datetime
from pathlib import Path

import msgspec


class Arrival(msgspec.Struct, frozen=True):
    """When a file arrived, whether a person gave it (`--arrived`), and how many bytes it had then."""

    at: datetime
    given: bool
    size: int

    def covers(self, size: int, end: int) -> bool:
        """Whether a record that ends at byte `end` was there: what a file gained since came later.

        `size` is what the file has now.  If that is the same, nothing was gained; a compressed file has more bytes
        to read than it has on the disk.
        """
        return size == self.size or end <= self.size


def size_of(path: str) -> int:
    """How many bytes a file has; 0 for standard input, and for what cannot be looked at."""
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0
