"""`rater run --map`, `rater publish --map`, dead letters and `rater map`, as a person uses them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rater.cli import build_app
from rater.cli.publish import _call_messages
from rater.core.inputs import CallRecord
from rater.files.mappings import load
from rater.wire.codec import decode_cdr

SITES = Path(__file__).parent / "sites"
SETUP = (
    '{"command":"tenant_configured","tenant":"fabrikam","id":"1","at":"2025-01-01T00:00:00Z","currency":"USD"}\n'
    '{"command":"user_configured","tenant":"fabrikam","id":"2","at":"2025-01-01T00:00:00Z","user":"+12065550142"}\n'
)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the AudioCodes site, its table of trunks, and what the SBC wrote."""
    for path in SITES.glob("audiocodes.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "trunks.csv").write_bytes((SITES / "trunks.csv").read_bytes())
    (tmp_path / "setup.jsonl").write_text(SETUP)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rater(*arguments: str) -> Result:
    return CliRunner().invoke(build_app(), list(arguments))


def run(*arguments: str) -> dict[str, object]:
    done = rater("run", "--json", "--commands", "setup.jsonl", "--map", "audiocodes.yaml", *arguments)
    assert done.exit_code in (0, 3), done.output
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_a_switchs_file_is_rated_and_explained(site: Path) -> None:
    """One call of 215 s, one other leg, one that nobody answered; again, nothing is new."""
    first = run("audiocodes.sample.txt")
    assert first["not_selected"] == {"not answered": 1, "other leg of a call": 1}
    assert first["outcomes"] == {"rated": 3}  # two commands and a call
    shown = rater("explain", "a84b4c99e66710@192.0.2.10").stdout
    assert "It lasted 215 s = 4 minutes" in shown
    assert f"read by mapping audiocodes, version {load('audiocodes.yaml').version}" in shown
    assert "|CALL_END |SBC |a84b4c99e66710@192.0.2.10" in shown
    assert run("audiocodes.sample.txt")["already_rated"] == ["audiocodes.sample.txt"]


def test_a_letter_is_replayed_after_its_table_was_mended(site: Path) -> None:
    """The trunk is missing: unknown_account, with the raw record; the same bytes are mapped again, with the new table."""
    (site / "trunks.csv").write_text("ip,tenant\n192.0.2.99,other\n")
    assert run("audiocodes.sample.txt")["rejected"] == {"unknown_account": 1}
    (letter,) = json.loads(rater("dlq", "ls", "--json", "--reveal").stdout)
    assert letter["mapping"]["name"] == "audiocodes"
    assert letter["raw"].startswith("|CALL_END |SBC |a84b4c99e66710")
    assert rater("dlq", "replay").exit_code == 3
    (site / "trunks.csv").write_text("ip,tenant\n192.0.2.10,fabrikam\n")
    assert rater("dlq", "replay").exit_code == 0
    assert "It lasted 215 s" in rater("explain", "a84b4c99e66710@192.0.2.10").stdout


def test_a_mapping_says_how_times_are_written(site: Path) -> None:
    """Two that say it could contradict each other."""
    done = rater("run", "--map", "audiocodes.yaml", "--zone", "UTC", "audiocodes.sample.txt")
    assert "leave out --format, --times and --zone" in str(done.exception)


def test_what_is_published_carries_the_switchs_record(site: Path) -> None:
    """In `source`, a field that the rating task leaves out of rating: the call is the same with and without it."""
    refused: list[str] = []
    mapping = load("audiocodes.yaml")
    ((topic, owner, value),) = _call_messages(["audiocodes.sample.txt"], None, None, refused, mapping=mapping)
    assert (topic, owner, refused) == ("cdrs", "fabrikam", [])
    source = json.loads(value)["source"]
    assert (source["mapping"], source["version"]) == ("audiocodes", mapping.version)
    assert isinstance(decode_cdr(value), CallRecord)
    header = (site / "audiocodes.sample.txt").read_text().splitlines()[0]
    assert decode_cdr(value) == mapping.bind(header).map_one(source["raw"].encode())


def test_map_check_and_test(site: Path) -> None:
    """Before and after of each record; a wrong expectation is exit 1 with file, row and field."""
    shown = rater("map", "check", "audiocodes.yaml", "audiocodes.sample.txt")
    assert shown.exit_code == 0
    assert "after   duration_s = 215" in shown.stdout
    assert "audiocodes.sample.txt:3: not selected: other leg of a call" in shown.stdout
    assert rater("map", "test", "audiocodes.yaml").exit_code == 0
    path = site / "audiocodes.expected.csv"
    path.write_text(path.read_text().replace(",215\n", ",216\n"))
    done = rater("map", "test", "audiocodes.yaml")
    assert done.exit_code == 1
    assert "expected.csv:2: record 2: duration_s: expected 216, got 215" in done.output


def test_two_calls_with_one_id_are_seen_before_they_are_rated(tmp_path: Path) -> None:
    """An id that is not another for each call: the second call would be refused as a conflicting duplicate."""
    (tmp_path / "m.yaml").write_text(
        "extends: asterisk-cdr-csv\ntimes: {zone: UTC}\ncall: {tenant: fabrikam, usage_id: '{accountcode}'}\n"
    )
    row = (SITES / "asterisk-csv.sample.csv").read_text().splitlines()[0]
    (tmp_path / "f.csv").write_text(row + "\n" + row.replace(",215,", ",100,") + "\n")
    done = rater("map", "check", str(tmp_path / "m.yaml"), str(tmp_path / "f.csv"))
    assert done.exit_code == 3
    assert "the call of row 1 has the same id" in done.stdout


def test_presets_are_listed_and_shown() -> None:
    """With what a site must set besides."""
    assert "kamailio-acc-json" in rater("map", "list").stdout
    shown = rater("map", "show", "freeswitch-json-cdr")
    assert "originating_leg_uuid" in shown.stdout
    assert "call.duration.round" in shown.output
