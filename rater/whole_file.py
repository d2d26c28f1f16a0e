"""A file that people asked for: there when it is whole, and not at all otherwise.

Refuses to know what is written.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rater.errors import RaterError
from rater.exits import Exit

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def whole_file(path: Path) -> Iterator[IO[str]]:
    """UTF-8 text for a file: written beside it, moved there at the end; what was there before stays until then.

    Raises RaterError when it cannot be written, or finds no room.
    """
    target = path.resolve()
    # A pipe or a device is written to as it is: what was moved there would take its place.
    beside = target if target.exists() and not target.is_file() else target.with_name(f".{target.name}.part")
    try:
        with beside.open("w", encoding="utf-8", newline="") as out:
            yield out
        if beside != target:
            beside.replace(target)
    except BaseException as wrong:
        if beside != target:
            beside.unlink(missing_ok=True)
        if not isinstance(wrong, OSError):
            raise
        exit = Exit.DISK_FULL if wrong.errno in _NO_ROOM else Exit.USAGE
        raise RaterError(f"{path}: cannot be written: {wrong.strerror}; nothing was kept of it", exit) from wrong
