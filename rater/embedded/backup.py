"""A copy of a store in one file, consistent also while a run writes, and read again before it counts."""

import sqlite3
from contextlib import closing
from pathlib import Path

from rater.embedded.failures import error_of
from rater.embedded.schema import open_for_reading
from rater.embedded.verify import check_integrity
from rater.files.atomic import replacing
from rater.wire.errors import RaterError


def back_up(store: Path, target: Path) -> int:
    """Copy a store; how many bytes the copy has.  What was at `target` is replaced when the copy is verified.

    Raises RaterError: no such store, damaged, the target is a store in use, no room; `target` is as before then.
    """
    with closing(open_for_reading(store)) as source:
        if target.exists() and target.samefile(store):
            raise RaterError(f"{target}: this is the store itself; name another file")
        if target.with_name(target.name + "-wal").exists():
            raise RaterError(f"{target}: a store that is in use, or whose last run was killed; name another file")
        with replacing(target, private=True) as beside:
            try:
                _copy(source, beside)
            except sqlite3.Error as wrong:
                raise error_of(store, wrong) from wrong
            return beside.stat().st_size


def _copy(source: sqlite3.Connection, target: Path) -> None:
    """In one step: SQLite begins again whenever a run commits between two."""
    with closing(sqlite3.connect(target, isolation_level=None)) as copy:
        source.backup(copy, pages=-1)
        # One file, that anybody can move; a run makes it a store with a log of its own again.
        copy.execute("PRAGMA journal_mode=DELETE")
    with closing(open_for_reading(target)) as copy:
        check_integrity(copy, target)
