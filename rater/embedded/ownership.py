"""One writer for a store, by whatever path it is opened, and a number that each transaction of it checks.

Two locks: the file `.lock` beside the store, which says who has it, and the store's own inode, which is the same
through symbolic links, hard links and mounts.  The second is a `flock`; SQLite's locks are of another kind and do
not meet it.  Should both fail (a file system without locks), the epoch still does: who opens a store to write
raises it, and each transaction of an earlier owner is then refused.
"""

import fcntl
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rater.embedded.failures import error_of
from rater.embedded.openings import note_opening
from rater.wire.errors import Exit, RaterError

OWNER_ONLY = 0o600
#: Came later; a store without it gets it when it is next opened to write.
OWNER_TABLE = "CREATE TABLE IF NOT EXISTS owner (epoch INTEGER NOT NULL)"
_MOUNTS = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")


class Lock:
    """What keeps other writers out until it is closed."""

    def __init__(self, path: Path) -> None:
        """Lock the store at `path`, which is resolved; an empty file is made if there is none.

        Raises RaterError: in use by another process, not writable, or under a name beside which SQLite would not
        find its own files.
        """
        self._open: list[int] = []
        try:
            self._lock_beside(path)
            self._lock_inode(path)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release both; SQLite's connection is closed before, for it loses its locks with any descriptor."""
        while self._open:
            os.close(self._open.pop())

    def _lock_beside(self, path: Path) -> None:
        lock = self._opened(path, path.with_name(path.name + ".lock"))
        if not _locked(lock):
            holder = os.pread(lock, 64, 0).decode(errors="replace").strip() or "unknown"
            raise RaterError(
                f"{path}: in use by process {holder}; wait until it ends, or use another --store",
                Exit.STORE_IN_USE,
            )
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)

    def _lock_inode(self, path: Path) -> None:
        store = self._opened(path, path)
        if not _locked(store):
            raise RaterError(
                f"{path}: in use by another process, which opened the same file under another name; wait until it"
                " ends, or use another --store",
                Exit.STORE_IN_USE,
            )
        if (names := os.fstat(store).st_nlink) > 1:
            raise RaterError(
                f"{path}: has {names} names (hard links); the last commits can be in a file beside the other name,"
                f" so keep one name: find it with `find FOLDER -samefile {path}`, or use a symbolic link"
            )
        if is_mount_point(path):
            raise RaterError(
                f"{path}: the file alone is mounted here; the last commits can be in files beside it, so mount its"
                " folder and use the store there"
            )

    def _opened(self, store: Path, path: Path) -> int:
        try:
            opened = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, OWNER_ONLY)
        except OSError as wrong:
            raise RaterError(f"{store}: cannot be written: {wrong.strerror}") from wrong
        self._open.append(opened)
        return opened


def is_mount_point(path: Path, mounts: Path = _MOUNTS) -> bool:
    """Whether something is mounted at exactly this path, as Linux lists mounts; False where nothing lists them."""
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return False
    return any(_plain(line.split(" ")[4]) == str(path) for line in lines)


def take_over(connection: sqlite3.Connection) -> int:
    """Become the owner: the new epoch, which every earlier owner's is below."""
    connection.execute("BEGIN IMMEDIATE")
    epoch = (_epoch(connection) or 0) + 1
    connection.execute("DELETE FROM owner")
    connection.execute("INSERT INTO owner VALUES (?)", (epoch,))
    note_opening(connection)
    connection.execute("COMMIT")
    return epoch


@contextmanager
def owned_transaction(connection: sqlite3.Connection, path: Path, epoch: int) -> Iterator[None]:
    """All or nothing, and nothing where another process became the owner; RaterError if SQLite fails."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        _check_owner(connection, path, epoch)
        yield
        connection.execute("COMMIT")
    except BaseException as wrong:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if isinstance(wrong, sqlite3.Error):
            raise error_of(path, wrong) from wrong
        raise


def _check_owner(connection: sqlite3.Connection, path: Path, epoch: int) -> None:
    if _epoch(connection) != epoch:
        raise RaterError(
            f"{path}: another process opened the store to write since; nothing of this batch was kept, all before"
            " it is: run the same command again when the other one has ended",
            Exit.STORE_IN_USE,
        )


def _epoch(connection: sqlite3.Connection) -> int | None:
    row = connection.execute("SELECT epoch FROM owner").fetchone()
    return int(row[0]) if row else None


def _locked(opened: int) -> bool:
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _plain(name: str) -> str:
    """A path in the list of mounts: blanks are written as `\\040`."""
    return _ESCAPED.sub(lambda code: chr(int(code.group(1), 8)), name)
