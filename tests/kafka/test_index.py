"""The usage-id index on disk: a cache that may be lost, never wrong, and does not grow for ever."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rocksdict import AccessType, Options, Rdict

from rater.core import Key
from rater.core.entities import LiveCall, Share
from rater.core.inputs import CallRecord
from rater.core.reasons import CallType
from rater.kafka.index import REMEMBERED, DiskIndex, MemoryIndex, StandsAt
from rater.kafka.partition_state import PartitionState
from rater.wire.topics import load_topics

_KEY = ("contoso", "c1")
_CALL = LiveCall(1, "0123456789abcdef", 24_302, 52_000, (("MCOPSTN1/US-PR/2025-03", 2),), (Share("f1", 52_000),))
_STANDS = StandsAt(7, "call-7")


def filled(folder: Path) -> None:
    """An index of one call, closed again."""
    index = DiskIndex(folder)
    index.put({_KEY: _CALL}, _STANDS)
    index.close()


def of_an_earlier_rater(folder: Path) -> None:
    """A folder of the kind without dates, which earlier versions wrote."""
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    plain = Rdict(str(folder), options, access_type=AccessType.read_write())
    plain[b"stands-at"] = b"\x82\xa8position\x07\xa4last\xa6call-7"
    plain.close()


def half_written(folder: Path) -> None:
    """A folder after a disk failure."""
    filled(folder)
    for manifest in folder.glob("MANIFEST*"):
        manifest.write_bytes(b"nonsense")


def test_a_restart_finds_what_was_put(tmp_path: Path) -> None:
    """The call and the position up to which the index stands, both or neither."""
    filled(tmp_path / "index")
    index = DiskIndex(tmp_path / "index")
    assert index.fetch([_KEY, ("contoso", "c2")]) == {_KEY: _CALL}
    assert index.stands_at == _STANDS
    index.close()


def test_every_call_is_kept_however_often_the_folder_is_opened_and_compacted(tmp_path: Path) -> None:
    """A worker opens it anew whenever it gets the partition; RocksDB compacts after a few times, here each time.

    Whatever a call ends with: RocksDB keeps its date behind it, and these here end with the debt that they became.
    """
    put: dict[Key, LiveCall] = {}
    for number in range(4):
        calls = {
            ("contoso", f"{number}-{n}"): LiveCall(1, f"{n:016x}", 24_302, 52_000, (), (Share("debt", 52_000, n),))
            for n in range(0, 5_000_000, 50_000)
        }
        index = DiskIndex(tmp_path / "index")
        index.put(calls, StandsAt(number + 1, f"call-{number}"))
        put |= calls
        index._db.compact_range(None, None)
        assert index.fetch(list(put)) == put
        index.close()


@pytest.mark.parametrize("spoil", [of_an_earlier_rater, half_written])
def test_what_cannot_be_read_is_built_anew(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    """It stands at nothing, so everything is read from `rated-calls` again."""
    spoil(tmp_path / "index")
    index = DiskIndex(tmp_path / "index")
    assert index.stands_at == StandsAt()
    assert index.fetch([_KEY]) == {}
    index.put({_KEY: _CALL}, _STANDS)
    assert index.fetch([_KEY]) == {_KEY: _CALL}
    index.close()


def test_an_index_that_somebody_else_has_is_left_alone(tmp_path: Path) -> None:
    """Two workers on one folder are a mistake of the deployment; neither may empty the other's."""
    filled(tmp_path / "index")
    owner = DiskIndex(tmp_path / "index")
    with pytest.raises(Exception, match="lock"):
        DiskIndex(tmp_path / "index")
    assert owner.fetch([_KEY]) == {_KEY: _CALL}
    owner.close()


def test_a_call_is_remembered_as_long_as_its_topic_keeps_it() -> None:
    """A new disk rebuilds the index from the topic: both must know the same calls."""
    assert timedelta(hours=load_topics()["rated-calls"].retention_hours or 0) == REMEMBERED


def test_what_is_older_is_dropped_when_the_index_compacts(tmp_path: Path) -> None:
    """The disk is bounded: here a call is remembered for a second only."""
    index = DiskIndex(tmp_path / "index", remembered=timedelta(seconds=1))
    index.put({_KEY: _CALL}, _STANDS)
    deadline = time.monotonic() + 30
    while index.fetch([_KEY]):
        assert time.monotonic() < deadline, "the call is still remembered"
        index._db.compact_range(None, None)
    index.close()


@pytest.mark.parametrize("spelling", ["{8D344131-A97E-EA41-D7E9-D48A832FEBC2}", "8d344131a97eea41d7e9d48a832febc2"])
def test_a_call_is_found_under_the_id_as_it_was_spelled_and_under_the_normal_one(spelling: str) -> None:
    """A51, A41: the first is what an index of release 0.3.0 has; one that is built anew has both."""
    cdr = CallRecord(
        tenant="contoso", usage_id=spelling, type=CallType.USER_IN, answered_at=datetime(2025, 3, 1, tzinfo=UTC)
    )
    for kept in (spelling, "8d344131-a97e-ea41-d7e9-d48a832febc2"):
        index = MemoryIndex()
        index.put({("contoso", kept): _CALL}, _STANDS)
        state = PartitionState(index)
        state.prepare([cdr])
        assert state.load("call", ("contoso", kept)) == _CALL
