"""National emergency numbers that the numbering plan lacks: a deployment says them once, and they count everywhere (A38)."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rater.core.settings import read_emergency_numbers
from rater.kafka.settings import rating_of_environment
from rater.ops.configuration import in_force, wrong_in
from rater.wire.errors import RaterError
from tests.agents.switch import A_DAY, Switch, may, shown
from tests.commands import rater
from tests.world import HARARE, World

SETUP = """\
{"command":"tenant_configured","tenant":"contoso","id":"s","at":"2025-01-01T00:00:00Z","currency":"USD"}
{"command":"user_configured","tenant":"contoso","id":"u","at":"2025-01-01T00:00:00Z","user":"ada","country":"IT"}
"""
CALL: dict[str, Any] = {
    "tenant": "contoso",
    "usage_id": "a",
    "type": "user_out",
    "answered_at": "2025-03-01T10:00:00Z",
    "duration_s": 60,
    "user": "ada",
    "called": "1530",
}


def test_a_list_as_it_is_written() -> None:
    """Country and number, commas between; blanks and what stands twice do not matter."""
    assert read_emergency_numbers(" IT:1530, CH:1414,IT:1530,") == ("IT:1530", "CH:1414")
    assert read_emergency_numbers("") == ()


@pytest.mark.parametrize(
    "text", ["1530", "IT:", "IT:1", "IT:1530\n1", "it:1530", "IT:²³", "QQ:1530", f"IT:{'1' * 5000}", "IT=1530"]
)
def test_what_is_no_number_of_a_country_is_refused(text: str) -> None:
    """The message names what was expected and what was given."""
    with pytest.raises(ValueError, match="expected a country and 2 to 15 digits such as IT:1530") as refused:
        read_emergency_numbers(text)
    assert len(str(refused.value)) < 200


def test_running_calls_and_authorisation_use_the_same_numbers_as_rating() -> None:
    """A38, rule 23: the call is rated free, may start for a day, and is not ordered to end when credit is used up."""
    world = World(funds="0.10", emergency_numbers=("IT:1530",)).user("ada", "IT", "MCOPSTNPP")
    assert may(world, "1530") == may(world, "+391530") == ("emergency", A_DAY)
    switch = Switch(world)
    assert shown(switch.start("help", "1530")) == []
    orders = [*switch.start("abroad", HARARE), *switch.wait(120)]
    assert [order.usage_id for order in orders] == ["abroad"]
    assert world.call("1530", 600).rule == "23 emergency"


def test_an_unknown_tenant_may_call_an_added_number_of_any_country() -> None:
    """A36: also of a country for which the plan has no numbers at all."""
    world = World(emergency_numbers=("GG:99887", "IT:1530"))
    assert may(world, "1530", tenant="nobody") == may(world, "99887", tenant="nobody") == ("emergency", A_DAY)


def test_workers_agents_and_verify_read_them_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """RATER_EMERGENCY_NUMBERS; `rater config check` names a wrong one and shows those in force."""
    monkeypatch.setenv("RATER_EMERGENCY_NUMBERS", "IT:1530,CH:1414")
    assert rating_of_environment().emergency_numbers == ("IT:1530", "CH:1414")
    assert in_force(None, os.environ)["rating"]["emergency_numbers"] == "IT:1530,CH:1414"
    wrong = "RATER_EMERGENCY_NUMBERS: expected a country and 2 to 15 digits such as IT:1530, with commas between"
    monkeypatch.setenv("RATER_EMERGENCY_NUMBERS", "1530")
    assert [line.partition(", got")[0] for line in wrong_in(None, os.environ)] == [wrong]
    with pytest.raises(RaterError, match="RATER_EMERGENCY_NUMBERS: expected a country"):
        rating_of_environment()
    monkeypatch.delenv("RATER_EMERGENCY_NUMBERS")
    assert rating_of_environment().emergency_numbers == ()


def rate(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    words = ["run", "cdrs.jsonl", "--commands", "setup.jsonl", "--json", *options]
    return rater(*words, cwd=folder, environment=environment)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "setup.jsonl").write_text(SETUP)
    (tmp_path / "cdrs.jsonl").write_text(json.dumps(CALL) + "\n")
    return tmp_path


@pytest.mark.in_memory
def test_a_store_keeps_them(folder: Path) -> None:
    """`rater run --emergency-numbers` says it once; later runs and replays of dead letters use them."""
    assert json.loads(rate(folder).stdout)["rejected"] == {"not_e164": 1}
    assert rate(folder, "--emergency-numbers", "IT:1530").returncode == 0
    replayed = rater("dlq", "replay", "--reason", "not_e164", "--json", cwd=folder, environment={"USER": "ada"})
    assert [audit["accepted"] for audit in json.loads(replayed.stdout)] == [True], replayed.stderr
    again = rate(folder, "--emergency-numbers", "none")
    assert "the added emergency numbers are now none; they were IT:1530" in again.stderr


@pytest.mark.in_memory
def test_a_store_reads_them_from_the_environment_too(folder: Path) -> None:
    """The same variable as on Kafka; a wrong value is one line, and nothing is kept of it."""
    assert json.loads(rate(folder, RATER_EMERGENCY_NUMBERS="IT:1530").stdout)["outcomes"] == {"rated": 3}
    wrong = rate(folder, "--emergency-numbers", "1530")
    assert wrong.returncode == 2
    assert wrong.stderr.splitlines()[-1].startswith(
        "rater: --emergency-numbers: expected a country and 2 to 15 digits"
    )
