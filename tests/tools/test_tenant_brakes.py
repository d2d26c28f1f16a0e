"""`rater tenant brake|release-brake|alerts` and `rater show brakes`: limits on spending (A50), as a clerk types them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.commands import rater
from tests.tools.test_tenant_closing import BOUGHT, DECK, call

AT = ("--at", "2025-03-02T00:00:00Z")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with a tenant that bought 100; ada may spend it."""
    rater("tenant", "add", "contoso", "--currency", "USD", "--credits", "enabled", *BOUGHT, cwd=tmp_path, code=0)
    rater("tenant", "fund", "contoso", "100", "--id", "bought", *BOUGHT, cwd=tmp_path, code=0)
    rater("tenant", "license", "contoso", "ada", "MCOPSTNPP", "--country", "US", *BOUGHT, cwd=tmp_path, code=0)
    return tmp_path


def brakes(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        rater("show", "brakes", "contoso", "--json", cwd=folder, code=0).stdout
    )
    return found


def run(folder: Path, id: str, when: str) -> None:
    """A call of 21 minutes at 0.20: 4.20."""
    (folder / f"{id}.jsonl").write_bytes(call(id, when))
    rater("run", f"{id}.jsonl", "--deck", DECK, cwd=folder, code=0)


def test_a_limit_from_shadow_to_a_release(folder: Path) -> None:
    """It counts; then it stops, which the store, the explanation and a quote say; then a person releases it."""
    rater("tenant", "brake", "contoso", "daily", "--scope", "user", "--limit", "4", *AT, cwd=folder, code=0)
    run(folder, "first", "2025-03-10 10:00")
    run(folder, "second", "2025-03-10 12:00")
    (counted,) = brakes(folder)
    assert counted["reached_at"].startswith("2025-03-10T10:21:00")
    assert counted | {"reached_at": None} == {
        "brake": "daily", "mode": "shadow", "scope": "user", "about": "ada", "window": "day 2025-03-10T00:00Z",
        "limit": "4", "spent": "8.4", "reached_at": None, "over_calls": 1, "over_money": "4.2",
    }  # fmt: skip
    explained = rater("explain", "second", cwd=folder, code=0).stdout
    line = "Brake daily counted it: calls of ada in the day from 2025-03-10T00:00:00Z on."
    assert f"{line} Its limit was reached before the call began." in explained
    stop = ("--scope", "user", "--limit", "4", "--mode", "stop", "--at", "2025-03-10T13:00:00Z")
    rater("tenant", "brake", "contoso", "daily", *stop, cwd=folder, code=0)
    run(folder, "third", "2025-03-10 14:00")
    asked = ("quote", "contoso", "--user", "ada", "--called", "+263242700000", "--at", "2025-03-10T15:00:00Z")
    assert "no, brake_reached (daily)" in rater(*asked, cwd=folder, code=0).stdout
    answer = json.loads(rater(*asked, "--json", cwd=folder, code=0).stdout)
    assert (answer["allowed"], answer["reason"], answer["brake"]) == (False, "brake_reached", "daily")
    who = ("--subject", "ada", "--by", "kim", "--at", "2025-03-10T16:00:00Z")
    rater("tenant", "release-brake", "contoso", "daily", *who, cwd=folder, code=0)
    assert json.loads(rater(*asked, "--json", cwd=folder, code=0).stdout)["allowed"] is True


def test_what_was_released_before_is_refused(folder: Path) -> None:
    """Nothing is reached: the command says what it expected, and ends as refused commands do."""
    rater("tenant", "brake", "contoso", "daily", "--limit", "4", *AT, cwd=folder, code=0)
    refused = rater("tenant", "release-brake", "contoso", "daily", *AT, cwd=folder, code=3)
    assert "expected a brake that is reached in its present window" in refused.stderr


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--limit", "much"), 3, "limit"),
        (("--limit", "3", "--measure", "calls_at_once"), 3, "expected stop or off for calls_at_once"),
        (("--limit", "3", "--scope", "country", "--only", "Kenya"), 3, "ISO 3166-1"),
        (("--limit", "3", "--scope", "planet"), 2, "scope"),
        ((), 2, "limit"),
    ],
)
def test_what_no_limit_can_be(folder: Path, options: tuple[str, ...], code: int, said: str) -> None:
    """Each is refused in words, and nothing is set."""
    refused = rater("tenant", "brake", "contoso", "daily", *options, *AT, cwd=folder, code=code)
    assert said in refused.stderr
    assert brakes(folder) == []


def test_alerts_are_set_and_taken_away(folder: Path) -> None:
    """The amounts replace the former; none takes them away."""
    said = rater("tenant", "alerts", "contoso", "98", "50", "--json", *AT, cwd=folder, code=0).stdout
    assert json.loads(said)["balance_alerts"] == ["98", "50"]
    run(folder, "first", "2025-03-10 10:00")
    alert = json.loads(rater("export", "account-events", cwd=folder).stdout or "{}")
    assert alert
