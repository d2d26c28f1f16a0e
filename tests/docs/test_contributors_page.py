"""The contributors' page: its first steps, and the generators that it names."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.stories import Typed, missing, outputs, play, typist

ONE_SCENARIO = "tests/spec/scenarios/01-straddles-bundle.yaml"
#: With `--check` they write nothing: the checkout of the tests stays as it is.
STORY = [
    Typed(f"rater check {ROOT / ONE_SCENARIO}", shown=f"rater check {ONE_SCENARIO}"),
    *(
        Typed(f"python -m {module} --check", shown=f"python -m {module}")
        for module in (
            "rater.ops.metrics.dashboards",
            "rater.wire.schemas",
            "rater.wire.asyncapi",
            "rater.ops.manifests.generated",
            "rater.serve.openapi",
            "rater.dev.numbering_plan_generator",
            "rater.dev.iso_codes_generator",
        )
    ),
]
#: A rule is changed; one scenario notices it.
CHANGING = [
    Typed("rater check tests/spec/scenarios/49-warnings-of-a-pool.yaml"),
    Typed("sed -i 's/le=100)] = 80/le=100)] = 90/' rater/core/settings.py"),
    Typed("rater check tests/spec/scenarios", code=1),
]


def test_the_first_steps(tmp_path: Path) -> None:
    """In a copy of the code, because it is changed: each command ends as it must and prints what the page shows."""
    shutil.copytree(ROOT / "rater", tmp_path / "rater", ignore=shutil.ignore_patterns("__pycache__"))
    for folder in ("spec/scenarios", "fixtures"):
        shutil.copytree(ROOT / "tests" / folder, tmp_path / "tests" / folder)
    environment = typist(tmp_path, {})
    for name in ("rater", "python"):
        program = tmp_path / ".bin" / name
        program.write_text(program.read_text().replace(f"PYTHONPATH={ROOT}", f"PYTHONPATH={tmp_path}"))
    for step in CHANGING:
        ran = subprocess.run(
            step.typed, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert ran.returncode == step.code, ran.stdout + ran.stderr
        assert missing(outputs().get(step.command, ()), ran.stdout + ran.stderr) == []


@pytest.mark.parametrize("step", STORY, ids=lambda step: step.command)
def test_what_a_contributor_types(step: Typed, tmp_path: Path) -> None:
    """A scenario is played; the generators find nothing to write."""
    play([step], tmp_path)
