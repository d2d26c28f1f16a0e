"""Dead letters that release 0.3.0 wrote: a command among them is not applied by a replay (A48).

0.3.0 accepted commands in files of calls, too, and its letters do not record by which input a command came.
"""

import gzip
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from rater.core.letters import former_letter_id, letter_id
from rater.core.outputs import RejectedCdr
from rater.wire.dead_letters import may_be_replayed, raw_bytes, why_not_replayed
from rater.wire.errors import Exit
from tests.commands import rater
from tests.upgrade.release import RELEASE, money, records

NOBODY = '{"command":"tenant_configured","tenant":"nobody","id":"s","at":"2024-01-01T00:00:00Z","currency":"USD"}'


def of_topics() -> list[RejectedCdr]:
    """The letters of the topics."""
    lines = map(json.loads, gzip.decompress((RELEASE / "topics.jsonl.gz").read_bytes()).splitlines())
    values = [record["value"] for record in lines if record["topic"] == "rejected-cdrs"]
    return [
        msgspec.json.decode(msgspec.json.decode(f'"{value}"', type=bytes), type=RejectedCdr) for value in values
    ]


def of_store(path: Path) -> list[RejectedCdr]:
    """The letters of a store."""
    return [msgspec.json.decode(value, type=RejectedCdr) for value in records(path, "rejected-cdrs")]


def test_ids_say_which_release_wrote_a_letter(folder: Path) -> None:
    """0.3.0 made the id without the tenant: that is how its letters are known."""
    for letter in of_topics() + of_store(folder / "rater.db"):
        assert letter.id == former_letter_id(raw_bytes(letter), letter.reason)


def test_only_commands_of_the_old_release_are_not_replayed(folder: Path) -> None:
    """On Kafka as in a store: the letters of calls may be replayed, the one of a command may not."""
    for letters in (of_topics(), of_store(folder / "rater.db")):
        held = [letter for letter in letters if not may_be_replayed(letter)]
        assert [json.loads(letter.raw)["command"] for letter in held] == ["funds_added"]
        assert len(letters) == 6


@pytest.mark.parametrize(
    ("topic", "format", "may"),
    [
        ("commands", "cdrs", True),
        ("setup.jsonl", "commands", True),
        ("cdrs", "cdrs", False),
        ("a.jsonl", "cdrs", False),
    ],
)
def test_a_command_of_this_release_is_replayed_by_the_input_that_it_came_in_by(
    topic: str, format: str, may: bool
) -> None:
    """Its id proves that this release wrote it, which accepts commands by inputs for commands only."""
    (former,) = [letter for letter in of_topics() if not may_be_replayed(letter)]
    letter = msgspec.structs.replace(
        former,
        source=msgspec.structs.replace(former.source, topic=topic),
        format=format,
        id=letter_id("nobody", raw_bytes(former), former.reason),
    )
    assert may_be_replayed(letter) is may


def test_a_replay_does_not_add_the_money_of_an_old_letter(folder: Path) -> None:
    """One line says how to apply it knowingly; given with --commands it is applied."""
    (folder / "nobody.jsonl").write_text(NOBODY + "\n")
    rater("run", "--commands", "nobody.jsonl", "--gateway", "pretend:decline", cwd=folder)
    before = money(folder / "rater.db")
    (letter,) = [letter for letter in of_store(folder / "rater.db") if not may_be_replayed(letter)]
    done = rater("dlq", "replay", letter.id, cwd=folder)
    assert done.returncode == Exit.REFUSED
    said = done.stderr.splitlines()
    assert (said[0], said[-1]) == (why_not_replayed(letter), "0 of 1 records accepted")
    assert "--commands" in why_not_replayed(letter)
    assert money(folder / "rater.db") == before
    assert balance(folder, "nobody") == "0"
    (folder / "command.jsonl").write_text(rater("dlq", "show", letter.id[:12], "--raw", cwd=folder).stdout)
    rater("run", "--commands", "command.jsonl", "--gateway", "pretend:decline", cwd=folder)
    assert balance(folder, "nobody") == "1"


def balance(folder: Path, tenant: str) -> str:
    """What a tenant has, as the last balance record says."""
    with closing(sqlite3.connect(folder / "rater.db")) as connection, connection:
        rows = [json.loads(value) for (value,) in connection.execute("SELECT value FROM balances ORDER BY offset")]
    return str(next(row["balance"] for row in reversed(rows) if row["tenant"] == tenant))
