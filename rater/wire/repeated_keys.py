"""Finds a key that one JSON object says twice.

Readers of JSON differ in which of two values they use, so such a record is refused.  Python's own reader, which is
compiled, says of most texts that no key is repeated; the others are read from the left to the right, each byte as
a part of one token.  The work grows with the length of the text and with nothing else.  Never raises, whatever the
bytes are: what is not JSON is for the decoders to refuse.
"""

import re
from collections.abc import Iterator
from json import JSONDecoder
from typing import Any

#: How much of a key is shown to people.
SHOWN_MAX = 80
#: A string (also one that never ends) with the colon behind it, or a brace.  Numbers, literals, commas and
#: brackets cannot make a key.  Possessive (`*+`), so that no byte of a string is looked at twice.
_TOKEN = re.compile(rb'"((?:[^"\\]++|\\.)*+)(?:"[ \t\r\n]*+(:)?+|\Z|(?=\\\Z))|[{}]', re.DOTALL)
_unescaped = JSONDecoder(strict=False).decode


def repeated_key(raw: bytes) -> str | None:
    """The first key that an object of the JSON text says for the second time, printable and shortened; or None.

    Keys are compared as readers see them: `"\\u0061"` is `"a"`.  The same key in two objects is not repeated.
    """
    return None if is_plainly_without(raw) else first_repeated(raw)


def first_repeated(raw: bytes) -> str | None:
    """The same, token by token."""
    open_objects: list[set[bytes]] = []
    keys: set[bytes] = set()
    for token in tokens(raw):
        text = token.group()
        if text == b"{":
            open_objects.append(keys)
            keys = set()
        elif text == b"}":
            keys = open_objects.pop() if open_objects else set()
        elif token.group(2):
            key = token.group(1)
            if b"\\" in key:
                key = _as_read(key)
            if key in keys:
                return _shown(key)
            keys.add(key)
    return None


def is_plainly_without(raw: bytes) -> bool:
    """Whether Python reads the text and finds every key of each object once; False also where it cannot read it."""
    try:
        _checked(raw.decode())
    except (ValueError, RecursionError):
        return False
    return True


def _each_once(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key is repeated")


_checked = JSONDecoder(object_pairs_hook=_each_once).decode


def tokens(raw: bytes) -> Iterator[re.Match[bytes]]:
    """The strings and braces of a JSON text, in order; they do not overlap."""
    return _TOKEN.finditer(raw)


def _as_read(key: bytes) -> bytes:
    """A key with its escapes resolved; as it stands where they are no JSON.  Half a surrogate pair stays half."""
    try:
        read: str = _unescaped(f'"{key.decode("utf-8", "surrogateescape")}"')
        return read.encode("utf-8", "surrogatepass")
    except ValueError:
        return key


def _shown(key: bytes) -> str:
    """A key as a message may show it: what cannot be printed or written as UTF-8 becomes a question mark."""
    text = key[: 4 * SHOWN_MAX].decode("utf-8", "replace")[:SHOWN_MAX]
    return "".join(letter if letter.isprintable() else "?" for letter in text)
