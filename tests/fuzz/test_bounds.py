"""Four times the bytes are at most four times the work and the memory, for every decoder and every family of hostile inputs.

Work is counted, not timed: the calls of Python and C functions that a decoder makes.  What one call of a C function
costs is timed by benchmarks/decoders.py.
"""

import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from rater.files.source import InputFile
from rater.wire.codec import RECORD_BYTES_MAX
from tests.fuzz.decoders import DECODERS, Decode
from tests.fuzz.families import FILES, VALUES

#: A record, and one of four times its size, which is as large as a record may be; files are read by the row.
RECORD_SIZES = ((RECORD_BYTES_MAX - 1_000) // 4, RECORD_BYTES_MAX - 1_000)
FILE_SIZES = (RECORD_BYTES_MAX // 16, RECORD_BYTES_MAX // 4)
#: Four times, and a little: tables of keys grow in steps.
GROWTH_MAX = 4.6
CALLS_FREE = 2_000
BYTES_FREE = 200_000
#: What a value of Python needs besides its bytes: an empty list of JSON is two bytes and 56 in memory.
BYTES_PER_BYTE_MAX = 120
READ = (
    "cdrs", "commands", "call-events", "decks", "claims", "keys", "graph-rows", "graph-pages", "pstn-rows",
    "pstn-headers", "gateway-answers", "webhooks", "rated-cdrs", "rated-commands",
)  # fmt: skip


def calls(decode: Decode, raw: bytes) -> int:
    """How many functions were called."""
    count = 0

    def called(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(called)
    try:
        decode(raw)
    finally:
        sys.setprofile(None)
    return count


def peak(decode: Decode, raw: bytes) -> int:
    """How much memory was allocated at the same time, besides what was given."""
    tracemalloc.start()
    try:
        decode(raw)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def check(decode: Decode, small: bytes, large: bytes) -> None:
    """The large input is four times the small one."""
    for measure, free in ((calls, CALLS_FREE), (peak, BYTES_FREE)):
        less, more = measure(decode, small), measure(decode, large)
        assert more <= GROWTH_MAX * less + free, f"{measure.__name__}: {less}, then {more}"
    assert more <= BYTES_PER_BYTE_MAX * len(large) + BYTES_FREE


@pytest.mark.parametrize("family", VALUES)
@pytest.mark.parametrize("name", READ)
def test_records(name: str, family: str) -> None:
    """A record with a hostile value as an unknown field; where it has no fields, the value itself."""
    decode, good = DECODERS[name]
    before, brace, after = good.partition(b"{")
    field = b'"unknown":'

    def record(size: int) -> bytes:
        value = VALUES[family](size)
        return before + brace + field + value + b"," + after if brace else value

    check(decode, *map(record, RECORD_SIZES))


def count_records(path: Path) -> Any:
    """Records of a file, none kept: a shell keeps a batch of them."""

    def decode(raw: bytes) -> int:
        path.write_bytes(raw)
        return sum(1 for _ in InputFile(str(path), None, "contoso").records())

    return decode


@pytest.mark.parametrize("family", FILES)
def test_files(tmp_path: Path, family: str) -> None:
    """Whatever the rows are."""
    check(count_records(tmp_path / "input"), *map(FILES[family], FILE_SIZES))
