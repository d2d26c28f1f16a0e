"""One writer for a store, whatever path it types; the other ends with one line and changes nothing."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from rater.core import RatingSettings
from rater.embedded.ownership import is_mount_point
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Store
from rater.wire.errors import Exit, RaterError
from tests.commands import rater


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    """A store that this process writes."""
    opened = Store(folder / "rater.db")
    try:
        yield opened
    finally:
        opened.close()


def named(folder: Path, way: str) -> str:
    """Another name of the store."""
    (folder / "inner").mkdir()
    match way:
        case "symlink":
            (folder / "link.db").symlink_to("rater.db")
            return "link.db"
        case "symlinked folder":
            (folder / "elsewhere").symlink_to(folder)
            return "elsewhere/rater.db"
        case "hard link":
            os.link(folder / "rater.db", folder / "inner" / "hard.db")
            return "inner/hard.db"
        case _:
            return "inner/../rater.db"


@pytest.mark.parametrize("way", ["symlink", "symlinked folder", "hard link", "relative"])
def test_a_second_writer_ends_with_one_line_by_any_name(store: Store, folder: Path, way: str) -> None:
    """Exit 4; the store still has no tenant."""
    done = rater("run", "--store", named(folder, way), "--commands", "setup.jsonl", cwd=folder, code=4)
    assert done.stderr.count("\n") == 1
    assert "in use by " in done.stderr
    assert store.tenants() == []


def test_a_store_with_two_names_is_not_written(store: Store, folder: Path) -> None:
    """The last commits of a run that was killed lie beside one name; the other would not find them."""
    store.close()
    os.link(folder / "rater.db", folder / "other.db")
    done = rater("run", "--store", "other.db", "--commands", "setup.jsonl", cwd=folder, code=Exit.USAGE)
    assert "has 2 names (hard links)" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_symbolic_link_is_the_store(folder: Path) -> None:
    """Nothing is made beside the link: no second lock, no second log of SQLite."""
    (folder / "real").mkdir()
    (folder / "link.db").symlink_to("real/rater.db")
    rater("run", "--store", "link.db", "--commands", "setup.jsonl", cwd=folder, code=0)
    assert sorted(path.name for path in (folder / "real").iterdir()) == ["rater.db", "rater.db.lock"]
    assert not [
        path.name for path in folder.iterdir() if path.name.startswith("link.db") and path.name != "link.db"
    ]


def test_a_former_owner_commits_nothing(store: Store, folder: Path) -> None:
    """Where no lock holds, the number of the owner does: each transaction of an earlier one is refused."""
    before = EmbeddedRater(store, RatingSettings(), None)
    other = sqlite3.connect(folder / "rater.db", isolation_level=None)
    other.execute("UPDATE owner SET epoch = epoch + 1")  # what another writer does first
    other.close()
    with pytest.raises(RaterError, match="another process opened the store to write since") as refused:
        store.set("gateway", "none")
    assert refused.value.exit is Exit.STORE_IN_USE
    assert store.setting("gateway") is None
    with pytest.raises(RaterError, match="nothing of this batch was kept"):
        before.store.begin_run()


def test_a_store_that_is_mounted_alone_is_found(tmp_path: Path) -> None:
    """Docker's `-v rater.db:/data/rater.db`: Linux lists each mount, blanks as \\040."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "36 35 98:0 / /data rw - ext4 /dev/a rw\n37 35 98:0 /x /data/my\\040store.db rw - ext4 /dev/a rw\n"
    )
    assert is_mount_point(Path("/data/my store.db"), mounts)
    assert not is_mount_point(Path("/data/rater.db"), mounts)
    assert not is_mount_point(Path("/data/rater.db"), tmp_path / "none")
