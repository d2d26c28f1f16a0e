"""Fields that a mapping uses and no record of a file has: mostly a name that is spelled wrongly."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from rater.files.mappings.fields import has, paths_of
from rater.wire.words import did_you_mean

#: Of so many names of the records one is suggested.
_KNOWN_MAX = 5_000


class Missing:
    """Which of some fields no record has had; those which a file may rightly lack are not looked for."""

    def __init__(self, used: frozenset[str], optional: tuple[str, ...]) -> None:
        self._missing = set(used).difference(optional)
        self._known: dict[str, None] = {}
        self._records = 0

    def add(self, record: Mapping[str, Any]) -> None:
        """Look at one more record."""
        self._records += 1
        if self._missing:
            self._missing = {name for name in self._missing if not has(record, name)}
            paths = (path for path, _ in paths_of(record) if path not in self._known)
            self._known.update(dict.fromkeys(islice(paths, _KNOWN_MAX - len(self._known))))

    def lines(self) -> list[str]:
        """A line for each that is missing; none of a file without records."""
        if not self._records:
            return []
        return [
            f"{{{name}}}: expected in at least one record, got it in none of {self._records}"
            f"{did_you_mean(name, self._known) or '; a field that is rightly absent stands in reader.optional'}"
            for name in sorted(self._missing)
        ]
