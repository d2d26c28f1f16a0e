"""Money that nobody asked for: commands are accepted by the inputs for commands only (A48)."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rater.core.reasons import Reason, Refusal
from rater.embedded.store import open_reader
from rater.engine.batch import Record
from rater.files.source import InputFile
from rater.wire.codec import decode_call_event, decode_cdr, decode_command
from rater.wire.errors import Exit
from tests.commands import rater
from tests.embedded.usage import GRAPH_ROW, HEADER, SETUP, row, run

MINTED = '{"command":"funds_added","tenant":"contoso","id":"minted","at":"2025-03-01T00:00:00Z","amount":"999"}'
CALL = (
    '{"tenant":"contoso","usage_id":"a","type":"user_out","answered_at":"2025-03-01T10:00:00Z","duration_s":61,'
    '"user":"ada@contoso.example","calling":"+14255550100","called":"+12065550100"}'
)
#: What the setup and the deck rate before any call.
SETTING_UP = 5


def balance(folder: Path) -> str:
    """What contoso has, as the last balance record says."""
    store = open_reader(folder / "rater.db")
    try:
        _, last = next(store.topic("balances", "contoso", newest_first=True))
    finally:
        store.close()
    return str(json.loads(last)["balance"])


def letters(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(rater("dlq", "ls", "--json", "--reveal", cwd=folder).stdout)
    return found


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cdrs.jsonl", f"{CALL}\n{MINTED}\n"),
        ("cdrs.jsonl", f"{MINTED}\n{CALL}\n"),
        ("rows.json", json.dumps([json.loads(MINTED), GRAPH_ROW])),
        ("rows.jsonl", f"{json.dumps(GRAPH_ROW)}\n{MINTED}\n"),
    ],
    ids=["after a call", "first", "in an array", "in Graph rows"],
)
@pytest.mark.parametrize("way", ["file", "standard input", "folder"])
def test_a_command_among_call_records_is_a_dead_letter(folder: Path, name: str, content: str, way: str) -> None:
    """A48: it moves no money, wherever it stands and however the records come; the other records go on."""
    (folder / "in").mkdir()
    (folder / "in" / name).write_text(content)
    given, stdin = {
        "file": (f"in/{name}", b""),
        "standard input": ("-", content.encode()),
        "folder": ("in", b""),
    }[way]
    summary = run(folder, given, stdin=stdin, code=Exit.REFUSED)
    assert summary["outcomes"] == {"rated": SETTING_UP + 1, "rejected": 1}
    assert summary["rejected"] == {"not_a_call_record": 1}
    assert balance(folder) == "10"
    (letter,) = letters(folder)
    assert (letter["reason"], letter["field"]) == ("not_a_call_record", "command")
    assert json.loads(letter["raw"]) == json.loads(MINTED)


def test_a_file_of_commands_among_the_files_moves_nothing(folder: Path) -> None:
    """Each command is a dead letter; given with --commands afterwards, the same file is applied."""
    (folder / "more.jsonl").write_text(MINTED + "\n")
    assert run(folder, "more.jsonl", code=Exit.REFUSED)["rejected"] == {"not_a_call_record": 1}
    assert balance(folder) == "10"
    assert run(folder, "--commands", "more.jsonl")["outcomes"] == {"rated": 1}
    assert balance(folder) == "1009"


def test_a_dead_letter_of_a_command_is_no_command_when_it_is_replayed(folder: Path) -> None:
    """It was no record of a call, and still is not."""
    (folder / "cdrs.jsonl").write_text(MINTED + "\n")
    run(folder, "cdrs.jsonl", code=Exit.REFUSED)
    assert rater("dlq", "replay", cwd=folder).returncode == Exit.REFUSED
    assert balance(folder) == "10"


def test_a_refused_command_is_replayed_as_the_command_that_it_is(folder: Path) -> None:
    """A dead letter of the input for commands goes through that input again."""
    (folder / "early.jsonl").write_text(MINTED + "\n")
    done = rater("run", "--commands", "early.jsonl", "--json", cwd=folder)
    assert json.loads(done.stdout)["rejected"] == {"unknown_tenant": 1}
    run(folder)
    assert "1 of 1 records accepted" in rater("dlq", "replay", cwd=folder).stderr
    assert balance(folder) == "1009"


@pytest.mark.parametrize("command", ["run", "publish"])
def test_files_cannot_be_said_to_be_commands(folder: Path, command: str) -> None:
    """`--format commands` is refused on one line that names the input for commands."""
    done = rater(command, "setup.jsonl", "--format", "commands", cwd=folder)
    assert done.returncode == Exit.USAGE
    assert done.stderr.count("\n") == 1
    assert "give a file of commands with --commands" in done.stderr


def test_a_call_record_among_commands_is_refused_by_its_name(folder: Path) -> None:
    """It is not rated there, and the commands after it are applied."""
    (folder / "setup.jsonl").write_text(SETUP.replace("\n", f"\n{CALL}\n", 1))
    summary = run(folder, code=Exit.REFUSED)
    assert summary["outcomes"] == {"rated": SETTING_UP, "rejected": 1}
    assert list(open_reader(folder / "rater.db").rated_calls("a")) == []
    (letter,) = letters(folder)
    assert letter["message"] == "expected a command, got a record of a call; give it among the files"


@pytest.mark.parametrize("decode", [decode_cdr, decode_call_event])
def test_topics_of_calls_refuse_commands(decode: Any) -> None:
    """On Kafka: what is published to `cdrs` or `call-events` is refused by the same name."""
    for command in SETUP.splitlines():
        refused = decode(command.encode())
        assert isinstance(refused, Refusal)
        assert refused.reason is Reason.NOT_A_CALL_RECORD


def test_a_call_record_with_a_field_named_command_is_a_call_record() -> None:
    """Unknown fields are kept out of rating."""
    assert not isinstance(decode_cdr(CALL.replace('"user"', '"command":"x","user"').encode()), Refusal)
    refused = decode_command(CALL.encode())
    assert isinstance(refused, Refusal)
    assert (refused.reason, refused.field) == (Reason.MALFORMED, "command")


def test_a_file_rated_with_a_mistyped_tenant_is_rated_again(folder: Path) -> None:
    """A file's position knows its tenant and format; with the right tenant nothing of it counts as read."""
    (folder / "usage.csv").write_text(f"{HEADER}\n{row('a')}\n")
    mistyped = rater("run", "usage.csv", "--tenant", "cotnoso", "--json", cwd=folder)
    assert json.loads(mistyped.stdout)["rejected"] == {"unknown_tenant": 1}
    assert run(folder, "usage.csv")["outcomes"]["rated"] == SETTING_UP + 1
    assert run(folder, "usage.csv")["records"] == 0


def test_what_version_0_3_0_consumed_is_not_read_again(folder: Path) -> None:
    """It kept the name of a file alone."""
    (folder / "usage.csv").write_text(f"{HEADER}\n{row('a')}\n")
    run(folder, "usage.csv")
    with closing(sqlite3.connect(folder / "rater.db")) as connection, connection:
        connection.execute("UPDATE inputs SET name=json_extract(name, '$[0]')")
    assert run(folder, "usage.csv")["records"] == 0


def test_files_know_when_they_arrived(folder: Path) -> None:
    """A43: what `--arrived` says, else the clock, read once a file."""
    path = folder / "cdrs.jsonl"
    path.write_text(f"{CALL}\n{CALL}\n")
    at = datetime(2025, 3, 2, tzinfo=UTC)
    given = list(InputFile(str(path), arrived=at).records())
    assert [(record.arrived_at, record.arrival_given) for record in given if isinstance(record, Record)] == [
        (at, True)
    ] * 2
    before = datetime.now(UTC)
    first, second = [record for record in InputFile(str(path)).records() if isinstance(record, Record)]
    assert first.arrived_at is not None
    assert second.arrived_at is not None
    assert before <= first.arrived_at == second.arrived_at <= datetime.now(UTC)
    assert not first.arrival_given
    done = rater("run", "cdrs.jsonl", "--arrived", "yesterday", cwd=folder)
    assert (done.returncode, "--arrived: expected a time with zone" in done.stderr) == (Exit.USAGE, True)
