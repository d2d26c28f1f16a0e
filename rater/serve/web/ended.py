"""Sessions that their person ended: one empty file for each, so that every server with this folder knows it.

A session is over after its hours anyway; then its file is deleted.
"""

import time
from pathlib import Path

import structlog

log = structlog.get_logger("rater.serve")


class EndedSessions:
    """The sessions of a folder, which is made when the first one ends; `hours` is how long a session lasts."""

    def __init__(self, folder: Path, hours: int) -> None:
        self._folder, self._hours = folder, hours
        #: Those that could not be written: they are ended in this process.
        self._unwritten: set[str] = set()

    def add(self, id: str) -> None:
        """End a session, and forget those that are over by now."""
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            (self._folder / id).touch(mode=0o600)
            self._forget(time.time() - self._hours * 3600)
        except OSError as wrong:
            self._unwritten.add(id)
            log.error("a sign-out is known to this process alone", folder=str(self._folder), reason=str(wrong))

    def __contains__(self, id: str) -> bool:
        return id in self._unwritten or (self._folder / id).exists()

    def _forget(self, before_s: float) -> None:
        for path in self._folder.iterdir():
            try:
                if path.stat().st_mtime < before_s:
                    path.unlink()
            except FileNotFoundError:
                continue  # another server did
