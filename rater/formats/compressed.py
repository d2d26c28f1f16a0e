"""gzip and zip, looked through to their end before a byte of them is used.

A flipped bit shows only in the checksum at the end; until then its bytes look like any others, and would be rated.
So a compressed file is read twice.  Refuses to know what is in it.
"""

import shutil
import zlib
from enum import Enum, auto
from io import DEFAULT_BUFFER_SIZE, RawIOBase
from pathlib import PurePosixPath
from tempfile import TemporaryFile
from typing import IO, Any, BinaryIO, cast
from zipfile import BadZipFile, ZipFile

from rater.errors import RaterError

GZIP = b"\x1f\x8b"
ZIP = b"PK\x03\x04"
#: zlib's number for gzip with its header and checksum.
_GZIP_WINDOW = 31
_LOOK_BYTES = 1 << 20


class Ending(Enum):
    """How a gzip ends."""

    WHOLE = auto()
    CUT = auto()  # before its checksum: what came before is what was compressed
    FOLLOWED = auto()  # by bytes that are no gzip
    DAMAGED = auto()  # what came out is not what was compressed


class Gunzipped(RawIOBase):
    """What gzip members hold, one after the other; once it is read, `ending` says how it ended.

    It never raises: what was decompressed before something is wrong comes out first.
    """

    def __init__(self, packed: BinaryIO) -> None:
        self.ending = Ending.WHOLE
        self._packed = packed
        self._member: Any = None
        self._rest = b""

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """See RawIOBase."""
        while chunk := self._rest or self._packed.read(DEFAULT_BUFFER_SIZE):
            self._rest = b""
            if self._member is None:
                chunk = chunk.lstrip(b"\0")  # padding, as tapes have
                if not chunk:
                    continue
                if not GZIP.startswith(chunk[:2]):
                    self.ending = Ending.FOLLOWED
                    return 0
                self._member = zlib.decompressobj(_GZIP_WINDOW)
            try:
                out: bytes = self._member.decompress(chunk, len(buffer))
            except zlib.error:
                self.ending = Ending.DAMAGED
                return 0
            self._rest = self._member.unconsumed_tail
            if self._member.eof:
                self._rest, self._member = self._member.unused_data, None
            if out:
                buffer[: len(out)] = out
                return len(out)
        if self._member is not None:
            self.ending = Ending.CUT
        return 0


def rewindable(stream: BinaryIO) -> BinaryIO:
    """The stream, or a copy on disk of what comes through a pipe."""
    if stream.seekable():
        return stream
    copy = TemporaryFile()  # noqa: SIM115 - whoever reads it closes it
    shutil.copyfileobj(stream, copy)
    copy.seek(0)
    return cast("BinaryIO", copy)


def gzip_ending(path: str, packed: BinaryIO) -> Ending:
    """How a gzip ends; RaterError when what it holds is not what was compressed.  The stream stays where it was."""
    start = packed.tell()
    look = Gunzipped(packed)
    while look.read(_LOOK_BYTES):
        pass
    packed.seek(start)
    if look.ending is Ending.DAMAGED:
        raise RaterError(
            f"{path}: the compressed file is damaged: its checksum or its coding is wrong; nothing of it was rated."
            " Get it again"
        )
    return look.ending


def open_zip(path: str, packed: BinaryIO) -> IO[bytes]:
    """The one CSV in a zip, or its one file (rating-rules 2.1); RaterError when it is damaged or holds others."""
    try:
        archive = ZipFile(packed)
        damaged = archive.testzip()
        files = [name for name in archive.namelist() if not name.endswith("/") and "__MACOSX" not in name]
        tables = [name for name in files if PurePosixPath(name).suffix.casefold() == ".csv"] or files
        if damaged is None and len(tables) == 1:
            return archive.open(tables[0])
    except (BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as wrong:
        raise RaterError(f"{path}: expected a whole zip file: {wrong}; get it again or unzip it first") from wrong
    if damaged is not None:
        raise RaterError(f"{path}: the zip file is damaged in {damaged}; nothing of it was rated. Get it again")
    shown = ", ".join(tables[:3]) + (", ..." if len(tables) > 3 else "")
    raise RaterError(f"{path}: expected a zip with one CSV, got {len(tables)} files: {shown}; unzip it first")
