"""The usage-id index of one partition: the live version of every call, found by tenant and usage id.

It is a cache of `rated-calls`, written after the commit, and carries the position up to which it stands; whatever
is missing is read from the topic, and an index that does not fit the topic, or cannot be read, is emptied.  It
forgets what the topic forgets, so that the disk is bounded.
"""

import shutil
from collections.abc import Mapping, Sequence
from datetime import timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

import msgspec
import structlog
from rocksdict import AccessType, BlockBasedOptions, Options, Rdict, WriteBatch

from rater.core import CallRecord, Key, LiveCall, RatedCall, live_call, normal_usage_id
from rater.wire.errors import NO_ROOM, Exit, RaterError

#: A call is kept at least as long as `rated-calls` keeps it; then RocksDB drops it when it next compacts.
REMEMBERED = timedelta(hours=9_600)
#: The number is that of the format: what stands under another one is not known, and the index is built anew.
#: Under 2 a folder that was opened more than once may have lost calls (see `_open`).
_STANDS_AT = b"stands-at/3"
#: The one that every RocksDB folder has.
_COLUMN_FAMILY = "default"
_BLOOM_BITS = 10
_WRITE_BUFFER_BYTES = 8 << 20
#: RocksDB's counts: all keys, and what of them is not in a file yet.
_ESTIMATES = ("rocksdb.estimate-num-keys", "rocksdb.num-entries-active-mem-table")

log = structlog.get_logger(__name__)
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(LiveCall).decode


class StandsAt(msgspec.Struct, frozen=True):
    """The position in `rated-calls` after the last call that the index knows, and that call's id."""

    position: int = 0
    last: str = ""


class UsageIndex(Protocol):
    """Live calls by (tenant, usage id)."""

    stands_at: StandsAt

    def fetch(self, keys: Sequence[Key]) -> Mapping[Key, LiveCall]:
        """The live calls among these keys."""

    def put(self, calls: Mapping[Key, LiveCall], stands_at: StandsAt) -> None:
        """Add calls and the position after them, both or neither."""

    def entries(self) -> int:
        """About how many there are."""

    def clear(self) -> None:
        """Drop everything."""

    def close(self) -> None:
        """Close its files."""


def keys_of(calls: Sequence[CallRecord]) -> list[Key]:
    """Under which the live versions of calls may be: the normal id, and as it is spelled, if it was before A41."""
    keys = [(call.tenant, call.usage_id) for call in calls]
    normal = [(tenant, normal_usage_id(usage_id)) for tenant, usage_id in keys]
    return normal if normal == keys else list(dict.fromkeys(normal + keys))


def indexed(call: RatedCall) -> dict[Key, LiveCall]:
    """What the index keeps of a rated call: by its normal id, and as it was spelled when it was rated."""
    live = live_call(call)
    return {(call.tenant, call.usage_id): live, (call.tenant, normal_usage_id(call.usage_id)): live}


class MemoryIndex:
    """An index that a restart loses."""

    def __init__(self) -> None:
        self.stands_at = StandsAt()
        self._calls: dict[Key, LiveCall] = {}

    def fetch(self, keys: Sequence[Key]) -> Mapping[Key, LiveCall]:
        """See UsageIndex."""
        calls = self._calls
        return {key: calls[key] for key in keys if key in calls}

    def put(self, calls: Mapping[Key, LiveCall], stands_at: StandsAt) -> None:
        """See UsageIndex."""
        self._calls.update(calls)
        self.stands_at = stands_at

    def entries(self) -> int:
        """See UsageIndex."""
        return len(self._calls)

    def clear(self) -> None:
        """See UsageIndex."""
        self._calls.clear()
        self.stands_at = StandsAt()

    def close(self) -> None:
        """See UsageIndex."""


class DiskIndex:
    """An index in a RocksDB folder: bounded memory, kept over restarts."""

    def __init__(self, folder: Path, remembered: timedelta = REMEMBERED) -> None:
        self._folder = folder
        self._remembered_s = remembered // timedelta(seconds=1)
        try:
            self._open()
        except Exception as wrong:  # RocksDB's errors have no type of their own
            if not (isinstance(wrong, msgspec.DecodeError) or "Corruption" in str(wrong)):
                raise (_no_room(wrong, folder) or wrong) from wrong
            log.warning("the usage-id index cannot be read and is built anew", folder=str(folder), error=str(wrong))
            self._open_anew()

    def _open_anew(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._open()

    def _open(self) -> None:
        #: Records that were written since the folder was opened.
        self._positions_put = self._calls_put = 0
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_write_buffer_size(_WRITE_BUFFER_BYTES)
        options.set_keep_log_file_num(1)
        table = BlockBasedOptions()
        table.set_bloom_filter(_BLOOM_BITS, block_based=False)
        options.set_block_based_table_factory(table)
        # The column family's options are given: rocksdict would read those that the folder keeps.  Among these is
        # the filter that drops what is old, and RocksDB puts another one around it: the inner one gets values
        # without their date, and reads their last four bytes as one.  The next compaction would drop calls that
        # became debt, whatever their age.
        self._db = Rdict(
            str(self._folder),
            options,
            column_families={_COLUMN_FAMILY: options},
            access_type=AccessType.with_ttl(self._remembered_s),
        )
        try:
            stands = self._db.get(_STANDS_AT)
            self.stands_at = msgspec.msgpack.decode(stands, type=StandsAt) if stands else StandsAt()
        except Exception:
            self._db.close()
            raise

    def fetch(self, keys: Sequence[Key]) -> Mapping[Key, LiveCall]:
        """See UsageIndex."""
        found: list[bytes | None] = self._db.get([_hash(key) for key in keys])  # type: ignore[assignment]  # a list for a list
        return {key: _unpack(value) for key, value in zip(keys, found, strict=True) if value is not None}

    def put(self, calls: Mapping[Key, LiveCall], stands_at: StandsAt) -> None:
        """See UsageIndex."""
        batch = WriteBatch(raw_mode=True)
        for key, call in calls.items():
            batch.put(_hash(key), _pack(call))
        batch.put(_STANDS_AT, _pack(stands_at))
        try:
            self._db.write(batch)
            self._positions_put += 1
            self._calls_put += len(calls)
        except Exception as wrong:  # RocksDB's errors have no type of their own
            raise (_no_room(wrong, self._folder) or wrong) from wrong
        self.stands_at = stands_at

    def entries(self) -> int:
        """See UsageIndex; RocksDB estimates: what was written again may count twice until it compacts.

        The position is written again with each batch, and each time counts until its memory is flushed to a file.
        """
        estimate, unflushed = (self._db.property_int_value(name) or 0 for name in _ESTIMATES)
        positions = unflushed * self._positions_put // max(1, self._positions_put + self._calls_put)
        in_files = 1 if estimate > unflushed else 0
        return max(0, estimate - positions - in_files)

    def clear(self) -> None:
        """See UsageIndex."""
        log.warning("the usage-id index does not fit rated-calls and is built anew", folder=str(self._folder))
        self.close()
        self._open_anew()

    def close(self) -> None:
        """See UsageIndex; what could not be written, as on a full disk, is read again from the topic."""
        try:
            self._db.close()
        except Exception as wrong:  # RocksDB's errors have no type of their own
            log.warning("the usage-id index was not closed well", folder=str(self._folder), error=str(wrong))


def _no_room(wrong: Exception, folder: Path) -> RaterError | None:
    """The error that a person reads when the disk is full; None for any other."""
    if "No space left" not in str(wrong) and getattr(wrong, "errno", None) not in NO_ROOM:
        return None
    return RaterError(
        f"{folder}: the disk is full; free some space and start the worker again: nothing is lost, what is missing"
        " in the index is read again from rated-calls",
        Exit.DISK_FULL,
    )


def _hash(key: Key) -> bytes:
    return blake2b(f"{key[0]}\0{key[1]}".encode(), digest_size=16).digest()
