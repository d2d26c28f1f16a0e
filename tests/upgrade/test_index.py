"""The usage-id index of release 0.3.0 on a worker's disk: it knows calls by their former ids only (A41, A51)."""

from pathlib import Path

import pytest

from rater.kafka.index import DiskIndex, StandsAt


def test_an_index_of_the_former_format_is_built_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands nowhere, so that `rated-calls` is read from its start; the present one goes on where it stood."""
    with monkeypatch.context() as former:
        former.setattr("rater.kafka.index._STANDS_AT", b"stands-at")
        index = DiskIndex(tmp_path / "index")
        index.put({}, StandsAt(7, "call"))
        index.close()
    index = DiskIndex(tmp_path / "index")
    assert index.stands_at == StandsAt()
    index.put({}, StandsAt(9, "call"))
    index.close()
    index = DiskIndex(tmp_path / "index")
    assert index.stands_at == StandsAt(9, "call")
    index.close()
