"""Cursors of pages: where the next one begins, as clients give it back: the numbers or the name before it."""

import base64
import binascii
import re

from rater.embedded.lookup import CallPlace
from rater.serve.problems import Kind, ProblemError

#: No cursor is longer: a name has up to 128 characters of up to four bytes.
CURSOR_LENGTH_MAX = 700
#: What a cursor is written with.
CURSOR_PATTERN = "^[A-Za-z0-9_-]+$"
_NUMBERS = re.compile(r"(-?[0-9]{1,19})(?:,([0-9]{1,19}))?", re.ASCII)
_LARGEST = 2**63 - 1


def cursor_of(page: str, after: CallPlace | int | str | None) -> str | None:
    """The cursor of what comes after an offset, a call's place or a name on a page such as `calls`."""
    if after is None:
        return None
    text = ",".join(map(str, after)) if isinstance(after, CallPlace) else str(after)
    return base64.urlsafe_b64encode(f"{page}:{text}".encode()).decode().rstrip("=")


def offset_of(page: str, cursor: str | None) -> int | None:
    """The offset of a cursor; ProblemError for one that this page did not give."""
    if cursor is None:
        return None
    at, offset = _numbers(page, cursor)
    if offset is not None or at < 0:
        raise _no_cursor()
    return at


def place_of(page: str, cursor: str | None) -> CallPlace | None:
    """The place of a call of a cursor; ProblemError for one that this page did not give."""
    if cursor is None:
        return None
    at, offset = _numbers(page, cursor)
    if offset is None:
        raise _no_cursor()
    return CallPlace(at, offset)


def name_of(page: str, cursor: str | None) -> str | None:
    """The name of a cursor; ProblemError for one that this page did not give."""
    return None if cursor is None else _text(page, cursor)


def _numbers(page: str, cursor: str) -> tuple[int, int | None]:
    found = _NUMBERS.fullmatch(_text(page, cursor))
    if found is None:
        raise _no_cursor()
    first, second = (None if number is None else int(number) for number in found.groups())
    if first is None or max(abs(first), second or 0) > _LARGEST:
        raise _no_cursor()
    return first, second


def _text(page: str, cursor: str) -> str:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        text = ""
    given, _, after = text.partition(":")
    if given != page or not after:
        raise _no_cursor()
    return after


def _no_cursor() -> ProblemError:
    return ProblemError(Kind.UNREADABLE, "cursor: expected the `next` of a page before, as it is")
