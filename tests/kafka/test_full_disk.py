"""A disk that is full under a worker: one line, exit code 6, and nothing is lost."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rater.wire.errors import Exit
from tests.kafka.deployment import Deployment, calls, provisioning, story, until

SIZE_KB = 2_048


@pytest.fixture
def small_disk(deployment: Deployment, tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes; only root may mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_KB}k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small file system is mounted for this test, and this user may not mount one")
    try:
        yield folder
    finally:
        deployment.end()  # a worker that runs holds it
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave no room."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4_096):
                pass
        except OSError:
            os.fsync(file.fileno())
    return ballast


def last_line(log: Path) -> str:
    return log.read_text().strip().splitlines()[-1]


def test_a_full_disk_under_the_index(deployment: Deployment, small_disk: Path) -> None:
    """The disk fills while calls are rated; with room again the worker goes on where it stood, and verify agrees."""
    deployment.publish(provisioning(story(4_000)))
    (deployment.folder / "worker-0").symlink_to(small_disk, target_is_directory=True)
    worker = deployment.start("worker-0")
    deployment.wait_until_rated()
    ballast = fill(small_disk)
    deployment.publish(list(calls(story(4_000))))
    until(lambda: worker.process.poll() is not None, "the worker to end")
    assert worker.process.returncode == Exit.DISK_FULL
    said = last_line(worker.log)
    assert said.startswith("rater: "), said
    assert "the disk is full; free some space and start the worker again: nothing is lost" in said
    assert worker.log.read_text().count("\nrater: ") == 1
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    deployment.start("worker-0")
    deployment.wait_until_rated()
    assert deployment.verify().findings == []


def test_no_room_for_an_index(deployment: Deployment, small_disk: Path) -> None:
    """The disk is full before the worker starts."""
    deployment.publish(provisioning(story(10)))
    (deployment.folder / "worker-0").symlink_to(small_disk, target_is_directory=True)
    fill(small_disk)
    worker = deployment.start("worker-0")
    until(lambda: worker.process.poll() is not None, "the worker to end")
    assert worker.process.returncode == Exit.DISK_FULL
    assert "the disk is full" in last_line(worker.log)
