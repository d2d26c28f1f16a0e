"""Fractions of a second beyond microseconds are cut off, never rounded (A42).

The JSON decoder rounds, which can move a call into the next month.  So where a text may have a seventh digit, the
instants are cut in the text, and it is decoded again.  Only fields that are instants are touched.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, get_args, get_type_hints

import msgspec

from rater.core import Instant

#: A seventh digit, or an escape that may stand for one.
_MAYBE_SEVENTH = re.compile(rb"\.[0-9]{7}|\\u00")
_BEYOND = re.compile(r"(\.[0-9]{6})[0-9]+")
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list = msgspec.json.Decoder(list[msgspec.Raw])
_text = msgspec.json.Decoder(str)
_encode = msgspec.json.Encoder().encode
NOTHING: Mapping[str, frozenset[str]] = MappingProxyType({})


def instants_of(kind: Any) -> frozenset[str]:
    """The names of a record's fields that are instants, those of every kind where it is a union of records."""
    if kinds := get_args(kind):
        return frozenset[str]().union(*map(instants_of, kinds))
    hints = get_type_hints(kind, include_extras=True)
    return frozenset(name for name, hint in hints.items() if Instant in (hint, *get_args(hint)))


def may_have_seventh(raw: bytes) -> bool:
    """Whether a JSON text may hold an instant with more than six decimals: a quick look that errs towards yes."""
    return _MAYBE_SEVENTH.search(raw) is not None


def cut_fractions(raw: bytes, instants: frozenset[str], within: Mapping[str, frozenset[str]] = NOTHING) -> bytes:
    """The JSON object with its instants cut to microseconds.

    `within` are the instants of the records in its fields: of one record, or of each in a list.

    Raises what msgspec raises where the text is no JSON object.
    """
    members = _members.decode(raw)
    for name in instants & members.keys():
        members[name] = _cut(members[name])
    for name, names in within.items():
        if name not in members:
            continue
        text = bytes(members[name]).lstrip()
        if text.startswith(b"["):
            cut = [msgspec.Raw(cut_fractions(bytes(one), names)) for one in _list.decode(text)]
            members[name] = msgspec.Raw(_encode(cut))
        elif text.startswith(b"{"):
            members[name] = msgspec.Raw(cut_fractions(text, names))
    return _encode(members)


def _cut(value: msgspec.Raw) -> msgspec.Raw:
    """A JSON string without the digits after the sixth decimal; any other value as it is."""
    if not bytes(value).lstrip().startswith(b'"'):
        return value
    return msgspec.Raw(_encode(without_seventh(_text.decode(value))))


def without_seventh(instant: str) -> str:
    """An instant as text without the digits after the sixth decimal."""
    return _BEYOND.sub(r"\1", instant)
