"""Files that appear or grow in watched folders, until the process is told to stop.

Refuses to know what is in them.
"""

import threading
from collections.abc import Iterator
from pathlib import Path
from signal import SIGINT, SIGTERM, signal

from watchfiles import Change, watch

from rater.errors import RaterError


def new_content(paths: list[str]) -> Iterator[str]:
    """Each file that was added or changed in the folders; ends on SIGINT or SIGTERM, after the file at hand."""
    folders = [path for path in paths if path != "-" and Path(path).is_dir()]
    if not folders:
        raise RaterError("--watch: expected at least one folder among the files, got none")
    stop = threading.Event()
    for number in (SIGINT, SIGTERM):
        signal(number, lambda *_: stop.set())
    for changes in watch(*folders, stop_event=stop, raise_interrupt=False):
        changed = {path for change, path in changes if change is not Change.deleted}
        for path in sorted(changed):
            if Path(path).is_file() and not Path(path).name.startswith("."):
                yield path
