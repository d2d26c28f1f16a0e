"""gzip and zip, looked through to their end before a byte of them is used.

A flipped bit shows only in the checksum at the end; until then its bytes look like any others, and would be rated.
A compressed file is read twice.
"""

import shutil
import struct
import zlib
from enum import Enum, auto
from io import DEFAULT_BUFFER_SIZE, SEEK_END, RawIOBase
from pathlib import PurePosixPath
from tempfile import TemporaryFile
from typing import IO, Any, BinaryIO, cast
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from rater.wire.errors import RaterError

GZIP = b"\x1f\x8b"
ZIP = b"PK\x03\x04"
#: zlib's number for gzip with its header and checksum.
_GZIP_WINDOW = 31
_LOOK_BYTES = 1 << 20
#: A table in a zip is recognised by its beginning.
_HEADER_BYTES = 4_000
#: A compressed file may hold so many times its own size, or so much whatever its size: logs compress 5 to 50 times,
#: and what is made to fill a machine 1000 times.
UNPACKED_RATIO_MAX = 100
UNPACKED_FREE_BYTES = 10_000_000
#: What a line counts for besides its bytes: empty lines take time, too.
UNPACKED_LINE_BYTES = 100


class Ending(Enum):
    """How a gzip ends."""

    WHOLE = auto()
    CUT = auto()  # before its checksum: what came before is what was compressed
    FOLLOWED = auto()  # by bytes that are no gzip
    DAMAGED = auto()  # the unpacked bytes are not those that were compressed


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


class Room:
    """How much more may come out of a file that is compressed from `start` on; RaterError when it is more."""

    def __init__(self, path: str, packed: BinaryIO, start: int) -> None:
        at = packed.tell()
        size = packed.seek(0, SEEK_END) - start
        packed.seek(at)
        self._path = path
        self._left = max(UNPACKED_FREE_BYTES, size * UNPACKED_RATIO_MAX)

    def need(self, size: int) -> None:
        """Refuse the file if it says, or shows, that it holds more."""
        if size > self._left:
            raise RaterError(
                f"{self._path}: the compressed file holds over {UNPACKED_RATIO_MAX} times its size"
                f" (UNPACKED_RATIO_MAX, each line as {UNPACKED_LINE_BYTES} bytes more); nothing of it was rated."
                " If that is meant, unpack it first"
            )

    def add(self, unpacked: bytes) -> None:
        """Count the outputs."""
        size = len(unpacked) + UNPACKED_LINE_BYTES * unpacked.count(b"\n")
        self.need(size)
        self._left -= size


def gzip_ending(path: str, packed: BinaryIO) -> Ending:
    """How a gzip ends; RaterError when what it holds is not what was compressed, or too much.

    The stream stays where it was.
    """
    start = packed.tell()
    room, look = Room(path, packed, start), Gunzipped(packed)
    while unpacked := look.read(_LOOK_BYTES):
        room.add(unpacked)
    packed.seek(start)
    if look.ending is Ending.DAMAGED:
        raise RaterError(
            f"{path}: the compressed file is damaged: its checksum or its coding is wrong; nothing of it was rated."
            " Get it again"
        )
    return look.ending


def open_zip(path: str, packed: BinaryIO) -> tuple[IO[bytes], tuple[str, ...]]:
    """The one CSV in a zip, or its one file, or of several its one usage export, and what people should know of it.

    Raises RaterError: damaged, several in it, or too much.
    """
    try:
        archive = ZipFile(packed)
        files = [name for name in archive.namelist() if not name.endswith("/") and "__MACOSX" not in name]
        tables = [name for name in files if PurePosixPath(name).suffix.casefold() == ".csv"] or files
        exports = tables if len(tables) <= 1 else [name for name in tables if _is_usage(archive, name)]
        if len(exports) == 1:
            _look_through(path, packed, archive, exports[0])
            return archive.open(exports[0]), tuple(
                f"{path}: {name} in it was left out: it is no PSTN usage export"
                for name in tables
                if name != exports[0]
            )
    except (BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, OverflowError, struct.error) as wrong:
        raise RaterError(f"{path}: expected a whole zip file: {wrong}; get it again or unzip it first") from wrong
    shown = ", ".join(tables[:3]) + (", ..." if len(tables) > 3 else "")
    raise RaterError(
        f"{path}: expected a zip with one CSV, or with one PSTN usage export, got {len(tables)} files: {shown};"
        " unzip it first, and give those that are to be rated"
    )


def _is_usage(archive: ZipFile, name: str) -> bool:
    """Whether a table in a zip has the header of a usage export; it is not looked at further."""
    if archive.getinfo(name).compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        return False
    with archive.open(name) as table:
        return b"usageid" in table.read(_HEADER_BYTES).replace(b"\0", b"").lower()


def _look_through(path: str, packed: BinaryIO, archive: ZipFile, name: str) -> None:
    """Read the table to its end, where its checksum is; RaterError if it is damaged or holds too much.

    Other ways to compress than zip's own may take any memory, and no export uses them.
    """
    info, room = archive.getinfo(name), Room(path, packed, 0)  # the directory, at the end, was read by now
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise NotImplementedError("expected it compressed by deflate")
    room.need(info.file_size)
    try:
        with archive.open(name) as table:
            while unpacked := table.read(_LOOK_BYTES):
                room.add(unpacked)
    except (BadZipFile, zlib.error, EOFError) as wrong:
        raise RaterError(
            f"{path}: the zip file is damaged in {name}; nothing of it was rated. Get it again"
        ) from wrong
