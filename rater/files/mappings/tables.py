"""Tables beside a mapping: from account, trunk, domain or DID to tenant; from extension or number to user.

A table is read again when its file changes.  One that cannot be read then stays as it was, and that is reported.
"""

from collections.abc import Callable
from pathlib import Path

from rater.core import Reason
from rater.files.csv_rows import read_rows
from rater.files.mappings.fields import Compiler, Fields
from rater.files.mappings.model import LookUp, Table
from rater.files.mappings.results import Unmapped
from rater.wire.errors import RaterError

#: A number for each user of a large customer; in memory 200 bytes an entry.
TABLE_ROWS_MAX = 1_000_000


class Entries:
    """The entries of one table, as its file was when it was looked at last."""

    def __init__(self, name: str, table: Table, folder: Path) -> None:
        self.name = name
        self.path = folder / table.file
        self._table = table
        self._seen = self._stamp()
        self._values = self._read()
        self._longest = self._longest_key()

    def refresh(self) -> str | None:
        """Read the file again if it changed (time or size); a line for people where it cannot be read."""
        try:
            stamp = self._stamp()
            if stamp == self._seen:
                return None
            self._values = self._read()
        except RaterError as wrong:
            return f"{wrong}; the table {self.name} stays as it was"
        self._seen, self._longest = stamp, self._longest_key()
        return None

    def get(self, key: str) -> str | None:
        """The value for a key; with `match: prefix` that of the longest key with which it begins."""
        if self._table.match == "exact":
            return self._values.get(key)
        for length in range(min(len(key), self._longest), 0, -1):
            if (value := self._values.get(key[:length])) is not None:
                return value
        return None

    def _stamp(self) -> tuple[int, int]:
        try:
            found = self.path.stat()
        except OSError as wrong:
            raise RaterError(f"{self.path}: cannot be read: {wrong.strerror}") from wrong
        return found.st_mtime_ns, found.st_size

    def _longest_key(self) -> int:
        return max(map(len, self._values), default=0)

    def _read(self) -> dict[str, str]:
        values: dict[str, str] = {}
        key, value = self._table.key, self._table.value
        for row, cells in read_rows(self.path, (key, value)):
            if values.setdefault(cells[key], cells[value]) != cells[value]:
                raise RaterError(f"{self.path}:{row}: {key}: {cells[key]!r} stands twice with different values")
            if len(values) > TABLE_ROWS_MAX:
                raise RaterError(f"{self.path}:{row}: expected at most {TABLE_ROWS_MAX} rows (TABLE_ROWS_MAX)")
        return values


def look_up(compiler: Compiler, field: str, given: LookUp, tables: dict[str, Entries]) -> Callable[[Fields], str]:
    """A function that looks a value up; RaterError where the mapping has no such table."""
    if given.look_up not in tables:
        known = ", ".join(tables) or "none"
        raise RaterError(f"{field}: look_up: expected one of the mapping's tables ({known}), got {given.look_up!r}")
    entries, key = tables[given.look_up], compiler.text(given.key)
    otherwise = None if given.otherwise is None else compiler.text(given.otherwise)

    def value(fields: Fields) -> str:
        wanted = key(fields)
        found = entries.get(wanted)
        if found is not None:
            return found
        if otherwise is not None:
            return otherwise(fields)
        add = "add it, then: rater dlq replay --reason unknown_account"
        message = f"expected {wanted!r:.80} in {entries.path.name}; {add}"
        raise Unmapped(field, message, Reason.UNKNOWN_ACCOUNT)

    return value
