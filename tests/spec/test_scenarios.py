"""The scenario files of the project, on every engine."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rater.cli import build_app
from rater.dev.scenarios.model import (
    ACTIONS,
    Accept,
    Activate,
    Adjust,
    Cdr,
    Configure,
    DatedLicense,
    Expect,
    Fund,
    License,
    Payment,
    Refund,
    Rerate,
    ReversePayment,
    Scenario,
    Tenant,
    User,
)
from rater.dev.scenarios.read import read_scenario
from rater.dev.scenarios.runner import play
from rater.files.deck_csv import COLUMNS
from tests.conftest import ROOT
from tests.engines import ENGINES

FOLDER = Path(__file__).parent / "scenarios"
SCENARIOS = sorted(FOLDER.rglob("*.yaml"))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_scenario_comes_out_as_it_says(path: Path, engine: str) -> None:
    """Every step causes what its file expects, and no step is rejected unless the file says so."""
    played = play(read_scenario(path), ENGINES[engine])
    assert (played.differences, played.notes) == ((), ())


@pytest.mark.in_memory
def test_rater_check_plays_the_folder() -> None:
    """`rater check` on the whole folder: one line for each file, and exit 0."""
    result = CliRunner().invoke(build_app(), ["check", *map(str, SCENARIOS)])
    assert (result.exit_code, result.output.count("ok ")) == (0, len(SCENARIOS)), result.output


@pytest.mark.in_memory
def test_every_scenario_has_a_sentence_of_its_own() -> None:
    """The title says what is shown; no two files show the same."""
    titles = [read_scenario(path).scenario.scenario for path in SCENARIOS]
    assert len(set(titles)) == len(titles)
    assert [title for title in titles if " " not in title or title.endswith(".")] == []


@pytest.mark.in_memory
def test_the_format_is_written_down_whole() -> None:
    """FORMAT.md names every action, every field and every column of a rate deck."""
    page = (ROOT / "rater" / "dev" / "scenarios" / "FORMAT.md").read_text()
    parts = (Scenario, Tenant, User, DatedLicense, Fund, Cdr, License, Configure, Payment, Accept, Expect)
    by_hand = (Adjust, Refund, ReversePayment, Activate, Rerate)
    fields = {field.alias or name for part in (*parts, *by_hand) for name, field in part.model_fields.items()}
    words = set(re.findall(r"[a-z_0-9]+", page))
    assert (fields | {*ACTIONS, *COLUMNS}) - words == set()
