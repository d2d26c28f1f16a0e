"""`rater tenant brake|release-brake|alerts` and `rater show brakes`: limits on spending (A50), as a clerk types them."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rater.core.outputs import AccountEvent
from rater.embedded.store import open_reader
from tests.commands import invoke
from tests.tools.test_tenant_closing import BOUGHT, DECK, call

AT = ("--at", "2025-03-02T00:00:00Z")


def types(*words: object) -> str:
    """What a command prints that ends well."""
    done = invoke(*map(str, words))
    assert done.exit_code == 0, f"{done.output}{done.exception}"
    return done.stdout


def refused(*words: object) -> str:
    """Why a command is refused."""
    done = invoke(*map(str, words))
    assert done.exit_code != 0, done.output
    return f"{done.stderr}{done.exception or ''}"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with a tenant that bought 100; ada may spend it."""
    monkeypatch.chdir(tmp_path)
    types("tenant", "add", "contoso", "--currency", "USD", "--credits", "enabled", *BOUGHT)
    types("tenant", "fund", "contoso", "100", "--id", "bought", *BOUGHT)
    types("tenant", "license", "contoso", "ada", "MCOPSTNPP", "--country", "US", *BOUGHT)
    return tmp_path


def brakes() -> list[dict[str, Any]]:
    """What `rater show brakes` prints."""
    found: list[dict[str, Any]] = json.loads(types("show", "brakes", "contoso", "--json"))
    return found


def run(folder: Path, id: str, when: str) -> None:
    """A call of 21 minutes at 0.20: 4.20."""
    (folder / f"{id}.jsonl").write_bytes(call(id, when))
    types("run", f"{id}.jsonl", "--deck", DECK)


def test_a_limit_from_shadow_to_a_release(folder: Path) -> None:
    """It counts; then it stops, which the store, the explanation and a quote say; then a person releases it."""
    types("tenant", "brake", "contoso", "daily", "--scope", "user", "--limit", "4", *AT)
    assert [(one["spent"], one["over_calls"]) for one in brakes()] == [("0", 0)]
    run(folder, "first", "2025-03-10 10:00")
    run(folder, "second", "2025-03-10 12:00")
    (counted,) = brakes()
    assert counted.pop("reached_at").startswith("2025-03-10T10:21:00")
    assert counted == {
        "brake": "daily", "mode": "shadow", "scope": "user", "about": "ada", "window": "day 2025-03-10T00:00Z",
        "limit": "4", "spent": "8.4", "released": False, "over_calls": 1, "over_money": "4.2", "known": None,
    }  # fmt: skip
    line = "Brake daily counted it: calls of ada in the day from 2025-03-10T00:00:00Z on."
    assert f"{line} Its limit was reached before the call began." in types("explain", "second")
    stop = ("--scope", "user", "--limit", "4", "--mode", "stop", "--at", "2025-03-10T13:00:00Z")
    types("tenant", "brake", "contoso", "daily", *stop)
    run(folder, "third", "2025-03-10 14:00")
    asked = ("quote", "contoso", "--user", "ada", "--called", "+263242700000", "--at", "2025-03-10T15:00:00Z")
    assert "no, brake_reached (daily)" in types(*asked)
    answer = json.loads(types(*asked, "--json"))
    assert (answer["allowed"], answer["reason"], answer["brake"]) == (False, "brake_reached", "daily")
    types(
        "tenant", "release-brake", "contoso", "daily", "--subject", "ada", "--by", "kim", "--at",
        "2025-03-10T16:00:00Z",
    )  # fmt: skip
    assert json.loads(types(*asked, "--json"))["allowed"] is True
    (counted,) = brakes()
    assert (counted["reached_at"], counted["released"]) == ("2025-03-10T13:00:00+00:00", True)
    assert "2025-03-10T13:00:00Z yes" in " ".join(types("show", "brakes", "contoso").split())
    types("verify", "--store", "rater.db")


def test_a_new_country_from_shadow_to_an_allowance(folder: Path) -> None:
    """4.20 on Zimbabwe are more than 4: it stays new to ada, and is refused, until a person allows it for good."""
    abroad = ("abroad", "--scope", "user", "--measure", "new_countries", "--limit", "4")
    types("tenant", "brake", "contoso", *abroad, *AT)
    run(folder, "first", "2025-03-10 10:00")
    line = "Brake abroad counted it: calls of ada to ZW, which was new, in the day from 2025-03-10T00:00:00Z on."
    assert line in types("explain", "first")
    (counted,) = brakes()
    assert (counted["about"], counted["spent"]) == ("ada, new: ZW", "4.2")
    types("tenant", "brake", "contoso", *abroad, "--mode", "stop", "--at", "2025-03-10T12:00:00Z")
    run(folder, "second", "2025-03-10 14:00")
    asked = ("quote", "contoso", "--user", "ada", "--called", "+263242700000", "--at", "2025-03-10T15:00:00Z")
    assert "no, brake_reached (abroad)" in types(*asked)
    allowing = ("tenant", "release-brake", "contoso", "abroad", "--subject", "ada", "--country", "ZW")
    types(*allowing, "--at", "2025-03-10T16:00:00Z")
    assert json.loads(types(*asked, "--json"))["allowed"] is True
    assert "ZW is new" in refused(*allowing, "--at", "2025-03-10T17:00:00Z")
    types("verify", "--store", "rater.db")


def test_what_a_brake_in_shadow_learned_is_shown(folder: Path) -> None:
    """The day after a call its country is known; a country that a person allows is known at once."""
    abroad = ("abroad", "--scope", "user", "--measure", "new_countries", "--limit", "1")
    types("tenant", "brake", "contoso", *abroad, *AT)
    run(folder, "first", "2025-03-10 10:00")
    assert [one["known"] for one in brakes()] == [None]
    allowing = ("tenant", "release-brake", "contoso", "abroad", "--subject", "ada", "--country", "FR")
    types(*allowing, "--at", "2025-03-11T16:00:00Z")
    known = [(one["about"], one["known"]) for one in brakes() if one["known"]]
    assert known == [("ada", "FR ZW")]
    assert "FR ZW" in types("show", "brakes", "contoso")


def test_what_is_not_reached_cannot_be_released() -> None:
    """The command says what it expected."""
    types("tenant", "brake", "contoso", "daily", "--limit", "4", *AT)
    said = refused("tenant", "release-brake", "contoso", "daily", *AT)
    assert "expected a brake that is reached in its present window" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--limit", "much"), "limit"),
        (("--limit", "2.5", "--measure", "calls_at_once"), "expected a number of calls"),
        (("--limit", "3", "--scope", "country", "--only", "Kenya"), "ISO 3166-1"),
        (("--limit", "3", "--scope", "class", "--only", "dear"), "expected one of landline"),
        (("--limit", "3", "--scope", "country", "--measure", "new_countries"), "expected tenant or user"),
        (("--limit", "3", "--scope", "planet"), "planet"),
        (("--limit", "-1"), "limit: expected an amount of zero or more, got '-1'"),
        ((), "expected --limit; only --mode off needs none"),
    ],
)
def test_what_no_limit_can_be(options: tuple[str, ...], said: str) -> None:
    """Each is refused in words, and nothing is set."""
    assert said in refused("tenant", "brake", "contoso", "daily", *options, *AT)
    assert brakes() == []


@pytest.mark.parametrize("scope", ["tenant", "user", "country"])
def test_a_limit_is_taken_away_by_its_name(scope: str) -> None:
    """Whatever it was about; nothing else is asked for."""
    types("tenant", "brake", "contoso", "daily", "--scope", scope, "--limit", "4", "--mode", "stop", *AT)
    types("tenant", "brake", "contoso", "daily", "--mode", "off", *AT)
    assert brakes() == []


def test_a_limit_of_a_user_who_is_not_there_is_set_and_remarked_on() -> None:
    """The user may come yet, or be a slip; ada is meant by any spelling, and a limit of a country has no user."""
    for only, said in [
        ("adda", "rater: adda: contoso has no such user yet; did you mean ada?\n"),
        ("nobody@x", "rater: nobody@x: contoso has no such user yet\n"),
        ("ADA", ""),
    ]:
        done = invoke("tenant", "brake", "contoso", "hers", "--scope", "user", "--limit", "4", "--only", only, *AT)
        assert (done.exit_code, done.stderr) == (0, f"done\n{said}")
    assert [one["about"] for one in brakes()] == ["ada"]
    done = invoke("tenant", "brake", "contoso", "zw", "--scope", "country", "--limit", "4", "--only", "ZW", *AT)
    assert (done.exit_code, done.stderr) == (0, "done\n")


def test_alerts_replace_the_former(folder: Path) -> None:
    """100 - 4.2 = 95.8: below 98, and not below 50; without amounts there are none."""
    types("tenant", "alerts", "contoso", "99", *AT)
    types("tenant", "alerts", "contoso", "98", "50", *AT)
    run(folder, "first", "2025-03-10 10:00")
    types("tenant", "alerts", "contoso", "--at", "2025-03-11T00:00:00Z")
    reader = open_reader(folder / "rater.db")
    events = [msgspec.json.decode(value, type=AccountEvent) for _, value in reader.topic("account-events")]
    reader.close()
    assert [one.amount for one in events if one.event.value == "balance.alert"] == ["98"]
