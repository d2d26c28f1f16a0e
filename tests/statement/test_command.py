"""`rater statement` as a clerk types it, over a store."""

import json
from pathlib import Path
from typing import Any

import pytest

from rater.wire.errors import Exit, RaterError
from tests.commands import invoke
from tests.embedded.usage import HEADER, SETUP, row
from tests.world import DECK

WORDS = ("statement", "contoso", "--store", "rater.db")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Contoso bought 10 in February; a call of March, and one of March that is read in May."""
    monkeypatch.chdir(tmp_path)
    abroad: dict[str, Any] = {"number": "+263242700000", "seconds": 61}
    (tmp_path / "setup.jsonl").write_text(SETUP)
    for name, day in (("march", "10"), ("late", "11")):
        start, end = f"2025-03-{day}T10:00:00Z", f"2025-03-{day}T10:01:01Z"
        (tmp_path / f"{name}.csv").write_text("\n".join([HEADER, row(name, start=start, end=end, **abroad)]) + "\n")
    words = ("run", "march.csv", "--tenant", "contoso", "--commands", "setup.jsonl", "--deck", str(DECK))
    assert invoke(*words, "--arrived", "2025-04-01T00:00:00Z").exit_code == 0
    assert invoke("run", "late.csv", "--tenant", "contoso", "--arrived", "2025-05-09T00:00:00Z").exit_code == 0
    return tmp_path


def said(*words: str) -> dict[str, object]:
    """The statement of a period as JSON."""
    ran = invoke(*WORDS, *words, "--format", "json")
    assert ran.exit_code == 0, ran.output
    found: dict[str, object] = json.loads(ran.stdout)
    return found


def test_a_month_and_the_next(folder: Path) -> None:
    """10 - 0.4 (2 minutes at 0.2) in March; the late call in April, with its own month."""
    march, april = said("--period", "2025-03"), said("--period", "2025-04")
    assert (march["opening"], march["closing"], march["adds_up"]) == ("10", "9.6", True)
    assert (april["opening"], april["closing"], april["balance"]) == ("9.6", "9.2", "9.2")
    assert april["other_months"] == [
        {"period": "2025-03", "late": True, "calls": 1, "amount": "0.4", "given_back": "0"}
    ]
    assert march["other_months"] == []


def test_since_and_until(folder: Path) -> None:
    """Each of the two may be open; `--until` is not in the period."""
    assert (said()["opening"], said()["closing"]) == ("0", "9.2")
    assert said("--until", "2025-03-01T00:00:00Z")["closing"] == "10"
    part = said("--since", "2025-03-10T10:00:00Z", "--until", "2025-03-10T10:01:01Z")
    assert (part["opening"], part["closing"], part["entries"]) == ("10", "10", [])


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("--period", "2025-13"), "--period: expected a month as YYYY-MM such as 2025-03, got '2025-13'"),
        (
            ("--period", "2025-03", "--until", "2025-03-02T00:00:00Z"),
            "--period: expected either a month or --since",
        ),
        (
            ("--since", "2025-03-02T00:00:00Z", "--until", "2025-03-02T00:00:00Z"),
            "--until: expected an instant after --since 2025-03-02T00:00:00Z, got 2025-03-02T00:00:00Z",
        ),
        (("--since", "yesterday"), "--since: "),
        (("--format", "html"), "--out: html cannot go to standard output; name a file"),
        (("--format", "csv", "--out", "nowhere/march.csv"), "nowhere/march.csv: no such folder"),
    ],
    ids=["no month", "both", "nothing between", "no instant", "on the screen", "no folder"],
)
def test_what_is_mistyped(folder: Path, words: tuple[str, ...], wrong: str) -> None:
    """One line: what was expected, what was given."""
    error = invoke(*WORDS, *words).exception
    assert isinstance(error, RaterError)
    assert str(error).startswith(wrong)


def test_an_unknown_tenant(folder: Path) -> None:
    """The nearest is named."""
    error = invoke("statement", "contos", "--store", "rater.db").exception
    assert isinstance(error, RaterError)
    assert (error.exit, "did you mean contoso" in str(error)) == (Exit.FAILED, True)


def test_each_format_is_written(folder: Path) -> None:
    """Two on the screen, all of them to files; the line about the file is on standard error."""
    assert invoke(*WORDS, "--period", "2025-03").stdout.startswith("Statement of contoso in USD\n2025-03 (UTC)\n")
    for format in ("text", "csv", "xlsx", "html", "json"):
        ran = invoke(*WORDS, "--period", "2025-03", "--format", format, "--out", f"march.{format}")
        assert (ran.exit_code, ran.stdout) == (0, "")
        assert f"march.{format}: the statement of contoso" in ran.stderr
        assert (folder / f"march.{format}").stat().st_size > 500
