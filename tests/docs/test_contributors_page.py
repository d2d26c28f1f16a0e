"""The contributors' page: the generators that it names."""

from pathlib import Path

import pytest

from tests.docs.stories import Typed, play

#: With `--check` they write nothing: the checkout of the tests stays as it is.
STORY = [
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
]


@pytest.mark.parametrize("step", STORY, ids=lambda step: step.command)
def test_generated_files_are_those_of_the_code(step: Typed, tmp_path: Path) -> None:
    """Each command of the page, with `--check`: it finds nothing to write."""
    play([step], tmp_path)
