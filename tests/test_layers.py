"""Imports point down, and the core has no float, no division, no clock, no I/O."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

#: The longest name that fits a module says how high it stands.  Lower ones are imported by higher ones, never the
#: other way; what stands beside is not imported, but within one package.
LEVELS = {
    "rater.core": 0,
    "rater.wire": 1,
    "rater.engine": 2,
    "rater.files": 3,
    "rater.ops.metrics": 3,
    "rater.agents.payments": 4,
    "rater.agents.notices": 4,
    "rater.agents.switches": 4,
    "rater.serve": 4,
    "rater.embedded": 5,
    "rater.kafka": 5,
    "rater.agents": 6,
    "rater.serve.openapi": 6,
    "rater.serve.pages": 6,
    "rater.serve.reading": 6,
    "rater.serve.server": 6,
    "rater.serve.web": 6,
    "rater.serve.replica": 7,
    "rater.serve.shells": 7,
    "rater.ops": 7,
    "rater.dev": 8,
    "rater.cli": 9,
    "rater": 10,
}
#: Modules of higher packages that everybody above the wire may use: they know nothing of rater.
LEAVES = {
    "rater.agents.signed_webhooks",
    "rater.ops.certificates",
    "rater.ops.garbage_collection",
    "rater.ops.logs",
    "rater.ops.masking",
    "rater.ops.secrets",
    "rater.ops.written_settings",
}
CORE_MAY_IMPORT = {
    "base64", "bisect", "collections", "copy", "datetime", "enum", "functools", "hashlib", "heapq", "msgspec", "re", "typing", "rater",
}  # fmt: skip


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every imported module with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)


def level(module: str) -> int:
    """How high a module of rater stands."""
    if module in LEAVES:
        return LEVELS["rater.engine"]
    fits = [name for name in LEVELS if module == name or module.startswith(f"{name}.")]
    return LEVELS[max(fits, key=len)]


def package(module: str) -> str:
    """The package at the top: `rater.kafka` of `rater.kafka.worker`."""
    return ".".join(module.split(".")[:2])


def wrong_imports(module: str, source: str) -> list[str]:
    """Imports that point up, or sideways between packages."""
    found = []
    for line, imported in imports(ast.parse(source)):
        if not imported.startswith("rater."):
            continue
        allowed = (
            level(imported) <= level(module)
            if package(imported) == package(module)
            else level(imported) < level(module)
        )
        if not allowed:
            found.append(f"{module}:{line}: imports {imported}, which stands above or beside it")
    return found


def impurities(module: str, source: str) -> list[str]:
    """What the core must not contain."""
    found = []
    tree = ast.parse(source)
    for line, imported in imports(tree):
        if imported.split(".")[0] not in CORE_MAY_IMPORT:
            found.append(f"{module}:{line}: imports {imported}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            found.append(f"{module}:{node.lineno}: a float")
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            found.append(f"{module}:{node.lineno}: a division")
        if isinstance(node, ast.Name) and node.id in ("float", "round"):
            found.append(f"{module}:{node.lineno}: {node.id}")
        if isinstance(node, ast.Attribute) and node.attr in (
            "now",
            "utcnow",
            "today",
            "total_seconds",
            "timestamp",
        ):
            found.append(f"{module}:{node.lineno}: {node.attr}")
    return found


def modules() -> list[Path]:
    return sorted((ROOT / "rater").rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_point_down(path: Path) -> None:
    """Architecture: core, wire, engine, files, shells, agents, operators' and developers' tools, command line."""
    assert wrong_imports(name_of(path), path.read_text()) == []


@pytest.mark.parametrize("path", [p for p in modules() if "core" not in p.relative_to(ROOT).parts], ids=name_of)
def test_others_use_the_face_of_the_core(path: Path) -> None:
    """What `rater.core` does not export is internal: its modules may move without notice."""
    inside = [name for _, name in imports(ast.parse(path.read_text())) if name.startswith("rater.core.")]
    assert inside == []


@pytest.mark.parametrize("path", [p for p in modules() if "core" in p.relative_to(ROOT).parts], ids=name_of)
def test_the_core_is_pure(path: Path) -> None:
    """Architecture: no I/O, no clock, no randomness, no float."""
    assert impurities(name_of(path), path.read_text()) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("rater.core.x", "from rater.engine.batch import run_batch"),
        ("rater.wire.x", "import rater.embedded.store"),
        ("rater.embedded.x", "from rater.kafka.task import Task"),
        ("rater.engine.batch", "from rater.cli.run import run"),
    ],
)
def test_an_import_that_points_up_is_found(module: str, source: str) -> None:
    """The check can fail."""
    assert wrong_imports(module, source)


@pytest.mark.parametrize(
    "source",
    ["x = 0.5", "x = 1 / 2", "import time", "import random", "x = float('1')", "x = datetime.now()", "round(2)"],
)
def test_an_impurity_is_found(source: str) -> None:
    """The check can fail."""
    assert impurities("rater.core.x", source)
