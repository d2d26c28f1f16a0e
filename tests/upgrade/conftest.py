"""The store and the inputs of release 0.3.0, in a folder of their own."""

import gzip
import shutil
from pathlib import Path

import pytest

from tests.upgrade.release import RELEASE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with `rater.db` as 0.3.0 left it, and the files that it had read."""
    for path in (RELEASE / "inputs").iterdir():
        shutil.copy(path, tmp_path)
    (tmp_path / "rater.db").write_bytes(gzip.decompress((RELEASE / "rater.db.gz").read_bytes()))
    return tmp_path
