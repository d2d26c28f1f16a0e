"""Every numbered rule and every decision is written down, implemented, shown by a scenario and named by a test."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from tests.conftest import ROOT

#: It has no world.
pytestmark = pytest.mark.in_memory

RULES = {str(number) for number in range(1, 74)} | {"43b"}
DECISIONS = {f"A{number}" for number in range(1, 52)}
#: Rules of ours that neither list has.
NAMED = {"closing", "erasure"}
NOT_BUILT: set[str] = set()
#: What no scenario file can show, with the reason: a test is named instead.
WITHOUT_SCENARIO = {
    "43b": "before the call starts: it is authorisation that refuses",
    "A48": "a step of a scenario file is either a record or a command",
    "erasure": "a scenario file cannot say what a pseudonym is",
    "A51": "an upgrade needs a store or topics of another release",
}
TESTS = ROOT / "tests"
SCENARIOS = TESTS / "spec" / "scenarios"
PAGE = ROOT / "rater" / "core" / "RULES.md"
_ENTRY = re.compile(r"^- \*\*(\w+)\*\* (.*?)\n  - (.*?)\n(?=- |\n)", re.DOTALL | re.MULTILINE)


def entries() -> dict[str, str]:
    """What the page says of each number about where it is implemented and shown."""
    found = _ENTRY.findall(PAGE.read_text())
    assert len(found) == len({number for number, _, _ in found}), "a number has two entries"
    return {number: " ".join(where.split()) for number, _, where in found}


def modules_of(where: str) -> list[str]:
    return re.findall(r"`(rater/[\w/]+\.py)`", where.partition("Shown by")[0])


def shown_by(where: str) -> list[str]:
    return re.findall(r"`([^`]+)`", where.partition("Shown by")[2])


def numbers_in(text: str) -> set[str]:
    """The rules and decisions that a docstring cites: `Rules 1 to 3, 5 and A7`, `rule 43b`."""
    named = {f"A{number}" for number in re.findall(r"\bA(\d+)\b", text)}
    for first, last in re.findall(r"\bA(\d+) to A(\d+)\b", text):
        named |= {f"A{number}" for number in range(int(first), int(last) + 1)}
    named |= {name for name in NAMED if re.search(rf"\brule {name}\b", text)}
    for listed in re.findall(r"\b[Rr]ules?\s((?:\d+b?|,\s|\sto\s|\sand\s|\sor\s|A\d+)+)", text):
        named |= set(re.findall(r"(?<![A\d])\d+b?", listed))
        for first, last in re.findall(r"(?<![A\d])(\d+) to (\d+)", listed):
            named |= {str(number) for number in range(int(first), int(last) + 1)}
    return named


def named_by_tests(paths: Iterable[Path]) -> set[str]:
    docstrings = [
        docstring
        for path in paths
        for docstring in re.findall(r'def test_.*?"""(.*?)"""', path.read_text(), re.DOTALL)
    ]
    return {number for docstring in docstrings for number in numbers_in(docstring)}


def docstrings_of(path: Path) -> Iterator[str]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, kinds):
            yield ast.get_docstring(node) or ""


def test_every_rule_and_decision_has_a_test() -> None:
    """The number stands in the docstring of at least one test; of a rule that an engine plays, in tests/spec."""
    elsewhere = {"A48", "A51"}
    in_spec = (RULES | DECISIONS | NAMED) - NOT_BUILT - elsewhere
    assert in_spec - named_by_tests(Path(__file__).parent.glob("test_*.py")) == set()
    assert elsewhere - named_by_tests(TESTS.rglob("test_*.py")) == set()


def test_every_rule_and_decision_is_on_the_page() -> None:
    """RULES.md has one entry for each number, and no other."""
    assert set(entries()) == RULES | DECISIONS | NAMED


@pytest.mark.parametrize(("number", "where"), entries().items(), ids=list(entries()))
def test_an_entry_names_what_is_there(number: str, where: str) -> None:
    """Its modules exist; a scenario file shows it, or a test that names it where no scenario can."""
    if number in NOT_BUILT:
        assert where == "Not built yet."
        return
    assert modules_of(where)
    for module in modules_of(where):
        assert (ROOT / module).is_file(), module
    shown = shown_by(where)
    assert shown
    assert any(name.endswith(".yaml") for name in shown) != (number in WITHOUT_SCENARIO)
    for name in shown:
        path = SCENARIOS / name if name.endswith(".yaml") else ROOT / name
        assert path.is_file(), path
        assert name.endswith(".yaml") or number in named_by_tests([path]), f"{path} does not name {number}"


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_scenario_says_what_it_shows(path: Path) -> None:
    """Its first line lists the numbers, and RULES.md says the same of this file."""
    first = path.read_text().partition("\n")[0]
    assert first.startswith("# shows: ")
    said = {number for number, where in entries().items() if path.name in shown_by(where)}
    shows = set(first.removeprefix("# shows: ").split(", "))
    assert shows == said, (
        f'{path.name} stands in "Shown by" of {sorted(said)} in RULES.md; its first line says {first}'
    )


@pytest.mark.parametrize("path", sorted((ROOT / "rater" / "core").glob("*.py")), ids=lambda path: path.stem)
def test_the_core_cites_rules_that_exist(path: Path) -> None:
    """Every number in a docstring of the core has an entry."""
    cited = {number for docstring in docstrings_of(path) for number in numbers_in(docstring)}
    assert cited - set(entries()) == set()


def test_citations_are_read() -> None:
    """Lists, ranges and decisions: the checks above can fail."""
    assert numbers_in("Rules 1 to 3, 43b and 50, A7.  See rule 99 and A10 to A12.") == (
        {"1", "2", "3", "43b", "50", "99", "A7", "A10", "A11", "A12"}
    )


def test_the_rules_ship() -> None:
    """The wheel has the page beside the modules, and the format of the scenario files."""
    shipped = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    assert {"rater/core/RULES.md", "rater/core/apply.py", "rater/dev/scenarios/FORMAT.md"} <= shipped


def test_no_text_points_outside_of_the_clone() -> None:
    """Rules and formats are described here: no text sends its reader to a page that a clone does not have."""
    texts = [path for path in ROOT.glob("rater/**/*") if path.suffix in {".py", ".md", ".j2", ".yaml"}]
    texts += [*ROOT.glob("schemas/*"), *ROOT.glob("deploy/**/*.md"), *ROOT.glob("docs/*.md")]
    texts += [*SCENARIOS.glob("*"), ROOT / "README.md"]
    elsewhere = re.compile(r"rating-rules|\.\./shared|[Cc]onformance README|\b[Ii]ssue \d+\b")
    found = {path.relative_to(ROOT) for path in texts if path.is_file() and elsewhere.search(path.read_text())}
    assert found == set()
