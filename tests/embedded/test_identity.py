"""Users and usage ids in a store: spellings of one user or id are the same at every input (A40, A41)."""

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from typer.testing import Result

from rater.core.inputs import CallRecord
from rater.core.mediation import content_hash
from rater.core.outputs import RatedCall
from rater.core.settings import RatingSettings
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Store
from rater.engine.gateway import LocalGateway
from rater.files.deck_csv import read_deck
from rater.files.source import InputFile
from tests.commands import invoke
from tests.embedded.usage import GRAPH_ROW, HEADER, row
from tests.world import DECK, HARARE

GUID = "8d344131-a97e-ea41-d7e9-d48a832febc2"
NAMES = ("Ada@Contoso.example", "ADA@contoso.example")
SETUP = [
    {"command": "tenant_configured", "currency": "USD", "credits": "enabled"},
    {"command": "funds_added", "amount": "10"},
    {"command": "license_assigned", "user": NAMES[0], "sku": "MCOPSTN5", "country": "US"},
    {"command": "license_assigned", "user": NAMES[1], "sku": "MCOPSTN5", "country": "US"},
]
CALL = {
    "tenant": "contoso",
    "usage_id": GUID,
    "type": "user_out",
    "answered_at": "2025-03-01T10:00:00Z",
    "duration_s": 61,
    "user": NAMES[0],
    "called": "+12065550100",
}


def consume(folder: Path, *files: str) -> dict[str, int]:
    """Rate files into the folder's store; how many records had each outcome."""
    opened = Store(folder / "rater.db")
    rater = EmbeddedRater(opened, RatingSettings(), LocalGateway())
    try:
        if files[0] == "setup.jsonl":
            rater.publish(read_deck(DECK, version="d"))
            rater.consume(InputFile(str(folder / files[0]), "commands"))
            rater.activate("d")
            files = files[1:]
        for name in files:
            rater.consume(InputFile(str(folder / name), tenant="contoso"))
        counts = rater.summary.outcomes
    finally:
        opened.close()
    return {outcome.value: count for outcome, count in counts.items()}


def lines(folder: Path, name: str, *records: Mapping[str, object]) -> str:
    (folder / name).write_text("".join(json.dumps(record) + "\n" for record in records))
    return name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tenant whose user was configured in two spellings."""
    about = {"tenant": "contoso", "at": "2025-01-01T00:00:00Z"}
    lines(tmp_path, "setup.jsonl", *({**about, "id": str(number), **one} for number, one in enumerate(SETUP)))
    return tmp_path


def ask(folder: Path, line: str) -> Result:
    return invoke(*line.split(), "--store", str(folder / "rater.db"))


def calls(folder: Path) -> list[RatedCall]:
    connection = sqlite3.connect(folder / "rater.db")
    rows = connection.execute('SELECT value FROM "rated-calls" ORDER BY offset').fetchall()
    connection.close()
    return [msgspec.json.decode(value, type=RatedCall) for (value,) in rows]


def as_rated_before(folder: Path, spelling: str) -> None:
    """Make the one rated call of the store what release 0.3.0 wrote for this spelling of its usage id."""
    (call,) = calls(folder)
    given = msgspec.convert(CALL | {"usage_id": spelling}, CallRecord)
    former = msgspec.structs.replace(call, usage_id=spelling, content=content_hash(msgspec.json.encode(given)))
    connection = sqlite3.connect(folder / "rater.db")
    connection.execute('UPDATE "rated-calls" SET key=?, value=?', (spelling, msgspec.json.encode(former)))
    connection.commit()
    connection.close()


def test_exports_json_and_graph_mean_the_same_user(folder: Path) -> None:
    """A40: each spells Ada in its own way, all draw on her pool, and all show her first spelling."""
    export = row("o1").replace("Ada@contoso.example", "ADA@CONTOSO.example")
    (folder / "export.csv").write_text(f"{HEADER}\n{export}\n")
    lines(folder, "cdrs.jsonl", CALL | {"user": "ada@contoso.EXAMPLE "})
    lines(folder, "graph.jsonl", GRAPH_ROW | {"callType": "user_out", "calleeNumber": "+12065550100"})
    consume(folder, "setup.jsonl", "export.csv", "cdrs.jsonl", "graph.jsonl")
    assert [(call.user, call.segments[0].pocket.value) for call in calls(folder)] == [(NAMES[0], "pool")] * 3
    (pool,) = json.loads(ask(folder, "show pools contoso --json").stdout)
    assert (pool["used"], pool["total"]) == (8, 120)


def test_show_calls_finds_a_user_in_any_spelling(folder: Path) -> None:
    """A40: at the command line, too."""
    lines(folder, "cdrs.jsonl", CALL)
    consume(folder, "setup.jsonl", "cdrs.jsonl")
    assert GUID in ask(folder, "show calls contoso --user ADA@CONTOSO.EXAMPLE").stdout


def test_restricted_users_are_shown_by_their_first_spelling(folder: Path) -> None:
    """A40: the store keeps a key, people see the name."""
    lines(folder, "cdrs.jsonl", CALL | {"user": NAMES[1], "called": HARARE})
    consume(folder, "setup.jsonl", "cdrs.jsonl")
    assert json.loads(ask(folder, "show tenant contoso --json").stdout)["restricted_users"] == [NAMES[0]]


@pytest.mark.parametrize("spelling", [GUID.upper(), GUID.replace("-", ""), "{" + GUID + "}", "urn:uuid:" + GUID])
def test_explain_finds_a_guid_in_any_spelling(folder: Path, spelling: str) -> None:
    """A41: as it stands in whatever report somebody has before them."""
    lines(folder, "cdrs.jsonl", CALL)
    consume(folder, "setup.jsonl", "cdrs.jsonl")
    assert GUID in ask(folder, f"explain {spelling}").stdout


@pytest.mark.parametrize("spelling", [GUID.upper(), GUID.replace("-", ""), "{" + GUID + "}", GUID])
def test_what_a_store_rated_before_is_found_as_it_was_spelled(folder: Path, spelling: str) -> None:
    """A51, A41: sent again it is a duplicate; a correction stands alone in the export."""
    lines(folder, "cdrs.jsonl", CALL)
    consume(folder, "setup.jsonl", "cdrs.jsonl")
    as_rated_before(folder, spelling)
    lines(folder, "again.jsonl", CALL | {"usage_id": spelling})
    assert consume(folder, "again.jsonl") == {"duplicate": 1}
    lines(folder, "corrected.jsonl", CALL | {"usage_id": spelling, "version": 2, "duration_s": 200})
    assert consume(folder, "corrected.jsonl") == {"corrected": 1}
    assert [call.usage_id for call in calls(folder)] == [spelling, GUID]
    exported = ask(folder, "export usage --tenant contoso").stdout.splitlines()
    assert GUID in exported[-1]
