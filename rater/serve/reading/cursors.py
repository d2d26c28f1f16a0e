"""Cursors of pages: an offset that clients give back as it is."""

import base64
import binascii

from rater.serve.problems import Kind, ProblemError

#: No cursor is longer.
CURSOR_LENGTH_MAX = 64
_OFFSET_MAX = 2**63 - 1


def cursor_of(page: str, offset: int | None) -> str | None:
    """The cursor of what comes after an offset on a page such as `calls`."""
    return None if offset is None else base64.urlsafe_b64encode(f"{page}:{offset}".encode()).decode().rstrip("=")


def offset_of(page: str, cursor: str | None) -> int | None:
    """The offset of a cursor; ProblemError for one that this page did not give."""
    if cursor is None:
        return None
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    given, _, offset = text.partition(":")
    if given != page or not (offset.isascii() and offset.isdigit()) or int(offset) > _OFFSET_MAX:
        raise ProblemError(Kind.UNREADABLE, "cursor: expected the `next` of a page before, as it is")
    return int(offset)
