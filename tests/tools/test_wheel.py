"""The wheel alone, without a checkout: every command finds what it needs."""

import os
import re
import site
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from openpyxl import Workbook

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


def environment_of(wheel: Path, folder: Path, libraries: list[Path]) -> Path:
    """A folder with an environment that has the wheel, and of everything else only what is in the libraries."""
    run(sys.executable, "-m", "venv", "--without-pip", str(folder / "env"), cwd=folder)
    (packages,) = (folder / "env" / "lib").glob("python*/site-packages")
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(packages)
    # a path in a .pth file is added after the environment's own, and its own .pth files are not read
    (packages / "libraries.pth").write_text("".join(f"{path}\n" for path in libraries))
    return folder


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel with every extra."""
    libraries = [path for path in map(Path, site.getsitepackages()) if path.is_dir()]
    return environment_of(wheel, tmp_path_factory.mktemp("all"), libraries)


@pytest.fixture(scope="module")
def without_extras(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel with the packages of the image, and no others."""
    folder = tmp_path_factory.mktemp("none")
    libraries = folder / "libraries"
    libraries.mkdir()
    for name in re.findall(r"(?m)^([\w.-]+)==", (ROOT / "deploy" / "requirements.lock").read_text()):
        try:
            package = distribution(name)
        except PackageNotFoundError:  # it is for another system
            continue
        for top in {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}:
            (libraries / top).symlink_to(str(package.locate_file(top)))
    return environment_of(wheel, folder, [libraries])


def clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}


def run(*words: str, cwd: Path) -> str:
    ran = subprocess.run(words, cwd=cwd, env=clean(), capture_output=True, text=True, check=False)
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


INSTALL_EXCEL = "install them: pip install openpyxl XlsxWriter"


def test_a_demo_without_extras(without_extras: Path) -> None:
    """All of it but two exports and the picture; each of them is named with what installs its libraries."""
    said = " ".join(rater(without_extras, "demo").split())
    for missing in (
        f"usage.xlsx: expected the libraries of the extra rater[excel], got no xlsxwriter; {INSTALL_EXCEL}",
        "debits.parquet: expected the libraries of the extra rater[parquet], got no pyarrow; install them: pip install pyarrow",
        "balances.png: expected the libraries of the extra rater[plots], got no matplotlib; install them: pip install matplotlib",
    ):
        assert f"Not written: demo-output/{missing}." in said
    written = {path.name for path in (without_extras / "demo-output").iterdir()}
    assert {"usage.csv", "pools.csv", "balances.jsonl"} <= written
    assert not written & {"usage.xlsx", "debits.parquet", "balances.png"}


@pytest.mark.parametrize("words", [("worker", "--help"), ("agents", "--help"), ("topics", "list")])
def test_a_worker_needs_no_extra(without_extras: Path, words: tuple[str, ...]) -> None:
    """What its image runs is imported with the packages of the image."""
    assert rater(without_extras, *words)


def test_a_workbook_without_its_extra(without_extras: Path) -> None:
    """One line with the file and what installs the library; exit 2, nothing is written."""
    book = without_extras / "prices.xlsx"
    Workbook().save(book)
    words = [
        str(without_extras / "env" / "bin" / "python"),
        "-m",
        "rater",
        "import",
        "rates",
        book.name,
        "--out",
        "deck.csv",
    ]
    ran = subprocess.run(words, cwd=without_extras, capture_output=True, text=True, check=False, env=clean())
    said = f"expected the libraries of the extra rater[excel], got no openpyxl; {INSTALL_EXCEL}"
    assert (ran.returncode, ran.stderr) == (2, f"rater: prices.xlsx: {said}\n")
    assert not (without_extras / "deck.csv").exists()
