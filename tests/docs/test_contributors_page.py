"""The contributors' page: the generators that it names."""

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.stories import Typed, play

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


@pytest.mark.parametrize("step", STORY, ids=lambda step: step.command)
def test_what_a_contributor_types(step: Typed, tmp_path: Path) -> None:
    """A scenario is played; the generators find nothing to write."""
    play([step], tmp_path)
