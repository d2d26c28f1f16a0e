"""Every numbered rule and every decision is named by a test."""

import re
from pathlib import Path

import pytest

#: It has no world.
pytestmark = pytest.mark.in_memory

RULES = {str(number) for number in range(1, 74)} | {"43b"}
DECISIONS = {f"A{number}" for number in (*range(1, 45), 48, 49, 51)}


def test_every_rule_and_decision_has_a_test() -> None:
    """The number stands in the docstring of at least one test."""
    named: set[str] = set()
    for path in Path(__file__).parent.parent.rglob("test_*.py"):
        for docstring in re.findall(r'def test_.*?"""(.*?)"""', path.read_text(), re.DOTALL):
            for start, end in re.findall(r"[Rr]ules? (\d+) to (\d+)", docstring):
                named |= {str(number) for number in range(int(start), int(end) + 1)}
            for listed in re.findall(r"[Rr]ules? ((?:\d+b?(?:, | and )?)+)", docstring):
                named |= set(re.findall(r"\d+b?", listed))
            named |= set(re.findall(r"\bA\d+\b", docstring))
    assert (RULES | DECISIONS) - named == set()
