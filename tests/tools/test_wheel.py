"""The wheel alone, without a checkout: every command finds what it needs."""

import os
import site
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that has the wheel, and of everything else only the libraries that it names."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=ROOT)
    (wheel,) = folder.glob("*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", str(folder / "env"), cwd=folder)
    (packages,) = (folder / "env" / "lib").glob("python*/site-packages")
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(packages)
    # a path in a .pth file is added after the environment's own, and its own .pth files are not read
    libraries = [path for path in site.getsitepackages() if Path(path).is_dir()]
    (packages / "libraries.pth").write_text("".join(f"{path}\n" for path in libraries))
    return folder


def run(*words: str, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    ran = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def rater(folder: Path, *words: str) -> str:
    return run(str(folder / "env" / "bin" / "python"), "-m", "rater", *words, cwd=folder)


def test_what_is_installed_is_the_wheel(installed: Path) -> None:
    """The package comes from the environment, with the topics and what a local Kafka is fetched by."""
    where = run(
        str(installed / "env" / "bin" / "python"), "-c", "import rater; print(rater.__file__)", cwd=installed
    )
    assert where.startswith(str(installed))
    shipped = Path(where.strip()).parent / "shipped"
    assert (shipped / "deploy" / "kafka" / "pom.xml").is_file()
    assert len(list((shipped / "topics").glob("*.yaml"))) == len(list((ROOT / "topics").glob("*.yaml")))


@pytest.mark.parametrize(
    "words",
    [
        ("topics", "list"),
        ("demo",),
        ("worker", "--help"),
        ("doctor", "--help"),
        ("acls", "--service", "worker"),
        ("dev", "kafka", "status"),
    ],
)
def test_commands_run_from_the_wheel(installed: Path, words: tuple[str, ...]) -> None:
    """Each ends well in a folder that is no checkout."""
    assert rater(installed, *words)
