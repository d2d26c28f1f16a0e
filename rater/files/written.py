"""How a file is written, as a person says it: the order of its dates, their zone, its encoding; and which version
of its calls it holds.
"""

import codecs
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Any, TypeVar

import msgspec

from rater.core import CallRecord, Reason, Refusal
from rater.files.lines import EndsEarly
from rater.files.local_times import LocalTimes
from rater.files.usage_csv import NOT_UTF8
from rater.wire.errors import RaterError

#: So many rows that all are refused for how they are written: the file is, and not each of its rows.
ROWS_LOOKED_AT = 20
_Decoded = TypeVar("_Decoded")


class Written(msgspec.Struct, frozen=True, omit_defaults=True):
    """The values of `--times`, `--zone`, `--encoding` and `--version`; None where none is given."""

    times: str | None = None
    zone: str | None = None
    encoding: str | None = None
    version: int | None = None

    @property
    def local(self) -> LocalTimes:
        """How its times are read."""
        return LocalTimes(self.times, self.zone)

    def check(self) -> None:
        """That each is understood; RaterError names the option."""
        self.local.check()
        if self.encoding is None:
            return
        try:
            b"".decode(codecs.lookup(self.encoding).name)
        except (LookupError, ValueError) as wrong:
            raise RaterError(
                f"--encoding: expected an encoding of text such as windows-1252, iso-8859-15 or utf-8,"
                f" got {self.encoding!r}"
            ) from wrong


AS_IT_IS = Written()


def of_version(version: int | None, decode: Callable[[bytes], _Decoded]) -> Callable[[bytes], _Decoded]:
    """A decoder whose calls have at least this version, so that they correct what was rated before (A12)."""
    if version is None:
        return decode

    def decode_version(raw: bytes) -> _Decoded:
        value = decode(raw)
        if isinstance(value, CallRecord) and value.version < version:
            return msgspec.structs.replace(value, version=version)
        return value

    return decode_version


def all_alike(path: str, row: int, raws: Iterator[bytes], decode: Callable[[bytes], Any]) -> Iterator[bytes]:
    """The rows below row `row`; RaterError if all of the first ones say that an option is missing, and which.

    A row alone that is written otherwise is a dead letter, as every row that is refused.
    """
    ahead: list[bytes] = []
    rest: Iterator[bytes] = raws
    try:
        for raw in islice(raws, ROWS_LOOKED_AT):
            ahead.append(raw)  # noqa: PERF402 - what came before an early end is kept
    except EndsEarly:
        rest = _Ended()
    refused = [decode(raw) for raw in ahead if raw.strip()]
    asking = [what for what in refused if isinstance(what, Refusal) and _asks_for_option(what)]
    if asking and all(isinstance(what, Refusal) for what in refused):
        first = asking[0]
        where = f"{path}:{row + 1 + refused.index(first)}: " + (f"{first.field}: " if first.field else "")
        options = {what.message.rpartition("; ")[2] for what in asking} - {first.message.rpartition("; ")[2]}
        also = "".join(f"; {option}" for option in sorted(options))
        raise RaterError(
            f"{where}{first.message}{also}.  None of its first {len(refused)} rows can be read,"
            " so nothing of it was rated"
        )
    return chain(ahead, rest)


def _asks_for_option(refused: Refusal) -> bool:
    return refused.reason is Reason.TIME_WITHOUT_ZONE or refused.message.startswith(NOT_UTF8)


class _Ended:
    """What comes after the last whole record of a file that ends early."""

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        raise EndsEarly
