"""Files of `rater run`: one that cannot be read is reported; other files continue."""

import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from threading import Event

from rater.embedded.retention import Daily
from rater.embedded.run import EmbeddedRater
from rater.embedded.watch import files_in, new_content
from rater.files.licenses import unknown_in_commands
from rater.files.mappings import Mapping
from rater.files.source import InputFile
from rater.files.written import AS_IT_IS, Written
from rater.wire.errors import Exit, RaterError
from rater.wire.visible import visible


class Intake:
    """What `rater run` was given to read.  `unread` is what is wrong with files that could not be, by file."""

    def __init__(
        self,
        rater: EmbeddedRater,
        store: Path,
        format: str | None,
        tenant: str | None,
        progress: Callable[[int], None],
        arrived: datetime | None = None,
        written: Written = AS_IT_IS,
        mapping: Mapping | None = None,
    ) -> None:
        self.unread: dict[str, str] = {}
        self._rater = rater
        self._store = store
        self._format = format
        self._tenant = tenant
        self._progress = progress
        self._arrived = arrived
        self._written = written
        self._mapping = mapping
        self._daily = Daily(rater.store, lambda line: print(f"rater: {visible(line)}", file=sys.stderr, flush=True))

    def commands(self, path: Path) -> None:
        """Apply commands.  Raises RaterError: without them, calls would be refused that are right."""
        for line in unknown_in_commands(path):
            print(f"rater: {visible(line)}", file=sys.stderr)
        self._rater.consume(InputFile(str(path), "commands", arrived=self._arrived), self._progress)

    def files(self, paths: list[str]) -> None:
        """Rate files, and those in folders, in order."""
        for path in self._expanded(paths):
            self._consume(path)

    def watched(self, paths: list[str], stop: Event) -> Iterator[None]:
        """Rate files, then what comes into folders until `stop` is set; a turn after each file."""
        for path in paths:
            if not stop.is_set() and (path == "-" or not Path(path).is_dir()):
                self._consume(path)
        self._daily.look()
        for path in new_content(paths, self._store, self._unreadable, stop):
            before = self._rater.summary.records
            self._consume(path, growing=True)
            if self._rater.summary.records > before:
                print(f"rater: {path}: {self._rater.summary.records} records so far", file=sys.stderr)
            self._daily.look()
            yield

    def _expanded(self, paths: list[str]) -> Iterator[str]:
        for path in paths:
            if path != "-" and Path(path).is_dir():
                yield from map(str, files_in(Path(path), self._store, self._unreadable))
            else:
                yield path

    def _consume(self, path: str, *, growing: bool = False) -> None:
        try:
            file = InputFile(
                path,
                self._format,
                self._tenant,
                growing=growing,
                arrived=self._arrived,
                written=self._written,
                mapping=self._mapping,
            )
            self._rater.consume(file, self._progress)
        except RaterError as wrong:
            if wrong.exit is not Exit.USAGE:
                raise  # not the file: the disk, the gateway
            print(f"rater: {visible(str(wrong))}", file=sys.stderr)
            self.unread[path] = str(wrong)
            return
        self.unread.pop(path, None)
        if growing and file.incomplete:
            print(f"rater: {visible(file.incomplete)}", file=sys.stderr)

    def _unreadable(self, path: str, why: str) -> None:
        """Report a folder that cannot be read; once, however often it is looked at."""
        if self.unread.get(path) != why:
            print(f"rater: {visible(why)}", file=sys.stderr)
        self.unread[path] = why
