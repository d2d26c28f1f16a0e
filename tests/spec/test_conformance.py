"""The public scenarios, and what `rater check` says of files that differ or are no scenarios."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from rater.cli import build_app
from rater.errors import RaterError
from rater.scenarios.model import read_scenario

DECK = Path(__file__).parent.parent / "fixtures" / "deck.csv"
SCENARIO = """\
scenario: one call of a minute
rate_deck: deck.csv
tenant: {id: contoso, currency: USD, credits: enabled, recharge: {enabled: false}}
users:
  - {id: ada, country: US, licenses: [MCOPSTN1, {sku: MCOPSTNPP, from: 2025-03-01T00:00:00Z}]}
steps:
  - fund: {id: f1, amount: "10", at: 2025-03-01T00:00:00Z}
  - cdr: {id: c1, type: user_out, user: ada, called: "+12065550100", start: 2025-03-10T10:00:00Z, seconds: 61}
    expect: {outcome: rated, minutes: 2, balance: "10", pools: {"MCOPSTN1/US-PR/2025-03": {used: 2}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deck.csv").write_bytes(DECK.read_bytes())
    return tmp_path


def check(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(build_app(), ["check", *args])
    return result.exit_code, result.output


def test_public_scenarios(shared: Path) -> None:
    """Conformance: every public scenario passes."""
    code, said = check(str(shared / "conformance"))
    assert (code, said.count("ok ")) == (0, 12), said


def test_a_scenario_that_passes(folder: Path) -> None:
    """Exit 0 and one line for each file."""
    (folder / "one.yaml").write_text(SCENARIO)
    code, said = check(str(folder))
    assert code == 0
    assert "one call of a minute" in said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("minutes: 2", "minutes: 3", "minutes: expected 3, got 2"),
        ('balance: "10"', 'balance: "9.9"', "balance: expected 9.9, got 10"),
        ("{used: 2}", "{used: 3}", "pools[MCOPSTN1/US-PR/2025-03].used: expected 3, got 2"),
        ("US-PR/2025-03", "Mars", "no pool can have this name"),
        ("outcome: rated", "outcome: duplicate", "outcome: expected duplicate, got rated"),
        ("outcome: rated", "events: [user.restricted]", "events: expected [user.restricted], got []"),
        ("outcome: rated", "segments: []", "segments: expected [], got [{pocket: pool, minutes: 2, charge: 0}]"),
    ],
)
def test_a_scenario_that_differs(folder: Path, old: str, new: str, said: str) -> None:
    """Exit 1, and a readable difference with file, line and step."""
    (folder / "one.yaml").write_text(SCENARIO.replace(old, new))
    code, output = check(str(folder))
    assert code == 1
    assert said in output
    assert "one.yaml:8: steps[1]" in output


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ('amount: "10"', "amount: 10.0", 7, "quoted decimal"),
        ("seconds: 61", "second: 61", 8, "not a field"),
        ("credits: enabled", "credits: perhaps", 3, "'enabled' or 'not_set_up'"),
        ("outcome: rated", "outcome: perhaps", 9, "outcome"),
        ("at: 2025-03-01T00:00:00Z}\n  - cdr", "at: 2025-03-01T00:00:00}\n  - cdr", 7, "timezone"),
        ("  - fund:", "  - fnud:", 7, "exactly one of"),
        ("scenario: one", "scenario: one\nscenario: two", 2, "stands twice"),
        ("tenant: {id", "tenant: [id", 3, "not YAML"),
        ("steps:", "settings: {linked_cap: true}\nsteps:", 6, "linked_caps"),
    ],
)
def test_a_file_that_is_no_scenario(folder: Path, old: str, new: str, line: int, said: str) -> None:
    """Exit 2, naming file, line and field."""
    path = folder / "one.yaml"
    path.write_text(SCENARIO.replace(old, new, 1))
    code, _ = check(str(path))
    assert code == 2
    with pytest.raises(RaterError) as error:
        read_scenario(path)
    assert f"one.yaml:{line}:" in str(error.value)
    assert said in str(error.value)
