"""docs/mappings.md: its example works as it stands there."""

import re
from pathlib import Path

from tests.commands import invoke
from tests.conftest import ROOT


def files_of(page: str) -> dict[str, str]:
    """The files that a page shows: each is a block after its name."""
    return dict(re.findall(r"^`([\w.]+)`\n\n```\w*\n(.*?)```", page, re.DOTALL | re.MULTILINE))


def test_the_mapping_of_the_page_reads_the_sample_of_the_page(tmp_path: Path) -> None:
    """What its text says of the four records; then the mapping's own test passes."""
    shown = files_of((ROOT / "docs" / "mappings.md").read_text("utf-8"))
    assert set(shown) == {"nova.sample.csv", "customers.csv", "users.csv", "nova.yaml"}
    for name, text in shown.items():
        (tmp_path / name).write_text(text)
    mapping, sample = str(tmp_path / "nova.yaml"), str(tmp_path / "nova.sample.csv")
    checked = invoke("map", "check", mapping, sample)
    assert checked.exit_code == 3, checked.stderr
    for said in (
        "called = +12065550100", "duration_s = 216", "answered_at = 2025-03-10T09:00:07Z", "user = ada@contoso.example",
        "not selected: other leg", "not selected: not answered", "(unknown_account)",
    ):  # fmt: skip
        assert said in checked.stdout
    assert invoke("map", "test", mapping, "--sample", sample, "--write").exit_code == 0
    assert invoke("map", "test", mapping).exit_code == 0
    (tmp_path / "nova.yaml").write_text(shown["nova.yaml"].replace("round: up", "round: down"))
    assert invoke("map", "test", mapping).exit_code == 1
