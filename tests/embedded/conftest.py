from pathlib import Path

import pytest

from tests.embedded.usage import SETUP
from tests.world import DECK


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "setup.jsonl").write_text(SETUP)
    (tmp_path / "deck.csv").write_bytes(DECK.read_bytes())
    return tmp_path
