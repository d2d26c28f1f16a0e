"""Limits on records that a store keeps (A43, A44), and held calls of long ago that a person lets through."""

import json
from pathlib import Path
from typing import Any

import pytest

from rater.core import RatingSettings
from rater.embedded.store import open_reader
from rater.kafka.settings import rating_of_environment
from rater.ops.configuration import in_force, wrong_in
from rater.wire.errors import Exit
from tests.commands import rater

SETUP = "\n".join(
    json.dumps({"tenant": "contoso", "id": str(number), "at": at} | command)
    for number, (at, command) in enumerate(
        [
            ("2024-03-01T00:00:00Z", {"command": "tenant_configured", "currency": "USD", "credits": "enabled"}),
            ("2024-04-01T00:00:00Z", {"command": "funds_added", "amount": "70"}),
            ("2025-03-01T00:00:00Z", {"command": "funds_added", "amount": "30"}),
        ]
    )
)
HELD = {
    "tenant": "contoso", "usage_id": "long", "type": "user_out", "answered_at": "2025-03-10T10:00:00Z",
    "duration_s": 50_000, "user": "ada@contoso.example", "calling": "+14255550100", "called": "+12065550100",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "setup.jsonl").write_text(SETUP + "\n")
    (tmp_path / "cdrs.jsonl").write_text(json.dumps(HELD) + "\n")
    return tmp_path


def outcomes(folder: Path, *options: str, **environment: str) -> dict[str, Any]:
    """The outcomes of the setup and the call."""
    done = rater(
        "run", "--commands", "setup.jsonl", "cdrs.jsonl", "--json", *options, cwd=folder, environment=environment
    )
    assert done.stdout, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return {"said": done.stderr, **summary["rejected"]}


def replay(folder: Path, *options: str) -> str:
    return rater(
        "dlq", "replay", *options, cwd=folder, environment={"RATER_OPERATOR": "maria"}
    ).stderr.splitlines()[-1]


def kinds_of_debits(folder: Path) -> list[str]:
    reader = open_reader(folder / "rater.db")
    try:
        return [json.loads(value)["kind"] for _, value in reader.topic("debits")]
    finally:
        reader.close()


def test_a_held_call_of_long_ago_is_let_through_and_no_money_expires(folder: Path) -> None:
    """A44: an acceptance in a store is dated by its tenant's clock; money bought in 2024 and 2025 stays."""
    assert outcomes(folder)["implausible_duration"] == 1
    assert replay(folder, "--accept") == "1 of 1 records accepted"
    assert kinds_of_debits(folder) == []
    money = json.loads(rater("show", "balance", "contoso", "--json", cwd=folder).stdout)
    assert (money["balance"], money["as_of"]) == ("100", "2025-03-10T23:53:20+00:00")


def test_an_acceptance_can_be_dated(folder: Path) -> None:
    """`--at` is a command's time: it moves the tenant's clock, and money whose time is over then expires."""
    outcomes(folder)
    assert replay(folder, "--accept", "--at", "2025-04-02T00:00:00Z") == "1 of 1 records accepted"
    assert kinds_of_debits(folder) == ["expiry"]
    money = json.loads(rater("show", "balance", "contoso", "--json", cwd=folder).stdout)
    assert (money["balance"], money["as_of"]) == ("30", "2025-04-02T00:00:00+00:00")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--at", "2025-04-02T00:00:00Z"), "rater: --at: expected --accept, too: it says when held records are"),
        (("--accept", "--at", "tomorrow"), "rater: --at: expected a time with zone such as 2025-03-01T10:00:00Z"),
        (("--accept", "--at", "2199-01-01T00:00:00Z"), "rater: --at: expected a time at most 36 hours"),
    ],
)
def test_a_wrong_time_of_acceptance_is_one_line(folder: Path, options: tuple[str, ...], message: str) -> None:
    """Nothing is replayed then."""
    outcomes(folder)
    assert replay(folder, *options).startswith(message)
    assert replay(folder) == "0 of 1 records accepted"


def test_a_store_keeps_the_longest_call(folder: Path) -> None:
    """`rater run --call-duration-max-s` sets it once; later runs and replays use it; another value is reported."""
    assert outcomes(folder)["implausible_duration"] == 1
    assert outcomes(folder, "--call-duration-max-s", "50000")["said"].count("call_duration_max_s") == 0
    assert replay(folder) == "1 of 1 records accepted"
    said = outcomes(folder, "--call-duration-max-s", "43200")["said"]
    assert "rater.db: call_duration_max_s is now 43200; it was 50000" in said


def test_a_store_keeps_how_far_clocks_may_run_ahead(folder: Path) -> None:
    """`rater run --clock-ahead-max-h`; the call ends 14 hours after it was answered, and arrived an hour before."""
    given = ("--call-duration-max-s", "50000", "--arrived", "2025-03-10T09:00:00Z")
    assert outcomes(folder, "--clock-ahead-max-h", "14", *given)["impossible_time"] == 1
    assert "impossible_time" not in outcomes(
        folder, "--clock-ahead-max-h", "15", "--arrived", "2025-03-10T09:00:00Z"
    )


def test_a_store_reads_them_from_the_environment_too(folder: Path) -> None:
    """The same variables as on Kafka; a wrong value is a wrong use."""
    environment = {"RATER_CALL_DURATION_MAX_S": "50000", "RATER_CLOCK_AHEAD_MAX_H": "48"}
    assert set(outcomes(folder, **environment)) == {"said"}
    done = rater("run", "cdrs.jsonl", cwd=folder, environment={"RATER_CLOCK_AHEAD_MAX_H": "8785"})
    assert (done.returncode, "RATER_CLOCK_AHEAD_MAX_H" in done.stderr) == (Exit.USAGE, True)


def test_a_deployment_says_them_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """For workers, agents and `rater verify`; `rater config check` names a wrong one and shows those in force."""
    assert rating_of_environment() == RatingSettings()
    environment = {"RATER_CALL_DURATION_MAX_S": "86400", "RATER_CLOCK_AHEAD_MAX_H": "48"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert rating_of_environment() == RatingSettings(call_duration_max_s=86_400, clock_ahead_max_h=48)
    assert in_force(None, environment)["rating"] == {
        "emergency_numbers": "", "call_duration_max_s": 86_400, "clock_ahead_max_h": 48
    }  # fmt: skip
    wrong = wrong_in(None, {"RATER_CALL_DURATION_MAX_S": "0", "RATER_CLOCK_AHEAD_MAX_H": "8785"})
    assert [line.split(":")[0] for line in wrong] == ["RATER_CLOCK_AHEAD_MAX_H", "RATER_CALL_DURATION_MAX_S"]
