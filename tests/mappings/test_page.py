"""docs/mappings.md: its example works as it stands there."""

import re
from pathlib import Path

import pytest
import yaml

from rater.files.mappings import load, model
from rater.files.mappings.readers.spec import Reader
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


PAGE = (ROOT / "docs" / "mappings.md").read_text("utf-8")


def test_the_mapping_of_freeradius_reads_the_packet_of_the_page(tmp_path: Path) -> None:
    """One table of users for all tenants: the trunk's name and the caller, already with its plus sign."""
    section = PAGE.partition("## FreeRADIUS in front")[2].partition("\n## ")[0]
    packet, mapping = re.findall(r"```\w*\n(.*?)```", section, re.DOTALL)
    (tmp_path / "detail").write_text(packet)
    (tmp_path / "radius.yaml").write_text(mapping)
    (tmp_path / "trunks.csv").write_text("trunk,tenant\nacme-trunk1,contoso\n")
    (tmp_path / "users.csv").write_text("caller,user\nacme-trunk1/+14255550100,ada@contoso.example\n")
    done = invoke("map", "check", str(tmp_path / "radius.yaml"), str(tmp_path / "detail"))
    for said in (
        "user = ada@contoso.example",
        "answered_at = 2025-03-10T09:00:07.120000Z",
        "called = +12065550100",
    ):
        assert said in done.stdout
    load(tmp_path / "radius.yaml")


def test_every_name_of_a_mapping_is_on_the_page() -> None:
    """The fields of a call, the keys of a reader, the tests of a condition, the parts of a mapping."""
    names = {
        field.alias or name
        for part in (model.Call, Reader, model.Test, model.MappingFile, model.TimeFrom)
        for name, field in part.model_fields.items()
    }
    unwritten = {name for name in names if not re.search(rf"\b{name}\b", PAGE)}
    assert not unwritten


@pytest.mark.parametrize("line", re.findall(r"^\| `(\w+: .+?)`(?:, `.*`)? \| ", PAGE, re.MULTILINE))
def test_the_conditions_of_the_page_are_conditions(line: str) -> None:
    """As they stand there."""
    ((_, test),) = yaml.safe_load(line).items()
    model.Test.model_validate(test)
