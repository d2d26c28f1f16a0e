"""Files in folders, and those that appear or grow in them until the process gets a signal to stop."""

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from signal import SIGINT, SIGTERM, signal

from watchfiles import watch

from rater.wire.errors import RaterError

#: How long a change can go unnoticed where the system does not report it.
_LOOK_AGAIN_MS = 1_000
#: Size and time of change: they show that a file is not as it was.
_Look = tuple[int, int]


def files_in(folder: Path, store: Path, unreadable: Callable[[str, str], None]) -> list[Path]:
    """The files in a folder and in those below it, in order of their names.

    Names that start with a dot are left out, and the store's own files.  `unreadable` gets each folder that cannot
    be read, with why, and each link: it could lead to any file of the machine, so it is not followed.
    """

    def report(wrong: OSError) -> None:
        unreadable(wrong.filename, f"{wrong.filename}: the folder cannot be read: {wrong.strerror}")

    found: list[Path] = []
    for here, folders, names in os.walk(folder, onerror=report):
        shown = [name for name in (*folders, *names) if not name.startswith(".")]
        for link in filter(Path.is_symlink, (Path(here, name) for name in sorted(shown))):
            unreadable(
                str(link), f"{link}: a symbolic link in a folder is not followed; give what it leads to by name"
            )
        folders[:] = [name for name in folders if not name.startswith(".")]
        found.extend(Path(here, name) for name in names if not name.startswith("."))
    return sorted(
        path for path in found if path.is_file() and not path.is_symlink() and not _is_of_store(path, store)
    )


def stop_by_signal() -> threading.Event:
    """What SIGINT and SIGTERM set from now on, in place of ending the process."""
    stop = threading.Event()
    for number in (SIGINT, SIGTERM):
        signal(number, lambda *_: stop.set())
    return stop


def new_content(
    paths: list[str], store: Path, unreadable: Callable[[str, str], None], stop: threading.Event
) -> Iterator[str]:
    """Each file that is new or has changed in the folders; ends when `stop` is set, after the file at hand.

    The system's notices only say when to look: what is new is found by size and time of change, so that a file
    that came before the watch began is not missed.
    """
    folders = [Path(path) for path in paths if path != "-" and Path(path).is_dir()]
    if not folders:
        raise RaterError("--watch: expected at least one folder among the files, got none")
    for folder in folders:
        if not os.access(folder, os.R_OK | os.X_OK):
            raise RaterError(f"{folder}: the folder cannot be read: Permission denied")
    print(f"rater: watching {', '.join(map(str, folders))}", file=sys.stderr, flush=True)
    known: dict[Path, _Look] = {}
    for _ in chain([()], _notices(folders, stop)):
        for path in _files_of(folders, store, unreadable):
            look = None if stop.is_set() else _look_at(path)
            if look and known.get(path) != look:
                known[path] = look
                yield str(path)


def _notices(folders: list[Path], stop: threading.Event) -> Iterable[object]:
    """One whenever it is time to look."""
    return watch(
        *folders,
        stop_event=stop,
        raise_interrupt=False,
        rust_timeout=_LOOK_AGAIN_MS,
        yield_on_timeout=True,
        ignore_permission_denied=True,
    )


def _files_of(folders: list[Path], store: Path, unreadable: Callable[[str, str], None]) -> Iterator[Path]:
    for folder in folders:
        yield from files_in(folder, store, unreadable)


def _look_at(path: Path) -> _Look | None:
    """None of a file that is gone since."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


def _is_of_store(path: Path, store: Path) -> bool:
    """Whether it is the store, or lies beside it for SQLite or as its lock."""
    own = {
        store.name + suffix for suffix in ("", "-wal", "-shm", "-journal", ".lock", "-lookup", "-lookup-journal")
    }
    return path.name in own and path.parent.resolve() == store.parent.resolve()
