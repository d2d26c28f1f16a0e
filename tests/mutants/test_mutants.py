"""A few small faults of each kind, noticed in each long run of the tests; `make mutants` tries many."""

import ast
import json
import os
import subprocess
import sys

import pytest

from tests.conftest import LONG, ROOT
from tests.mutants.faults import every, faults_of, sample
from tests.mutants.same import SAME

#: Which faults these are follows from their own text: an edit elsewhere changes none of them.
NUMBER, SEED = 10, 11


@pytest.mark.skipif(not LONG, reason="to play every test takes minutes: make mutants, make chaos")
def test_a_sample_of_small_faults_is_noticed() -> None:
    """Each is in one function of the rules; one that survives asks for a sentence in tests/spec, or is needless."""
    command = [sys.executable, "-m", "tests.mutants", "--number", str(NUMBER), "--seed", str(SEED), "--quick"]
    done = subprocess.run(
        command, check=False, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    score = json.loads(done.stdout)
    assert (score["mutants"], score["survivors"]) == (NUMBER, [])


@pytest.mark.parametrize(
    ("code", "faults"),
    [
        ("return a < b", ["None", "a <= b"]),
        ("return a == b", ["None", "a != b"]),
        ("return a + b", ["None", "a - b"]),
        ("return a and b", ["None", "a or b"]),
        ("return not a", ["None", "a"]),
        ("return a if b else c", ["None", "a", "c"]),
        ("return [a for a in b if a]", ["None", " for a in b"]),
        ("return 1", ["2"]),
        ("return True", ["False"]),
        ("f(a)", ["pass"]),
        ("a.b = c", ["pass"]),
        ("a += b", ["pass"]),
        ("d = a", []),
        ("a = b", ["pass"]),
        ("if a:\n  f(b)", ["True", "False", "pass"]),
        ("while a:\n  f(b)", ["False", "pass"]),
        ("assert a < b", []),
        ("match a:\n  case 1 if b < c:\n    f(b)", ["b <= c", "pass"]),
    ],
)
def test_the_kinds_of_faults(code: str, faults: list[str]) -> None:
    """Comparisons, arithmetic, conditions, constants, statements, what is returned."""
    lines = "\n".join(f"  {line}" for line in code.splitlines())
    found = [ast.unparse(new) for _, _, new in faults_of(ast.parse(f"def f(a, b, c):\n{lines}"))]
    assert sorted(found) == sorted(faults)


def test_a_sample_is_the_same_each_time() -> None:
    """And a larger one has the smaller one's faults, too."""
    assert sample(5, 1) == sample(5, 1) == sample(9, 1)[:5]
    assert sample(5, 1) != sample(5, 2)


def test_faults_that_change_nothing_are_still_there() -> None:
    """What is listed for ever hides new code."""
    assert set(SAME) <= {mutant.said for mutant in every()}
