"""Asking a store: what is not there is refused with the nearest name, and what is shown can be pasted."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import Result

from rater.core.inputs import Source
from rater.core.settings import RatingSettings
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Store
from rater.engine.batch import Record
from rater.engine.gateway import LocalGateway
from rater.files.source import InputFile
from rater.wire.errors import Exit, RaterError
from tests.commands import invoke

CONFIGURED = (
    '{{"command":"tenant_configured","tenant":"{0}","id":"s","at":"2025-01-01T00:00:00Z","currency":"USD"}}\n'
)
FUNDS = '{"command":"funds_added","tenant":"contoso","id":"f","at":"2025-01-02T00:00:00Z","amount":"10"}\n'
CALL = (
    '{{"tenant":"{0}","usage_id":"0123456789abcdef0123456789abcdef","type":"user_in",'
    '"answered_at":"2025-03-10T10:00:00Z","duration_s":60,"user":"ada"}}\n'
)
BROKEN = '{"tenant":"contoso","usage_id":"b","type":"user_in","duration_s":60}\n'


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two tenants with a call each, and one record that was refused: the third row of a file."""
    (tmp_path / "setup.jsonl").write_text(CONFIGURED.format("contoso") + CONFIGURED.format("fabrikam") + FUNDS)
    (tmp_path / "cdrs.jsonl").write_text(CALL.format("contoso") + CALL.format("fabrikam") + BROKEN)
    opened = Store(tmp_path / "rater.db")
    rater = EmbeddedRater(opened, RatingSettings(), LocalGateway())
    rater.consume(InputFile(str(tmp_path / "setup.jsonl"), "commands"))
    rater.consume(InputFile(str(tmp_path / "cdrs.jsonl")))
    opened.close()
    return tmp_path / "rater.db"


def ask(store: Path, line: str) -> Result:
    return invoke(*line.split(), "--store", str(store))


@pytest.mark.parametrize(
    ("line", "said", "code"),
    [
        ("show balance contos", "contos: no such tenant in", Exit.FAILED),
        ("export debits --tenant contos", "did you mean contoso?; there are: contoso, fabrikam", Exit.FAILED),
        ("export pools --period 2025-3", "--period: expected a month as YYYY-MM such as 2025-03", Exit.USAGE),
        ("export usage --period 2025-13", "got '2025-13'", Exit.USAGE),
        ("show pools contoso --period 2025-00", "got '2025-00'", Exit.USAGE),
        ("show calls contoso --number 44", "--number: expected 3 to 20 digits of a telephone number", Exit.USAGE),
        ("show calls contoso --user nobody", "nobody: no such user of contoso, and no calls", Exit.FAILED),
    ],
)
def test_what_is_not_there_is_refused(store: Path, line: str, said: str, code: Exit) -> None:
    """An empty answer would look as if there were nothing to bill."""
    wrong = ask(store, line).exception
    assert isinstance(wrong, RaterError)
    assert said in str(wrong)
    assert wrong.exit == code


def test_a_month_without_calls_is_empty(store: Path) -> None:
    """That is an answer, and no mistake."""
    assert ask(store, "export debits --tenant contoso --period 2030-01").exit_code == 0


def test_usage_of_several_tenants_says_whose_it_is(store: Path) -> None:
    """A column before the 20 of the report, but where one tenant was asked for."""
    both = ask(store, "export usage").stdout.splitlines()
    assert both[0].startswith("Tenant,UsageId,Call ID,")
    assert [row.partition(",")[0] for row in both[1:]] == ["contoso", "fabrikam"]
    assert ask(store, "export usage --tenant contoso").stdout.startswith("UsageId,Call ID,")


def test_an_id_is_never_cut(store: Path) -> None:
    """It can be pasted into `rater explain`, however narrow the screen."""
    shown = invoke("show", "calls", "contoso", "--store", str(store), COLUMNS="40")
    assert "01234567-89ab-cdef-0123-456789abcdef" in shown.stdout
    assert "2025-03-10T10:00:00Z" in shown.stdout


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("--number +44(0)20", "+442079460000"),
        ("--number 7947", "no call of contoso with 7947 in a number was rated"),
        ("--number 004420-79", "+442079460000"),
        ("--number 7946 --type user_in --destination Nowhere", "to Nowhere of type user_in was rated"),
        ("--type user_in", "+442079460000"),
    ],
)
def test_calls_by_a_part_of_a_number(store: Path, tmp_path: Path, options: str, found: str) -> None:
    """As people write it; with a type and a destination."""
    called = CALL.format("contoso").replace("0123456789abcdef0123456789abcdef", "called")
    (tmp_path / "called.jsonl").write_text(called.replace('"user":', '"called":"+442079460000","user":'))
    assert invoke("run", str(tmp_path / "called.jsonl"), "--store", str(store)).exit_code == 0
    shown = ask(store, f"show calls contoso {options}")
    assert found in shown.stdout + shown.stderr


def test_a_balance_for_people(store: Path) -> None:
    """Times as RFC 3339; a lot a line."""
    shown = ask(store, "show balance contoso").stdout
    assert "lot f, remaining 10, expires_at 2026-01-02T00:00:00Z" in shown
    assert "datetime" not in shown


def test_a_dead_letter_names_file_and_row(store: Path) -> None:
    """`cdrs.jsonl:3` is where a clerk looks."""
    listed = ask(store, "dlq ls").stdout
    assert "cdrs.jsonl:3" in listed
    assert "answered_at: expected a value, got none" in listed
    (letter,) = json.loads(ask(store, "dlq ls --json").stdout)
    shown = ask(store, f"dlq show {letter['id'][:12]}").stdout
    assert "cdrs.jsonl:3" in shown
    assert "{'" not in shown


def test_a_held_record_is_let_through_by_a_person(store: Path, tmp_path: Path) -> None:
    """A44: replayed alone it is rejected again; with --accept it is rated, once."""
    (tmp_path / "long.jsonl").write_text(CALL.format("contoso").replace('"duration_s":60', '"duration_s":50000', 1))
    text = (tmp_path / "long.jsonl").read_text().replace("0123456789abcdef0123456789abcdef", "long")
    (tmp_path / "long.jsonl").write_text(text)
    opened = Store(store)
    EmbeddedRater(opened, RatingSettings(), LocalGateway()).consume(InputFile(str(tmp_path / "long.jsonl")))
    opened.close()
    (letter,) = [
        letter
        for letter in json.loads(ask(store, "dlq ls --json").stdout)
        if letter["reason"] == "implausible_duration"
    ]
    assert ask(store, f"dlq replay {letter['id']}").exit_code == Exit.REFUSED
    assert ask(store, f"dlq replay {letter['id']} --accept").exit_code == 0
    assert json.loads(ask(store, "explain long --json").stdout)["minutes"] == 834


def test_a_clock_that_runs_ahead_is_not_accepted_by_a_replay(store: Path, tmp_path: Path) -> None:
    """A43: a replayed record arrives when it is replayed; one of the year 2199 is rejected then, too."""
    ahead = CALL.format("contoso").replace("2025-", "2199-")
    opened = Store(store)
    embedded = EmbeddedRater(opened, RatingSettings(), LocalGateway())
    record = Record("cdr", Source("cdrs.jsonl", 0, 1), ahead.encode(), arrived_at=datetime.now(UTC))
    embedded.replay([("", record)])
    opened.close()
    assert ask(store, "dlq replay --reason impossible_time").exit_code == Exit.REFUSED
    assert json.loads(ask(store, "show balance contoso --json").stdout)["balance"] == "10"
