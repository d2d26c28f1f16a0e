"""Names of tenants that people confuse: said, never refused, and never merged, since a tenant's name is exact.

Two names look alike where they differ in nothing but case, blanks, spellings that Unicode holds to be the same
(NFKC), invisible characters, letters of other scripts, 0 and O, or 1, l and I.
Not `confusable-homoglyphs` (0.9 MB of JSON at import, its last data are of 2024) nor `confusables` (2021): both
find dangerous letters in one name, and neither says which of a thousand names look like another one.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator

from rater.wire.lookalike_letters import LOOK_LIKE

#: So many names are reported; with more it would be noise.
SAID_MAX = 20
_LETTERS = str.maketrans({letter: look for look, letters in LOOK_LIKE.items() for letter in letters})
_DIGITS = str.maketrans("01|", "oll")
#: A capital I looks like l; only where the name was not written in another case.
_CAPITALS = str.maketrans("I", "l")
_BLANKS = re.compile(r"\s")


class Lookalikes:
    """Names that are known, and which other one each of them looks like."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._index: dict[str, set[str]] = {}
        self._said: set[str] = set()
        for name in known:
            self.add(name)

    def add(self, name: str) -> None:
        """The name is a tenant's."""
        for look in _looks(name):
            self._index.setdefault(look, set()).add(name)

    def remarks(self, names: Iterable[str]) -> Iterator[str]:
        """A line for each name that looks like another one, once; a pair of which both are given is one line."""
        for name in sorted(set(names)):
            others = set().union(*[self._index.get(look, set()) for look in _looks(name)]) - {name}
            if not others or name in self._said or len(self._said) > SAID_MAX:
                continue
            self._said |= {name, *others}
            written = ", ".join(map(ascii, sorted(others)[:SAID_MAX]))
            yield f"tenant {name!a} looks like {written}: they are different tenants; is one of them a slip?"


def _looks(name: str) -> set[str]:
    """What a name looks like: as it is written, and with a capital I read as l."""
    shown = unicodedata.normalize("NFKC", name)
    return {_look(shown), _look(shown.translate(_CAPITALS))}


def _look(name: str) -> str:
    folded = unicodedata.normalize("NFKC", name.casefold()).translate(_LETTERS)
    marks_off = "".join(sign for sign in folded if unicodedata.category(sign) not in ("Cf", "Mn", "Cc"))
    return _BLANKS.sub("", marks_off).translate(_DIGITS)
