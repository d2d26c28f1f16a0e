"""Text from outside as people may see it: what a terminal would obey, or hide, stands as its number instead."""

import re

#: C0 (with tab, CR, LF), DEL and C1; marks and overrides of direction; zero-width signs; halves of surrogates.
_OBEYED = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


def visible(text: str) -> str:
    r"""One line: an escape is \x1b, a line end \x0a, an override of direction \u202e."""
    return _OBEYED.sub(_number, text)


def visible_lines(text: str) -> str:
    """The same, and lines stay lines."""
    return "\n".join(map(visible, text.split("\n")))


def _number(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
