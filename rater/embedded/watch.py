"""Files that appear or grow in watched folders, until the process is told to stop.

Refuses to know what is in them.
"""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from signal import SIGINT, SIGTERM, signal

from watchfiles import watch

from rater.errors import RaterError

#: How long a change can go unnoticed where the system does not tell of it.
_LOOK_AGAIN_MS = 1_000


def new_content(paths: list[str]) -> Iterator[str]:
    """Each file that is new or has changed in the folders; ends on SIGINT or SIGTERM, after the file at hand.

    The system's notices only say when to look: what is new is found by size and time of change, so that a file
    that came before the watch began is not missed.
    """
    folders = [Path(path) for path in paths if path != "-" and Path(path).is_dir()]
    if not folders:
        raise RaterError("--watch: expected at least one folder among the files, got none")
    stop = threading.Event()
    for number in (SIGINT, SIGTERM):
        signal(number, lambda *_: stop.set())
    print(f"rater: watching {', '.join(map(str, folders))}", file=sys.stderr, flush=True)
    known: dict[Path, tuple[int, int]] = {}
    notices = watch(
        *folders, stop_event=stop, raise_interrupt=False, rust_timeout=_LOOK_AGAIN_MS, yield_on_timeout=True
    )
    for _ in notices:
        for folder in folders:
            for path in sorted(folder.iterdir()):
                if path.is_file() and not path.name.startswith(".") and not stop.is_set():
                    stat = path.stat()
                    if known.get(path) != (stat.st_size, stat.st_mtime_ns):
                        known[path] = (stat.st_size, stat.st_mtime_ns)
                        yield str(path)
