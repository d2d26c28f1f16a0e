"""Style as a test: functions fit on a screen, files in a sitting, everything public says what it is."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

FUNCTION_LINES_MAX = 40
FILE_LINES_MAX = 300
#: Tables and lists that read better in one piece, with the reason.
LONGER = {
    "rater/core/rating.py": "all steps of one call, kept together; its last function writes 48 fields in order",
    "rater/core/__init__.py": "all that others may use, one name a line",
    "rater/core/iso_codes.py": "a generated table",
    "rater/core/numbering_plan.py": "a generated table",
    "rater/core/geography.py": "a table",
    "rater/core/inputs.py": "all that comes in, in one piece",
    "rater/core/entities.py": "all that is kept, in one piece",
    "rater/core/outputs.py": "all that goes out, in one piece",
    "rater/dev/scenarios/model.py": "the file format in one piece",
    "rater/embedded/store.py": "reading and writing one file",
}
LONGER_FUNCTIONS = {
    "_emit_rated_call": "a record of 48 fields, one a line, in their order",
    "run": "a command's options with their help",
    "publish_files": "a command's options with their help",
    "serve": "a command's options with their help",
    "reconcile_payments": "a command's options with their help",
    "erase_user": "a command's options with their help",
    "prune_store": "a command's options with their help",
    "balance_record": "a record of 21 fields, one a line, in their order",
    "classify": "nine facts and nine answers, one a line",
}
RETIRED = re.compile(r"\b(helpers?|utils?|manager|misc|common)\b|^(process|handle|manage)_")


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def untidy(name: str, source: str) -> list[str]:
    """Everything in a file that breaks a rule of style."""
    tree = ast.parse(source)
    found = []
    if len(source.splitlines()) > FILE_LINES_MAX and name not in LONGER:
        found.append(f"{name}: longer than {FILE_LINES_MAX} lines")
    if not ast.get_docstring(tree):
        found.append(f"{name}: has no docstring")
    if RETIRED.search(Path(name).stem):
        found.append(f"{name}: a name without a meaning")
    for function in functions(tree):
        lines = (function.end_lineno or 0) - function.lineno + 1
        if lines > FUNCTION_LINES_MAX and function.name not in LONGER_FUNCTIONS:
            found.append(f"{name}:{function.lineno}: {function.name} has {lines} lines")
        if RETIRED.search(function.name):
            found.append(f"{name}:{function.lineno}: {function.name} is no verb of the domain")
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "rater").rglob("*.py")), ids=lambda path: path.stem)
def test_tidy(path: Path) -> None:
    """Style, principle 15."""
    assert untidy(str(path.relative_to(ROOT)), path.read_text()) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("rater/x.py", "x = 1"),
        ("rater/utils.py", '"""x"""'),
        ("rater/x.py", '"""x"""\ndef handle_it():\n    pass'),
        ("rater/x.py", '"""x"""\ndef f():\n' + "    pass\n" * 41),
        ("rater/x.py", '"""x"""\nasync def f():\n' + "    pass\n" * 41),
        ("rater/x.py", '"""x"""\n' + "x = 1\n" * 301),
    ],
)
def test_untidiness_is_found(name: str, source: str) -> None:
    """The check can fail."""
    assert untidy(name, source)


def test_nothing_of_this_workplace_is_in_the_tree() -> None:
    """No absolute path of a machine in what is shipped."""
    for path in [*ROOT.glob("rater/**/*.py"), ROOT / "README.md", ROOT / "Makefile", ROOT / "pyproject.toml"]:
        assert "/work" + "/" not in path.read_text(), path
