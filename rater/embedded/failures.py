"""What SQLite says of a store as one line for people: full disk, failing disk, damaged file."""

import errno
import os
import sqlite3
from pathlib import Path
from tempfile import TemporaryFile

from rater.wire.errors import NO_ROOM, Exit, RaterError

#: What is written to find out whether there is room.
_TRIAL_BYTES = 1 << 20


def error_of(path: Path, wrong: sqlite3.Error) -> RaterError:
    """The error that a person can act on, for whatever SQLite raised on the store at `path`."""
    name = getattr(wrong, "sqlite_errorname", "") or ""
    if name.startswith("SQLITE_FULL") or (name.startswith("SQLITE_IOERR") and _is_full(path)):
        return disk_full(path)
    if name.startswith("SQLITE_IOERR"):
        return RaterError(
            f"{path}: the disk does not read or write ({name}); the last batch was undone, all before it is kept."
            " Look at the system's log and at quotas, copy the store to another disk with `rater backup`,"
            " then run the same command again",
            Exit.STORE_DAMAGED,
        )
    if name.startswith("SQLITE_CORRUPT"):
        return damaged(path, str(wrong))
    if name.startswith("SQLITE_NOTADB"):
        return RaterError(
            f"{path}: expected a store of rater, got another file; if it was a store, it is damaged: move it"
            " away and copy the last `rater backup` to its place"
        )
    if "readonly" in str(wrong):
        return RaterError(
            f"{path}: cannot be written: this user may only read it; change its rights or use --store"
        )
    if name.startswith("SQLITE_BUSY"):
        return RaterError(f"{path}: in use by another process; run the same command again", Exit.STORE_IN_USE)
    return RaterError(f"{path}: cannot be opened as a store: {wrong}")


def damaged(path: Path, what: str) -> RaterError:
    """The message about a store whose bytes are not what was written."""
    return RaterError(
        f"{path}: damaged ({what}); move it away and copy the last `rater backup` to its place, then give the files"
        " that came since again: what is in the backup is not charged twice",
        Exit.STORE_DAMAGED,
    )


def disk_full(path: Path) -> RaterError:
    """The message when the last batch found no room."""
    return RaterError(
        f"{path}: the disk is full; the last batch was undone, all before it is kept."
        " Free some space and run the same command again",
        Exit.DISK_FULL,
    )


def _is_full(path: Path) -> bool:
    """Whether a write beside the store, where its next one would be, finds no room: SQLite does not say why."""
    store = path.resolve()
    try:
        end = max(file.stat().st_size for file in (store, store.with_name(store.name + "-wal")) if file.exists())
        with TemporaryFile(dir=store.parent, buffering=0) as trial:
            trial.seek(end)
            trial.write(bytes(_TRIAL_BYTES))
            os.fsync(trial.fileno())
    except OSError as wrong:
        return wrong.errno in (*NO_ROOM, errno.EFBIG)
    except ValueError:  # neither file is there
        return False
    return False
