"""Imports point down, and the core has no float, no division, no clock, no I/O."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

#: Lower numbers are imported by higher ones, never the other way; shells do not import each other,
#: but for the agents, which stand on the Kafka shell.
LEVELS = {
    "core": 0,
    "contracts": 1,
    "task": 2,
    "formats": 3,
    "metrics": 3,
    "notify": 4,
    "payments": 4,
    "embedded": 5,
    "kafka": 5,
    "agents": 6,
    "cli": 9,
}
ABOVE_SHELLS = 7
#: Leaf modules that everybody may use.
ANYBODY = {
    "bearer", "bounded_yaml", "certificates", "drift", "errors", "exits", "instants", "logs", "lookalike_letters", "lookalikes", "masking", "secret_source", "signed_webhooks", "visible", "written_settings", "__init__",
}  # fmt: skip
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
    part = module.split(".")[1] if "." in module else "__init__"
    return LEVELS.get(part, ABOVE_SHELLS)


def wrong_imports(module: str, source: str) -> list[str]:
    """Imports that point up, or sideways between shells."""
    found = []
    for line, imported in imports(ast.parse(source)):
        if not imported.startswith("rater") or (imported.split(".")[1:2] and imported.split(".")[1] in ANYBODY):
            continue
        same = imported.split(".")[1:2] == module.split(".")[1:2]
        if not same and level(imported) >= level(module) and level(module) < ABOVE_SHELLS:
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
    """Architecture: core, contracts, task, readers, shells, everything else, command line."""
    assert wrong_imports(name_of(path), path.read_text()) == []


@pytest.mark.parametrize("path", [p for p in modules() if "core" in p.relative_to(ROOT).parts], ids=name_of)
def test_the_core_is_pure(path: Path) -> None:
    """Architecture: no I/O, no clock, no randomness, no float."""
    assert impurities(name_of(path), path.read_text()) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("rater.core.x", "from rater.task import run_batch"),
        ("rater.contracts.x", "import rater.embedded.store"),
        ("rater.embedded.x", "from rater.kafka.task import Task"),
        ("rater.task", "from rater.cli.run import run"),
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
