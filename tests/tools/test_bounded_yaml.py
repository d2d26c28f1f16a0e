"""YAML that people write: a value, or one line that says where it is wrong; never any other error."""

from pathlib import Path

import pytest
import yaml

from rater.agents.settings import AgentsSettings
from rater.dev.scenarios.read import read_scenario
from rater.ops.written_settings import read_settings
from rater.wire.bounded_yaml import DEPTH_MAX, VALUES_MAX, load_yaml, problem_of
from rater.wire.errors import RaterError

NINE_LINES_OF_ALIASES = "a: &a [x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 5)}]\n" for n in range(8)
)
WRONG = {
    "a date that no month has": ("sweep_s: 2\na: 2025-02-30", "line 2: expected a value of the type timestamp"),
    "more digits than Python reads": ("a: " + "9" * 4301, "line 1: expected a value of the type int"),
    "a tag that the value does not fit": ("a: !!bool x", "line 1: expected a value of the type bool"),
    "an empty number": ("\n\na: !!int ''", "line 3: expected a value of the type int"),
    "nested too deeply": ("[" * 1000, f"line 1: nested too deeply: expected at most {DEPTH_MAX} levels"),
    "aliases for millions of values": (
        NINE_LINES_OF_ALIASES,
        f"expected at most {VALUES_MAX} values, aliases incl",
    ),
    "a value that contains itself": ("a: &a [*a]", "line 1: expected no value that contains itself"),
    "control characters": ("a: b\0", "line 1: expected text without control characters, got one at 4"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_settings_that_are_no_yaml(tmp_path: Path, kind: str) -> None:
    """One line with the file and the line of it; what stands there is not shown, it may be a secret."""
    text, said = WRONG[kind]
    (tmp_path / "agents.yaml").write_text(text)
    with pytest.raises(RaterError) as wrong:
        read_settings(AgentsSettings, tmp_path / "agents.yaml", {})
    assert "agents.yaml: expected YAML: line " in str(wrong.value)
    assert said in str(wrong.value)
    assert "\n" not in str(wrong.value)


@pytest.mark.parametrize("kind", sorted(WRONG.keys() - {"a date that no month has"}))
def test_scenarios_that_are_no_yaml(tmp_path: Path, kind: str) -> None:
    """The same of a scenario, where times stay the text that was written."""
    text, said = WRONG[kind]
    (tmp_path / "one.yaml").write_text(text)
    with pytest.raises(RaterError, match=r"one\.yaml:\d+: not YAML: ") as wrong:
        read_scenario(tmp_path / "one.yaml")
    assert said.partition(": ")[2] in str(wrong.value)


def test_a_variable_that_is_no_yaml() -> None:
    """The variable is named."""
    with pytest.raises(RaterError, match=r"^RATER_SWITCHES: expected a value as in YAML: line 1: "):
        read_settings(AgentsSettings, None, {"RATER_SWITCHES": "2025-02-30"})


def test_aliases_are_values_each_time() -> None:
    """What a few aliases stand for is read, up to the limit."""
    assert load_yaml("a: &a {b: 1}\nc: *a\nd: [*a, *a]") == {"a": {"b": 1}, "c": {"b": 1}, "d": [{"b": 1}] * 2}
    with pytest.raises(yaml.YAMLError) as wrong:
        load_yaml("x: &x 1\ny: [" + "*x, " * VALUES_MAX + "]")
    assert problem_of(wrong.value) == (2, f"expected at most {VALUES_MAX} values, aliases included (VALUES_MAX)")
