"""A file that people asked for: there when it is whole, and not at all otherwise."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rater.wire.errors import NO_ROOM, Exit, RaterError


@contextmanager
def replacing(path: Path, *, private: bool = False) -> Iterator[Path]:
    """Where to write instead: it moves to `path` when it is whole, and is gone when it is not.

    What was there before stays until then.  A `private` file is its owner's alone; one that was there keeps the
    rights that somebody gave it.  Raises RaterError when it cannot be written, or finds no room.
    """
    target = path.resolve()
    if not target.parent.is_dir():
        raise RaterError(f"{path}: no such folder; make it, or name another file")
    if target.is_dir():
        raise RaterError(f"{path}: expected a file, got a folder")
    # A pipe or a device is written to as it is: what was moved there would replace it.
    beside = target if target.exists() and not target.is_file() else target.with_name(f".{target.name}.part")
    try:
        if private and beside != target:
            beside.unlink(missing_ok=True)
            os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            if target.exists():
                beside.chmod(target.stat().st_mode & 0o777)
        yield beside
        if beside != target:
            beside.replace(target)
    except BrokenPipeError:
        raise  # a device whose reader went away
    except OSError as wrong:
        raise _unwritable(path, wrong) from wrong
    finally:
        if beside != target:
            beside.unlink(missing_ok=True)


@contextmanager
def whole_file(path: Path, *, private: bool = False) -> Iterator[IO[str]]:
    """UTF-8 text for a file, as `replacing` does it."""
    with replacing(path, private=private) as beside, beside.open("w", encoding="utf-8", newline="") as out:
        yield out


def _unwritable(path: Path, wrong: OSError) -> RaterError:
    if wrong.errno in NO_ROOM:
        return RaterError(
            f"{path}: the disk is full, nothing was written; free some space and run the same command again",
            Exit.DISK_FULL,
        )
    return RaterError(f"{path}: cannot be written: {wrong.strerror or wrong}; nothing was kept of it")
