"""Families of hostile inputs of any size: each once cost a decoder more time or memory than its length explains."""

from collections.abc import Callable

from tests.fuzz.decoders import CALL, CELLS, HEADER, ROW

Family = Callable[[int], bytes]


def _repeated(before: bytes, piece: bytes, after: bytes = b"") -> Family:
    return lambda size: before + piece * ((size - len(before) - len(after)) // len(piece)) + after


def _numbered(before: bytes, piece: bytes, after: bytes) -> Family:
    """Pieces that differ by the number in them, which has seven digits."""

    def make(size: int) -> bytes:
        count = (size - len(before) - len(after)) // len(piece % 1_000_000)
        return before + b"".join(piece % (1_000_000 + number) for number in range(count)) + after

    return make


#: One value of JSON; as an unknown field of a record, or instead of one.
VALUES: dict[str, Family] = {
    "digits": _repeated(b"", b"9"),
    "fraction": _repeated(b"0.", b"9"),
    "lists": lambda size: b"[" * (size // 2) + b"]" * (size // 2),
    "objects": lambda size: b'{"a":' * (size // 6) + b"1" + b"}" * (size // 6),
    "escaped quotes": _repeated(b'"', b'\\"', b'"'),
    "escapes": _repeated(b'"', b"\\u0061", b'"'),
    "halves of surrogates": _repeated(b'"', b"\\ud800", b'"'),
    "many keys": _numbered(b"{", b'"%d":1,', b'"a":1}'),
    "many escaped keys": _numbered(b"{", b'"\\u0061%d":1,', b'"a":1}'),
    "empty strings": _repeated(b"[", b'"",', b"1]"),
    "small objects": _repeated(b"[", b"{},", b"1]"),
    "never closed": _repeated(b'"', b"a"),
    "backslashes": _repeated(b'"', b"\\"),
    "NUL bytes": _repeated(b"", b"\0"),
    "no UTF-8": _repeated(b'"', b"\xff"),
}
#: Rows of a usage export, and of files of other kinds.
FILES: dict[str, Family] = {
    "quotes that are never closed": _repeated(HEADER + b"\n", CELLS.replace(b"Ada", b'"Ada') + b"\n"),
    "quotes that open in each short row": _repeated(HEADER + b"\n", b'a,"\n'),
    "quotes within quotes": _repeated(HEADER + b'\nu,"', b'""'),
    "quotes in 99 lines": _repeated(HEADER + b"\n", b'a,"' + b"\n" * 98 + b'"\n'),
    "tiny rows": _repeated(HEADER + b"\n", b"a\n"),
    "empty lines": _repeated(HEADER + b"\n", b"\n"),
    "rows of delimiters": _repeated(HEADER + b"\n", b"," * 19 + b"\n"),
    "one row of delimiters": _repeated(HEADER + b"\n", b","),
    "calls": _repeated(b"", CALL + b"\n"),
    "tiny objects": _repeated(CALL + b"\n", b"{}\n"),
    "Graph rows": _repeated(b'{"value":[', ROW + b",", ROW + b"]}"),
    "empty Graph rows": _repeated(b'{"value":[', b"{   },", b"{}]}"),
    "UTF-16": lambda size: b"\xff\xfe" + _repeated(HEADER + b"\n", b"a,\n")(size // 2).decode().encode("utf-16-le"),
}
